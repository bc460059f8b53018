"""Bilinear and aggregates around poles, across the antimeridian and on rotated grids.

The source goes once around the earth in degrees and holds a field that is smooth everywhere on the
sphere, so that what a pixel should hold can be computed at its place alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import xarray as xr
from numpy.typing import NDArray
from rasterio import Affine

import stacbuild
from stacbuild.errors import Failures, StacbuildError
from tests.support.built import variable_of
from tests.support.cli import configuration

Floats = NDArray[np.float64]

SOURCE = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}


def field(lon: Floats, lat: Floats) -> Floats:
    """Return a smooth field: the first place's x and its y on the sphere, from -150 to 150."""
    x, y = np.cos(np.radians(lon)), np.sin(np.radians(lon))
    return np.asarray((100 * x + 50 * y) * np.cos(np.radians(lat)))


def world(folder: Path, step: float, nodata: float | None = None) -> None:
    folder.mkdir()
    width, height = round(360 / step), round(180 / step)
    lon, lat = -180 + step * (np.arange(width) + 0.5), 90 - step * (np.arange(height) + 0.5)
    values = field(*np.meshgrid(lon, lat)).astype(np.float32)
    with rasterio.open(
        folder / "one.tif",
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=1,
        dtype="float32",
        crs="EPSG:4326",
        transform=Affine(step, 0, -180, 0, -step, 90),
        nodata=nodata,
        tiled=True,
        compress="deflate",
    ) as file:
        file.write(values, 1)


def cube_of(folder: Path, epsg: int, bbox: list[float], res: float, **dataset: Any) -> xr.DataArray:
    grid = {
        "identifier": "target",
        "crs": f"EPSG:{epsg}",
        "bbox": bbox,
        "spatial_res": res,
        "tile_size": 40,
    }
    entry = {"identifier": "cube", "store": "files", "data_id": "one.tif", "grid_mapping": "target"}
    config = configuration(folder, [entry | dataset], [SOURCE], grids=[grid])
    (result,) = stacbuild.build(config)
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(folder / "data" / "cube.zarr") as cube:
        return variable_of(cube).squeeze().load()


def expected(epsg: int, array: xr.DataArray, parts: int) -> Floats:
    """Average the field at parts x parts places in each pixel."""
    res = float(array.x[1] - array.x[0])
    within = ((np.arange(parts) + 0.5) / parts - 0.5) * res
    x = (array.x.values[:, None] + within).ravel()
    y = (array.y.values[:, None] - within).ravel()
    to_degrees = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)
    values = field(*to_degrees.transform(*np.meshgrid(x, y)))
    return np.asarray(values.reshape(len(array.y), parts, len(array.x), parts).mean(axis=(1, 3)))


POLAR = [
    (epsg, [-1e6 + off, -1e6, 1e6 + off, 1e6], off)
    for epsg in (3413, 3031, 3995)
    # The pole on a corner of four pixels, and within one of them.
    for off in (0, 7000)
]
SEAM = [
    (32601, [100_000, 0, 400_000, 200_000], 0),
    (32660, [600_000, 0, 900_000, 200_000], 0),
]


@pytest.mark.parametrize(("epsg", "bbox", "off"), POLAR)
def test_bilinear_around_a_pole(tmp_path: Path, epsg: int, bbox: list[float], off: int) -> None:
    world(tmp_path / "src", 1.0)
    array = cube_of(tmp_path, epsg, bbox, 20_000)
    assert array.shape == (100, 100)
    error = np.abs(array.values - expected(epsg, array, 1))
    # NaN would compare false. Rows within half a pixel of the pole have neighbours on one side.
    assert (error < 2).all()
    lat = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True).transform(
        *np.meshgrid(array.x, array.y)
    )[1]
    assert (error[abs(lat) < 89.5] < 0.02).all()


