"""Cubes on any grid: pixels that are not square, any CRS, across the antimeridian; all exact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import rioxarray  # noqa: F401
import xarray as xr
from odc.geo.xr import ODCExtension  # noqa: F401
from rasterio import Affine

import stacbuild
from stacbuild.errors import ConfigError
from tests.support.built import variable_of
from tests.support.cli import Json, configuration

SOURCE = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}
ALBERS = "+proj=aea +lat_1=40 +lat_2=50 +lon_0=10 +datum=WGS84"
MOLLWEIDE = "ESRI:54009"
POLE = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +R=6371229"
SHAPE = (90, 120)


def source(folder: Path, crs: str = "EPSG:4326", **more: Any) -> Path:
    """Write a raster of bytes without a pattern; 255 is nodata, which no pixel is."""
    path = folder / "src" / "one.tif"
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(5).integers(0, 250, SHAPE).astype("uint8")
    profile = {
        "driver": "GTiff", "dtype": "uint8", "count": 1, "height": SHAPE[0], "width": SHAPE[1],
        "nodata": 255, "crs": crs, "transform": Affine(0.004, 0, 10, 0, -0.003, 45.2),
    }  # fmt: skip
    with rasterio.open(path, "w", **(profile | more)) as file:
        file.write(values, 1)
    return path


def config_of(folder: Path, grid: Json | None, **dataset: Any) -> stacbuild.Config:
    one = {"identifier": "cube", "store": "files", "data_id": "one.tif"} | dataset
    one["grid_mapping"] = None if grid is None else "g"
    grids = [] if grid is None else [{"identifier": "g", **grid}]
    return stacbuild.load_config(configuration(folder, [one], [SOURCE], grids=grids))


def made(folder: Path, grid: Json | None, **dataset: Any) -> xr.Dataset:
    """Build a cube, check that it is described as it is, and open it."""
    config = config_of(folder, grid, **dataset)
    (result,) = stacbuild.build(config)
    assert result.status == "COMPLETED", result.message
    assert stacbuild.plan(config)[0].action == "up to date"
    stacbuild.validate(config)
    with xr.open_zarr(result.href, mask_and_scale=False) as cube:
        cube = cube.load()
    item = json.loads(Path(str(result.item)).read_text())["properties"]
    dims = list(variable_of(cube).dims[-2:])
    transform = cube.rio.set_spatial_dims(dims[1], dims[0]).rio.transform()
    assert item["proj:transform"] == pytest.approx(cube.attrs["spatial:transform"], rel=1e-14)
    assert list(transform)[:6] == pytest.approx(cube.attrs["spatial:transform"], rel=1e-14)
    assert cube.odc.geobox.affine.almost_equals(transform, 1e-9 * abs(transform.a))
    stated = pyproj.CRS(item["proj:code"] or item["proj:wkt2"])
    for found in (cube.rio.crs, cube.odc.geobox.crs, cube.attrs.get("proj:code", None)):
        text = found if isinstance(found, str) else None if found is None else found.to_wkt()
        assert text is None or pyproj.CRS(text).equals(stated, ignore_axis_order=True)
    assert pyproj.CRS(cube.spatial_ref.attrs["crs_wkt"]).equals(stated, ignore_axis_order=True)
    return cube


def check_exact(path: Path, cube: xr.Dataset) -> None:
    """Compare each pixel with that of the source under its centre, by PROJ."""
    array = variable_of(cube)
    crs = pyproj.CRS(cube.spatial_ref.attrs["crs_wkt"])
    with rasterio.open(path) as file:
        values, (height, width) = file.read(1), file.shape
        to_source = pyproj.Transformer.from_crs(crs, file.crs.to_wkt(), always_xy=True)
        x, y = to_source.transform(*np.meshgrid(array[array.dims[-1]], array[array.dims[-2]]))
        col, row = ~file.transform * (x, y)
        if file.crs.is_geographic:
            circle = 360 / file.transform.a
            col = np.where(col < 0, col + circle, np.where(col >= width, col - circle, col))
    inside = (row >= 0) & (col >= 0) & (row < height) & (col < width)
    assert inside.mean() > 0.3
    rows, cols = (
        np.clip(np.floor(each), 0, size - 1).astype(int)
        for each, size in ((row, height), (col, width))
    )
    expected = np.where(inside, values[rows, cols], 255)
    edge = np.minimum(abs(row - np.rint(row)), abs(col - np.rint(col))) < 1e-6
    assert edge.mean() < 0.02
    assert ((array.values == expected) | edge).all()


def box_in(crs: Any, lon: float = 10.25, lat: float = 45.05, half: float = 12_000) -> list[float]:
    """Return a box around a position, in units of the CRS."""
    x, y = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    if pyproj.CRS.from_user_input(crs).is_geographic:
        half = half / 111_000
        return [round(x - half, 3), round(y - half, 3), round(x + half, 3), round(y + half, 3)]
    return [round(x) - half, round(y) - half, round(x) + half, round(y) + half]


@pytest.mark.parametrize(
    ("crs", "size"),
    [
        (32632, [300, 170]), ("32632", 300), (MOLLWEIDE, 250), (ALBERS, [170, 310]),
        (pyproj.CRS(ALBERS).to_wkt(pretty=True), 200), (pyproj.CRS(MOLLWEIDE).to_json_dict(), 230),
        (POLE, [0.003, 0.002]), ("EPSG:4326", [0.0031, 0.0047]),
    ],
    ids=["code", "digits", "ESRI", "PROJ", "WKT", "PROJJSON", "rotated pole", "degrees"],
)  # fmt: skip
def test_every_pixel_is_the_one_that_proj_says(tmp_path: Path, crs: Any, size: Any) -> None:
    path = source(tmp_path)
    stated = f"EPSG:{crs}" if isinstance(crs, int) or crs == "32632" else crs
    grid = {"crs": crs, "bbox": box_in(stated), "spatial_res": size, "tile_size": [64, 48]}
    cube = made(tmp_path, grid)
    check_exact(path, cube)
    width, height = size if isinstance(size, list) else (size, size)
    affine = cube.attrs["spatial:transform"]
    assert (affine[0], -affine[4]) == (width, height)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", Affine(0.004, 0, 10, 0, -0.003, 45.2)),
        ("EPSG:32632", Affine(30, 0, 500_000, 0, -20.5, 5_000_000)),
        ("EPSG:32632", Affine(30, 0, 500_000, 0, 20.5, 5_000_000)),
        (ALBERS, Affine(30, 0, 500_000, 0, -30, 5_000_000)),
        (pyproj.CRS(MOLLWEIDE).to_wkt(), Affine(1000, 0, 500_000, 0, -900, 5_000_000)),
    ],
    ids=["degrees", "UTM", "south up", "no code", "ESRI"],
)
def test_a_cube_on_its_sources_own_grid_is_the_source(
    tmp_path: Path, crs: str, transform: Affine
) -> None:
    path = source(tmp_path, crs, transform=transform)
    cube = made(tmp_path, None)
    with rasterio.open(path) as file:
        rows = file.read(1)[:: 1 if transform.e < 0 else -1]
        assert cube.rio.bounds() == pytest.approx(
            (*file.bounds[:1], min(file.bounds[1::2]), file.bounds[2], max(file.bounds[1::2]))
        )
        np.testing.assert_array_equal(variable_of(cube).values, rows)


@pytest.mark.parametrize("west", [179.713, -179.987, 170.013])
def test_a_box_across_the_antimeridian_is_one_grid(tmp_path: Path, west: float) -> None:
    path = source(tmp_path, transform=Affine(0.25, 0, west, 0, -0.2, 5.01))
    bbox = [170, -12, -170.5, 4.5]
    grid = {"crs": "EPSG:4326", "bbox": bbox, "spatial_res": [0.1, 0.15], "tile_size": 64}
    cube = made(tmp_path, grid)
    assert cube.rio.set_spatial_dims("lon", "lat").rio.bounds() == (170, -12, 189.5, 4.5)
    assert (np.diff(cube.lon) > 0).all()
    check_exact(path, cube)
    item = json.loads((tmp_path / "catalogs" / "c" / "cube" / "cube.json").read_text())
    assert (item["bbox"][0], item["bbox"][2]) == (170, -170.5)
    assert item["geometry"]["type"] == "MultiPolygon"
    # Parts of it, in either range of longitudes.
    config = config_of(tmp_path, grid)
    for part, bounds in (
        ((175, 0, -175, 4.5), (175, 185)), ((-179, 0, -175, 4.5), (181, 185)),
        ((181, 0, 185, 4.5), (181, 185)),
    ):  # fmt: skip
        (planned,) = stacbuild.plan(config, bbox=part)
        assert planned.grid is not None
        assert (planned.grid.bounds[0], planned.grid.bounds[2]) == bounds
    with pytest.raises(ConfigError, match="contains no pixel centre"):
        stacbuild.plan(config, bbox=(0, 0, 10, 4))


def test_a_part_across_the_ends_of_a_global_grid_is_refused(tmp_path: Path) -> None:
    grid = {"crs": "EPSG:4326", "bbox": [-180, -90, 180, 90], "spatial_res": 1}
    config = config_of(tmp_path, grid)
    with pytest.raises(ConfigError, match=r"at both ends of the grid, .*; build two parts"):
        stacbuild.plan(config, bbox=(170, 0, -170, 10))
    with pytest.raises(ConfigError, match="west < east"):
        stacbuild.plan(config, bbox=(10, 0, 5, 10))


def test_pixels_of_a_source_across_the_antimeridian_are_cut(tmp_path: Path) -> None:
    path = source(tmp_path, transform=Affine(3, 0, -180, 0, -2, 90))
    cube = made(tmp_path, None, open_params={"bbox": [150, -40, -150, 40]})
    assert cube.rio.set_spatial_dims("lon", "lat").rio.bounds() == (150, -40, 210, 40)
    check_exact(path, cube)


def test_levels_halve_pixels_that_are_not_square(tmp_path: Path) -> None:
    source(tmp_path, "EPSG:32632", transform=Affine(30, 0, 500_000, 0, -20, 5_000_000))
    grid = {"crs": "EPSG:32632", "bbox": [500_000, 4_998_000, 515_000, 5_000_000],
            "spatial_res": [30, 20]}  # fmt: skip
    (result,) = stacbuild.build(config_of(tmp_path, grid, format_id="levels"))
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(str(result.href).removesuffix("/0"), group="1") as level:
        assert level.sizes == {"y": 50, "x": 250}
        assert level.rio.transform() == Affine(60, 0, 500_000, 0, -40, 5_000_000)


def test_one_number_and_two_equal_ones_are_the_same_grid(tmp_path: Path) -> None:
    source(tmp_path)
    grid = {"crs": "EPSG:4326", "bbox": [10, 45, 10.2, 45.1], "spatial_res": 0.01}
    (result,) = stacbuild.build(config_of(tmp_path, grid))
    assert result.status == "COMPLETED", result.message
    same = grid | {"crs": 4326, "spatial_res": [0.01, 1e-2]}
    assert stacbuild.plan(config_of(tmp_path, same))[0].action == "up to date"
    (planned,) = stacbuild.plan(config_of(tmp_path, grid | {"spatial_res": [0.01, 0.02]}))
    assert planned.reasons == ("configuration: grid_mappings.g.spatial_res",)
