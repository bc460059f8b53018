"""Times of Zarr stores that xarray does not decode, or that are no coordinates of a dimension."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from stacbuild.errors import MissingError, StacbuildError
from stacbuild.formats.zarr_decode import decoded
from stacbuild.sources.file.listing import entries
from stacbuild.sources.file.store import FileStore
from stacbuild.sources.listing_base import make_store
from tests.support.built import INSIDE, LAT, LON
from tests.support.raw_zarr import GRID, Raw, made, refused, write

PIXELS = np.arange(120 * 120, dtype="int32").reshape(120, 120)
STACK = np.stack([PIXELS, PIXELS + 1, PIXELS + 2])
DAYS = np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "datetime64[ns]")


def times(values: Any, units: str, **attrs: Any) -> list[str]:
    """Decode times; give them to the hour."""
    coordinate = xr.Variable("time", np.asarray(values), {"units": units, **attrs})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = decoded(xr.Dataset(coords={"time": coordinate}), 2)["time"]
    assert found.dtype == np.dtype("datetime64[ns]")
    return [str(each)[:13] for each in found.values]


MONTHS = "months since 2020-01-01"


@pytest.mark.parametrize(
    ("values", "units", "attrs", "expected"),
    [
        ([0, 1, 14], MONTHS, {}, "2020-01-01T00 2020-02-01T00 2021-03-01T00"),
        ([-1.0, 2], "months since 2020-01-15 12:00", {}, "2019-12-15T12 2020-03-15T12"),
        ([24228], "month since 0001-01-01", {}, "2020-01-01T00"),
        ([0, 2], MONTHS, {"calendar": "noleap"}, "2020-01-01T00 2020-03-01T00"),
        ([0, 20], "years since 2000-07-01", {}, "2000-07-01T00 2020-07-01T00"),
        ([1, 1.5], "weeks since 2020-01-01", {}, "2020-01-08T00 2020-01-11T12"),
        ([0, np.nan], MONTHS, {"calendar": "gregorian"}, "2020-01-01T00 NaT"),
        (np.array([1, 2], "int16"), MONTHS, {"scale_factor": 2.0}, "2020-03-01T00 2020-05-01T00"),
        ([0.5, 1.5], MONTHS, {"calendar": "360_day"}, "2020-01-16T00 2020-02-16T00"),
        ([0.5, 1.5], MONTHS, {"calendar": "360"}, "2020-01-16T00 2020-02-16T00"),
        ([1], "days since 2020-01-01", {"calendar": ""}, "2020-01-02T00"),
    ],
)
def test_months_years_and_weeks(
    values: Any, units: str, attrs: dict[str, Any], expected: str
) -> None:
    assert times(values, units, **attrs) == expected.split()


@pytest.mark.parametrize(
    ("values", "units", "said"),
    [
        ([0.5], "months since 2020-01-01", "are fractions"),
        ([0.25], "years since 2020-01-01", "are fractions"),
        ([1], "months since 2020-01-31", "a day that not every month has"),
        ([1e12], "months since 2020-01-01", "beyond the years 1678 to 2261"),
        ([1e12], "weeks since 2020-01-01", "beyond the years 1678 to 2261"),
        ([9000], "months since 2020-01-01", "beyond the years 1678 to 2261"),
        ([1], "months since whenever", "whenever"),
    ],
)
def test_months_of_no_certain_length_are_refused(values: Any, units: str, said: str) -> None:
    with pytest.raises(StacbuildError, match=said):
        times(values, units)


def store(directory: Path, dims: list[str], **coords: Any) -> None:
    """Write ``src/one.zarr`` with the variable ``v`` and these coordinates."""
    values = STACK if len(dims) == 3 else PIXELS
    ds = xr.Dataset({"v": (dims, values)}, {"lat": LAT, "lon": LON, **coords})
    ds.to_zarr(directory / "src" / "one.zarr", zarr_format=2)


def chosen(*limits: str) -> dict[str, Any]:
    """Choose times."""
    return {"open_params": {"time_range": list(limits)}}


@pytest.mark.parametrize(
    ("dim", "coords"),
    [
        ("valid_time", {"valid_time": DAYS}),
        ("step", {"step": [0, 24, 48], "valid_time": ("step", DAYS)}),
        ("step", {"time": DAYS[0], "valid_time": ("step", DAYS)}),
        ("t", {"time": ("t", DAYS), "made": ("t", DAYS[::-1])}),
    ],
    ids=["other name", "auxiliary", "forecast", "two"],
)
def test_a_range_of_times_under_other_names(
    tmp_path: Path, dim: str, coords: dict[str, Any]
) -> None:
    store(tmp_path, [dim, "lat", "lon"], **coords)
    cube = made(tmp_path, chosen("2020-01-02", "2020-01-03"))
    assert np.array_equal(cube["v"].values, STACK[1:, *INSIDE])


def test_a_range_of_times_that_cannot_be_told_apart(tmp_path: Path) -> None:
    store(tmp_path, ["t", "lat", "lon"], begun=("t", DAYS), ended=("t", DAYS))
    assert "has several times (begun, ended)" in refused(tmp_path, chosen("2020-01-02", "2020"))


def test_a_store_of_one_time(tmp_path: Path) -> None:
    store(tmp_path, ["lat", "lon"], time=DAYS[1])
    assert np.array_equal(made(tmp_path, chosen("2020-01", "2020-02"))["v"].values, PIXELS[INSIDE])
    assert "holds none of its times, 2020-01-02" in refused(tmp_path, chosen("2021", "2021"))


def test_steps_of_a_forecast_are_numbers_of_hours(tmp_path: Path) -> None:
    hours = np.array([0, 6, 12], "timedelta64[h]").astype("timedelta64[ns]")
    store(tmp_path, ["step", "lat", "lon"], time=DAYS[0], step=hours)
    cube = made(tmp_path)
    assert np.array_equal(cube["v"].values, STACK[:, *INSIDE])
    with xr.open_zarr(tmp_path / "data" / "cube.zarr", decode_timedelta=True) as opened:
        assert np.array_equal(opened["step"].values, hours)


@pytest.mark.parametrize("fmt", [2, 3])
@pytest.mark.parametrize("dim", ["time", "band"])
def test_labels_of_text(tmp_path: Path, dim: str, fmt: int) -> None:
    labels = np.array(["first", "second", "3°"], object)
    ds = xr.Dataset({"v": ((dim, "lat", "lon"), STACK)}, {dim: labels, "lat": LAT, "lon": LON})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.to_zarr(tmp_path / "src" / "one.zarr", zarr_format=fmt)  # type: ignore[call-overload]
    cube = made(tmp_path)
    assert cube[dim].values.tolist() == labels.tolist()
    # A label is no time.
    assert "standard_name" not in cube[dim].attrs


def test_texts_of_one_length(tmp_path: Path) -> None:
    variables = {"v": Raw(["band", "lat", "lon"], STACK), **GRID}
    variables["band"] = Raw(["band"], np.array(["B02", "B03", "B8A"]))
    write(tmp_path / "src" / "one.zarr", variables)
    assert made(tmp_path)["band"].values.tolist() == ["B02", "B03", "B8A"]


def test_a_folder_that_is_not_there_is_no_store(tmp_path: Path) -> None:
    folder = make_store("file", str(tmp_path / "nowhere"))
    assert isinstance(folder, FileStore)
    with pytest.raises(MissingError, match="nowhere: there is no such folder; check the path"):
        next(entries(folder, None))
