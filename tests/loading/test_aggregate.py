"""Series of blocks reduced to one value each."""

from __future__ import annotations

import numpy as np
import pytest

from stacbuild.loading.aggregate import aggregate, missing_value, reduced_dtype

NAN = float("nan")
# Three times, a row of three pixels: complete, with one time of nodata, and all nodata.
SERIES = np.array([[[4, 255, 255]], [[1, 3, 255]], [[1, 7, 255]]], "u1")


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("first", [4, 3, 255]),
        ("last", [1, 7, 255]),
        ("max", [4, 7, 255]),
        ("min", [1, 3, 255]),
        ("count", [3, 2, 0]),
        ("mean", [2, 5, NAN]),
        ("median", [1, 5, NAN]),
        ("sum", [6, 10, NAN]),
        ("prod", [4, 21, NAN]),
        ("var", [2, 4, NAN]),
        ("std", [np.sqrt(np.float32(2)), 2, NAN]),
    ],
)
@pytest.mark.parametrize("split", [1, 2, 3])
def test_values_without_nodata(method: str, expected: list[float], split: int) -> None:
    found = aggregate([SERIES[:split], SERIES[split:]], 255, method)
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-6)
    assert found.dtype == reduced_dtype(SERIES.dtype, method)
    nothing = missing_value(found.dtype, np.uint8(255), method)
    np.testing.assert_equal(found[0, 0, 2], nothing)


def test_rows_are_reduced_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tall = np.random.default_rng(1).random((5, 40, 3)).astype("f4")
    whole = aggregate([tall], NAN, "mean")
    monkeypatch.setattr("stacbuild.loading.aggregate._PART", 30)
    np.testing.assert_array_equal(aggregate([tall], NAN, "mean"), whole)


@pytest.mark.parametrize(
    ("dtype", "method", "expected"),
    [("i2", "mean", "f4"), ("i4", "mean", "f8"), ("f2", "sum", "f4"), ("i4", "max", "i4")],
)
def test_types(dtype: str, method: str, expected: str) -> None:
    assert reduced_dtype(np.dtype(dtype), method) == np.dtype(expected)
