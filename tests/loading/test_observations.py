"""Composites of one observation a pixel: the medoid, or by another variable; and percentiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from stacbuild.loading import aggregate
from stacbuild.loading.observations import Weighed, choose, take
from tests.support.built import INSIDE, LAT, LON, made, refused
from tests.support.cli import Json

TIMES = pd.DatetimeIndex(
    ["2020-01-03", "2020-01-08", "2020-01-13", "2020-01-28", "2020-03-04", "2020-03-09"]
)
SCALES = {"red": (0.0001, -0.1), "nir": (0.0002, 0.0)}


def scenes(directory: Path, *, scaled: bool = True) -> dict[str, np.ndarray[Any, Any]]:
    """Write packed bands and classes, with nodata of their own; return what lies on the grid."""
    random = np.random.default_rng(3)
    shape = (len(TIMES), 120, 120)
    arrays: dict[str, Any] = {
        "red": random.integers(1, 3000, shape).astype(np.uint16),
        "nir": random.integers(1, 60, shape).astype(np.int16),
        "scl": random.integers(1, 11, shape).astype(np.uint8),
    }
    for name, array in arrays.items():
        array[random.random(shape) < 0.3] = 0
        # In the first month, and everywhere.
        array[:4, 20:30] = 0
        array[:, 40:50, 40:60] = 0
        # Equal ones.
        if name != "scl":
            array[1, 70:80] = array[0, 70:80]
    data = xr.Dataset(
        {name: (("time", "lat", "lon"), array) for name, array in arrays.items()},
        {"time": TIMES, "lat": LAT, "lon": LON},
    )
    for name in arrays:
        data[name].attrs["_FillValue"] = 0
        if name in SCALES and scaled:
            scale, offset = SCALES[name]
            data[name].attrs |= {"scale_factor": scale, "add_offset": offset}
    data["scl"].attrs |= {
        "flag_values": np.arange(12, dtype=np.uint8),
        "flag_meanings": " ".join(f"class_{number}" for number in range(12)),
    }
    data.to_zarr(directory / "src" / "one.zarr", mode="w", zarr_format=2, consolidated=True)
    return {name: array[:, INSIDE[0], INSIDE[1]] for name, array in arrays.items()}


def monthly(directory: Path, methods: Any, *, masked: bool = False, **more: Any) -> xr.Dataset:
    params = {"frequency": "MS", "agg_methods": methods} | more
    return made(directory, {"temporal_resample_params": params}, masked=masked)


# The observations of each month.
MONTHS = (slice(0, 4), slice(4, 4), slice(4, 6))


def medoid(bands: list[np.ndarray[Any, Any]], valid: np.ndarray[Any, Any]) -> int:
    """Return the medoid of one pixel's observations, by its definition; -1 if there are none."""
    best, smallest = -1, np.inf
    for i in np.flatnonzero(valid):
        total = sum(
            float(np.sqrt(sum((band[i] - band[j]) ** 2 for band in bands)))
            for j in np.flatnonzero(valid)
        )
        if total < smallest - 1e-12:
            best, smallest = int(i), total
    return best


def test_the_medoid_takes_all_variables_from_one_observation(tmp_path: Path) -> None:
    source = scenes(tmp_path)
    cube = monthly(tmp_path, "medoid")
    assert cube["time"].dt.month.values.tolist() == [1, 2, 3]
    # Classes are taken along, and weigh nothing.
    valid = (source["red"] != 0) & (source["nir"] != 0)
    values = [source[name].astype(float) * SCALES[name][0] for name in SCALES]
    rows, cols = np.meshgrid(np.arange(0, 100, 3), np.arange(0, 100, 3), indexing="ij")
    for step, month in enumerate(MONTHS):
        for row, col in zip(rows.flat, cols.flat, strict=True):
            at = medoid([each[month, row, col] for each in values], valid[month, row, col])
            for name, array in source.items():
                expected = 0 if at < 0 else array[month, row, col][at]
                assert cube[name].values[step, row, col] == expected, (name, step, row, col)
    for name, array in source.items():
        assert cube[name].dtype == array.dtype
        assert cube[name].attrs["_FillValue"] == 0
    assert cube["red"].attrs["add_offset"] == -0.1
    assert "flag_values" in cube["scl"].attrs


