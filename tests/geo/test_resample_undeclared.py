"""Series of integers without "no data": every value counts, also that of a lost chunk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tests.support.built import INSIDE, made, refused, zarr_store

MONTHS = pd.date_range("2000-01-01", "2001-12-01", freq="MS")
LOWEST = {"int16": -(2**15), "int64": -(2**63)}


def series(
    directory: Path, dtype: str = "int16", times: Any = MONTHS, low: int = -5
) -> xr.DataArray:
    """Write a store of few different values, the lowest of the type among them, and return it."""
    values = np.random.default_rng(3).integers(low, 5, (len(times), 120, 120)).astype(dtype)
    if low < 0:
        values[values == low] = LOWEST[dtype]
    data = zarr_store(directory / "src" / "one.zarr", times, count=values)
    return data["count"].isel(lat=INSIDE[0], lon=INSIDE[1])


@pytest.mark.parametrize("method", ["mean", "min", "max", "first", "count", "sum"])
def test_the_lowest_value_of_the_type_counts(tmp_path: Path, method: str) -> None:
    source = series(tmp_path)
    found = made(tmp_path, {"temporal_resample_params": {"frequency": "YS", "agg_methods": method}})
    by_year = source.values.astype(np.float64).reshape(2, 12, *source.shape[1:])
    expected = {
        "mean": lambda: by_year.mean(axis=1),
        "min": lambda: by_year.min(axis=1),
        "max": lambda: by_year.max(axis=1),
        "first": lambda: by_year[:, 0],
        "count": lambda: np.full(by_year[:, 0].shape, 12),
        "sum": lambda: by_year.sum(axis=1),
    }[method]()
    np.testing.assert_allclose(found["count"], expected, rtol=1e-6)
    if method in ("min", "max", "first"):
        assert "_FillValue" not in found["count"].attrs


def test_it_counts_between_two_times(tmp_path: Path) -> None:
    times = pd.DatetimeIndex(["2000-01-01", "2000-01-03"])
    source = series(tmp_path, times=times).values.astype(np.float64)
    params = {"frequency": "1D", "interp_methods": "linear"}
    found = made(tmp_path, {"temporal_resample_params": params})["count"]
    np.testing.assert_allclose(found[1], source.mean(axis=0))


@pytest.mark.parametrize("method", ["max", "last", "nearest"])
def test_large_integers_stay_exact(tmp_path: Path, method: str) -> None:
    times = pd.DatetimeIndex(["2000-01-01", "2001-01-01"])
    values = np.full((2, 120, 120), 2**53, "int64")
    values[:] += np.arange(1, 121)
    zarr_store(tmp_path / "src" / "one.zarr", times, count=values)
    found = made(tmp_path, {"temporal_resample_params": {"frequency": "YS", "agg_methods": method}})
    np.testing.assert_array_equal(found["count"], values[:, *INSIDE])


GAP = pd.DatetimeIndex(["2000-01-01", "2002-06-01"])


@pytest.mark.parametrize(
    "params",
    [
        {"frequency": "YS", "agg_methods": "max"},
        {"frequency": "YS", "agg_methods": "nearest", "tolerance": "30D"},
    ],
)
def test_steps_without_a_value_need_one_that_none_has(tmp_path: Path, params: Any) -> None:
    source = series(tmp_path / "good", times=GAP, low=0)
    found = made(tmp_path / "good", {"temporal_resample_params": params})["count"]
    assert found.attrs["_FillValue"] == LOWEST["int16"]
    np.testing.assert_array_equal(found[0], source[0])
    assert (found[1] == LOWEST["int16"]).all()
    series(tmp_path / "bad", times=GAP)
    message = refused(tmp_path / "bad", {"temporal_resample_params": params})
    assert "holds -32768 as a value" in message
    assert "spatial_resample_params.fill_values" in message
    stated = {"temporal_resample_params": params, "spatial_resample_params": {"fill_values": 99}}
    found = made(tmp_path / "bad", stated)["count"]
    assert found.attrs["_FillValue"] == 99
    assert (found[1] == 99).all()
