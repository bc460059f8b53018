"""GeoTIFFs converted from netCDF: variables and times by the tags that GDAL's driver leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import rasterio.shutil
import xarray as xr
import yaml

from stacbuild.stac.catalog import Catalog
from tests.support.built import variable_of
from tests.support.cli import Json
from tests.support.rasters import INSIDE, Values, build_raster, cube, noise, write

DAYS = (0, 365, 730)
DATES = pd.DatetimeIndex(["1950-01-01", "1951-01-01", "1952-01-01"])


def tags_of(dim: str = "time", values: Any = DAYS, unit: str = "days since 1950-1-1") -> Json:
    """Return the tags that a dataset has for one dimension."""
    listed = ",".join(map(str, values))
    return {
        "NETCDF_DIM_EXTRA": f"{{{dim}}}",
        f"NETCDF_DIM_{dim}_DEF": f"{{{len(values)},6}}",
        f"NETCDF_DIM_{dim}_VALUES": f"{{{listed}}}" if len(values) > 1 else listed,
        f"{dim}#units": unit,
    }


def tagged(path: Path, values: Values, common: Json, bands: list[Json] | None = None) -> Values:
    """Write a raster with tags of the whole and of each band; return its values on the grid."""
    write(path, values)
    with rasterio.open(path, "r+") as file:
        file.update_tags(**common)
        for band, tags in enumerate(bands or [], 1):
            file.update_tags(band, **tags)
    return values[:, *INSIDE]


def named(*names: str, dim: str = "time", values: Any = DAYS) -> list[Json]:
    """Return the tags of bands: each name with all values after another."""
    return [{"NETCDF_VARNAME": name, f"NETCDF_DIM_{dim}": str(v)} for name in names for v in values]


def item_of(directory: Path) -> Json:
    """Return the source's item, as the catalog has it."""
    [item] = Catalog(directory / "catalogs").find("file:src", "one.tif")
    found: Json = item.to_dict()
    return found


def converted(directory: Path, dims: Json) -> xr.DataArray:
    """Write a netCDF of some dimensions, and have GDAL make a GeoTIFF of it."""
    lengths = [len(values) for values in dims.values()]
    shape = (*lengths, 40, 40)
    place = {"lat": 50 - 0.01 * (np.arange(40) + 0.5), "lon": 10 + 0.01 * (np.arange(40) + 0.5)}
    values = np.random.default_rng(5).random(shape).astype("f4")
    attrs = {"time": {"units": "days since 1950-1-1"}, "depth": {"units": "m"}}
    coords = {name: (name, list(each), attrs[name]) for name, each in dims.items()}
    data = xr.Dataset({"agb": ((*dims, "lat", "lon"), values)}, coords | place)
    data["lat"].attrs["units"], data["lon"].attrs["units"] = "degrees_north", "degrees_east"
    path = directory / "one.nc"
    data.to_netcdf(path)
    (directory / "src").mkdir()
    rasterio.shutil.copy(f"netcdf:{path}:agb", directory / "src" / "one.tif", driver="GTiff")
    with rasterio.open(directory / "src" / "one.tif", "r+") as file:
        file.crs = "EPSG:4326"
    return data["agb"][..., *INSIDE]


@pytest.mark.parametrize("days", [DAYS, (10.5,)])
def test_what_gdal_converted_has_its_name_and_times(tmp_path: Path, days: Any) -> None:
    source = converted(tmp_path, {"time": days})
    result, told = build_raster(tmp_path)
    assert result.error is None
    assert told.warnings == []
    found = cube(tmp_path)["agb"]
    assert found.dims == ("time", "lat", "lon")
    np.testing.assert_array_equal(found, source)
    expected = pd.Timestamp("1950-01-01") + pd.to_timedelta(days, "D")
    np.testing.assert_array_equal(found["time"], expected)
    item = item_of(tmp_path)
    assert item["properties"]["start_datetime"] == f"{expected[0]:%Y-%m-%dT%H:%M:%SZ}"
    assert item["properties"]["end_datetime"] == f"{expected[-1]:%Y-%m-%dT%H:%M:%SZ}"


def test_an_identifier_names_it_and_a_function_sees_the_name_of_the_file(tmp_path: Path) -> None:
    expected = tagged(tmp_path / "src" / "one.tif", noise("int16", 3), tags_of(), named("da"))
    (tmp_path / "modify.py").write_text(
        "def rename(ds):\n"
        "    assert ds['da'].dims == ('time', 'y', 'x'), ds\n"
        "    return ds.rename({'da': 'biomass'})\n"
    )
    custom = {"module_path": "modify.py", "function_name": "rename"}
    found = cube(tmp_path, custom_processing=custom)["biomass"]
    np.testing.assert_array_equal(found, expected)
    variables = [{"identifier": "xu", "store": "files", "data_id": "one.tif"}]
    params = {"store": None, "data_id": None, "variables": variables}
    found = cube(tmp_path, **params)["xu"]
    np.testing.assert_array_equal(found["time"], DATES)


