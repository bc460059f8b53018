"""A window of a cube costs what the window has, however many chunks the cube has."""

from __future__ import annotations

import datetime as dt
import pickle
from pathlib import Path

import dask
import numpy as np
import pytest
import rasterio
import xarray as xr
import zarr
from dask.highlevelgraph import HighLevelGraph
from rasterio import Affine

import stacbuild
from stacbuild import loading
from stacbuild.building.lazy import lazy_cube
from stacbuild.loading import stack_graph
from stacbuild.planning.planner import plan
from tests.support.cli import configuration

BANDS, CHUNKS = 3, 20 * 20


SIDE = 20 * 2048


def geotiff(path: Path) -> None:
    """Write a file without any block."""
    profile = {"driver": "GTiff", "crs": "EPSG:4326", "dtype": "uint8", "nodata": 255}
    blocks = {"tiled": True, "blockxsize": 2048, "blockysize": 2048, "SPARSE_OK": True}
    place = Affine(0.0001, 0, 10, 0, -0.0001, 50)
    size = {"width": SIDE, "height": SIDE, "count": BANDS}
    with rasterio.open(path, "w", transform=place, **profile, **blocks, **size):
        pass


def zarr_store(path: Path) -> None:
    """Write a store without any chunk of data."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    for name, values in (
        ("band", np.arange(BANDS)),
        ("lat", 50 - 0.0001 * (np.arange(SIDE) + 0.5)),
        ("lon", 10 + 0.0001 * (np.arange(SIDE) + 0.5)),
    ):
        shape = values.shape
        kind = values.dtype
        axis = group.create_array(name, shape=shape, dtype=kind, dimension_names=[name])
        axis[:] = values
    group.create_array(
        "cube",
        shape=(BANDS, SIDE, SIDE),
        chunks=(1, 2048, 2048),
        dtype="u1",
        fill_value=255,
        dimension_names=["band", "lat", "lon"],
        attributes={"_FillValue": 255},
    )


@pytest.fixture(params=["a.tif", "a.zarr"])
def cube(request: pytest.FixtureRequest, tmp_path: Path) -> xr.Dataset:
    """Return a lazy cube of three bands of 400 chunks."""
    (tmp_path / "src").mkdir()
    (geotiff if request.param == "a.tif" else zarr_store)(tmp_path / "src" / request.param)
    grid = {
        "identifier": "wide",
        "bbox": [10, 50 - SIDE / 10_000, 10 + SIDE / 10_000, 50],
        "spatial_res": 0.0001,
        "crs": "EPSG:4326",
        "tile_size": 2048,
    }
    store = {"identifier": "src", "store_id": "file", "store_params": {"root": "src"}}
    dataset = {
        "identifier": "cube",
        "store": "src",
        "data_id": request.param,
        "grid_mapping": "wide",
    }
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
    listed = [len(layer) for layer in layers if layer.is_materialized()]
    assert max(listed, default=0) <= BANDS
    # What dask keeps for each chunk would be there, too, such as ``block_info``.
    assert len(pickle.dumps(array.data.dask)) < 30_000


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


@pytest.mark.parametrize("cube", ["a.tif"], indirect=True)
def test_another_dask_only_loses_time(cube: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_graph, "DataNode", None)
    array = cube["cube"]
    assert stack_graph.selectable(array) is array
