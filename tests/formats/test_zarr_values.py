"""Values, types and times of Zarr stores that other programs write: right, or refused by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from stacbuild.formats.zarr_store import open_source
from tests.support.built import INSIDE, LAT, LON
from tests.support.cli import Json
from tests.support.raw_zarr import GRID, Raw, Warned, made, refused, result, write

Make = Callable[..., Path]

ROWS, COLS = np.indices((120, 120))
NUMBERS = ROWS * 120 + COLS
HALF = {"spatial_res": 0.002}


@pytest.fixture
def store(tmp_path: Path) -> Make:
    """Write ``src/one.zarr`` with the variable ``v``, and further ones; the grid unless given."""

    def make(
        values: Any, attrs: Json | None = None, *, fill: Any = None, fmt: int = 2, **more: Raw
    ) -> Path:
        values = np.asarray(values)
        dims = ["time", "lat", "lon"][-values.ndim :]
        variables = {"v": Raw(dims, values, attrs or {}, fill), **GRID, **more}
        write(tmp_path / "src" / "one.zarr", variables, fmt)
        return tmp_path

    return make


def times(values: Any, **attrs: Any) -> Raw:
    return Raw(["time"], values, {"units": "days since 2020-01-01", **attrs})


def three() -> np.ndarray[Any, Any]:
    return np.stack([NUMBERS + 20000 * step for step in range(3)]).astype("int32")


def dates(directory: Path) -> list[str]:
    cube = made(directory)
    assert np.array_equal(cube["v"].values, three()[(slice(None), *INSIDE)])
    return [str(time)[:10] for time in cube["time"].values]


class TestCoordinates:
    @pytest.mark.parametrize("fmt", [2, 3])
    def test_packed_degrees_are_unpacked(self, store: Make, fmt: int) -> None:
        steps = np.arange(120, dtype="int16")
        packed = {
            "lat": Raw(
                ["lat"],
                steps,
                {"units": "degrees_north", "scale_factor": -0.001, "add_offset": LAT[0]},
            ),
            "lon": Raw(
                ["lon"],
                steps,
                {"units": "degrees_east", "scale_factor": 0.001, "add_offset": LON[0]},
            ),
        }
        cube = made(store(NUMBERS.astype("int16"), fmt=fmt, **packed))
        assert np.array_equal(cube["v"].values, NUMBERS[INSIDE])
        assert np.allclose(cube["lat"].values, LAT[10:110])

    def test_a_zero_that_nobody_chose_is_a_coordinate(self, store: Make) -> None:
        at_zero = {
            "lat": Raw(["lat"], LAT, {"units": "degrees_north"}, 0.0),
            "time": Raw(["time"], np.arange(3), {"units": "days since 2020-01-01"}, 0),
        }
        assert dates(store(three(), **at_zero)) == ["2020-01-01", "2020-01-02", "2020-01-03"]

    def test_packed_times_are_unpacked(self, store: Make) -> None:
        packed = times(np.arange(3, dtype="int16"), scale_factor=8.0, add_offset=1.0)
        assert dates(store(three(), time=packed)) == ["2020-01-02", "2020-01-10", "2020-01-18"]

    def test_packed_bounds_tell_the_pixels(self, store: Make) -> None:
        # Coordinates are the southern edges; only the bounds say so.
        edges = np.stack([np.arange(120), np.arange(120) - 1], axis=1).astype("int16")
        attrs = {"units": "degrees_north", "bounds": "lat_bnds"}
        packing = {"scale_factor": 0.001, "add_offset": LAT[-1] + 0.0005}
        south_up = {
            "lat": Raw(["lat"], LAT[::-1] - 0.0005, attrs),
            "lat_bnds": Raw(["lat", "bnds"], edges + 0, packing),
        }
        cube = made(store(NUMBERS[::-1].astype("int16"), **south_up))
        assert np.array_equal(cube["v"].values, NUMBERS[INSIDE])


class TestCalendars:
    @pytest.mark.parametrize(
        ("calendar", "expected"),
        [
            ("noleap", ["2020-02-27", "2020-02-28", "2020-03-01"]),
            ("360_day", ["2020-02-27", "2020-02-28", "2020-02-29"]),
            ("julian", ["2020-02-27", "2020-02-28", "2020-02-29"]),
            ("proleptic_gregorian", ["2020-02-27", "2020-02-28", "2020-02-29"]),
        ],
    )
    def test_labels_are_dates(self, store: Make, calendar: str, expected: list[str]) -> None:
        first = 56 if calendar == "360_day" else 57
        assert (
            dates(store(three(), time=times(first + np.arange(3), calendar=calendar))) == expected
        )

    def test_a_date_that_there_is_not_is_named(self, store: Make) -> None:
        said = refused(store(three(), time=times(57 + np.arange(3), calendar="360_day")))
        assert "calendar 360_day" in said
        assert "2020-02-30" in said

    def test_without_cftime_it_is_named(self, store: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "cftime", None)
        said = refused(store(three(), time=times(np.arange(3), calendar="noleap")))
        assert "'noleap'" in said
        assert "pip install cftime" in said

    def test_range_and_resampling(self, store: Make) -> None:
        directory = store(three(), time=times(57 + np.arange(3), calendar="noleap"))
        wanted = {"open_params": {"time_range": ["2020-02-28", "2020-03"]}}
        assert made(directory, wanted)["time"].size == 2
        monthly = {"temporal_resample_params": {"frequency": "MS", "agg_methods": "last"}}
        cube = made(directory, monthly)
        assert [str(time)[:7] for time in cube["time"].values] == ["2020-02", "2020-03"]
        assert np.array_equal(cube["v"].values, three()[(slice(1, 3), *INSIDE)])

    @pytest.mark.parametrize(
        ("calendar", "year"), [("noleap", "0850"), ("standard", "0850"), ("standard", "3000")]
    )
    def test_years_out_of_reach_are_named(self, store: Make, calendar: str, year: str) -> None:
        far = times(np.arange(3), units=f"days since {year}-01-01", calendar=calendar)
        said = refused(store(three(), time=far))
        assert "coordinate time: " in said
        assert year in said


class TestMissingTimes:
    @pytest.mark.parametrize(
        "time",
        [
            times(np.array([0, np.nan, 2.0])),
            Raw(["time"], np.array([0, -9999, 2]), {"units": "days since 2020-01-01"}, -9999),
            times(np.array([0, np.nan, 2.0]), calendar="noleap"),
        ],
        ids=["float", "integer", "noleap"],
    )
    def test_are_named_and_can_be_left_out(self, store: Make, time: Raw) -> None:
        directory = store(three(), time=time)
        said = refused(directory)
        assert "time has no value (NaT) at step 2 of 3" in said
        assert "time_range: [2020-01-01, 2020-01-03]" in said
        cube = made(directory, {"open_params": {"time_range": ["2020-01-01", "2020-01-03"]}})
        assert np.array_equal(cube["v"].values, three()[(slice(0, 3, 2), *INSIDE)])

    def test_none_at_all(self, store: Make) -> None:
        said = refused(store(three()[:0], time=times(np.zeros(0))))
        assert "v has the length 0 along time" in said

    def test_resampling_needs_times(self, store: Make) -> None:
        directory = store(three(), time=times(np.array([0, np.nan, 2.0])))
        said = refused(directory, {"temporal_resample_params": {"frequency": "MS"}})
        assert "time has no value (NaT)" in said


class TestDates:
    @pytest.mark.parametrize(
        ("fmt", "dtype"),
        [(2, "int32"), (2, "int16"), (2, "float32"), (2, "float64"), (3, "int32"), (3, "int16")],
    )
    def test_stay_dates_with_nat_where_there_is_no_data(
        self, store: Make, dtype: str, fmt: int
    ) -> None:
        days = (NUMBERS % 300).astype(dtype)
        days[20:30, 20:30] = -9999
        attrs: Json = {"units": "days since 2020-01-01"} | (
            {"_FillValue": -9999} if fmt == 3 else {}
        )
        directory = store(days, attrs, fill=-9999 if fmt == 2 else None, fmt=fmt)
        made(directory)
        with xr.open_zarr(directory / "data" / "cube.zarr") as cube:
            found = cube["v"].load()
        assert found.dtype.kind == "M"
        assert np.isnat(found.values).sum() == 100
        expected = np.datetime64("2020-01-01") + days[INSIDE].astype(int)
        there = ~np.isnat(found.values)
        assert (found.values[there].astype("M8[D]") == expected[there]).all()

    def test_are_never_interpolated(self, store: Make) -> None:
        days = (NUMBERS % 2 * 100).astype("float32")
        cube = made(
            store(days, {"units": "days since 2020-01-01"}),
            grid={"bbox": [10.0, 45.0002, 10.1, 45.0902]},
        )
        first = np.datetime64("2020-01-01")
        assert set(cube["v"].values.ravel() - first) <= set(np.array([0, 100], "m8[D]"))


class TestClasses:
    @pytest.mark.parametrize("flags", ["flag_values", "flag_masks"])
    def test_of_floats_are_picked(self, store: Make, flags: str) -> None:
        codes = (COLS % 2 * 10).astype("float32")
        attrs = {flags: [0.0, 10.0], "flag_meanings": "water land"}
        cube = made(store(codes, attrs), grid={"bbox": [10.0003, 45.0, 10.0903, 45.09]})
        assert set(np.unique(cube["v"].values)) == {0, 10}
        larger = made(store(codes, attrs), grid=HALF)
        assert set(np.unique(larger["v"].values)) <= {0, 10}

    def test_in_time(self, store: Make) -> None:
        codes = np.stack([np.full((120, 120), value, "float32") for value in (0, 10, 10)])
        attrs = {"flag_values": [0.0, 10.0], "flag_meanings": "water land"}
        monthly = {"temporal_resample_params": {"frequency": "12h"}}
        cube = made(store(codes, attrs, time=times(np.arange(3))), monthly)
        assert set(np.unique(cube["v"].values)) == {0, 10}

    def test_meanings_that_do_not_fit_are_no_legend(self, store: Make) -> None:
        attrs = {"flag_values": [0, 1, 2], "flag_meanings": "water land"}
        cube = made(store((NUMBERS % 3).astype("uint8"), attrs))
        assert np.array_equal(cube["v"].values, (NUMBERS % 3)[INSIDE])


class TestTypes:
    @pytest.mark.parametrize("fmt", [2, 3])
    def test_bool_becomes_uint8(self, store: Make, fmt: int) -> None:
        cube = made(store(NUMBERS % 2 == 1, fill=False, fmt=fmt))
        assert cube["v"].dtype == np.uint8
        assert np.array_equal(cube["v"].values, (NUMBERS % 2)[INSIDE])
        assert "_FillValue" not in cube["v"].attrs

    def test_float16_becomes_float32(self, store: Make) -> None:
        values = (NUMBERS % 100).astype("float16")
        cube = made(store(values, fmt=3), grid=HALF)
        assert cube["v"].dtype == np.float32
        expected = values[INSIDE].astype(float).reshape(50, 2, 50, 2).mean((1, 3))
        assert np.allclose(cube["v"].values, expected)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    @pytest.mark.parametrize("method", ["max", "mean", "center"])
    def test_unsigned_values_are_ordered_as_such(
        self, store: Make, dtype: str, method: str
    ) -> None:
        top = np.iinfo(dtype).max
        values = (NUMBERS % 250 + top - 250).astype(dtype)
        values[20:30, 20:30] = top
        signed = dtype.removeprefix("u")
        directory = store(values.view(signed), {"_Unsigned": "true"}, fill=-1)
        cube = made(directory, {"spatial_resample_params": {"agg_methods": method}}, grid=HALF)
        assert cube["v"].dtype == values.dtype
        assert cube["v"].attrs["_FillValue"] == top
        assert "_Unsigned" not in cube["v"].attrs
        blocks = values[INSIDE].reshape(50, 2, 50, 2)
        there = np.ones((50, 50), bool)
        there[5:10, 5:10] = False
        if method == "max":
            assert np.array_equal(cube["v"].values[there], blocks.max((1, 3))[there])
        if method == "mean":
            mean = blocks.astype(float).mean((1, 3))[there]
            assert np.abs(cube["v"].values[there] - mean).max() <= 0.5
        assert (cube["v"].values[~there] == top).all()

    def test_signed_values_in_an_unsigned_type(self, store: Make) -> None:
        values = (NUMBERS % 100 - 50).astype("int8")
        directory = store(values.view("uint8"), {"_Unsigned": "false"}, fill=156)
        cube = made(directory, {"spatial_resample_params": {"agg_methods": "min"}}, grid=HALF)
        assert np.array_equal(cube["v"].values, values[INSIDE].reshape(50, 2, 50, 2).min((1, 3)))

    @pytest.mark.parametrize(
        "other",
        [
            np.full((120, 120), "a"),
            np.full((120, 120), b"ab"),
            np.zeros((120, 120), [("a", "i4"), ("b", "f4")]),
            np.zeros((120, 120), "complex64"),
        ],
        ids=["text", "bytes", "records", "complex"],
    )
    def test_what_no_cube_holds_is_left_out_or_refused(self, store: Make, other: Any) -> None:
        directory = store(NUMBERS.astype("int16"), odd=Raw(["lat", "lon"], other))
        warned = Warned()
        found = result(directory, warned=warned)
        assert found.status == "COMPLETED", found.message
        assert [said for said in warned.warnings if "left out: odd holds" in said] != []
        with xr.open_zarr(directory / "data" / "cube.zarr") as cube:
            assert list(cube.data_vars) == ["v"]
        said = refused(
            directory, {"identifier": "other", "open_params": {"variable_names": ["odd"]}}
        )
        assert "names 'odd', which holds" in said


class TestFractionalTimes:
    @pytest.mark.parametrize(
        ("units", "values"),
        [
            ("days since 1970-01-01", [17194.415409147987, 17200.1, np.nan]),
            ("hours since 1900-01-01 00:00:00.0", [1025644.1, 1025645.7, 1025646.9]),
            ("days since 0001-01-01", [737425.25, 737426.1, 737427.3]),
            ("seconds since 2020-01-01 06:30", [0.1, 0.123456789, 1.5]),
            ("days since 1678-01-01", [0.3, 0.5, 213300.9]),
        ],
    )
    def test_are_those_that_xarray_reads(
        self, tmp_path: Path, units: str, values: list[float]
    ) -> None:
        write(tmp_path / "one.zarr", {"time": Raw(["time"], np.array(values), {"units": units})})
        with (
            xr.open_zarr(tmp_path / "one.zarr", consolidated=False) as expected,
            open_source(str(tmp_path / "one.zarr")) as found,
        ):
            assert found["time"].dtype == expected["time"].dtype == np.dtype("M8[ns]")
            assert np.array_equal(found["time"].values, expected["time"].values, equal_nan=True)

    @pytest.mark.parametrize("units", ["days since 2262-01-01", "days since 1600-01-01"])
    def test_out_of_range_are_named(self, store: Make, units: str) -> None:
        said = refused(store(three(), time=times(np.array([0.3, 1.7, 2.123456789]), units=units)))
        assert "only times from 1678 to 2261 are supported" in said
        assert units.split()[2][:4] in said