def test_times_can_be_chosen_and_resampled(tmp_path: Path) -> None:
    expected = tagged(tmp_path / "src" / "one.tif", noise("float32", 3), tags_of(), named("da"))
    found = cube(tmp_path, open_params={"time_range": ["1951", None]})["da"]
    np.testing.assert_array_equal(found, expected[1:])
    params = {"frequency": "all", "agg_methods": "max"}
    found = cube(tmp_path, temporal_resample_params=params)["da"]
    np.testing.assert_array_equal(found, expected.max(axis=0, keepdims=True))


@pytest.mark.parametrize("order", ["in turn", "apart", "lists only"])
def test_two_variables_come_apart(tmp_path: Path, order: str) -> None:
    bands = named("a", "b")
    if order == "in turn":
        bands = [bands[number] for number in (0, 3, 1, 4, 2, 5)]
    which = {
        name: [at for at, tags in enumerate(bands) if tags["NETCDF_VARNAME"] == name]
        for name in "ab"
    }
    if order == "lists only":
        bands = [{"NETCDF_VARNAME": tags["NETCDF_VARNAME"]} for tags in bands]
    values = tagged(tmp_path / "src" / "one.tif", noise("uint8", 6), tags_of(), bands)
    found = cube(tmp_path)
    assert set(found.data_vars) - {"spatial_ref"} == {"a", "b"}
    for name, numbers in which.items():
        assert found[name].dims == ("time", "lat", "lon")
        np.testing.assert_array_equal(found["time"], DATES)
        np.testing.assert_array_equal(found[name], values[numbers])
    only = cube(tmp_path, open_params={"variable_names": ["b"]})
    assert set(only.data_vars) - {"spatial_ref"} == {"b"}
    result, _ = build_raster(tmp_path, open_params={"variable_names": ["c"]})
    assert "'c', which is not a variable of it; there are: a, b" in result.message


def test_variables_of_different_times_are_taken_one_by_one(tmp_path: Path) -> None:
    bands = [*named("a", values=DAYS[:2]), *named("b", values=DAYS[1:])]
    values = tagged(tmp_path / "src" / "one.tif", noise("uint8", 4), tags_of(), bands)
    result, _ = build_raster(tmp_path)
    assert "differ in time; take one by open_params.variable_names" in result.message
    found = cube(tmp_path, open_params={"variable_names": ["b"]})["b"]
    np.testing.assert_array_equal(found["time"], DATES[1:])
    np.testing.assert_array_equal(found, values[2:])


def test_another_dimension_names_the_bands(tmp_path: Path) -> None:
    source = converted(tmp_path, {"depth": (5.0, 10.0)})
    found = cube(tmp_path)["agb"]
    assert found.dims == ("band", "lat", "lon")
    np.testing.assert_array_equal(found, source)
    bands = item_of(tmp_path)["assets"]["data"]["bands"]
    assert [band["name"] for band in bands] == ["depth=5", "depth=10"]


def test_times_and_another_dimension_stay_bands(tmp_path: Path) -> None:
    source = converted(tmp_path, {"time": DAYS, "depth": (5.0, 10.0)})
    result, told = build_raster(tmp_path)
    assert result.error is None
    assert any("no times" in line and "differ in depth too" in line for line in told.warnings)
    found = cube(tmp_path)["agb"]
    np.testing.assert_array_equal(found, source.values.reshape(6, 20, 20))


def test_one_depth_is_no_obstacle(tmp_path: Path) -> None:
    source = converted(tmp_path, {"time": DAYS, "depth": (5.0,)})
    found = cube(tmp_path)["agb"]
    np.testing.assert_array_equal(found["time"], DATES)
    np.testing.assert_array_equal(found, source[:, 0])


def test_bands_taken_out_of_a_file_keep_their_own_times(tmp_path: Path) -> None:
    bands = named("da")[1:]
    tagged(tmp_path / "src" / "one.tif", noise("uint8", 2), tags_of(), bands)
    result, told = build_raster(tmp_path)
    assert (result.error, told.warnings) == (None, [])
    np.testing.assert_array_equal(cube(tmp_path)["time"], DATES[1:])