@pytest.mark.parametrize("way", ["max_by", "min_by"])
def test_the_observation_by_another_variable(tmp_path: Path, way: str) -> None:
    source = scenes(tmp_path)
    cube = monthly(tmp_path, {way: "nir"}, variables=["red", "scl"])
    assert set(cube.data_vars) == {"red", "scl"}
    nir = np.where(source["nir"] == 0, -1 if way == "max_by" else 9999, source["nir"])
    for step, month in enumerate(MONTHS):
        if month.stop == month.start:
            assert not cube["red"].values[step].any()
            continue
        at = (nir[month].argmax if way == "max_by" else nir[month].argmin)(axis=0)
        valid = (source["nir"][month] != 0).any(axis=0)
        for name in ("red", "scl"):
            # Where that observation lacks the variable, so does the composite.
            expected = np.take_along_axis(source[name][month], at[None], axis=0)[0]
            np.testing.assert_array_equal(cube[name][step], np.where(valid, expected, 0))


def test_methods_of_each_variable_may_differ(tmp_path: Path) -> None:
    source = scenes(tmp_path)
    cube = monthly(tmp_path, {"red": {"max_by": "nir"}, "nir": "max", "scl": "first"})
    nir = source["nir"][4:6]
    np.testing.assert_array_equal(cube["nir"][2], nir.max(axis=0))
    at = nir.argmax(axis=0)[None]
    chosen = np.take_along_axis(source["red"][4:6], at, axis=0)[0]
    np.testing.assert_array_equal(cube["red"][2], np.where(nir.any(axis=0), chosen, 0))


@pytest.mark.parametrize("percentiles", [("p0", "p2.5"), ("p25", "p50"), ("p100", "p90")])
def test_percentiles_of_packed_integers(tmp_path: Path, percentiles: tuple[str, str]) -> None:
    source = scenes(tmp_path)
    methods = dict(zip(SCALES, percentiles, strict=True))
    cube = monthly(tmp_path, methods, variables=list(SCALES), masked=True)
    for name, percentile in methods.items():
        scale, offset = SCALES[name]
        assert cube[name].dtype.kind == "f"
        for step, month in enumerate(MONTHS):
            found = cube[name].values[step]
            values = np.where(source[name][month] == 0, np.nan, source[name][month])
            some = np.isfinite(values).any(axis=0)
            np.testing.assert_array_equal(np.isfinite(found), some)
            if some.any():  # a step without any observation has none
                # Of some pixels: NumPy takes a while.
                wanted = np.nanpercentile(values[:, some][:, ::17], float(percentile[1:]), axis=0)
                expected = wanted * scale + offset
                np.testing.assert_allclose(found[some][::17], expected, atol=1e-6)


@pytest.mark.parametrize("methods", ["var", "medoid", {"max_by": "nir"}])
def test_counts_of_valid_values_beside(tmp_path: Path, methods: Any) -> None:
    source = scenes(tmp_path)
    cube = monthly(tmp_path, methods, variables=["red", "nir"], counts=True)
    assert set(cube.data_vars) == {"red", "red_count", "nir", "nir_count"}
    for name in ("red", "nir"):
        expected = [(source[name][month] != 0).sum(axis=0) for month in MONTHS]
        np.testing.assert_array_equal(cube[f"{name}_count"], expected)
        assert cube[name].attrs["ancillary_variables"] == f"{name}_count"
        assert cube[f"{name}_count"].dtype == np.int32
        assert "_FillValue" not in cube[f"{name}_count"].attrs


