"""NetCDF files of one data id are joined along time, or refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
import yaml
from numpy.typing import NDArray

import stacbuild
from tests.support.array_files import LAT, LON


def write(path: Path, month: int, days: int, scale: float = 0.0, lon: Any = LON) -> NDArray[Any]:
    """Write a month, packed if there is a scale; return the values as netCDF4 decodes them."""
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("valid_time", None)
        for name, known in (("lat", LAT), ("lon", lon)):
            file.createDimension(name, len(known))
            file.createVariable(name, "f8", (name,))[:] = known
        time = file.createVariable("valid_time", "i4", ("valid_time",))
        time[:], time.units = np.arange(days), f"days since 2020-{month:02d}-01"
        dims = ("valid_time", "lat", "lon")
        data = file.createVariable("t2m", "i2" if scale else "f4", dims, fill_value=-32767)
        if scale:
            data.scale_factor, data.add_offset = scale, 10.0 * month
        numbers = np.arange(days * 20 * len(lon)).reshape(days, 20, len(lon)) % 900
        data[:] = np.ma.masked_equal(numbers, 7)
        mask = file.createVariable("land", "i1", ("lat", "lon"))
        mask[:] = 1
    with netCDF4.Dataset(path) as file:
        return np.ma.filled(file["t2m"][:].astype("f8"), np.nan)


def config_of(folder: Path, data_id: str = "era_*.nc") -> stacbuild.Config:
    content = {
        "data_stores": [
            {"identifier": "own", "store_id": "file", "store_params": {"root": "data"}},
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "cubes"}},
        ],
        "datasets": [{"identifier": "era", "store": "own", "data_id": data_id}],
    }
    (folder / "c.yml").write_text(yaml.safe_dump(content))
    return stacbuild.load_config(folder / "c.yml")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.mark.parametrize("scales", [(0.0, 0.0), (0.5, 0.5), (0.5, 0.25)])
def test_months_become_one_time_axis(data: Path, scales: tuple[float, float]) -> None:
    # Written in another order than that of their names.
    second = write(data / "era_a.nc", 2, 2, scales[1])
    first = write(data / "era_b.nc", 1, 3, scales[0])
    config = config_of(data.parent)
    stacbuild.harvest(config)
    (plan,) = stacbuild.plan(config)
    assert plan.expected is not None
    assert plan.expected.variables[-1].shape[0] == 3 + 2
    found = stacbuild.load(config, "era")
    days = found["time"].values.astype("M8[D]").astype(str)
    assert list(days) == ["2020-01-01", "2020-01-02", "2020-01-03", "2020-02-01", "2020-02-02"]
    assert np.allclose(found["t2m"].values, np.concatenate([first, second]), equal_nan=True)
    assert found["land"].dims == ("lat", "lon")


def test_a_file_that_is_added_is_noticed(data: Path) -> None:
    write(data / "era_1.nc", 1, 2)
    config = config_of(data.parent)
    stacbuild.build(config)
    write(data / "era_2.nc", 2, 1)
    assert [each.action for each in stacbuild.plan(config)] == ["rebuild"]
    stacbuild.build(config)
    assert xr.open_zarr(data.parent / "cubes/era.zarr").sizes["time"] == 3


def test_files_that_do_not_follow_one_another_are_refused(data: Path) -> None:
    write(data / "era_1.nc", 1, 5)
    write(data / "era_2.nc", 1, 3)
    with pytest.raises(stacbuild.StacbuildError, match=r"era_1\.nc .*era_2\.nc .*overlap"):
        stacbuild.harvest(config_of(data.parent))
    write(data / "era_2.nc", 2, 3, lon=LON[:20])
    with pytest.raises(stacbuild.StacbuildError, match="have different grids"):
        stacbuild.harvest(config_of(data.parent))
    write(data / "era_2.nc", 2, 3)
    with netCDF4.Dataset(data / "era_2.nc", "a") as file:
        file.renameVariable("land", "sea")
    with pytest.raises(stacbuild.StacbuildError, match="have different variables"):
        stacbuild.harvest(config_of(data.parent))


def test_different_types_are_refused(data: Path) -> None:
    write(data / "era_1.nc", 1, 2)
    write(data / "era_2.nc", 2, 2, 0.5)
    config = config_of(data.parent)
    stacbuild.harvest(config)
    with pytest.raises(
        stacbuild.StacbuildError, match="t2m is float32 in one of its files and int16"
    ):
        stacbuild.load(config, "era")


def change(path: Path, name: str, attrs: dict[str, Any]) -> None:
    with netCDF4.Dataset(path, "a") as file:
        file[name].setncatts(attrs)


@pytest.mark.parametrize(
    ("name", "first", "second", "what"),
    [
        ("t2m", {"units": "K"}, {"units": "degC"}, "t2m has the units K in .* and degC in"),
        ("t2m", {"units": "hours since 2020-01-01"}, {"units": "hours since 2020-02-01"}, "units"),
        ("land", {"flag_values": np.array([0, 1], "i1"), "flag_meanings": "sea land"},
         {"flag_values": np.array([0, 1], "i1"), "flag_meanings": "land sea"},
         "land has the flag_meanings sea land in .* and land sea in"),
    ],
)  # fmt: skip
def test_values_of_different_meaning_are_refused(
    data: Path, name: str, first: dict[str, Any], second: dict[str, Any], what: str
) -> None:
    for number, attrs in enumerate((first, second), 1):
        write(data / f"era_{number}.nc", number, 2)
        change(data / f"era_{number}.nc", name, attrs)
    with pytest.raises(stacbuild.StacbuildError, match=what):
        stacbuild.build(config_of(data.parent))


def test_a_title_that_differs_between_files_is_left_out(data: Path) -> None:
    for number, title in enumerate(("January", "February"), 1):
        write(data / f"era_{number}.nc", number, 2)
        change(data / f"era_{number}.nc", "t2m", {"long_name": title, "units": "K"})
    stacbuild.build(config_of(data.parent))
    attrs = xr.open_zarr(data.parent / "cubes/era.zarr")["t2m"].attrs
    assert attrs["units"] == "K"
    assert "long_name" not in attrs


def test_times_with_fractions_of_a_second(data: Path) -> None:
    # As texts, 00:00:00.5Z would be before 00:00:00Z.
    for number, times in enumerate(([0.0], [0.5, 1.25]), 1):
        path = data / f"era_{number}.nc"
        write(path, 1, len(times))
        with netCDF4.Dataset(path, "a") as file:
            file.renameVariable("valid_time", "unused")
            file["unused"].units = "1"
            time = file.createVariable("valid_time", "f8", ("valid_time",))
            time[:], time.units = times, "seconds since 2020-01-01"
    stacbuild.build(config_of(data.parent))
    found = xr.open_zarr(data.parent / "cubes/era.zarr")["time"].values
    past = (found - np.datetime64("2020-01-01", "ns")) / np.timedelta64(1, "s")
    assert past.tolist() == [0.0, 0.5, 1.25]


def test_names_of_dimensions_that_differ_are_refused(data: Path) -> None:
    for number in (1, 2):
        write(data / f"era_{number}.nc", number, 2)
    with netCDF4.Dataset(data / "era_2.nc", "a") as file:
        for old, new in (("lat", "latitude"), ("lon", "longitude")):
            file.renameDimension(old, new)
            file.renameVariable(old, new)
    with pytest.raises(stacbuild.StacbuildError, match="name their dimensions differently"):
        stacbuild.harvest(config_of(data.parent))
