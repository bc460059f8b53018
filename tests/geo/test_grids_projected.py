"""Projected target grids and boxes at the ends of the earth: exact, or refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import xarray as xr
from rasterio import Affine

import stacbuild
from stacbuild.config import GridMapping
from stacbuild.errors import ConfigError
from stacbuild.geo.grid import Grid
from tests.support.built import variable_of
from tests.support.cli import configuration, geotiff

SOURCE = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}
DATASET = {"identifier": "cube", "store": "files", "data_id": "one.tif", "grid_mapping": "target"}


def grid(epsg: int, bbox: list[float], resolution: float, **more: Any) -> dict[str, Any]:
    return {
        "identifier": "target",
        "crs": f"EPSG:{epsg}",
        "bbox": bbox,
        "spatial_res": resolution,
        **more,
    }


def test_the_newest_grid_of_the_case_study() -> None:
    box = [3401404, 2346797, 3556068, 2539337]
    found = Grid.from_mapping(GridMapping(**grid(3035, box, 30, tile_size=2048)), box)
    # 154664 m are 5155.47 pixels: it grows south and east.
    assert found.shape == (6418, 5156)
    assert found.bounds == (3401404, 2346797, 3401404 + 5156 * 30, 2539337)
    assert found.dims == ("y", "x")
    assert found.tile == (2048, 2048)
    y, x = found.coords()
    assert (x[0], y[0]) == (3401404 + 15, 2539337 - 15)
    assert (np.diff(x) == 30).all()
    assert (np.diff(y) == -30).all()


@pytest.mark.parametrize(
    ("epsg", "tile_size"), [(3035, 100), (32632, [64, 48]), (32633, 100), (3857, 100)]
)
def test_every_pixel_is_the_one_that_proj_says(tmp_path: Path, epsg: int, tile_size: Any) -> None:
    """From degrees onto each projection, the neighbouring UTM zone as well."""
    path = geotiff(tmp_path / "src" / "one.tif")
    to_target = pyproj.Transformer.from_crs(4326, epsg, always_xy=True)
    x0, y0 = to_target.transform(10.05, 45.05)
    box = [round(x0) - 3000, round(y0) - 2500, round(x0) + 3000, round(y0) + 2500]
    target = grid(epsg, box, 30, tile_size=tile_size)
    config = configuration(tmp_path, [DATASET], [SOURCE], grids=[target])
    (result,) = stacbuild.build(config)
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(tmp_path / "data" / "cube.zarr", mask_and_scale=False) as cube:
        array = variable_of(cube).squeeze().load()
        assert pyproj.CRS(cube.spatial_ref.attrs["crs_wkt"]).to_epsg() == epsg
    to_source = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)
    lon, lat = to_source.transform(*np.meshgrid(array.x, array.y))
    with rasterio.open(path) as file:
        values = file.read(1)
        col, row = ~file.transform * (lon, lat)
    inside = (row >= 0) & (col >= 0) & (row < 120) & (col < 120)
    assert inside.mean() > 0.9
    rows, cols = (np.clip(np.floor(each).astype(int), 0, 119) for each in (row, col))
    expected = np.where(inside, values[rows, cols], 255)
    # What floating point may decide either way: centres on the edge of a pixel of the source.
    edge = np.minimum(abs(row - np.rint(row)), abs(col - np.rint(col))) < 1e-6
    assert ((array.values == expected) | edge).all()
    assert array.shape == (167, 200)


def test_a_polar_grid_with_the_pole_in_it(tmp_path: Path) -> None:
    """Of a source in degrees all around the earth: every longitude meets in one pixel."""
    values = np.arange(10 * 360).reshape(10, 360) % 250
    path = geotiff(
        tmp_path / "src" / "one.tif", width=360, height=10, transform=Affine(1, 0, -180, 0, -1, 90)
    )
    with rasterio.open(path, "r+") as file:
        file.write(values.astype(np.uint8), 1)
    target = grid(3413, [-500_000, -500_000, 500_000, 500_000], 10_000)
    config = configuration(tmp_path, [DATASET], [SOURCE], grids=[target])
    (result,) = stacbuild.build(config)
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(tmp_path / "data" / "cube.zarr", mask_and_scale=False) as cube:
        array = variable_of(cube).squeeze().load()
    to_source = pyproj.Transformer.from_crs(3413, 4326, always_xy=True)
    lon, lat = to_source.transform(*np.meshgrid(array.x, array.y))
    row, col = 90 - lat, lon + 180
    edge = np.minimum(abs(row - np.rint(row)), abs(col - np.rint(col))) < 1e-6
    expected = values[np.floor(row).astype(int), np.floor(col).astype(int) % 360]
    assert ((array.values == expected) | edge).all()


@pytest.mark.parametrize(
    ("bbox", "said"),
    [
        ([11, 45, 10, 46], "across the antimeridian, a bbox spans at most 270 degrees"),
        ([170, -20, 190, -10], "across the antimeridian, west is more than east"),
        ([0, 85, 10, 95], "latitude -90 to 90"),
    ],
)
def test_boxes_beyond_the_ends_are_refused(tmp_path: Path, bbox: list[float], said: str) -> None:
    geotiff(tmp_path / "src" / "one.tif")
    config = configuration(tmp_path, [DATASET], [SOURCE], grids=[grid(4326, bbox, 0.1)])
    with pytest.raises(ConfigError) as caught:
        stacbuild.load_config(config)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