def test_values_of_the_variance_are_unpacked_once(tmp_path: Path) -> None:
    source = scenes(tmp_path)
    cube = monthly(tmp_path, "var", variables=["red"], masked=True)
    values = np.where(source["red"][4:6] == 0, np.nan, source["red"][4:6] * 0.0001 - 0.1)
    some = np.isfinite(values).any(axis=0)
    expected = np.nanvar(values[:, some], axis=0)
    np.testing.assert_allclose(cube["red"].values[2][some], expected, atol=1e-8)
    assert np.isnan(cube["red"].values[2][~some]).all()
    assert "scale_factor" not in cube["red"].encoding


def test_the_same_whatever_is_computed_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes(tmp_path)
    whole = monthly(tmp_path, "medoid")
    monkeypatch.setattr(aggregate, "_PART", 500)
    again = made(
        tmp_path,
        {
            "temporal_resample_params": {"frequency": "MS", "agg_methods": "medoid"},
            "chunksize": {"lat": 7, "lon": 50},
        },
    )
    for name in whole.data_vars:
        np.testing.assert_array_equal(whole[name], again[name])


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            {"agg_methods": {"max_by": "ndvi"}},
            "agg_methods names 'ndvi', which is not a variable of the cube with times",
        ),
        ({"agg_methods": {"scl": "medoid"}}, "medoid needs a variable of numbers; there are only"),
        ({"counts": True, "frequency": "1D"}, "counts counts values of longer steps"),
    ],
)
def test_choices_that_cannot_be_made(tmp_path: Path, params: Json, expected: str) -> None:
    scenes(tmp_path)
    if "agg_methods" not in params:
        times = pd.date_range("2020-01-01", periods=len(TIMES), freq="5D")
        xr.open_zarr(tmp_path / "src" / "one.zarr").assign_coords(time=times)[["nir"]].to_zarr(
            tmp_path / "src" / "one.zarr", mode="w", zarr_format=2, consolidated=True
        )
    assert expected in refused(tmp_path, {"temporal_resample_params": {"frequency": "MS"} | params})


def test_a_count_does_not_replace_a_variable(tmp_path: Path) -> None:
    scenes(tmp_path)
    data = xr.open_zarr(tmp_path / "src" / "one.zarr", mask_and_scale=False).load()
    data.rename(nir="red_count").to_zarr(
        tmp_path / "src" / "one.zarr", mode="w", zarr_format=2, consolidated=True
    )
    params = {"frequency": "MS", "agg_methods": "median", "counts": True}
    said = refused(tmp_path, {"temporal_resample_params": params})
    assert "counts would make red_count, which is a variable already" in said


# --- Of blocks ------------------------------------------------------------------------------------


def test_infinite_values_are_the_last_choice() -> None:
    block = np.array([[[np.nan, np.inf]], [[3, np.inf]], [[np.inf, np.nan]]], "f4")
    found = choose([block[:1], block[1:]], weighed=(Weighed(np.nan, 1.0),), sign=None)
    assert found[0, 0].tolist() == [1, 0]
    largest = choose([block], weighed=(Weighed(np.nan, -1.0),), sign=1)
    assert largest[0, 0].tolist() == [1, 0]


def test_limits_of_integers_are_values() -> None:
    block = np.array([[[255, 7]], [[0, 255]], [[255, 255]]], "u1")
    by = (Weighed(255, 1.0),)
    assert choose([block], weighed=by, sign=1)[0, 0].tolist() == [1, 0]
    none = (Weighed(np.nan, 1.0),)
    assert choose([block], weighed=none, sign=1)[0, 0].tolist() == [0, 1]
    assert choose([block], weighed=(Weighed(255, 1.0),), sign=None)[0, 0].tolist() == [1, 0]
    chosen = np.array([[[1, -1]]], np.int32)
    assert take(chosen, [block[:1], block[1:]], np.uint8(9))[0, 0].tolist() == [0, 9]
