"""Times resampled, sources of different times merged, fill values: each by its effect on a cube."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tests.support.built import INSIDE, made, refused, zarr_store
from tests.support.cli import Json


def store(path: Path, times: Any, seed: int = 1, holes: bool = True) -> xr.Dataset:
    """Write a store of floats and of codes at some times; some pixels are no data at some."""
    times = pd.DatetimeIndex(times)
    random = np.random.default_rng(seed)
    shape = (len(times), 120, 120)
    height = random.uniform(0, 50, shape).astype(np.float32)
    kind = random.integers(1, 9, shape, dtype=np.uint8)
    if holes:
        height[random.uniform(size=shape) < 0.2] = np.nan
        kind[random.uniform(size=shape) < 0.2] = 255
        # Everywhere, and all the time.
        height[0, :40] = np.nan
        kind[:, 50:60, 50:60] = 255
        height[:, 50:60, 50:60] = np.nan
    data = zarr_store(path, times, height=height, kind=kind)
    return data.isel(lat=INSIDE[0], lon=INSIDE[1])


# --- temporal_resample_params ---------------------------------------------------------------------


def test_longer_steps_are_means_of_floats_and_nearest_codes(tmp_path: Path) -> None:
    months = pd.date_range("2000-01-01", "2002-12-01", freq="MS")
    source = store(tmp_path / "src" / "one.zarr", months)
    cube = made(tmp_path, {"temporal_resample_params": {"frequency": "YS"}})
    assert cube["time"].values.tolist() == [
        int(pd.Timestamp(year, 1, 1).value) for year in (2000, 2001, 2002)
    ]
    for step, year in enumerate((2000, 2001, 2002)):
        of_year = source.sel(time=str(year))
        with np.errstate(all="ignore"):
            total = np.nansum(of_year["height"].values.astype(np.float64), axis=0)
            count = np.isfinite(of_year["height"].values).sum(axis=0)
            mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        np.testing.assert_allclose(cube["height"][step], mean, rtol=1e-5)
        np.testing.assert_array_equal(cube["kind"][step], of_year["kind"][0])
    assert cube["kind"].dtype == np.uint8
    assert cube["kind"].attrs["_FillValue"] == 255
    assert cube["height"].attrs["cell_methods"] == "time: mean"


@pytest.mark.parametrize("method", ["first", "last", "max", "min", "median", "sum", "std", "count"])
def test_each_way_to_aggregate(tmp_path: Path, method: str) -> None:
    months = pd.date_range("2000-01-01", "2001-12-01", freq="MS")
    source = store(tmp_path / "src" / "one.zarr", months)
    params = {"frequency": "YS", "agg_methods": method}
    cube = made(tmp_path, {"temporal_resample_params": params}, masked=True)
    # The reference knows no "no data" of integers, so it is given floats.
    valid = xr.Dataset(
        {"height": source["height"], "kind": source["kind"].where(source["kind"] != 255)}
    )
    for name, array in valid.data_vars.items():
        for step, year in enumerate(("2000", "2001")):
            values = array.sel(time=year).values.astype(np.float64)
            expected = _reference(values, method)
            found = cube[name][step].values.astype(np.float64)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    raw = xr.open_zarr(tmp_path / "data" / "cube.zarr", mask_and_scale=False)
    picks = method in {"first", "last", "max", "min"}
    assert (raw["kind"].dtype == np.uint8) == picks
    assert raw["kind"].dtype == (np.int32 if method == "count" else raw["kind"].dtype)


def _reference(values: np.ndarray, method: str) -> np.ndarray:
    valid = np.isfinite(values)
    if method == "count":
        return valid.sum(axis=0)
    empty = ~valid.any(axis=0)
    # The positions of the first and of the last value of each pixel.
    at = {"first": valid.argmax(axis=0), "last": len(valid) - 1 - valid[::-1].argmax(axis=0)}
    if method in at:
        expected = np.take_along_axis(values, at[method][None], axis=0)[0]
    else:
        # Where there is none NumPy would warn; those pixels are left out below.
        series = np.where(empty, 0, values)
        expected = getattr(np, f"nan{method}")(series, axis=0)
    return np.where(empty, np.nan, expected)


def test_shorter_steps_are_on_the_line_between_floats(tmp_path: Path) -> None:
    times = pd.DatetimeIndex(["2000-01-01", "2000-01-05", "2000-01-09"])
    source = store(tmp_path / "src" / "one.zarr", times)
    cube = made(tmp_path, {"temporal_resample_params": {"frequency": "2D"}})
    assert cube["time"].dt.day.values.tolist() == [1, 3, 5, 7, 9]
    height, kind = source["height"].values, source["kind"].values
    np.testing.assert_array_equal(cube["height"].values[::2], height)
    between = (height[:-1].astype(np.float64) + height[1:]) / 2
    np.testing.assert_allclose(cube["height"].values[1::2], between, rtol=1e-5)
    np.testing.assert_array_equal(cube["kind"].values[::2], kind)
    # Codes are never mixed: each is that of one of its neighbours.
    middle = cube["kind"].values[1::2]
    assert ((middle == kind[:-1]) | (middle == kind[1:])).all()


def test_one_step_of_all_and_some_variables(tmp_path: Path) -> None:
    times = pd.DatetimeIndex(["2000-01-01", "2000-02-07", "2004-03-01"])
    source = store(tmp_path / "src" / "one.zarr", times)
    params = {"frequency": "all", "agg_methods": {"height": "max"}, "variables": ["height"]}
    cube = made(tmp_path, {"temporal_resample_params": params})
    assert list(cube.data_vars) == ["height"]
    assert cube["time"].values.tolist() == [pd.Timestamp("2000-01-01").value]
    np.testing.assert_array_equal(cube["height"][0], source["height"].max("time"))


def test_a_value_too_far_away_is_none(tmp_path: Path) -> None:
    times = pd.DatetimeIndex(["2000-01-01", "2000-01-02", "2000-01-09", "2000-01-10"])
    source = store(tmp_path / "src" / "one.zarr", times, holes=False)
    params = {"frequency": "1D", "agg_methods": "nearest", "tolerance": "1D"}
    cube = made(tmp_path, {"temporal_resample_params": params})
    assert cube.sizes["time"] == 10
    for position, of in {0: 0, 1: 1, 2: 1, 7: 2, 8: 2, 9: 3}.items():
        np.testing.assert_array_equal(cube["kind"][position], source["kind"][of])
    assert (cube["kind"][3:7] == 255).all()
    assert np.isnan(cube["height"][3:7]).all()


def test_steps_that_begin_later(tmp_path: Path) -> None:
    times = pd.date_range("2000-01-01T12:00", periods=6, freq="1D")
    source = store(tmp_path / "src" / "one.zarr", times)
    params = {"frequency": "2D", "agg_methods": "first", "offset": "12h"}
    cube = made(tmp_path, {"temporal_resample_params": params})
    assert cube["time"].dt.hour.values.tolist() == [12, 12, 12]
    kind = source["kind"].values
    expected = np.where(kind[::2] == 255, kind[1::2], kind[::2])
    np.testing.assert_array_equal(cube["kind"], expected)


@pytest.mark.parametrize(
    ("times", "params", "expected"),
    [
        (["2000-01-01", "2000-01-02", "2000-03-01"], {}, "its times are irregular; give agg_me"),
        (
            ["2000-01-01", "2000-01-02"],
            {"agg_methods": {"age": "mean"}},
            "agg_methods names 'age', which is not a variable of the cube with times; there are: h",
        ),
    ],
)
def test_times_that_cannot_be_resampled(
    tmp_path: Path, times: list[str], params: Json, expected: str
) -> None:
    store(tmp_path / "src" / "one.zarr", pd.DatetimeIndex(times))
    told = refused(
        tmp_path,
        {"temporal_resample_params": {"frequency": "MS"} | params},
    )
    assert expected in told


# --- xr_merge_params ------------------------------------------------------------------------------


def two(directory: Path) -> tuple[xr.Dataset, xr.Dataset]:
    """Write stores of the years 2000 to 2002 and 2001 to 2003."""
    first, second = (
        store(
            directory / "src" / f"{name}.zarr",
            pd.date_range(str(start), periods=3, freq="YS"),
            seed=start,
        )
        for name, start in (("one", 2000), ("two", 2001))
    )
    return first, second


def variables(name: str) -> list[Json]:
    chosen = {"open_params": {"variable_names": [name]}, "store": "files"}
    return [
        {"identifier": "a", "data_id": "one.zarr"} | chosen,
        {"identifier": "b", "data_id": "two.zarr"} | chosen,
    ]


@pytest.mark.parametrize(
    ("join", "years"),
    [
        ("outer", [2000, 2001, 2002, 2003]),
        ("inner", [2001, 2002]),
        ("left", [2000, 2001, 2002]),
        ("right", [2001, 2002, 2003]),
    ],
)
@pytest.mark.parametrize("name", ["height", "kind"])
def test_times_that_differ_are_joined(
    tmp_path: Path, join: str, years: list[int], name: str
) -> None:
    sources = two(tmp_path)
    cube = made(tmp_path, {"variables": variables(name), "xr_merge_params": {"join": join}})
    assert cube["time"].dt.year.values.tolist() == years
    for of, source in zip("ab", sources, strict=True):
        assert cube[of].dtype == source[name].dtype
        for step, year in enumerate(years):
            if year in source["time"].dt.year:
                np.testing.assert_array_equal(cube[of][step], source[name].sel(time=str(year))[0])
            elif name == "kind":
                assert (cube[of][step] == 255).all()
            else:
                assert np.isnan(cube[of][step]).all()


def test_times_that_differ_are_refused_unless_joined(tmp_path: Path) -> None:
    two(tmp_path)
    told = refused(tmp_path, {"variables": variables("kind")})
    assert "cube: the times of its variables differ: a has 3 (2000-01-01 to 2002-01-01); b" in told
    assert "xr_merge_params: {join: outer}" in told


def test_what_a_variable_is_where_it_has_no_value(tmp_path: Path) -> None:
    two(tmp_path)
    params = {"join": "outer", "fill_value": {"b": 77}}
    cube = made(tmp_path, {"variables": variables("kind"), "xr_merge_params": params})
    assert (cube["a"][3] == 255).all()
    assert (cube["b"][0] == 77).all()
    for value, expected in (
        (300, "xr_merge_params.fill_value: 300 is not a valid uint8, the type of a"),
        ({"c": 1}, "xr_merge_params.fill_value names 'c', which is not a variable of the cube"),
    ):
        params = {"join": "outer", "fill_value": value}
        told = refused(tmp_path, {"variables": variables("kind"), "xr_merge_params": params})
        assert expected in told


# --- spatial_resample_params.fill_values ----------------------------------------------------------


def test_what_no_data_becomes(tmp_path: Path) -> None:
    source = store(tmp_path / "src" / "one.zarr", ["2000-01-01", "2001-01-01"])
    params = {"fill_values": {"height": -9999, "kind": 0}}
    cube = made(tmp_path, {"spatial_resample_params": params})
    assert cube["height"].attrs["_FillValue"] == -9999
    assert cube["kind"].attrs["_FillValue"] == 0
    height, kind = source["height"].values, source["kind"].values
    np.testing.assert_array_equal(cube["height"], np.where(np.isnan(height), -9999, height))
    np.testing.assert_array_equal(cube["kind"], np.where(kind == 255, 0, kind))
    told = refused(
        tmp_path,
        {"spatial_resample_params": {"fill_values": {"kind": 300}}},
    )
    assert "spatial_resample_params.fill_values: 300 is not a value of uint8" in told
    told = refused(tmp_path, {"spatial_resample_params": {"fill_values": {"age": 3}}})
    assert "fill_values names 'age', which is not a variable of it; there are: height, kind" in told
