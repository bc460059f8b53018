"""Which part of the data is opened, and the source's own grid: each key by its effect on a cube."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pystac
import pytest
import rasterio
import shapely
import xarray as xr
from rasterio import Affine

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.errors import BuildError
from stacbuild.loading.select import by_time
from stacbuild.planning import plan
from tests.support.built import LAT, LON, SOURCES, made, refused, variable_of, zarr_store
from tests.support.cli import EAST, NORTH, SOUTH, WEST, configuration, geotiff, stacbuild

# What `geotiff` writes.
WHEN = dt.datetime(2018, 6, 1, tzinfo=dt.UTC)
ROWS, COLS = np.indices((120, 120))
VALUES = ((ROWS * 7 + COLS * 3) % 100).astype(np.uint8)


def series(path: Path, years: int = 4) -> Path:
    """Write a Zarr store of floats on `geotiff`'s grid at the beginnings of years from 2000 on."""
    steps = np.arange(years)[:, None, None]
    height = (steps * 10 + VALUES[None]).astype(np.float32)
    kind = (steps + VALUES[None]).astype(np.uint8)
    zarr_store(path, [f"{2000 + year}-01-01" for year in range(years)], height=height, kind=kind)
    return path


def dated(key: str, year: int) -> pystac.Item:
    """Return an item of a store, with a date."""
    when = f"{year}-01-01T00:00:00Z"
    properties = {"stacbuild:store": key, "start_datetime": when, "end_datetime": when}
    return pystac.Item(f"{key}-{year}", None, None, None, properties)


@pytest.mark.parametrize("kind", ["zenodo", "s3", "https", "file", "clms"])
def test_items_of_a_tiled_kind_are_one_product_whatever_their_dates(kind: str) -> None:
    items = [dated(f"{kind}:here", 2019), dated(f"{kind}:here", 2020)]
    assert list(by_time(items).values()) == [items]


@pytest.mark.parametrize("kind", ["stac", "a-new-kind"])
def test_items_of_other_kinds_are_steps_in_time(kind: str) -> None:
    late, early, tile = (dated(f"{kind}:here", year) for year in (2020, 2019, 2020))
    groups = by_time([late, early, tile])
    assert [(time.year, tiles) for time, tiles in groups.items()] == [
        (2019, [early]),
        (2020, [late, tile]),
    ]


def test_a_time_beyond_nanoseconds_is_refused() -> None:
    with pytest.raises(BuildError, match=r"item stac:here-1500: its time 1500-.* 1677 and 2262"):
        by_time([dated("stac:here", 1500), dated("stac:here", 2300)])


# --- no grid_mapping ------------------------------------------------------------------------------


def test_without_a_grid_it_is_the_sources_own(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "one.tif")
    cube = made(tmp_path, {"grid_mapping": None})
    np.testing.assert_array_equal(variable_of(cube), VALUES)
    np.testing.assert_allclose(cube["lon"], LON, rtol=0, atol=1e-12)
    np.testing.assert_allclose(cube["lat"], LAT, rtol=0, atol=1e-12)
    item = json.loads((tmp_path / "catalogs" / "c" / "cube" / "cube.json").read_text())
    assert item["properties"]["proj:shape"] == [120, 120]
    assert "on the grid of one.tif by" in item["properties"]["processing:lineage"]
    again = stacbuild("cube", tmp_path / "c_config.yml")
    assert "UP TO DATE" in again.stderr


def test_a_source_stored_south_up_and_in_metres(tmp_path: Path) -> None:
    upside = Affine(30, 0, 600_000, 0, 30, 5_000_000)
    geotiff(tmp_path / "src" / "one.tif", "EPSG:32632", transform=upside)
    cube = made(tmp_path, {"grid_mapping": None})
    np.testing.assert_array_equal(variable_of(cube), VALUES[::-1])
    assert cube["y"].values[[0, -1]].tolist() == [5_000_000 + 119.5 * 30, 5_000_015]
    assert cube["x"].values[0] == 600_015