@pytest.mark.parametrize(
    ("calendar", "unit", "days", "expected"),
    [
        ("noleap", "days since 2000-01-01", (59, 365), ["2000-03-01", "2001-01-01"]),
        ("360_day", "months since 2000-01-01", (0, 13), ["2000-01-01", "2001-02-01"]),
        (
            "standard",
            "hours since 1990-01-01 12:00",
            (0, 0.5),
            ["1990-01-01T12", "1990-01-01T12:30"],
        ),
    ],
)
def test_calendars_are_those_of_zarr(
    tmp_path: Path, calendar: str, unit: str, days: Any, expected: list[str]
) -> None:
    common = tags_of(values=days, unit=unit) | {"time#calendar": calendar}
    tagged(tmp_path / "src" / "one.tif", noise("uint8", 2), common, named("da", values=days))
    np.testing.assert_array_equal(cube(tmp_path)["time"], pd.DatetimeIndex(expected))


@pytest.mark.parametrize(
    ("common", "bands", "reason"),
    [
        (tags_of(values=DAYS[:2]), named("da", values=("",) * 0), "3 bands, but 2 time"),
        (tags_of(values=DAYS[:2]), named("da"), "which is not in the file's list"),
        (tags_of() | {"NETCDF_DIM_time_DEF": "{4,6}"}, named("da"), "4 values by one tag and 3"),
        (tags_of(unit="days"), named("da"), "no unit since a date"),
        (tags_of(unit="fortnights since 2000-01-01"), named("da"), "cannot be decoded"),
        (tags_of(unit="days since yesterday"), named("da"), "cannot be decoded"),
        (tags_of() | {"time#calendar": "mayan"}, named("da"), "cannot be decoded"),
        (tags_of(values=("a", "b", "c")), named("da", values=("a", "b", "c")), "could not convert"),
        (tags_of(values=(0, "nan", 2)), [], "not a number"),
        (tags_of(values=(0, 1e9, 2)), [], "cannot be decoded"),
        (tags_of(values=(0, 2e5, 2)), [], "only times from 1678"),
        (tags_of(values=(0, 0, 2)), [], "several have the same"),
        ({"time#units": "days since 1950-1-1"}, named("da")[:1], "3 bands, but 0 time"),
        (tags_of(), [{"NETCDF_DIM_time": "365"}], "but the file's list 0"),
    ],
)
def test_times_that_cannot_be_relied_on_are_none(
    tmp_path: Path, common: Json, bands: list[Json], reason: str
) -> None:
    expected = tagged(tmp_path / "src" / "one.tif", noise("uint8", 3), common, bands)
    result, told = build_raster(tmp_path)
    assert result.error is None
    assert any(
        "no times that can be relied on" in line and reason in line for line in told.warnings
    )
    found = cube(tmp_path)
    [name] = set(found.data_vars) - {"spatial_ref"}
    assert found[name].dims == ("band", "lat", "lon")
    np.testing.assert_array_equal(found[name], expected)


@pytest.mark.parametrize("name", ["time", "a/b", "", "spatial_ref"])
def test_a_name_that_no_variable_can_have_is_left(tmp_path: Path, name: str) -> None:
    tagged(tmp_path / "src" / "one.tif", noise("uint8", 3), tags_of(), named(name))
    np.testing.assert_array_equal(variable_of(cube(tmp_path))["time"], DATES)


def test_a_profile_counts_before_the_tags(tmp_path: Path) -> None:
    tagged(tmp_path / "src" / "one.tif", noise("uint8", 3), tags_of(), named("da"))
    (tmp_path / "profiles").mkdir()
    content = {"source": "file:src", "data": [{"match": "*", "years": {"first": 2001, "count": 3}}]}
    (tmp_path / "profiles" / "own.yml").write_text(yaml.safe_dump(content))
    result, told = build_raster(tmp_path)
    assert result.error is None
    [line] = told.warnings
    assert "of 1950 to 1952 by its netCDF tags, but of 2001 to 2003 by its profile" in line
    years = cube(tmp_path)["da"]["time"].dt.year
    assert years.values.tolist() == [2001, 2002, 2003]


def test_four_bytes_with_tags_are_no_opacity(tmp_path: Path) -> None:
    days = (0, 365, 730, 1096)
    path = tmp_path / "src" / "one.tif"
    write(path, noise("uint8", 4), photometric="RGB", alpha="yes")
    with rasterio.open(path, "r+") as file:
        file.update_tags(**tags_of(values=days))
        for band, tags in enumerate(named("da", values=days), 1):
            file.update_tags(band, **tags)
    assert cube(tmp_path)["da"].sizes["time"] == 4


def test_bands_as_variables_stay_bands(tmp_path: Path) -> None:
    expected = tagged(tmp_path / "src" / "one.tif", noise("uint8", 3), tags_of(), named("da"))
    found = cube(tmp_path, open_params={"band_as_variable": True})
    for number in (1, 2, 3):
        np.testing.assert_array_equal(found[f"band_{number}"], expected[number - 1])
