"""Target pixels over the seam of two or more files: as of one merged file, by every method."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from stacbuild.building import build
from stacbuild.config import load_config
from tests.support.built import variable_of
from tests.support.cli import configuration

Window = tuple[slice, slice]
Floats = NDArray[np.float32]

# 120 x 100 pixels of 0.01 degrees, or of 30 m.
SHAPE = (100, 120)
DEGREES = Affine(0.01, 0, 10, 0, -0.01, 50)
METRES = Affine(30, 0, 600_000, 0, -30, 5_000_000)
METHODS = {
    "bilinear": Resampling.bilinear,
    "mean": Resampling.average,
    "sum": Resampling.sum,
    "mode": Resampling.mode,
    "median": Resampling.med,
    "max": Resampling.max,
    "min": Resampling.min,
}
# Four tiles that meet in a corner; tiles of different size that overlap; a gap between two.
CORNERS = [
    (slice(top, bottom), slice(left, right))
    for top, bottom in ((0, 47), (47, 100))
    for left, right in ((0, 61), (61, 120))
]
OVERLAP = [(slice(0, 100), slice(0, 52)), (slice(10, 83), slice(49, 120))]
GAP = [(slice(0, 100), slice(0, 50)), (slice(0, 100), slice(53, 120))]


def picture(*, codes: bool = False) -> Floats:
    values = np.random.default_rng(5).random(SHAPE, np.float32) * 100
    return np.floor(values / 20) if codes else values


def write(path: Path, values: NDArray[Any], transform: Affine, **changes: Any) -> None:
    profile = {
        "driver": "GTiff",
        "height": values.shape[0],
        "width": values.shape[1],
        "count": 1,
        "dtype": values.dtype,
        "crs": "EPSG:4326",
        "transform": transform,
        "nodata": -9999,
    }
    with rasterio.open(path, "w", **(profile | changes)) as file:
        file.write(values, 1)


def collect(folder: Path) -> dict[str, Any]:
    """Make one collection of all files in *folder*, and give its store."""
    when = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    interval = pystac.TemporalExtent([[when, None]])
    extent = pystac.Extent(pystac.SpatialExtent([[-180, -90, 180, 90]]), interval)
    collection = pystac.Collection("tiles", "Tiles.", extent, license="CC-BY-4.0")
    for path in sorted(folder.glob("*.tif")):
        item = pystac.Item(path.stem, None, None, when, {})
        item.add_asset(
            "data", pystac.Asset(f"../../{path.name}", media_type="image/tiff", roles=["data"])
        )
        collection.add_item(item)
    catalog = pystac.Catalog("catalog", "Tiles.")
    catalog.add_child(collection)
    catalog.normalize_and_save(str(folder), pystac.CatalogType.SELF_CONTAINED)
    return {
        "identifier": "tiles",
        "store_id": "stac",
        "store_params": {"root": str(folder)},
    }


def cube_of(folder: Path, grid: dict[str, Any] | None, **dataset: Any) -> xr.DataArray:
    entry = {"identifier": "cube", "store": "tiles", "data_id": "tiles"} | dataset
    entry["grid_mapping"] = grid and "target"
    grids = [{"identifier": "target"} | grid] if grid else []
    config = load_config(configuration(folder, [entry], [collect(folder / "src")], grids=grids))
    (result,) = build(config, folder / "catalogs")
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(folder / "data" / "cube.zarr") as cube:
        return variable_of(cube).squeeze().load()


def resampled(method: str) -> dict[str, Any]:
    return {"interp_methods": method} if method == "bilinear" else {"agg_methods": method}


def warped(merged: Floats, crs: str, transform: Affine, cube: xr.DataArray, method: str) -> Floats:
    """Resample one merged file by GDAL onto the grid of a cube."""
    y, x = (cube[name].values for name in cube.dims)
    step = float(x[1] - x[0])
    onto = Affine(step, 0, x[0] - step / 2, 0, -step, y[0] + step / 2)
    to = "EPSG:4326" if "lat" in cube.dims else "EPSG:3035"
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            height=merged.shape[0],
            width=merged.shape[1],
            count=1,
            dtype="float32",
            crs=crs,
            transform=transform,
            nodata=np.nan,
        ) as file:
            file.write(merged, 1)
        with (
            memory.open() as file,
            WarpedVRT(
                file,
                crs=to,
                transform=onto,
                height=len(y),
                width=len(x),
                nodata=np.nan,
                resampling=METHODS[method],
                tolerance=0.001,
                XSCALE=1,
                YSCALE=1,
            ) as vrt,
        ):
            return np.asarray(vrt.read(1), np.float32)


def check(
    folder: Path,
    tiles: Sequence[Window],
    method: str,
    values: Floats,
    transform: Affine = DEGREES,
    crs: str = "EPSG:4326",
) -> xr.DataArray:
    """Build of tiles and compare with one file that holds what they hold."""
    (folder / "src").mkdir()
    merged = np.full(SHAPE, np.nan, np.float32)
    for number, tile in enumerate(tiles):
        top, left = tile[0].start, tile[1].start
        moved = transform * Affine.translation(left, top)
        part = np.where(np.isnan(values[tile]), np.float32(-9999), values[tile])
        write(folder / "src" / f"{number}.tif", part, moved, crs=crs)
        merged[tile] = np.where(np.isnan(merged[tile]), values[tile], merged[tile])
    # Pixels that are no multiple of the sources', and tiles of which several lie in a cube.
    if crs == "EPSG:4326":
        step = 0.007 if method == "bilinear" else 0.033
        grid = {"crs": crs, "bbox": [10.05, 49.1, 11.1, 49.95], "spatial_res": step}
    else:
        step = 25 if method == "bilinear" else 95
        box = [4_418_600, 2_346_400, 4_422_700, 2_349_800]
        grid = {"crs": "EPSG:3035", "bbox": box, "spatial_res": step}
    cube = cube_of(folder, grid | {"tile_size": 16}, spatial_resample_params=resampled(method))
    # GDAL is not exact along the very edge of a file: it gets one of no data.
    around = np.pad(merged, 1, constant_values=np.nan)
    expected = warped(around, crs, transform * Affine.translation(-1, -1), cube, method)
    assert np.isfinite(expected).any()
    np.testing.assert_allclose(cube.values, expected, rtol=1e-5)
    return cube


@pytest.mark.parametrize("method", METHODS)
def test_four_tiles_that_meet_in_a_corner(tmp_path: Path, method: str) -> None:
    check(tmp_path, CORNERS, method, picture(codes=method == "mode"))


@pytest.mark.parametrize("method", ["bilinear", "mean"])
@pytest.mark.parametrize("tiles", [OVERLAP, GAP], ids=["overlap", "gap"])
def test_tiles_that_overlap_and_tiles_apart(
    tmp_path: Path, tiles: list[Window], method: str
) -> None:
    check(tmp_path, tiles, method, picture())


@pytest.mark.parametrize("method", ["bilinear", "mean", "sum"])
def test_no_data_along_a_seam(tmp_path: Path, method: str) -> None:
    values = picture()
    values[40:60, 58:64] = np.nan
    cube = check(tmp_path, CORNERS, method, values)
    assert method != "bilinear" or np.isnan(cube.values).any()


def test_the_other_tile_fills_what_one_has_no_data_for(tmp_path: Path) -> None:
    """Where tiles overlap, the first with data wins for each of their pixels."""
    (tmp_path / "src").mkdir()
    values = picture()
    first = values[:, :60].copy()
    first[:, 55:] = -9999
    write(tmp_path / "src" / "0.tif", first, DEGREES)
    write(tmp_path / "src" / "1.tif", values[:, 50:] + 1000, DEGREES * Affine.translation(50, 0))
    grid = {"crs": "EPSG:4326", "bbox": [10, 49, 11.2, 50], "spatial_res": 0.03}
    cube = cube_of(tmp_path, grid, spatial_resample_params=resampled("mean"))
    merged = np.concatenate([values[:, :55], values[:, 55:] + 1000], axis=1)
    np.testing.assert_allclose(
        cube.values, warped(merged, "EPSG:4326", DEGREES, cube, "mean"), rtol=1e-5
    )


@pytest.mark.parametrize("method", ["bilinear", "mean"])
def test_seams_of_tiles_in_another_crs(tmp_path: Path, method: str) -> None:
    values = picture()
    transform = Affine(30, 0, 677_500, 0, -30, 4_902_000)
    check(tmp_path, CORNERS, method, values, transform, "EPSG:32632")


def test_a_tile_whose_rows_go_up_beside_one_whose_rows_go_down(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    values = picture()
    write(tmp_path / "src" / "0.tif", values[:, :61], DEGREES)
    upwards = Affine(0.01, 0, 10.61, 0, 0.01, 49)
    write(tmp_path / "src" / "1.tif", values[::-1, 61:], upwards)
    grid = {"crs": "EPSG:4326", "bbox": [10, 49, 11.2, 50], "spatial_res": 0.05}
    cube = cube_of(tmp_path, grid, spatial_resample_params=resampled("mean"))
    expected = values.reshape(20, 5, 24, 5).mean(axis=(1, 3))
    np.testing.assert_allclose(cube.values, expected, rtol=1e-5)


def test_tiles_on_lattices_of_their_own_are_resampled_each(tmp_path: Path) -> None:
    """Their pixels do not fall on each other's: the first with data wins for a target pixel."""
    (tmp_path / "src").mkdir()
    write(tmp_path / "src" / "0.tif", np.full((20, 20), 1, np.float32), DEGREES)
    half = DEGREES * Affine.translation(19.5, 0.5)
    write(tmp_path / "src" / "1.tif", np.full((20, 20), 3, np.float32), half)
    grid = {"crs": "EPSG:4326", "bbox": [10.1, 49.85, 10.35, 49.95], "spatial_res": 0.05}
    cube = cube_of(tmp_path, grid, spatial_resample_params=resampled("mean"))
    np.testing.assert_array_equal(cube.values, [[1, 1, 3, 3, 3]] * 2)


