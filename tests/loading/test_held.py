"""Composites hold no more blocks of their sources at a time than fit into the memory."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from dask.callbacks import Callback
from rasterio.transform import from_origin

import stacbuild
from tests.support.cli import Json, configuration

DAYS, SIZE, TILE = 20, 192, 64
SOURCE = {"identifier": "local", "store_id": "file", "store_params": {"root": "src"}}


class Held(Callback):  # type: ignore[misc]
    """Bytes of the arrays that dask holds at a time, in all graphs that it computes."""

    def __init__(self) -> None:
        super().__init__(posttask=self._note, finish=self._forget)
        self.peak = 0
        self._lock = threading.Lock()
        self._of_graph: dict[int, int] = {}

    def _note(self, _: Any, __: Any, ___: Any, state: Any, ____: Any) -> None:
        arrays = [each for each in list(state["cache"].values()) if isinstance(each, np.ndarray)]
        with self._lock:
            self._of_graph[id(state)] = sum(each.nbytes for each in arrays if each.dtype != bool)
            self.peak = max(self.peak, sum(self._of_graph.values()))

    def _forget(self, _: Any, state: Any, __: Any) -> None:
        with self._lock:
            self._of_graph.pop(id(state), None)


def scenes(folder: Path) -> np.ndarray[Any, Any]:
    """Write scenes of one number in each tile, and return these."""
    numbers = np.random.default_rng(1).integers(0, 9999, (DAYS, SIZE // TILE, SIZE // TILE), "u2")
    (folder / "src").mkdir()
    for day, tiles in enumerate(numbers):
        with rasterio.open(
            folder / "src" / f"s_{np.datetime64('2020-01-01') + day}.tif", "w", driver="GTiff",
            width=SIZE, height=SIZE, count=1, dtype="uint16", crs="EPSG:32632", nodata=0,
            tiled=True, blockxsize=TILE, blockysize=TILE, compress="deflate",
            transform=from_origin(500_000, 5_000_000, 10, 10),
        ) as file:  # fmt: skip
            file.scales = (0.0001,)
            file.write(np.kron(tiles, np.ones((TILE, TILE), "uint16")), 1)
    return numbers


@pytest.mark.parametrize("methods", ["median", "std"])
def test_a_composite_holds_what_fits(tmp_path: Path, methods: str) -> None:
    numbers = scenes(tmp_path)
    params: Json = {"frequency": "all", "agg_methods": methods, "counts": True}
    cube = {
        "identifier": "cube", "store": "local", "data_id": "s_{time:%Y-%m-%d}.tif",
        "grid_mapping": "small", "temporal_resample_params": params,
    }  # fmt: skip
    box = [500_000, 5_000_000 - 10 * SIZE, 500_000 + 10 * SIZE, 5_000_000]
    grid = {
        "identifier": "small", "crs": "EPSG:32632", "spatial_res": 10, "tile_size": TILE,
        "bbox": box,
    }  # fmt: skip
    path = configuration(tmp_path, [cube], [SOURCE], grids=[grid], general={"memory": "1 MB"})
    with Held() as held:
        (result,) = stacbuild.build(path)
    assert result.status == "COMPLETED", result.message
    # In the type of the source: a tile of all days, and not all of the grid.
    assert (DAYS - 1) * TILE**2 * 2 <= held.peak <= 0.8e6 < DAYS * SIZE**2 * 2
    with xr.open_zarr(tmp_path / "data" / "cube.zarr") as found:
        counts = found["cube_count"].values[0, ::TILE, ::TILE]
        np.testing.assert_array_equal(counts, (numbers != 0).sum(axis=0))
        if methods == "median":
            values = np.nanmedian(np.where(numbers == 0, np.nan, numbers), axis=0) * 0.0001
            np.testing.assert_allclose(found["cube"].values[0, ::TILE, ::TILE], values, rtol=1e-6)