def test_a_plan_before_the_source_is_harvested_knows_no_grid(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "one.tif")
    dataset = {"identifier": "cube", "store": "files", "data_id": "one.tif", "grid_mapping": None}
    other = dataset | {"identifier": "other", "grid_mapping": "cube"}
    config = configuration(tmp_path, [dataset, other], [SOURCES])
    told = json.loads(stacbuild("plan", config, "--json").stdout)["cubes"]
    assert [each["shape"] for each in told] == [None, None]
    assert told[0]["reasons"] == ["not in the catalog"]
    stacbuild("cube", config)
    for name in ("cube", "other"):
        assert xr.open_zarr(tmp_path / "data" / f"{name}.zarr").sizes == {"lat": 120, "lon": 120}
    # What --bbox cuts is that grid.
    stacbuild("cube", config, "cube", "--bbox", f"{WEST},{SOUTH},{EAST},{NORTH}")
    assert xr.open_zarr(tmp_path / "data" / "cube.zarr").sizes == {"lat": 100, "lon": 100}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"transform": Affine(0.001, 0, 9.99, 0, -0.001, 90.05)}, "beyond longitude"),
        (
            {"transform": Affine(0.001, 1e-4, 9.99, 0, -0.001, 45.2)},
            "its grid is rotated or skewed",
        ),
    ],
)
def test_an_own_grid_that_no_cube_can_have(tmp_path: Path, changes: Any, expected: str) -> None:
    geotiff(tmp_path / "src" / "one.tif", **changes)
    told = refused(tmp_path, {"grid_mapping": None})
    assert "its own grid cannot be that of a cube" in told
    assert expected in told
    assert told.endswith("name one of grid_mappings")


# --- bbox, point ----------------------------------------------------------------------------------


def test_a_box_cuts_the_sources_own_grid(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "one.tif")
    box = [WEST, SOUTH, EAST, NORTH]
    cube = made(tmp_path, {"grid_mapping": None, "open_params": {"bbox": box}})
    np.testing.assert_array_equal(variable_of(cube), VALUES[10:110, 10:110])


def test_beyond_a_box_is_no_data_on_a_named_grid(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "one.tif")
    box = [WEST + 0.02, SOUTH + 0.03, WEST + 0.05, NORTH]
    cube = variable_of(made(tmp_path, {"open_params": {"bbox": box}}))
    inside = np.zeros((100, 100), bool)
    inside[:70, 20:50] = True
    np.testing.assert_array_equal(cube.values[inside], VALUES[10:110, 10:110][inside])
    assert (cube.values[~inside] == 255).all()


def test_a_box_in_another_crs(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "one.tif")
    to_laea = pyproj.Transformer.from_crs(4326, 3035, always_xy=True)
    x, y = to_laea.transform(WEST + 0.05, SOUTH + 0.05)
    params = {"bbox": [x - 500, y - 1000, x + 500, y + 1000], "crs": "EPSG:3035"}
    cube = made(tmp_path, {"grid_mapping": None, "open_params": params})
    # The box's own sides, seen in degrees, lie along no meridian: all of it has to be in there.
    west, south, east, north = pyproj.Transformer.from_crs(
        3035, 4326, always_xy=True
    ).transform_bounds(*params["bbox"])
    assert abs(float(cube["lon"][0]) - west) <= 0.001
    assert abs(float(cube["lon"][-1]) - east) <= 0.001
    assert abs(float(cube["lat"][0]) - north) <= 0.001
    assert abs(float(cube["lat"][-1]) - south) <= 0.001


def test_a_box_that_holds_no_pixel_is_refused(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "one.tif")
    told = refused(tmp_path, {"open_params": {"bbox": [50, 50, 51, 51]}})
    assert "one.tif: no pixel lies in [50.0, 50.0, 51.0, 51.0] (EPSG:4326); see open_params" in told


