"""Grids that are much coarser than their source: only blocks that hold a wanted pixel are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio import Affine
from rasterio.windows import Window

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.formats.geotiff import RasterFile
from stacbuild.geo import sparse
from tests.support.built import SOURCES, variable_of
from tests.support.cli import Json, configuration

SIZE = 300_000
STEP = 10 / SIZE
COARSE: Json = {"bbox": [5.0, 40.0, 15.0, 50.0], "spatial_res": 0.1, "crs": "EPSG:4326"}
PROJECTED: Json = {
    "bbox": [4_200_000, 2_000_000, 4_500_000, 2_300_000],
    "spatial_res": 30_000,
    "crs": "EPSG:3035",
}


def huge(path: Path, count: int = 1) -> None:
    """Write a raster of 300000 x 300000 pixels, nearly all of it blocks that are not there."""
    path.parent.mkdir(parents=True)
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": SIZE,
        "height": SIZE,
        "count": count,
        "dtype": "uint8",
        "crs": "EPSG:4326",
        "transform": Affine(STEP, 0, 5, 0, -STEP, 50),
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "interleave": "pixel",
    }
    with rasterio.open(path, "w", **profile, SPARSE_OK=True, BIGTIFF="YES") as file:
        # The pixel under the centre of the coarse grid's row 2, column 3.
        rows, cols = np.full((2, 1), 7500), np.full((2, 1), 10500)
        for band in range(1, count + 1):
            block = np.full((4, 4), 100 + band, "uint8")
            file.write(block, band, window=Window(cols[0, 0] - 2, rows[0, 0] - 2, 4, 4))


def on(directory: Path, name: str, grid: Json, **dataset: Any) -> xr.Dataset:
    one = {"identifier": "cube", "store": "files", "data_id": name, "grid_mapping": "own"}
    grids = [grid | {"identifier": "own"}]
    path = configuration(directory, [one | dataset], [SOURCES], grids=grids)
    [result] = build(load_config(path), directory / "catalogs")
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(directory / "data" / "cube.zarr", mask_and_scale=False) as opened:
        return opened.load()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the pixels of each read of a GeoTIFF."""
    sizes: list[int] = []
    read = RasterFile.read

    def counted(self: RasterFile, dataset: Any, window: Window, *rest: Any) -> None:
        sizes.append(int(window.width) * int(window.height))
        read(self, dataset, window, *rest)

    monkeypatch.setattr(RasterFile, "read", counted)
    return sizes


@pytest.mark.parametrize("count", [1, 2])
def test_each_wanted_block_is_read_once(tmp_path: Path, decoded: list[int], count: int) -> None:
    huge(tmp_path / "src" / "one.tif", count)
    found = variable_of(on(tmp_path, "one.tif", COARSE))
    expected = np.zeros((count, 100, 100), "uint8")
    expected[:, 2, 3] = np.arange(count) + 101
    np.testing.assert_array_equal(found, expected if count > 1 else expected[0])
    # A pixel of each of 100 x 100 blocks, which are not side by side; for all bands at once.
    assert sorted(decoded) == [1] * 10_000


def test_a_projected_coarse_grid(tmp_path: Path, decoded: list[int]) -> None:
    huge(tmp_path / "src" / "one.tif")
    assert variable_of(on(tmp_path, "one.tif", PROJECTED)).shape == (10, 10)
    assert len(decoded) <= 100
    assert sum(decoded) <= 100 * 512 * 512


def test_by_blocks_or_as_a_whole_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(3).integers(0, 200, (400, 400)).astype("uint8")
    (tmp_path / "src").mkdir()
    with rasterio.open(
        tmp_path / "src" / "one.tif", "w", driver="GTiff", width=400, height=400, count=1,
        dtype="uint8", crs="EPSG:4326", transform=Affine(0.025, 0, 5, 0, -0.025, 50),
        tiled=True, blockxsize=64, blockysize=32, nodata=3,
    ) as file:  # fmt: skip
        file.write(values, 1)
    grid = PROJECTED | {"spatial_res": 10_000, "bbox": [3_900_000, 1_900_000, 4_500_000, 3_100_000]}
    whole = variable_of(on(tmp_path, "one.tif", grid)).values
    monkeypatch.setattr("stacbuild.loading.regrid.WINDOW_BYTES", 1000)
    monkeypatch.setattr(sparse, "_RUN_PIXELS", 5000)
    (tmp_path / "two").mkdir()
    (tmp_path / "src").rename(tmp_path / "two" / "src")
    picked = variable_of(on(tmp_path / "two", "one.tif", grid)).values
    assert (whole == 3).any()
    assert np.unique(whole).size > 100
    np.testing.assert_array_equal(picked, whole)
