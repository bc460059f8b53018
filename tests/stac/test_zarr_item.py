"""Items of Zarr datasets: grid, CRS, dimensions, variables and time."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pystac
import pytest
import xarray as xr

from stacbuild.errors import StacbuildError
from stacbuild.formats.zarr_grid import grid_of
from stacbuild.formats.zarr_store import dataset_of, open_group
from stacbuild.geo.outline import footprint
from stacbuild.profiles import Class, DataProfile
from stacbuild.stac.item_time import is_undated
from stacbuild.stac.zarr_item import cube_dimensions, cube_variables, period, zarr_item

ROWS, COLUMNS = 202_500, 405_000
RES = 180 / ROWS


def lonlat(lat: Any, lon: Any, **attrs: Any) -> xr.Dataset:
    """Return a dataset with these coordinates, of any size, without memory for its values."""
    values = np.broadcast_to(np.int16(0), (len(lat), len(lon)))
    return xr.Dataset(
        {"age": (("latitude", "longitude"), values)},
        {"latitude": lat, "longitude": lon},
        attrs,
    )


def projected(**attrs: Any) -> xr.Dataset:
    return xr.Dataset(
        {"v": (("y", "x"), np.zeros((3, 4), "uint8"))},
        {"y": [2_999_950.0, 2_999_850, 2_999_750], "x": 3_200_050.0 + 100 * np.arange(4)},
        attrs,
    )


SOUTHWARDS, EASTWARDS = 90 - np.arange(ROWS) * RES, -180 + np.arange(COLUMNS) * RES
GLOBES = {
    "centres": (SOUTHWARDS - RES / 2, EASTWARDS + RES / 2),
    "upper left edges": (SOUTHWARDS, EASTWARDS),
    "lower right edges": (SOUTHWARDS - RES, EASTWARDS + RES),
    "centres as float32": (
        (SOUTHWARDS - RES / 2).astype("float32"),
        (EASTWARDS + RES / 2).astype("float32"),
    ),
}


WHOLE = (-180.0, -90.0, 180.0, 90.0)


@pytest.mark.parametrize("name", GLOBES)
def test_the_box_of_a_profile_tells_centres_from_edges(name: str) -> None:
    grid = grid_of(lonlat(*GLOBES[name]), WHOLE)
    assert grid.notes == ()
    assert grid.transform == pytest.approx((RES, 0, -180, 0, -RES, 90), abs=1e-15)
    assert grid.shape == (ROWS, COLUMNS)
    assert grid.bounds == (-180, -90, 180, 90)
    assert grid.crs == "EPSG:4326"


@pytest.mark.parametrize("name", GLOBES)
def test_rows_from_south_to_north_keep_their_order(name: str) -> None:
    lat, lon = GLOBES[name]
    grid = grid_of(lonlat(lat[::-1], lon), WHOLE)
    assert grid.transform[4:] == pytest.approx((RES, -90), abs=1e-15)
    assert grid.bounds == (-180, -90, 180, 90)


def test_a_model_grid_with_points_on_both_poles_has_centres() -> None:
    grid = grid_of(lonlat(np.linspace(90, -90, 721), np.arange(1440) * 0.25))
    assert grid.bounds == (-0.125, -90.125, 359.875, 90.125)
    assert footprint(grid)[1] == [-180, -90, 180, 90]


def test_a_region_has_centres() -> None:
    grid = grid_of(lonlat([44.5, 43.5], [-1.5, -0.5, 0.5]))
    assert grid.bounds == (-2, 43, 1, 45)
    assert footprint(grid) == (
        {
            "type": "Polygon",
            "coordinates": (((-2, 43), (1, 43), (1, 45), (-2, 45), (-2, 43)),),
        },
        [-2, 43, 1, 45],
    )


@pytest.mark.parametrize(("offset", "left"), [(0.0, 10.0), (0.5, 9.5), (1.0, 9.0)])
def test_bounds_say_where_in_its_pixel_a_coordinate_lies(offset: float, left: float) -> None:
    lon = np.arange(10.0, 20.0)
    ds = lonlat([50.5, 49.5, 48.5], lon)
    ds["longitude"].attrs["bounds"] = "longitude_bnds"
    ds["longitude_bnds"] = ("longitude", "bnds"), np.stack([lon - offset, lon - offset + 1], 1)
    assert grid_of(ds).bounds == (left, 48, left + 10, 51)


@pytest.mark.parametrize("half", [0, 50])
@pytest.mark.parametrize("stated", ["GeoTransform", "spatial:transform"])
def test_a_stated_transform_says_it_too(half: int, stated: str) -> None:
    ds = projected(crs="EPSG:3035").assign_coords(spatial_ref=0)
    ds = ds.assign_coords(x=ds.x - 50 + half, y=ds.y + 50 - half)
    if stated == "GeoTransform":
        ds["spatial_ref"].attrs["GeoTransform"] = "3200000 100 0 3000000 0 -100"
    else:
        ds.attrs[stated] = [100.0, 0.0, 3_200_000.0, 0.0, -100.0, 3_000_000.0]
    assert grid_of(ds).bounds == (3_200_000, 2_999_700, 3_200_400, 3_000_000)


def test_a_stated_transform_stands_in_for_coordinates() -> None:
    ds = projected(crs="EPSG:3035").drop_vars(["x", "y"])
    ds.attrs["spatial:transform"] = [100.0, 0.0, 3_200_000.0, 0.0, -100.0, 3_000_000.0]
    assert grid_of(ds).bounds == (3_200_000, 2_999_700, 3_200_400, 3_000_000)


LAEA = pyproj.CRS.from_epsg(3035)
GEOGRAPHIC = {"grid_mapping_name": "latitude_longitude", "semi_major_axis": 6378137.0}
GEOGRAPHIC |= {"inverse_flattening": 298.257223563}


def mapped(name: str, attrs: dict[str, Any], *, named: bool) -> Callable[[], xr.Dataset]:
    def make() -> xr.Dataset:
        ds = projected()
        ds[name] = xr.DataArray(0, attrs=attrs)
        if named:
            ds["v"].attrs["grid_mapping"] = f"{name}: x y" if name == "other" else name
        return ds

    return make


def mapped_degrees(attrs: dict[str, Any]) -> xr.Dataset:
    ds = lonlat([2.0, 1.0], [1.0, 2.0]).assign(crs=xr.DataArray(0, attrs=attrs))
    ds["age"].attrs["grid_mapping"] = "crs"
    return ds


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (mapped("other", LAEA.to_cf(), named=True), "EPSG:3035"),
        (mapped("crs", LAEA.to_cf(), named=False), "EPSG:3035"),
        (mapped("spatial_ref", {"spatial_ref": LAEA.to_wkt("WKT1_GDAL")}, named=True), "EPSG:3035"),
        (lambda: mapped_degrees(GEOGRAPHIC), "EPSG:4326"),
        (lambda: projected(crs="EPSG:3035"), "EPSG:3035"),
        (lambda: projected(spatial_ref="EPSG:3035"), "EPSG:3035"),
        (lambda: projected(crs=3035), "EPSG:3035"),
        (lambda: projected(crs="+init=epsg:3035"), "EPSG:3035"),
        (lambda: projected(**{"proj:code": "EPSG:3035"}), "EPSG:3035"),
        (lambda: projected(**{"proj:wkt2": LAEA.to_wkt()}), "EPSG:3035"),
        (lambda: projected(**{"proj:projjson": LAEA.to_json_dict()}), "EPSG:3035"),
        (lambda: lonlat([2.0, 1.0], [1.0, 2.0]), "EPSG:4326"),
    ],
)
def test_finds_the_crs(make: Callable[[], xr.Dataset], code: str) -> None:
    assert grid_of(make()).crs == code


def test_a_crs_without_a_code_is_kept_as_wkt() -> None:
    albers = "+proj=aea +lat_1=43 +lat_2=62 +lat_0=30 +lon_0=10 +datum=WGS84 +units=m"
    grid = grid_of(projected(crs=albers))
    assert pyproj.CRS(grid.crs) == pyproj.CRS(albers)
    dimension = cube_dimensions(projected(crs=albers), grid)["x"]
    assert pyproj.CRS(dimension["reference_system"]) == pyproj.CRS(albers)


@pytest.mark.parametrize(
    ("ds", "told"),
    [
        (projected(), "no CRS"),
        (projected(crs="EPSG:123456"), r"attribute crs \(EPSG:123456\) is not a CRS"),
        (lonlat([1.0, 2.0, 4.0], [1.0, 2.0]), "latitude is not regularly spaced"),
        (lonlat([1.0, np.nan, 3.0], [1.0, 2.0]), "latitude is not regularly spaced"),
        (
            lonlat([1.0, 2.0], [0.0, 0.5, 1.0, 358.5, 359.0, 359.5]),
            "longitude is not regularly spaced.*; some are beyond a gap: subtract 360 from",
        ),
        (lonlat([1.0, 2.0], [0.0, 0.5, 1.0, 350.0]), "a grid of equal pixels$|equal pixels$"),
        (lonlat([1.0], [1.0, 2.0]), "latitude has one value"),
        (lonlat(["a", "b"], [1.0, 2.0]), "latitude is not numeric"),
        (projected(crs="EPSG:3035").drop_vars("y"), "y has no coordinates"),
        (xr.Dataset({"t": ("time", [1.0])}), "no variable has horizontal dimensions"),
        (
            projected(crs="EPSG:3035", **{"spatial:transform": [1, 1, 0, 1, -1, 0]}),
            "rotated",
        ),
        (
            projected(crs="EPSG:3035").assign_coords(
                x=("x", [1.0, 2.0, 3.0, 4.0], {"units": "days"})
            ),
            "x is in 'days', a unit that is not known",
        ),
    ],
)
def test_says_what_keeps_a_grid_from_being_one(ds: xr.Dataset, told: str) -> None:
    with pytest.raises(StacbuildError, match=told):
        grid_of(ds)


def test_longitudes_beyond_180_come_back() -> None:
    far = grid_of(lonlat(np.arange(10.0, 20), np.arange(190.5, 200)))
    assert footprint(far)[1] == [-170, 9.5, -160, 19.5]
    across = grid_of(lonlat(np.arange(10.0, 20), np.arange(170.5, 190)))
    geometry, box = footprint(across)
    assert geometry["type"] == "MultiPolygon"
    assert box == [170, 9.5, -170, 19.5]
    note = cube_dimensions(lonlat(np.arange(10.0, 20), np.arange(170.5, 190)), across)
    assert "beyond 180" in note["longitude"]["description"]


def test_a_footprint_follows_the_edges_of_a_projected_grid() -> None:
    geometry, (west, south, east, north) = footprint(grid_of(projected(crs="EPSG:3035")))
    to_wgs84 = pyproj.Transformer.from_crs(3035, 4326, always_xy=True)
    inside = to_wgs84.transform(3_200_200, 2_999_850)
    assert west < inside[0] < east
    assert south < inside[1] < north
    assert len(geometry["coordinates"][0]) > 60


def cube() -> xr.Dataset:
    return xr.Dataset(
        {
            "age": (
                ("members", "time", "lat", "lon"),
                np.zeros((2, 2, 3, 4), "int16"),
                {"units": "years", "long_name": "Forest age", "grid_mapping": "crs"},
                {"chunks": (1, 1, 3, 2)},
            ),
            "lat_bnds": (("lat", "bnds"), np.array([[3.0, 2], [2, 1], [1, 0]])),
            "crs": ((), 0, {"grid_mapping_name": "latitude_longitude"} | GEOGRAPHIC),
        },
        {
            "members": [0, 1],
            "time": np.array(["2010-01-01", "2020-01-01"], "datetime64[ns]"),
            "lat": ("lat", [2.5, 1.5, 0.5], {"units": "degrees_north", "long_name": "latitude"}),
            "lon": ("lon", [0.5, 1.5, 2.5, 3.5], {"units": "degrees_east"}),
            "quality": ("time", ["good", "bad"]),
        },
    )


def test_dimensions() -> None:
    ds = cube()
    assert cube_dimensions(ds, grid_of(ds)) == {
        "members": {"type": "other", "extent": [0, 1], "step": 1, "values": [0, 1]},
        "time": {
            "type": "temporal",
            "extent": ["2010-01-01T00:00:00Z", "2020-01-01T00:00:00Z"],
            "values": ["2010-01-01T00:00:00Z", "2020-01-01T00:00:00Z"],
        },
        "lat": {
            "type": "spatial",
            "axis": "y",
            "extent": [0, 3],
            "step": -1,
            "reference_system": 4326,
            "description": "latitude",
        },
        "lon": {
            "type": "spatial",
            "axis": "x",
            "extent": [0, 4],
            "step": 1,
            "reference_system": 4326,
        },
        "bnds": {"type": "other", "extent": [0, 1], "step": 1},
    }


def test_long_and_uneven_dimensions_are_not_listed() -> None:
    ds = cube().isel(members=[0] * 200).assign_coords(members=np.arange(200) ** 2)
    members = cube_dimensions(ds, grid_of(ds))["members"]
    assert members == {"type": "other", "extent": [0, 199**2], "step": None}
    named = cube().assign_coords(members=["a", "b"])
    assert cube_dimensions(named, grid_of(named))["members"] == {
        "type": "other",
        "values": ["a", "b"],
    }
    depth = cube().assign_coords(members=("members", [0.5, 1.5], {"positive": "down"}))
    assert cube_dimensions(depth, grid_of(depth))["members"]["axis"] == "z"


def test_variables() -> None:
    assert cube_variables(cube()) == {
        "age": {
            "type": "data",
            "dimensions": ["members", "time", "lat", "lon"],
            "data_type": "int16",
            "chunks": [1, 1, 3, 2],
            "title": "Forest age",
            "unit": "years",
        },
        "crs": {"type": "auxiliary", "dimensions": [], "data_type": "int64"},
        "lat_bnds": {"type": "auxiliary", "dimensions": ["lat", "bnds"], "data_type": "float64"},
        "quality": {"type": "auxiliary", "dimensions": ["time"], "data_type": "other"},
    }


def test_a_profile_wins_over_the_store() -> None:
    stated = DataProfile(
        title="Age",
        description="How old.",
        unit="a",
        standard_name="forest_age",
        nodata=(-1, -2),
        classes=(Class(value=0, name="none"),),
    )
    age = cube_variables(cube(), DataProfile(variables={"age": stated}))["age"]
    assert age["title"] == "Age"
    assert age["description"] == "How old."
    assert age["unit"] == "a"
    assert age["cf:parameter"] == [{"name": "forest_age", "unit": "a"}]
    assert age["nodata"] == -1
    assert age["classification:classes"] == [
        {"value": 0, "name": "none"},
        {"value": -2, "name": "nodata_-2", "nodata": True},
    ]


@pytest.mark.parametrize(
    ("own", "everywhere", "nodata"),
    [
        ({"_FillValue": -1}, {"_FillValue": -9999}, -1),
        ({"missing_value": -1}, {}, -1),
        ({}, {"_FillValue": -9999}, -9999),
        ({}, {"missing_value": -9999}, -9999),
        # What Zarr v2 writes where nobody chose a fill value.
        ({"_FillValue": 0}, {"_FillValue": -9999}, -9999),
        ({"_FillValue": 0}, {}, 0),
        # NaN needs no masking, and is no reason not to mask what is stated.
        ({"_FillValue": np.nan}, {"_FillValue": -9999}, -9999),
        ({"_FillValue": np.float32("nan")}, {}, None),
        ({"_FillValue": np.int16(-5)}, {}, -5),
        ({"_FillValue": 0.5}, {}, 0.5),
        ({}, {}, None),
    ],
)
def test_nodata(own: dict[str, Any], everywhere: dict[str, Any], nodata: float | None) -> None:
    ds = cube().assign_attrs(everywhere)
    ds["age"].attrs |= own
    assert cube_variables(ds)["age"].get("nodata") == nodata


def test_period() -> None:
    utc = dt.UTC
    found = dt.datetime(2010, 1, 1, tzinfo=utc), dt.datetime(2020, 1, 1, tzinfo=utc)
    assert period(cube()) == found
    profile = DataProfile(start_datetime=dt.datetime(2009, 1, 1, tzinfo=utc))
    assert period(cube(), profile) == (dt.datetime(2009, 1, 1, tzinfo=utc),) * 2
    timeless = cube().drop_vars(["time", "quality"])
    assert period(timeless) is None
    covered = timeless.assign_attrs(
        time_coverage_start="2010-01-01", time_coverage_end="2020-01-01T00:00:00Z"
    )
    assert period(covered) == found
    with pytest.raises(StacbuildError, match="time_coverage"):
        period(timeless.assign_attrs(time_coverage_start="some day"))


def item_of(path: Path, profile: DataProfile | None = None) -> pystac.Item:
    group = open_group(str(path))
    with dataset_of(group, str(path)) as ds:
        return zarr_item(
            group,
            ds,
            item_id="a",
            data_id="a.zarr",
            store_key="file:data",
            href=str(path),
            profile=profile or DataProfile(),
        )


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("consolidated", [True, False])
def test_an_item(tmp_path: Path, zarr_format: int, consolidated: bool) -> None:
    path = tmp_path / "a.zarr"
    with warnings.catch_warnings():
        # Consolidated metadata and strings are not in the specification of format 3 yet.
        warnings.simplefilter("ignore")
        cube().assign_attrs(title="A cube").to_zarr(
            path, zarr_format=zarr_format, consolidated=consolidated
        )
    item = item_of(path)
    assert item.properties["title"] == "A cube"
    assert item.properties["stacbuild:store"] == "file:data"
    assert item.properties["stacbuild:data_id"] == "a.zarr"
    assert item.datetime == dt.datetime(2010, 1, 1, tzinfo=dt.UTC)
    assert item.properties["end_datetime"] == "2020-01-01T00:00:00Z"
    assert item.properties["proj:code"] == "EPSG:4326"
    assert item.properties["proj:shape"] == [3, 4]
    assert item.properties["proj:transform"] == [1, 0, 0, 0, -1, 3]
    assert item.properties["proj:bbox"] == item.bbox == [0, 0, 4, 3]
    asset = item.assets["data"]
    assert asset.href == str(path)
    assert asset.media_type == "application/vnd.zarr"
    assert asset.extra_fields == {
        "zarr:zarr_format": zarr_format,
        "zarr:consolidated": consolidated,
        "zarr:node_type": "group",
    }
    assert [(link.rel, link.target) for link in item.links] == [("store", str(path))]
    assert item.properties["cube:variables"]["age"]["chunks"] == [1, 1, 3, 2]


def test_standard_names_stand_at_the_asset_too(tmp_path: Path) -> None:
    ds = cube()
    ds["age"].attrs["standard_name"] = "forest_age"
    ds.to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=True)
    parameters = [{"name": "forest_age", "unit": "years"}]
    item = item_of(tmp_path / "a.zarr")
    assert item.assets["data"].extra_fields["cf:parameter"] == parameters
    assert item.properties["cube:variables"]["age"]["cf:parameter"] == parameters


def test_without_any_time_it_is_undated(tmp_path: Path) -> None:
    cube().drop_vars(["time", "quality"]).to_zarr(tmp_path / "a.zarr", zarr_format=2)
    item = item_of(tmp_path / "a.zarr")
    assert item.datetime is None
    assert is_undated(item.properties)


def test_errors_name_the_store(tmp_path: Path) -> None:
    projected().to_zarr(tmp_path / "b.zarr", zarr_format=2)
    with pytest.raises(StacbuildError, match=r"b\.zarr: no CRS"):
        item_of(tmp_path / "b.zarr")


def test_a_real_zarr_without_consolidated_metadata(realdata: Path) -> None:
    item = item_of(realdata / "zarr" / "xcube_cube-1-250-250_subset.zarr")
    properties = item.properties
    assert properties["proj:code"] == "EPSG:4326"
    assert properties["proj:shape"] == [1000, 2000]
    assert properties["proj:bbox"] == pytest.approx([0, 50, 5, 52.5])
    assert properties["proj:transform"] == pytest.approx([0.0025, 0, 0, 0, -0.0025, 52.5])
    variables = properties["cube:variables"]
    assert {name for name, field in variables.items() if field["type"] == "data"} == {"conc_tsm"}
    assert variables["conc_tsm"]["chunks"] == [1, 250, 250]
    assert variables["lat_bnds"]["type"] == "auxiliary"
    assert properties["cube:dimensions"]["time"]["extent"][0].startswith("2017-01-16T10:09:21")
    assert item.assets["data"].extra_fields["zarr:consolidated"] is False
