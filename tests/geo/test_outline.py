"""Footprints of rasters that reach beyond the earth, or hold a pole, or go around."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pystac
import pytest
import rasterio
import shapely
import shapely.geometry
import xarray as xr
from affine import Affine

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.errors import StacbuildError
from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.outline import footprint
from tests.support.built import SOURCES, variable_of
from tests.support.cli import configuration

DISK = "+proj=geos +h=35785831 +sweep=y +a=6378169 +b=6356583.8 +units=m +lon_0="
SINUSOIDAL = "+proj=sinu +lon_0=0 +R=6371007.181 +units=m +no_defs"
MOLLWEIDE = ((100_000, 0, -18_041_000, 0, -100_000, 9_000_000), (180, 361))
WHOLE_DISK = ((30_000, 0, -5_568_000, 0, -30_000, 5_568_000), (371, 371))

# CRS, transform, shape; the box, and degrees that it may be off: a few at the limb of a disk.
RASTERS: dict[str, Any] = {
    "Mollweide": ("ESRI:54009", *MOLLWEIDE, [-180, -89, 180, 89], 0.2),
    "Mollweide of the Pacific": ("+proj=moll +lon_0=150", *MOLLWEIDE, [-180, -89, 180, 89], 0.2),
    "sinusoidal": (
        SINUSOIDAL,
        (100_000, 0, -20_015_109, 0, -100_000, 10_007_554),
        (200, 400),
        [-180, -90, 180, 90],
        1,
    ),
    "sinusoidal tile": (
        SINUSOIDAL,
        (926.625433, 0, -1_111_950.519667, 0, -926.625433, 5_559_752.598333),
        (1200, 1200),
        [-15.557, 40, 0, 50],
        0.01,
    ),
    "Goode": (
        "+proj=igh +lon_0=0 +datum=WGS84",
        (50_000, 0, -20_037_508, 0, -50_000, 8_683_259),
        (347, 801),
        [-180, -90, 180, 90],
        2,
    ),
    "disk": (f"{DISK}0", *WHOLE_DISK, [-81, -81, 81, 81], 1),
    "disk over the Pacific": (f"{DISK}140", *WHOLE_DISK, [59, -81, -139, 81], 1),
    "Arctic": (
        "EPSG:3413",
        (25_000, 0, -3_850_000, 0, -25_000, 5_850_000),
        (448, 304),
        [-180, 31, 180, 90],
        0.1,
    ),
    "Antarctic": (
        "EPSG:3031",
        (25_000, 0, -3_950_000, 0, -25_000, 4_350_000),
        (332, 316),
        [-180, -90, 180, -39.4],
        0.1,
    ),
    "pole near an edge": (
        "EPSG:3995",
        (1000, 0, -100_000, 0, -1000, 3_000_000),
        (3200, 2000),
        [-180, 58.1, 180, 90],
        0.1,
    ),
    "across the antimeridian": (
        "EPSG:32660",
        (1000, 0, 600_000, 0, -1000, 900_000),
        (900, 500),
        [177.899, 0, -177.562, 8.141],
        0.001,
    ),
    "degrees from Paris": (
        "EPSG:4807",
        (0.1, 0, -5, 0, -0.1, 60),
        (100, 100),
        [-2.164, 45, 6.837, 54],
        0.001,
    ),
    "longitudes below -180": (
        "EPSG:4326",
        (1, 0, -190, 0, -1, 60),
        (20, 20),
        [170, 40, -170, 60],
        1e-6,
    ),
    "longitudes to 370": ("EPSG:4326", (1, 0, 350, 0, -1, 60), (20, 20), [-10, 40, 10, 60], 1e-6),
}


@pytest.mark.parametrize("name", RASTERS)
def test_a_footprint_holds_what_lies_on_the_earth(name: str) -> None:
    crs, transform, shape, expected, off = RASTERS[name]
    geometry, box = footprint(PixelGrid(crs, transform, shape))
    np.testing.assert_allclose(box, expected, atol=off)
    found = shapely.geometry.shape(geometry)
    assert found.is_valid
    west, south, east, north = found.bounds
    assert west >= -180
    assert south >= -90
    assert east <= 180
    assert north <= 90
    assert shapely.get_num_coordinates(found) < 2000
    # Random places: within if and only if they are on a pixel, but for those near the outline.
    random = np.random.default_rng(1)
    lon, lat = random.uniform(-180, 180, 4000), np.degrees(np.arcsin(random.uniform(-1, 1, 4000)))
    to_pixels = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
    with np.errstate(invalid="ignore"):
        col, row = ~Affine(*transform) @ to_pixels.transform(lon, lat)
        if pyproj.CRS(crs).is_geographic:
            col = (col - shape[1] / 2 + 180 / transform[0]) % (360 / transform[0]) + (
                shape[1] / 2 - 180 / transform[0]
            )
        on = (col >= 0) & (col <= shape[1]) & (row >= 0) & (row <= shape[0])
    within = shapely.contains_xy(found, lon, lat)
    near = shapely.distance(found.boundary, shapely.points(lon, lat))
    # At the limb of a disk the smallest cells are degrees wide.
    near = near < (4 if "disk" in name else 1)
    assert (within == on)[~near].all()
    assert near.mean() < 0.2


def test_what_lies_beyond_the_earth_as_a_whole_is_refused() -> None:
    with pytest.raises(StacbuildError, match="outside of where its coordinate system"):
        footprint(PixelGrid("ESRI:54009", (10, 0, 17_000_000, 0, -10, 9_000_000), (10, 10)))


def test_a_world_map_of_mollweide_is_a_source(tmp_path: Path) -> None:
    transform, shape = MOLLWEIDE
    (tmp_path / "src").mkdir()
    with rasterio.open(
        tmp_path / "src" / "world.tif",
        "w",
        driver="GTiff",
        width=shape[1],
        height=shape[0],
        count=1,
        dtype="uint8",
        crs="ESRI:54009",
        transform=Affine(*transform),
    ) as file:
        file.write(np.full((1, *shape), 7, np.uint8))
    grid = {"identifier": "half", "crs": "EPSG:4326", "bbox": [5, 45, 10, 50], "spatial_res": 0.5}
    dataset = {"identifier": "cube", "store": "files", "data_id": "world.tif"}
    config = load_config(
        configuration(tmp_path, [dataset | {"grid_mapping": "half"}], [SOURCES], grids=[grid])
    )
    (result,) = build(config, tmp_path / "catalogs")
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(tmp_path / "data" / "cube.zarr", mask_and_scale=False) as cube:
        assert variable_of(cube).shape == (10, 10)
        assert (variable_of(cube) == 7).all()
    (item,) = (
        item
        for item in pystac.Catalog.from_file(tmp_path / "catalogs" / "catalog.json").get_items(
            recursive=True
        )
        if item.id == "cube"
    )
    assert item.bbox == [5, 45, 10, 50]


@pytest.mark.parametrize("crs", ["EPSG:3035", "EPSG:32632", "EPSG:4326"])
@pytest.mark.parametrize("turned", [0.0, 0.2])
def test_a_plain_outline_is_that_of_shapely(crs: str, turned: float) -> None:
    for number in range(10):
        step = 0.01 if crs == "EPSG:4326" else 1000.0
        left = number if crs == "EPSG:4326" else 4e5 * (number + 1)
        transform = Affine(step, turned * step, left, 0, -step, 50 if step < 1 else 3e6)
        grid = PixelGrid.from_affine(crs, transform, (90 + number, 120))
        geometry, bbox = footprint(grid)
        shape = shapely.geometry.shape(geometry)
        assert (shape.geom_type, shape.is_valid) == ("Polygon", True)
        assert shapely.geometry.mapping(shape) == geometry
        assert list(shape.bounds) == bbox
        corners = [transform @ corner for corner in ((0, 0), (120, 0), (0, 90 + number))]
        corners.append(transform @ (120, 90 + number))
        xs, ys = zip(*corners, strict=True)
        assert grid.bounds == (min(xs), min(ys), max(xs), max(ys))
