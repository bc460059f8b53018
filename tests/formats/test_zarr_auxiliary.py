"""Zarr stores whose x and y coordinates, or whose CRS, stand under names of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import xarray as xr

from stacbuild.errors import StacbuildError
from stacbuild.formats.zarr_grid import grid_of
from stacbuild.sources.describe import describe_items
from tests.support.built import INSIDE, LAT, LON
from tests.support.raw_zarr import GRID, Raw, Warned, made, refused, result, write

PIXELS = np.arange(120 * 120, dtype="int32").reshape(120, 120)
NORTH, EAST = {"units": "degrees_north"}, {"units": "degrees_east"}
METRES = 500_000 + 10 * (np.arange(120) + 0.5)
UTM = pyproj.CRS(32632)


@pytest.mark.parametrize("fmt", [2, 3])
@pytest.mark.parametrize(
    ("dims", "names"),
    [
        (("y", "x"), ("lat", "lon")),
        (("j", "i"), ("latitude", "longitude")),
        (("nlat", "nlon"), ("lat", "lon")),
        # One of them has the name of its dimension.
        (("lat", "x"), ("lat", "lon")),
    ],
)
def test_latitudes_along_y_and_longitudes_along_x(
    tmp_path: Path, dims: tuple[str, str], names: tuple[str, str], fmt: int
) -> None:
    variables = {
        "v": Raw(dims, PIXELS, {"coordinates": " ".join(names)}),
        names[0]: Raw(dims[:1], LAT, NORTH),
        names[1]: Raw(dims[1:], LON, EAST),
    }
    write(tmp_path / "src" / "one.zarr", variables, fmt)
    assert np.array_equal(made(tmp_path)["v"].values, PIXELS[INSIDE])


def dataset(y: Any = None, x: Any = None, **coords: Any) -> xr.Dataset:
    """A dataset of (y, x), whose dimensions have coordinates if they are given."""
    own = {name: values for name, values in (("y", y), ("x", x)) if values is not None}
    return xr.Dataset({"v": (("y", "x"), np.zeros((120, 120)))}, {**own, **coords})


AROUND = {"lat": ("y", LAT, NORTH), "lon": ("x", LON, EAST)}


@pytest.mark.parametrize(
    "ds",
    [
        dataset(np.arange(120), np.arange(1, 121), **AROUND),
        # Metres of a CRS that nobody states.
        dataset(("y", METRES, {"units": "m"}), ("x", METRES, {"units": "m"}), **AROUND),
        dataset(lat=("y", LAT), lon=("x", LON)),
        dataset(lat=("y", LAT, {"units": "degrees"}), lon=("x", LON, {"units": "degrees"})),
        dataset(**AROUND).reset_coords(),
        dataset(**AROUND).assign_attrs(crs="EPSG:4326"),
    ],
    ids=["counted", "metres", "names", "degrees", "variables", "crs"],
)
def test_places_of_auxiliary_coordinates(ds: xr.Dataset) -> None:
    grid = grid_of(ds)
    assert (grid.crs, grid.y, grid.x) == ("EPSG:4326", "y", "x")
    assert np.allclose(grid.bounds, (9.99, 44.99, 10.11, 45.11), atol=1e-9)


def test_eastings_and_northings_along_other_dimensions() -> None:
    meant = "projection_{}_coordinate"
    ds = dataset(
        n=("y", METRES, {"standard_name": meant.format("y"), "units": "m"}),
        e=("x", METRES / 1000, {"standard_name": meant.format("x"), "units": "km"}),
    ).assign_attrs(crs="EPSG:32632")
    assert grid_of(ds).bounds == (500_000, 500_000, 501_200, 501_200)


def test_degrees_do_not_stand_in_for_coordinates_of_a_stated_crs() -> None:
    ds = dataset(METRES, METRES, **AROUND).assign_attrs(crs="EPSG:32632")
    assert grid_of(ds).bounds == (500_000, 500_000, 501_200, 501_200)
    with pytest.raises(StacbuildError, match="no coordinates, and no transform"):
        grid_of(dataset(**AROUND).assign_attrs(crs="EPSG:32632"))


STATED = [
    ("esri_pe_string", UTM.to_wkt("WKT1_ESRI")),
    ("wkt", UTM.to_wkt()),
    ("proj4_string", "+proj=utm +zone=32 +datum=WGS84 +units=m"),
    ("proj_params", "+proj=utm +zone=32 +datum=WGS84 +units=m"),
    ("epsg", 32632),
    ("EPSG", "32632"),
    ("proj:code", "EPSG:32632"),
]


@pytest.mark.parametrize(("key", "value"), STATED)
@pytest.mark.parametrize("linked", [True, False])
def test_a_crs_in_a_variable_of_its_own(key: str, value: Any, linked: bool) -> None:
    ds = dataset(METRES, METRES).assign(utm=xr.DataArray(0, attrs={key: value}))
    if linked:
        ds["v"].attrs["grid_mapping"] = "utm"
    assert grid_of(ds).crs == "EPSG:32632"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("crs_wkt", UTM.to_wkt()),
        ("epsg", 32632),
        ("epsg_code", "EPSG:32632"),
        ("proj:epsg", 32632),
        ("proj4", "+proj=utm +zone=32 +datum=WGS84 +units=m"),
        ("crs", {"init": "epsg:32632"}),
    ],
)
def test_a_crs_in_an_attribute(key: str, value: Any) -> None:
    ds = dataset(METRES, METRES)
    assert grid_of(ds.assign_attrs({key: value})).crs == "EPSG:32632"
    ds["v"].attrs[key] = value
    assert grid_of(ds).crs == "EPSG:32632"


def test_a_grid_mapping_is_not_told_of_as_a_variable(tmp_path: Path) -> None:
    mapping = Raw([], np.int64(0), {"crs_wkt": pyproj.CRS(4326).to_wkt()})
    write(tmp_path / "src" / "one.zarr", {"v": Raw(["lat", "lon"], PIXELS), "utm": mapping, **GRID})
    found = result(tmp_path)
    assert found.status == "COMPLETED"
    [path] = (tmp_path / "catalogs" / "file-src").glob("*/*.json")
    import pystac

    item = pystac.Item.from_file(path)
    item.make_asset_hrefs_absolute()
    assert set(describe_items("one.zarr", [item], None, {})["variables"]) == {"v"}


@pytest.mark.parametrize("names", [("a", "z"), ("z", "a")])
def test_variables_on_another_grid_are_told_of(tmp_path: Path, names: tuple[str, str]) -> None:
    fine, coarse = names
    variables = {
        coarse: Raw(["rows", "columns"], PIXELS[::2, ::2]),
        "rows": Raw(["rows"], LAT[::2], NORTH),
        "columns": Raw(["columns"], LON[::2], EAST),
        fine: Raw(["lat", "lon"], PIXELS),
        **GRID,
    }
    write(tmp_path / "src" / "one.zarr", variables)
    warned = Warned()
    found = result(tmp_path, warned=warned)
    assert found.status == "COMPLETED", found.message
    with xr.open_zarr(tmp_path / "data" / "cube.zarr") as cube:
        assert np.array_equal(cube[fine].values, PIXELS[INSIDE])
        assert set(cube.data_vars) == {fine}
    said = f"{coarse} lies on another grid (rows, columns) than the one that is taken (lat, lon)"
    assert any(said in line for line in warned.warnings), warned.warnings
    chosen = {"open_params": {"variable_names": [coarse]}}
    assert f"names '{coarse}', which lies on another grid" in refused(tmp_path, chosen)


@pytest.mark.parametrize("unit", [None, ["degrees_east"], 1])
def test_units_that_are_no_text_are_none(unit: Any) -> None:
    ds = xr.Dataset({"v": (("lat", "lon"), np.zeros((120, 120)))}, {"lat": LAT, "lon": LON})
    ds["lon"].attrs["units"] = unit
    assert grid_of(ds).crs == "EPSG:4326"


GEOZARR = {
    "spatial:dimensions": ["y", "x"],
    "spatial:shape": [120, 120],
    "spatial:transform": [10, 0, 500_000, 0, -10, 501_200],
}
PROJ = {key.replace("spatial", "proj"): each for key, each in GEOZARR.items()}
PROJ_BOX = {"proj:shape": [120, 120], "proj:bbox": [500_000, 500_000, 501_200, 501_200]}


@pytest.mark.parametrize("stated", [GEOZARR, PROJ, PROJ_BOX])
def test_transforms_of_an_array(stated: dict[str, Any]) -> None:
    ds = dataset()
    ds["v"].attrs.update(stated | {"proj:epsg": 32632})
    assert grid_of(ds).bounds == (500_000, 500_000, 501_200, 501_200)
    ds["v"].attrs.update({"proj:shape": [240, 240], "spatial:shape": [240, 240]})
    with pytest.raises(StacbuildError, match="no transform that fits"):
        grid_of(ds)


def test_a_stale_transform_of_stac_is_told_of() -> None:
    moved = {**PROJ, "proj:transform": [10, 0, 400_000, 0, -10, 501_200]}
    grid = grid_of(dataset(METRES[::-1], METRES).assign_attrs(moved, crs="EPSG:32632"))
    assert grid.bounds == (500_000, 500_000, 501_200, 501_200)
    [note] = grid.notes
    assert "proj:transform states pixels x from 400000" in note


def test_dimensions_in_the_other_order() -> None:
    swapped = {"spatial:dimensions": ["x", "y"], "crs": "EPSG:32632"}
    grid = grid_of(dataset(METRES, METRES).isel(y=slice(60)).assign_attrs(swapped))
    assert (grid.y, grid.x, grid.notes) == (
        "y", "x", ("spatial:dimensions states that x is y and y is x; their names are used",)
    )  # fmt: skip


def test_nodes_in_capitals() -> None:
    nodes = {**GEOZARR, "spatial:registration": "Node", "crs": "EPSG:32632"}
    assert grid_of(dataset().assign_attrs(nodes)).bounds == (499_995, 500_005, 501_195, 501_205)