# One of each hemisphere and place of the pole.
@pytest.mark.parametrize(
    ("epsg", "bbox", "off"),
    [
        each
        if each[::2] in ((3413, 0), (3031, 7000))
        else pytest.param(*each, marks=pytest.mark.slow)
        for each in POLAR
    ],
)
def test_means_around_a_pole(tmp_path: Path, epsg: int, bbox: list[float], off: int) -> None:
    world(tmp_path / "src", 0.1)
    array = cube_of(tmp_path, epsg, bbox, 50_000)
    assert array.shape == (40, 40)
    assert (np.abs(array.values - expected(epsg, array, 20)) < 0.1).all()


@pytest.mark.parametrize(("epsg", "bbox", "off"), SEAM)
def test_bilinear_across_the_antimeridian(
    tmp_path: Path, epsg: int, bbox: list[float], off: int
) -> None:
    world(tmp_path / "src", 0.2)
    array = cube_of(tmp_path, epsg, bbox, 4000)
    assert array.shape == (50, 75)
    lon = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True).transform(
        *np.meshgrid(array.x, array.y)
    )[0]
    assert (lon > 0).any()
    assert (lon < 0).any()
    assert (np.abs(array.values - expected(epsg, array, 1)) < 0.001).all()


@pytest.mark.parametrize(("epsg", "bbox", "off"), SEAM)
def test_means_across_the_antimeridian(
    tmp_path: Path, epsg: int, bbox: list[float], off: int
) -> None:
    world(tmp_path / "src", 0.1)
    array = cube_of(tmp_path, epsg, bbox, 25_000)
    assert array.shape == (8, 12)
    assert (np.abs(array.values - expected(epsg, array, 10)) < 0.05).all()


@pytest.mark.parametrize("method", ["max", "min", "median", "mode"])
def test_other_aggregates_around_a_pole(tmp_path: Path, method: str) -> None:
    world(tmp_path / "src", 0.5, nodata=-9999)
    resample = {"agg_methods": method}
    array = cube_of(
        tmp_path, 3995, [-1e6, -1e6, 1e6, 1e6], 200_000, spatial_resample_params=resample
    )
    middle = expected(3995, array, 1)
    # Within a pixel of 200 km the field goes 2.5 up and down along its gradient of 112 a radian.
    off = array.values - middle
    assert (np.abs(off) < 4).all()
    bounds = {"max": (0.2, 4), "min": (-4, -0.2), "median": (-1, 1), "mode": (-4, 4)}[method]
    assert bounds[0] < off.mean() < bounds[1]


def test_a_sum_around_a_pole_is_refused(tmp_path: Path) -> None:
    world(tmp_path / "src", 0.5)
    resample = {"agg_methods": "sum"}
    grid = {
        "identifier": "target",
        "crs": "EPSG:3995",
        "bbox": [-1e6, -1e6, 1e6, 1e6],
        "spatial_res": 200_000,
    }
    entry = {
        "identifier": "cube",
        "store": "files",
        "data_id": "one.tif",
        "grid_mapping": "target",
        "spatial_resample_params": resample,
    }
    config = configuration(tmp_path, [entry], [SOURCE], grids=[grid])
    try:
        (result,) = stacbuild.build(config)
        said = str(result.message)
    except (Failures, StacbuildError) as error:
        said = str(error)
    assert "sum cannot be computed around a pole" in said
    assert "mean" in said


def test_a_part_of_the_world_stays_a_part(tmp_path: Path) -> None:
    """A source that ends before the antimeridian has nothing to give from its other end."""
    folder = tmp_path / "src"
    folder.mkdir()
    with rasterio.open(
        folder / "one.tif",
        "w",
        driver="GTiff",
        width=90,
        height=20,
        count=1,
        dtype="float32",
        crs="EPSG:4326",
        transform=Affine(1, 0, 0, 0, -1, 90),
    ) as file:
        file.write(np.full((20, 90), 7, np.float32), 1)
    array = cube_of(tmp_path, 3995, [-1e6, -1e6, 1e6, 1e6], 20_000)
    lon = pyproj.Transformer.from_crs(3995, 4326, always_xy=True).transform(
        *np.meshgrid(array.x, array.y)
    )[0]
    inside = (lon > 0) & (lon < 90)
    assert (array.values[inside] == 7).all()
    assert np.isnan(array.values[~inside]).all()
