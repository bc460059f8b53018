"""Cubes of NetCDF and HDF5 files have the values that other libraries read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import netCDF4
import numpy as np
import pyproj
import pytest
import xarray as xr
import yaml
from numpy.typing import NDArray

import stacbuild
from tests.support.array_files import LAT, LON, values, write_groups, write_hdf5, write_netcdf

LAEA = {"crs": "EPSG:3035", "bbox": [3700000, 2500000, 4300000, 3100000], "spatial_res": 50000}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    for name, file_format in (
        ("netcdf4", "NETCDF4"),
        ("classic", "NETCDF3_CLASSIC"),
    ):
        write_netcdf(data / f"{name}.nc", file_format)
    write_groups(data / "groups.nc")
    write_hdf5(data / "plain.h5", chunks=(6, 7), compression="gzip")
    return tmp_path


SOURCES = {
    "netcdf4": ("netcdf4.nc", "packed"),
    "classic": ("classic.nc", "packed"),
    "groups": ("groups.nc/forecast", "tp"),
    "hdf5": ("plain.h5", "z"),
}


def config_of(folder: Path, names: dict[str, tuple[str, str]] = SOURCES) -> stacbuild.Config:
    datasets = []
    for name, (data_id, _) in names.items():
        datasets += [
            {"identifier": f"{name}_own", "store": "own", "data_id": data_id},
            {
                "identifier": f"{name}_laea",
                "store": "own",
                "data_id": data_id,
                "grid_mapping": "laea",
                "spatial_resample_params": {"interp_methods": "nearest"},
            },
        ]
    content = {
        "data_stores": [
            {"identifier": "own", "store_id": "file", "store_params": {"root": "data"}},
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "cubes"}},
        ],
        "grid_mappings": [{"identifier": "laea", **LAEA}],
        "datasets": datasets,
    }
    path = folder / "c.yml"
    path.write_text(yaml.safe_dump(content))
    return stacbuild.load_config(path)


def test_values_on_the_own_and_on_a_projected_grid(folder: Path) -> None:
    config = config_of(folder)
    stacbuild.harvest(config)
    for name, (data_id, variable) in SOURCES.items():
        file, _, group = data_id.partition("/")
        with xr.open_dataset(
            folder / "data" / file,
            engine="netcdf4",
            group=group or None,
            decode_times=False,
        ) as opened:
            expected = opened[variable].values
        if name == "groups":
            # Its latitudes ascend.
            expected = expected[..., ::-1, :]
        own = stacbuild.load(config, f"{name}_own")[variable]
        assert count_wrong(own, expected) == 0, name
        projected = stacbuild.load(config, f"{name}_laea")[variable]
        rows, columns = under(projected)
        assert count_wrong(projected, expected[..., rows, columns]) == 0, name


def count_wrong(found: xr.DataArray, expected: NDArray[Any]) -> int:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    both_missing = np.isnan(found.values) & np.isnan(expected)
    return int(((found.values != expected) & ~both_missing).sum())


def under(array: xr.DataArray) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return row and column of the source pixel below each pixel."""
    to_lonlat = pyproj.Transformer.from_crs(3035, 4326, always_xy=True)
    x, y = np.meshgrid(array.x.values, array.y.values)
    lon, lat = to_lonlat.transform(x, y)
    return np.floor(60 - lat).astype(int), np.floor(lon).astype(int)


def test_items_and_descriptions(folder: Path) -> None:
    config = config_of(folder, {"groups": SOURCES["groups"], "hdf5": SOURCES["hdf5"]})
    stacbuild.build(config)
    entries = {each.data_id: each.type for each in stacbuild.list_data("file", f"{folder}/data")}
    assert entries["netcdf4.nc"] == entries["groups.nc"] == "NetCDF"
    assert entries["plain.h5"] == "HDF5"
    found = stacbuild.describe("file", f"{folder}/data", "groups.nc/forecast")
    assert found["type"] == "NetCDF"
    assert found["variables"]["tp"]["shape"] == [3, 20, 30]
    items = [json.loads(path.read_text()) for path in folder.glob("catalogs/file*/*/*.json")]
    assets = {each["properties"]["stacbuild:data_id"]: each["assets"]["data"] for each in items}
    forecast = assets["groups.nc/forecast"]
    assert forecast["type"] == "application/netcdf"
    assert forecast["href"].endswith("data/groups.nc")
    assert forecast["stacbuild:group"] == "forecast"
    assert forecast["file:size"] == (folder / "data/groups.nc").stat().st_size
    assert assets["plain.h5"]["type"] == "application/x-hdf5"
    assert items[0]["properties"]["cube:dimensions"]
    assert not [check for check in stacbuild.validate(config, deep=True) if not check.well]