def test_a_square_of_metres_around_a_point(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "one.tif")
    params = {"point": [WEST + 0.05, SOUTH + 0.05], "bbox_width": 2000}
    cube = made(tmp_path, {"grid_mapping": None, "open_params": params})
    geod = pyproj.Geod(ellps="WGS84")
    middle = float(cube["lat"].mean())
    _, _, width = geod.inv(float(cube["lon"][0]), middle, float(cube["lon"][-1]), middle)
    # A pixel is 79 m wide and 111 m high; whole pixels only.
    assert abs(width + 79 - 2000) < 79
    assert abs(cube.sizes["lat"] * 111.1 - 2000) < 112


@pytest.mark.parametrize("name", ["height", "kind"])
def test_a_point_alone_is_a_time_series_there(tmp_path: Path, name: str) -> None:
    series(tmp_path / "src" / "one.zarr")
    # A quarter of a pixel east and south of the middle of pixel (50, 60).
    point = [float(LON[60]) + 0.00025, float(LAT[50]) - 0.00025]
    cube = made(
        tmp_path,
        {
            "grid_mapping": None,
            "data_id": "one.zarr",
            "open_params": {"point": point, "variable_names": [name]},
        },
    )
    assert list(cube.data_vars) == [name]
    assert dict(cube.sizes) == {"time": 4, "lat": 1, "lon": 1}
    assert [float(cube["lon"][0]), float(cube["lat"][0])] == pytest.approx(point, abs=1e-12)
    found = cube[name].squeeze().values
    if name == "kind":
        np.testing.assert_array_equal(found, VALUES[50, 60] + np.arange(4))
        return
    corners = VALUES[50:52, 60:62].astype(float)
    across = corners[:, 0] * 0.75 + corners[:, 1] * 0.25
    expected = across[0] * 0.75 + across[1] * 0.25 + 10 * np.arange(4)
    np.testing.assert_allclose(found, expected, atol=0.02)


# --- variables, times, bands ----------------------------------------------------------------------


def test_variables_by_name(tmp_path: Path) -> None:
    series(tmp_path / "src" / "one.zarr")
    zarr = {"data_id": "one.zarr"}
    assert set(made(tmp_path, zarr).data_vars) == {"height", "kind"}
    for params in (
        {"open_params": {"variable_names": ["kind"]}},
        {"spatial_resample_params": {"variables": ["kind"]}},
    ):
        assert set(made(tmp_path, zarr | params).data_vars) == {"kind"}
    [planned] = plan(load_config(tmp_path / "c_config.yml"), tmp_path / "catalogs", force=True)
    assert planned.expected is not None
    assert [each.name for each in planned.expected.variables] == ["kind"]
    told = refused(tmp_path, zarr | {"open_params": {"variable_names": ["age"]}})
    assert (
        "variable_names names 'age', which is not a variable of it; there are: height, kind" in told
    )


@pytest.mark.parametrize(
    ("limits", "years"),
    [
        (["2001-01-01", "2002-01-01"], [2001, 2002]),
        ([2001, 2002], [2001, 2002]),
        (["2000-06", None], [2001, 2002, 2003]),
        ([None, "2000-12-31T23:59:59Z"], [2000]),
    ],
)
def test_times_of_a_store(tmp_path: Path, limits: Any, years: list[int]) -> None:
    series(tmp_path / "src" / "one.zarr")
    cube = made(tmp_path, {"data_id": "one.zarr", "open_params": {"time_range": limits}})
    assert cube["time"].dt.year.values.tolist() == years
    for year in years:
        expected = VALUES[10:110, 10:110] + np.float32(10 * (year - 2000))
        np.testing.assert_array_equal(cube["height"].sel(time=str(year))[0], expected)


