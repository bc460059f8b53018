"""Where the pixels of other people's Zarr stores lie: coordinates, transforms, bounds, units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from stacbuild.errors import StacbuildError
from stacbuild.formats.zarr_grid import grid_of
from stacbuild.geo.outline import footprint
from tests.support.zarr_places import MAPPING, UTM, Json, X, Y, cube, edges, store, utm

WHOLE = (500_000.0, 5_000_000.0, 10.0, -10.0)


@pytest.mark.parametrize(
    "transform",
    [
        "500000 10 0 5000000 0 -10",
        "500000.0, 10.0, 0.0, 5000000.0, 0.0, -10.0",
        [500000, 10, 0, 5000000, 0, -10],
        # The rounding of other programs is no rotation.
        "500000 10 1e-19 5000000 -1e-19 -10",
        "500000 10 1e-5 5000000 1e-5 -10",
    ],
)
def test_a_transform_that_agrees_with_the_coordinates_is_taken(transform: Any) -> None:
    grid = grid_of(utm(GeoTransform=transform))
    assert (edges(grid), grid.notes) == (WHOLE, ())


STALE = {"GeoTransform": "500000 10 0 5000000 0 -10"}


@pytest.mark.parametrize(
    ("cut", "first", "said"),
    [
        ({"x": slice(2, 6)}, (500_020, 5_000_000, 10, -10), "x from 500000 to 500040"),
        ({"y": slice(1, 5)}, (500_000, 4_999_990, 10, -10), "y from 5000000 to 4999960"),
        (
            {"x": slice(2, 6), "y": slice(1, 5)},
            (500_020, 4_999_990, 10, -10),
            "y from 5000000 to 4999960, x from 500000 to 500040",
        ),
        # Every other one: a pixel lies around its centre.
        ({"x": slice(0, None, 2)}, (499_995, 5_000_000, 20, -10), "x from 500000 to 500040"),
        ({"x": slice(3, 4)}, (500_030, 5_000_000, 10, -10), "x from 500000 to 500010"),
        ({"y": slice(None, None, -1)}, (500_000, 4_999_940, 10, 10), "the other order"),
        ({"x": slice(0, 4)}, WHOLE, None),
    ],
)
@pytest.mark.parametrize("by", ["GeoTransform", "spatial:transform"])
def test_coordinates_count_where_a_transform_of_the_whole_was_left(
    cut: Json, first: tuple[float, ...], said: str | None, by: str
) -> None:
    ds = utm(**(STALE if by == "GeoTransform" else {})).isel(cut)
    if by == "spatial:transform":
        ds.attrs[by] = [10, 0, 500_000, 0, -10, 5_000_000]
    grid = grid_of(ds)
    assert edges(grid) == pytest.approx(first, rel=1e-12)
    if said is None:
        assert grid.notes == ()
        return
    [note] = grid.notes
    assert by in note
    assert said in note
    assert "used" in note


def test_a_box_of_the_whole_does_not_count_either() -> None:
    ds = utm().assign_attrs(BOX).isel(x=slice(2, 6))
    grid = grid_of(ds)
    assert edges(grid) == (500_020, 5_000_000, 10, -10)
    assert "spatial:bbox states pixels x from 500000 to 500080" in grid.notes[0]
    # It says nothing of the order.
    assert grid_of(utm().assign_attrs(BOX).isel(y=slice(None, None, -1))).notes == ()


def test_a_stale_transform_of_another_unit_is_named_with_the_coordinates() -> None:
    ds = utm(GeoTransform="10.0 0.01 0.0 50.0 0.0 -0.01")
    grid = grid_of(ds)
    assert edges(grid) == WHOLE
    assert "from 10 to 10.08" in grid.notes[0]
    assert "from 500000 to 500080" in grid.notes[0]


def test_coordinates_may_be_corners_if_a_transform_says_so() -> None:
    for ds in (utm(X - 5, Y + 5, **STALE), utm(X + 5, Y - 5, **STALE)):
        grid = grid_of(ds)
        assert (edges(grid), grid.notes) == (WHOLE, ())


def test_a_transform_of_few_digits_does_not_drift() -> None:
    x = -180 + (np.arange(4320) + 0.5) / 12
    ds = utm(x, 40 - (np.arange(10) + 0.5) / 12, spatial_ref="EPSG:4326")
    ds["spatial_ref"].attrs["GeoTransform"] = "-180 0.0833 0 40 0 -0.0833"
    grid = grid_of(ds)
    assert edges(grid) == pytest.approx((-180, 40, 1 / 12, -1 / 12), rel=1e-12)
    assert "179.856" in grid.notes[0]


def test_where_one_axis_has_no_coordinates_the_transform_has_to_hold_for_the_other() -> None:
    whole = utm(**STALE)
    assert edges(grid_of(whole.drop_vars("y"))) == WHOLE
    cut = whole.isel(x=slice(2, 6), y=slice(1, 5)).drop_vars("y")
    with pytest.raises(StacbuildError, match="y has no coordinates, and no transform that fits"):
        grid_of(cut)
    shape = utm().drop_vars(["x", "y"])
    shape.attrs |= {"spatial:transform": [10, 0, 5e5, 0, -10, 5e6], "spatial:shape": [60, 80]}
    with pytest.raises(StacbuildError, match="no transform that fits"):
        grid_of(shape)


def test_bounds_go_before_a_transform_and_gaps_between_cells_move_nothing() -> None:
    ds = utm(**STALE)
    ds["x"].attrs["bounds"] = "x_bnds"
    corner = ds.assign(x_bnds=(("x", "n"), np.stack([X, X + 10], 1)))
    grid = grid_of(corner)
    assert edges(grid) == (500_005, 5_000_000, 10, -10)
    assert "GeoTransform" in grid.notes[0]
    every = ds.assign(x_bnds=(("x", "n"), np.stack([X - 5, X + 5], 1))).isel(x=slice(0, None, 2))
    assert edges(grid_of(every))[:3] == (499_995, 5_000_000, 20)
    stale = ds.assign(x_bnds=(("x", "n"), np.stack([X + 95, X + 105], 1)))
    grid = grid_of(stale)
    assert edges(grid) == WHOLE
    assert "bounds of its first cell" in grid.notes[0]


SPATIAL = {"proj:code": UTM, "spatial:dimensions": ["Y", "X"], "spatial:shape": [6, 8]}
TRANSFORM = {"spatial:transform": [10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0]}
NODE = TRANSFORM | {"spatial:registration": "node"}
BOX = {"spatial:bbox": [500_000.0, 4_999_940.0, 500_080.0, 5_000_000.0]}
NODES = {"spatial:bbox": [500_005.0, 4_999_945.0, 500_075.0, 4_999_995.0]}


@pytest.mark.parametrize(
    ("group", "array", "dims", "corner"),
    [
        (SPATIAL | TRANSFORM, {}, ("Y", "X"), (500_000, 5_000_000)),
        (SPATIAL | {"spatial:transform": [10, 0, 5e5, 0, -10, 5e6, 0, 0, 1]}, {}, ("Y", "X"),
         (500_000, 5_000_000)),
        ({}, SPATIAL | TRANSFORM, ("Y", "X"), (500_000, 5_000_000)),
        (SPATIAL | NODE, {}, ("Y", "X"), (499_995, 5_000_005)),
        ({}, SPATIAL | NODE, ("Y", "X"), (499_995, 5_000_005)),
        (SPATIAL | BOX, {}, ("Y", "X"), (500_000, 5_000_000)),
        (SPATIAL | NODES | {"spatial:registration": "node"}, {}, ("Y", "X"), (500_000, 5_000_000)),
        (SPATIAL | TRANSFORM | {"spatial:dimensions": ["rows", "cols"]}, {}, ("rows", "cols"),
         (500_000, 5_000_000)),
    ],
)  # fmt: skip
def test_geozarr_without_coordinates(
    tmp_path: Path, group: Json, array: Json, dims: tuple[str, str], corner: tuple[float, float]
) -> None:
    values = store(
        tmp_path / "in" / "s.zarr", range(8), range(6), group, array, dims, zarr_format=3
    )
    result, made, _, item = cube(tmp_path)
    assert made is not None, result.message
    assert item["properties"]["proj:code"] == UTM
    transform = item["properties"]["proj:transform"]
    assert (transform[2], transform[5], transform[0], transform[4]) == (*corner, 10, -10)
    np.testing.assert_array_equal(made["v"].values, values)


def test_node_registration_with_coordinates_on_the_nodes() -> None:
    ds = utm().assign_attrs(NODE | {"spatial:transform": [10, 0, 500_005, 0, -10, 4_999_995]})
    grid = grid_of(ds)
    assert (edges(grid), grid.notes) == (WHOLE, ())


@pytest.mark.parametrize(
    ("unit", "metres"),
    [
        ("km", 1000), ("Km", 1000), ("kilometre", 1000), ("kilometers", 1000), ("1000 m", 1000),
        ("1e3 m", 1000), ("10^3 m", 1000), ("100 km", 100_000), ("m", 1), ("metre", 1),
        ("Metres", 1), ("1", 1), ("", 1), ("cm", 0.01), ("US_survey_foot", 1200 / 3937),
        ("foot", 0.3048),
    ],
)  # fmt: skip
def test_projected_coordinates_in_other_units(unit: str, metres: float) -> None:
    ds = utm().assign_coords(
        x=("x", X / metres, {"units": unit}), y=("y", Y / metres, {"units": unit})
    )
    assert edges(grid_of(ds)) == pytest.approx(WHOLE, rel=1e-12)


@pytest.mark.parametrize("unit", ["degrees", "radians", "degrees_east", "days since 1970", "K"])
def test_a_unit_that_is_none_of_the_crs_is_refused_by_name(unit: str) -> None:
    ds = utm().assign_coords(x=("x", np.arange(8) * 0.1, {"units": unit}))
    with pytest.raises(StacbuildError, match=rf"coordinate x is in .?{unit}") as told:
        grid_of(ds)
    assert "\n" not in str(told.value)


def test_a_transform_tells_that_a_unit_was_never_converted() -> None:
    ds = utm(**STALE).assign_coords(x=("x", X, {"units": "degrees"}), y=("y", Y, {"units": "km"}))
    grid = grid_of(ds)
    assert edges(grid) == WHOLE
    assert len(grid.notes) == 2


def test_scan_angles_of_a_geostationary_satellite_become_metres() -> None:
    height = 35_786_023.0
    mapping = {
        "grid_mapping_name": "geostationary",
        "perspective_point_height": height,
        "longitude_of_projection_origin": -75.0,
        "semi_major_axis": 6_378_137.0,
        "semi_minor_axis": 6_356_752.31414,
        "sweep_angle_axis": "x",
    }
    x = -0.0252 + 0.000056 * np.arange(8)
    for unit, times in (("rad", 1), ("radian", 1), ("microradian", 1e6)):
        ds = xr.Dataset(
            {"v": (("y", "x"), np.zeros((6, 8)), {"grid_mapping": "p"}), "p": ((), 0, mapping)},
            {"x": ("x", x * times, {"units": unit}), "y": ("y", -x[:6] * times, {"units": unit})},
        )
        expected = (x[0] - 0.000028) * height, 0.000056 * height
        grid = grid_of(ds)
        assert (grid.affine.c, grid.affine.a) == pytest.approx(expected, rel=1e-9)


def test_radians_of_longitude_and_latitude_become_degrees() -> None:
    lon, lat = np.array([10.5, 11.5, 12.5]), np.array([51.5, 50.5])
    ds = xr.Dataset(
        {"v": (("lat", "lon"), np.zeros((2, 3)))},
        {
            "lon": ("lon", np.radians(lon), {"units": "radians"}),
            "lat": ("lat", np.radians(lat), {"units": "radians"}),
        },
    )
    assert edges(grid_of(ds)) == pytest.approx((10, 52, 1, -1))


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_float32_coordinates_stand_for_the_decimals_that_they_were_written_as(kind: str) -> None:
    lon, lat = 5 + 0.01 * (np.arange(3000) + 0.5), 50 - 0.01 * (np.arange(2000) + 0.5)
    ds = xr.Dataset(
        {"v": (("lat", "lon"), np.broadcast_to(np.float32(0), (2000, 3000)))},
        {"lon": lon.astype(kind), "lat": lat.astype(kind)},
    )
    assert edges(grid_of(ds)) == pytest.approx((5, 50, 0.01, -0.01), rel=1e-14)


def points(lat: Any, lon: Any) -> xr.Dataset:
    """Points of a model, each with its latitude as its value."""
    values = np.broadcast_to(np.asarray(lat, "float32")[:, None], (len(lat), len(lon)))
    return xr.Dataset(
        {"t2m": (("time", "latitude", "longitude"), values[None].copy())},
        {
            "time": np.array(["2020-01-01"], "M8[ns]"),
            "latitude": ("latitude", lat, {"units": "degrees_north"}),
            "longitude": ("longitude", lon, {"units": "degrees_east"}),
        },
    )


@pytest.mark.parametrize(
    "lat",
    [90 - 0.5 * np.arange(13), 84 + 0.5 * np.arange(13), -90 + 0.5 * np.arange(13)],
)
def test_points_on_the_pole_keep_their_coordinates(
    tmp_path: Path, lat: np.ndarray[Any, Any]
) -> None:
    points(lat, -3 + 0.5 * np.arange(13)).to_zarr(tmp_path / "in" / "s.zarr", zarr_format=2)
    result, made, warnings, item = cube(tmp_path)
    assert made is not None, result.message
    assert warnings == []
    column = made["t2m"].values[0, :, 0]
    np.testing.assert_array_equal(column, made["lat"].values)
    np.testing.assert_array_equal(np.sort(column), np.sort(lat))
    assert np.abs(item["bbox"][1::2]).max() == 90


def test_a_grid_without_one_of_its_poles_is_taken_for_points_and_it_is_said() -> None:
    lat = 90 - 0.25 * np.arange(720)
    grid = grid_of(points(lat, 0.25 * np.arange(1440)))
    assert edges(grid) == pytest.approx((-0.125, 90.125, 0.25, -0.25))
    [note] = grid.notes
    assert "taken for centres" in note
    # A box of a part, or of other data, does not fit.
    other = grid_of(points(lat[:100], 0.25 * np.arange(100)), (-180, -90, 180, 90))
    assert edges(other) == pytest.approx((-0.125, 90.125, 0.25, -0.25))
    assert "bbox of its profile" in other.notes[0]


def test_longitudes_across_the_antimeridian_are_one_row() -> None:
    lon = np.array([178.5, 179.5, -179.5, -178.5])
    grid = grid_of(points(np.array([10.5, 9.5]), lon))
    assert edges(grid) == (178, 11, 1, -1)
    assert footprint(grid)[1] == [178, 9, -178, 11]


def test_pixels_that_lie_in_no_rows_are_refused_with_the_reason() -> None:
    lat = np.add.outer(np.arange(3.0), np.arange(4) * 0.1)
    curved = xr.Dataset(
        {"v": (("y", "x"), np.zeros((3, 4)))},
        {"nav_lat": (("y", "x"), lat), "nav_lon": (("y", "x"), lat)},
    )
    with pytest.raises(StacbuildError, match=r"nav_lat is given for each pixel .* curvilinear"):
        grid_of(curved)
    mesh = xr.Dataset(
        {"v": ("cell", np.zeros(5))},
        {"lat": ("cell", np.zeros(5), {"standard_name": "latitude"})},
    )
    with pytest.raises(StacbuildError, match="unstructured"):
        grid_of(mesh)


@pytest.mark.parametrize(
    ("names", "meanings"),
    [
        (("northing", "easting"), ("", "")),
        (("rows", "cols"), ("projection_y_coordinate", "projection_x_coordinate")),
    ],
)
def test_other_names_of_the_axes(names: tuple[str, str], meanings: tuple[str, str]) -> None:
    ds = utm().rename(y=names[0], x=names[1])
    for name, meaning in zip(names, meanings, strict=True):
        ds[name].attrs = {"standard_name": meaning} if meaning else {}
    grid = grid_of(ds)
    assert (grid.y, grid.x, edges(grid)) == (*names, WHOLE)


def test_degrees_in_a_projected_crs_and_metres_in_a_geographic_one_are_refused() -> None:
    ds = points([51.5, 50.5], [10.5, 11.5]).assign_attrs(crs=UTM)
    for name in ("latitude", "longitude"):
        del ds[name].attrs["units"]
    with pytest.raises(StacbuildError, match="latitude is in degrees"):
        grid_of(ds)
    with pytest.raises(StacbuildError, match=r"y reaches 5e\+06, which is not a latitude"):
        grid_of(utm(spatial_ref="EPSG:4326"))


def test_a_stale_store_is_warned_of_by_name_when_it_is_built(tmp_path: Path) -> None:
    values = store(
        tmp_path / "in" / "s.zarr",
        X,
        Y,
        of={"grid_mapping": "spatial_ref"},
        spatial_ref=((), np.int32(0), MAPPING | {"GeoTransform": "499970 10 0 5000030 0 -10"}),
    )
    result, made, warnings, _ = cube(tmp_path)
    assert made is not None, result.message
    np.testing.assert_array_equal(made["v"].values, values)
    assert made["x"].values[0] == X[0]
    [warning] = warnings
    assert "s.zarr: GeoTransform of spatial_ref states pixels" in warning