def test_a_changed_file_is_noticed(folder: Path) -> None:
    config = config_of(folder, {"netcdf4": SOURCES["netcdf4"]})
    stacbuild.build(config)
    assert {each.action for each in stacbuild.plan(config)} == {"up to date"}
    with netCDF4.Dataset(folder / "data/netcdf4.nc", "a") as file:
        file["packed"].set_auto_maskandscale(False)
        file["packed"][:] = 5
        file.history = "changed"
    stacbuild.build(config)
    cube = xr.open_zarr(folder / "cubes/netcdf4_own.zarr", mask_and_scale=False)
    assert (cube["packed"].values == 5).all() or np.allclose(cube["packed"].values, 280.05)


def test_two_dimensional_coordinates_are_refused(folder: Path) -> None:
    with netCDF4.Dataset(folder / "data/swath.nc", "w") as file:
        file.createDimension("y", 4)
        file.createDimension("x", 5)
        lon, lat = np.meshgrid(LON[:5], LAT[:4])
        for name, known, unit in (("lat", lat + lon / 9, "north"), ("lon", lon + lat / 9, "east")):
            axis = file.createVariable(name, "f4", ("y", "x"))
            axis[:], axis.units = known, f"degrees_{unit}"
        data = file.createVariable("v", "f4", ("y", "x"))
        data[:], data.coordinates = values()[0, :4, :5], "lat lon"
        file.time_coverage_start = "2020-01-01"
    with pytest.raises(stacbuild.StacbuildError, match=r"swath\.nc: .*two dimensions|2-D|curvi"):
        stacbuild.describe("file", f"{folder}/data", "swath.nc")


def test_texts_that_xarray_wrote_as_characters(folder: Path) -> None:
    names = ["für", "b", "mist"]
    array = xr.DataArray(
        values(),
        {"lat": LAT, "lon": LON, "name": ("time", names)},
        ("time", "lat", "lon"),
        name="v",
    )
    array["time"] = np.arange("2020-01-01", "2020-01-04", dtype="M8[D]").astype("M8[ns]")
    array.to_netcdf(folder / "data/texts.nc", format="NETCDF3_CLASSIC", engine="netcdf4")
    config = config_of(folder, {"texts": ("texts.nc", "v")})
    stacbuild.harvest(config)
    found = stacbuild.load(config, "texts_own")
    assert found["name"].values.tolist() == names
    assert count_wrong(found["v"], values()) == 0


def test_records_that_were_never_written_are_nodata(folder: Path) -> None:
    with netCDF4.Dataset(folder / "data/netcdf4.nc", "a") as file:
        shape = ("time", "lat", "lon")
        part = file.createVariable("part", "f4", shape, fill_value=-1, chunksizes=(2, 7, 30))
        part[:1] = values()[0]
        file.createVariable("never", "i2", shape, fill_value=-9)
        lead = file.createVariable("lead", "f4", ("time",), fill_value=-1)
        lead[:2] = [6, 12]
        label = file.createVariable("label", str, ("time",))
        label[:1] = np.array(["first"], object)
        file["packed"].coordinates = "lead label"
    config = config_of(folder, {"netcdf4": SOURCES["netcdf4"]})
    stacbuild.harvest(config)
    found = stacbuild.load(config, "netcdf4_own")
    with xr.open_dataset(folder / "data/netcdf4.nc", engine="netcdf4") as opened:
        for name in ("packed", "part", "never"):
            assert np.array_equal(found[name], opened[name], equal_nan=True), name
        assert np.array_equal(found["lead"], opened["lead"], equal_nan=True)
    assert np.isnan(found["part"].values[1:]).all()
    assert np.isnan(found["never"].values).all()
    assert found["label"].values.tolist() == ["first", "", ""]


@pytest.mark.parametrize(("axis", "value"), [("lon", 9.97e36), ("lon", -2e304), ("lat", 9.97e36)])
def test_a_coordinate_that_was_not_written_is_refused(
    folder: Path, axis: str, value: float
) -> None:
    with h5py.File(folder / "data/plain.h5", "a") as file:
        file[axis][7] = value
    with pytest.raises(stacbuild.StacbuildError, match=f"coordinate {axis} is not regularly"):
        stacbuild.describe("file", f"{folder}/data", "plain.h5")