def test_a_range_without_times_and_times_beyond_it(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "one.tif")
    told = refused(tmp_path, {"open_params": {"time_range": [2000, 2001]}})
    assert "one.tif: has no times; leave open_params.time_range out" in told
    series(tmp_path / "src" / "one.zarr")
    params = {"time_range": [1990, 1995]}
    told = refused(tmp_path, {"data_id": "one.zarr", "open_params": params})
    assert "time_range 1990/1995 holds none of its times, 2000-01-01T00:00:00 to 2003-01" in told


def test_bands_as_variables(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "src" / "one.tif", count=3)
    with rasterio.open(path, "r+") as file:
        for band in (1, 2, 3):
            file.write(((VALUES + band) % 100).astype(np.uint8), band)
    cube = made(tmp_path, {"open_params": {"band_as_variable": True}})
    assert list(cube.data_vars) == ["band_1", "band_2", "band_3"]
    for band in (1, 2, 3):
        expected = (VALUES[10:110, 10:110] + band) % 100
        np.testing.assert_array_equal(cube[f"band_{band}"], expected)
    assert cube["band_1"].dims == ("lat", "lon")
    some = {"band_as_variable": True, "variable_names": ["band_2"]}
    assert list(made(tmp_path, {"open_params": some}).data_vars) == ["band_2"]
    apart = made(tmp_path, {"open_params": {"band_as_variable": False}})
    assert variable_of(apart).dims == ("band", "lat", "lon")


def test_tiles_side_by_side_have_one_grid(tmp_path: Path) -> None:
    folder = tmp_path / "other"
    names = []
    # Of 120 x 120 pixels; the second one to the east of the first, and 30 rows further north.
    for name, west, north in (("a", 10.0, 45.1), ("b", 10.12, 45.13)):
        geotiff(folder / f"{name}.tif", transform=Affine(0.001, 0, west, 0, -0.001, north))
        box = [west, north - 0.12, west + 0.12, north]
        item = pystac.Item(name, shapely.geometry.mapping(shapely.box(*box)), box, WHEN, {})
        item.add_asset("data", pystac.Asset(f"../../{name}.tif", roles=["data"]))
        names.append(item)
    catalog = pystac.Catalog("other", "Tiles.")
    extent = pystac.Extent.from_items(names)
    tiles = pystac.Collection("tiles", "Tiles.", extent, license="CC-BY-4.0")
    tiles.add_items(names)
    catalog.add_child(tiles)
    catalog.normalize_and_save(str(folder), pystac.CatalogType.SELF_CONTAINED)
    source = {"identifier": "tiles", "store_id": "stac"}
    source["store_params"] = {"root": "other"}
    dataset = {"identifier": "cube", "store": "tiles", "data_id": "tiles", "grid_mapping": None}
    config = load_config(configuration(tmp_path, [dataset], [source]))
    [result] = build(config, tmp_path / "catalogs")
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(tmp_path / "data" / "cube.zarr", mask_and_scale=False) as cube:
        [name] = cube.data_vars
        found = cube[name].values
    expected = np.full((150, 240), 255, np.uint8)
    expected[30:, :120] = VALUES
    expected[:120, 120:] = VALUES
    np.testing.assert_array_equal(found, expected)


def test_data_that_differ_in_extension_only_have_items_of_their_own(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "one.tif")
    series(tmp_path / "src" / "one.zarr")
    both = [
        {"identifier": name, "store": "files", "data_id": f"one.{name}"} for name in ("zarr", "tif")
    ]
    config = load_config(configuration(tmp_path, both, [SOURCES]))
    for expected in ("COMPLETED", "UP TO DATE"):
        results = build(config, tmp_path / "catalogs")
        assert [result.status for result in results] == [expected] * 2, results
    for name, variables in (("zarr", {"height", "kind"}), ("tif", {"tif"})):
        with xr.open_zarr(tmp_path / "data" / f"{name}.zarr") as cube:
            assert set(cube.data_vars) == variables