@pytest.mark.parametrize("method", ["bilinear", "mean"])
def test_two_tiles_on_either_side_of_the_antimeridian(tmp_path: Path, method: str) -> None:
    """A field of x and y that has no edge there, on a grid in metres across it."""
    (tmp_path / "src").mkdir()
    step = 0.02 if method == "mean" else 0.1
    for number, west in enumerate((178.0, -180.0)):
        count = round(2 / step)
        lon = west % 360 + step * (np.arange(count) + 0.5)
        lat = 1 - step * (np.arange(count) + 0.5)
        values = (10 * (lon - 178) + lat[:, None]).astype(np.float32)
        write(tmp_path / "src" / f"{number}.tif", values, Affine(step, 0, west, 0, -step, 1))
    # World Mercator of the Pacific: x from its middle at 150 degrees east.
    grid = {
        "crs": "EPSG:3832",
        "bbox": [3_280_000, -60_000, 3_400_000, 60_000],
        "spatial_res": 8000,
        "tile_size": 8,
    }
    cube = cube_of(tmp_path, grid, spatial_resample_params=resampled(method))
    lon = 150 + np.degrees(cube.x.values / 6378137)
    assert lon[0] < 180 < lon[-1]
    expected = 10 * (lon - 178) + np.degrees(cube.y.values[:, None] / 6335439)
    # Seven source pixels, or less than one, lie under each of the grid's.
    np.testing.assert_allclose(cube.values, expected, atol=0.05)
