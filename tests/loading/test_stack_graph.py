"""A window of a cube costs what the window has, however many chunks the cube has."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import dask
import pytest
import rasterio
import xarray as xr
from dask.highlevelgraph import HighLevelGraph
from rasterio import Affine

import stacbuild
from stacbuild import loading
from stacbuild.building.lazy import lazy_cube
from stacbuild.loading import stack_graph
from stacbuild.planning.planner import plan
from tests.support.cli import configuration

BANDS, CHUNKS = 3, 20 * 20


@pytest.fixture
def cube(tmp_path: Path) -> xr.Dataset:
    """Return a lazy cube of three bands of 400 chunks, of a file without any block."""
    side = 20 * 2048
    place = Affine(0.0001, 0, 10, 0, -0.0001, 50)
    (tmp_path / "src").mkdir()
    with rasterio.open(
        tmp_path / "src" / "a.tif",
        "w",
        driver="GTiff",
        crs="EPSG:4326",
        transform=place,
        width=side,
        height=side,
        count=BANDS,
        dtype="uint8",
        nodata=255,
        tiled=True,
        blockxsize=2048,
        blockysize=2048,
        SPARSE_OK=True,
    ):
        pass
    grid = {
        "identifier": "wide",
        "bbox": [10, 50 - side / 10_000, 10 + side / 10_000, 50],
        "spatial_res": 0.0001,
        "crs": "EPSG:4326",
        "tile_size": 2048,
    }
    store = {"identifier": "src", "store_id": "file", "store_params": {"root": "src"}}
    dataset = {"identifier": "cube", "store": "src", "data_id": "a.tif", "grid_mapping": "wide"}
    path = configuration(tmp_path, [dataset], [store], grids=[grid])
    stacbuild.harvest(path)
    [planned] = plan(stacbuild.load_config(path), tmp_path / "catalogs")
    assert planned.job is not None, planned.error
    with loading.using():
        return lazy_cube(planned.job, dt.datetime.now(dt.UTC))


def test_no_chunk_has_a_task_before_it_is_selected(cube: xr.Dataset) -> None:
    array = cube["cube"]
    assert array.data.npartitions == BANDS * CHUNKS
    assert array.dims == ("band", "lat", "lon")
    layers = array.data.dask.layers.values()
    assert max(len(layer) for layer in layers if layer.is_materialized()) == BANDS


def test_a_window_does_not_go_through_the_chunks_of_the_cube(
    cube: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def through_all(graph: HighLevelGraph) -> None:
        raise AssertionError

    monkeypatch.setattr(HighLevelGraph, "get_all_external_keys", through_all)
    window = {"lat": slice(2048, 4096), "lon": slice(2048, 4096)}
    (optimized,) = dask.optimize(cube["cube"].isel(window).data)
    assert len(optimized.__dask_graph__()) <= 3 * BANDS
    assert int(optimized[:, :8, :8].compute().min()) == 255


def test_another_dask_only_loses_time(cube: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_graph, "DataNode", None)
    array = cube["cube"]
    assert stack_graph.selectable(array) is array
