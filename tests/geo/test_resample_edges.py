"""Aggregates at the ends of the earth, and of windows of a grid much coarser than its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import xarray as xr
from rasterio import Affine

import stacbuild.geo.warp
from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.geo.block import Block, Onto
from stacbuild.geo.coverage import footprint
from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.mosaic import MARGIN
from stacbuild.geo.positions import span
from tests.support.built import SOURCES, made, variable_of
from tests.support.cli import Json, configuration
from tests.support.fine_rasters import FINE, written

HALF = 20037508.342789244
DEGREES = Affine(1, 0, -180, 0, -1, 90)


def on_grid(directory: Path, values: np.ndarray[Any, Any], grid: Json, how: str) -> Any:
    """Build pixels of a degree, all of the earth, on a grid."""
    (directory / "src").mkdir(exist_ok=True)
    with rasterio.open(
        directory / "src" / "one.tif", "w", driver="GTiff", width=360, height=180, count=1,
        dtype="float32", crs="EPSG:4326", transform=DEGREES,
    ) as file:  # fmt: skip
        file.write(values, 1)
    dataset: Json = {
        "identifier": "cube", "store": "files", "data_id": "one.tif", "grid_mapping": "coarse",
        "spatial_resample_params": {"agg_methods": how},
    }  # fmt: skip
    grid = {"identifier": "coarse", **grid}
    config = load_config(configuration(directory, [dataset], [SOURCES], grids=[grid]))
    [result] = build(config, directory / "catalogs")
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(directory / "data" / "cube.zarr") as cube:
        return variable_of(cube).values.astype("f8")


@pytest.mark.parametrize("off", [0, 0.02, -0.02])
def test_the_last_column_of_the_earth_is_whole(tmp_path: Path, off: float) -> None:
    """Also if the antimeridian lies within a pixel, a hair from its edge."""
    side = 2 * HALF / 16
    box = [-HALF + off, -2 * side, HALF + off, 2 * side]
    grid = {"crs": "EPSG:3857", "bbox": box, "spatial_res": side}
    from_middle = np.broadcast_to(np.abs(np.arange(360) + 0.5 - 180), (180, 360))
    got = on_grid(tmp_path, from_middle, grid, "mean")
    wanted = np.abs(22.5 * (np.arange(16) + 0.5) - 180)
    np.testing.assert_allclose(got, np.broadcast_to(wanted, got.shape), atol=0.3)


def test_a_pixel_around_the_pole_holds_the_pole(tmp_path: Path) -> None:
    side = 2_000_000
    box = [-1.5 * side, -1.5 * side, 1.5 * side, 1.5 * side]
    from_pole = np.broadcast_to(np.arange(180)[::-1, None] + 0.5, (180, 360))
    grid = {"crs": "EPSG:3031", "bbox": box, "spatial_res": side}
    got = on_grid(tmp_path, from_pole, grid, "min")
    assert got[1, 1] == 0.5
    assert (np.delete(got.ravel(), 4) > 5).all()


def test_windows_are_halved_until_their_source_pixels_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pixel of the grid needs no more source pixels than lie under it."""
    sizes, warp = [], stacbuild.geo.warp.warp

    def seen(block: Block, onto: Onto) -> Any:
        sizes.append(block.values.size)
        return warp(block, onto)

    monkeypatch.setattr("stacbuild.loading.regrid._BLOCK_BYTES", 2000)
    monkeypatch.setattr(stacbuild.geo.warp, "warp", seen)
    values = np.random.default_rng(1).random((20, 20)).astype("float32")
    written(tmp_path, values, FINE)
    cube = made(tmp_path, {"spatial_resample_params": {"agg_methods": "mean"}})
    wanted = values.reshape(10, 2, 10, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(variable_of(cube).values[:10, :10], wanted, rtol=1e-5)
    assert max(sizes) * 4 <= 2000


def test_a_coarse_window_knows_how_its_edges_bend() -> None:
    """Under 16 pixels of half a degree parallels bend by thousands of pixels of 10 m."""
    source = PixelGrid("EPSG:3035", (10, 0, 900_000, 0, -10, 5_500_000), (460_000, 650_000))
    target = PixelGrid("EPSG:4326", (0.5, 0, -10, 0, -0.5, 70), (60, 80))
    window = slice(8, 40), slice(4, 52)
    lon = np.linspace(-10 + 0.5 * 4, -10 + 0.5 * 52, 2000)
    edges = np.concatenate([np.stack([lon, 0 * lon + lat]) for lat in (66.0, 50.0)], axis=1)
    x, y = pyproj.Transformer.from_crs(4326, 3035, always_xy=True).transform(*edges)
    for at, exact in zip(
        footprint(source, target, window), ((5_500_000 - y) / 10, (x - 900_000) / 10), strict=True
    ):
        found = span(at, MARGIN)
        assert found is not None
        assert found[0] <= exact.min()
        assert found[1] >= exact.max()


@pytest.mark.parametrize("how", ["mean", "sum"])
def test_neighbours_of_what_is_missing_do_not_reach_into_it(tmp_path: Path, how: str) -> None:
    """Edges of pixels that fall on each other do, though no double holds where they lie."""
    step, size = 1 / 1200, 300
    values = np.random.default_rng(1).integers(1, 9, (size, size)).astype("float32")
    gone = np.kron(np.indices((size // 3, size // 3)).sum(axis=0) % 2, np.ones((3, 3))) == 1
    values[gone] = np.nan
    (tmp_path / "src").mkdir()
    with rasterio.open(
        tmp_path / "src" / "one.tif", "w", driver="GTiff", width=size, height=size, count=1,
        dtype="float32", crs="EPSG:4326", transform=Affine(step, 0, 7.1, 0, -step, 48.7),
    ) as file:  # fmt: skip
        file.write(values, 1)
    side, count = 3 * step, size // 3 - 7
    west, north = 7.1 + 4 * side, 48.7 - 5 * side
    box = [west, north - count * side, west + count * side, north]
    grid = {"identifier": "thirds", "crs": "EPSG:4326", "bbox": box, "spatial_res": side}
    dataset: Json = {
        "identifier": "cube", "store": "files", "data_id": "one.tif", "grid_mapping": "thirds",
        "spatial_resample_params": {"agg_methods": how},
    }  # fmt: skip
    grid["tile_size"] = 32
    config = load_config(configuration(tmp_path, [dataset], [SOURCES], grids=[grid]))
    [result] = build(config, tmp_path / "catalogs")
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(tmp_path / "data" / "cube.zarr") as cube:
        got = variable_of(cube).values[:count, :count]
    blocks = values.reshape(size // 3, 3, size // 3, 3).swapaxes(1, 2).astype("f8")
    wanted = getattr(np, how)(blocks, axis=(2, 3))[5 : 5 + count, 4 : 4 + count]
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


@pytest.mark.parametrize("how", ["mean", "max", "sum"])
def test_pixels_that_only_touch_a_source_have_no_data(tmp_path: Path, how: str) -> None:
    values = np.full((40, 40), 5, "float32")
    written(tmp_path, values, FINE @ Affine.translation(20, 20))
    cube = made(tmp_path, {"spatial_resample_params": {"agg_methods": how}})
    there = np.zeros((100, 100), bool)
    there[10:30, 10:30] = True
    np.testing.assert_array_equal(~np.isnan(variable_of(cube).values), there)
