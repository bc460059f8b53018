"""Types that GDAL's warper computes in exactly, and what cannot be computed."""

from __future__ import annotations

import numpy as np
import pytest

from stacbuild.errors import BuildError
from stacbuild.geo.working import WiderType, Working, check_exact, check_sum, whole


@pytest.mark.parametrize(
    ("dtype", "method", "working"),
    [
        ("uint8", "mean", "uint8"),
        ("uint8", "sum", "float64"),
        ("int8", "max", "int16"),
        ("int32", "mean", "float64"),
        ("float32", "mean", "float32"),
        ("float16", "mean", "float32"),
    ],
)
def test_the_type_to_compute_in(dtype: str, method: str, working: str) -> None:
    values = np.array([[0, 1], [2, 9]], dtype)
    found = Working.of(values, 9, method)
    assert found.values.dtype == working
    np.testing.assert_array_equal(found.restored(found.values, values.dtype, 9), values)
    if found.values.dtype.kind == "f":
        assert np.isnan(found.fill)
        assert np.isnan(found.values).tolist() == [[False, False], [False, True]]


@pytest.mark.parametrize(
    "values",
    [
        np.array([[-1, -1, 3, -128]], "int8"),
        np.array([[-1, 300, 3, -128]], "int16"),
        np.arange(-300, 300, dtype="int16").reshape(1, -1),
        np.array([[2**24, 2**24 + 1, -128, 5]], "int32"),
        np.array([[2.0**60 + 1, 0.1, np.pi, -128]], "float64"),
        np.array([[1.5, 2.5, -128, -128]], "float32"),
    ],
)
def test_mode_counts_values_and_gives_them_back(values: np.ndarray) -> None:
    found = Working.of(values, -128, "mode")
    # Seen in GDAL: a majority of -1 counts for nothing, and larger types are rounded to float32.
    assert found.values.dtype.name in {"uint8", "uint16", "float32"}
    known = found.values[values != -128]
    assert (known >= 0).all() or found.ranked is None
    restored = found.restored(found.values, values.dtype, -128)
    np.testing.assert_array_equal(restored, values)
    assert restored.dtype == values.dtype


def test_numbers_are_rounded_within_the_limits_of_a_type() -> None:
    found = whole(np.array([0.5, 1.5, -0.5, 254.9, 300.0, -7.0]), np.dtype("uint8"))
    assert found.tolist() == [1, 2, 0, 255, 255, 0]
    large = whole(np.array([2.0**53 - 1, 2.0**64, -1.0]), np.dtype("uint64"))
    assert large.tolist() == [2**53 - 1, 2**64 - 1, 0]


def test_integers_beyond_floats_are_refused() -> None:
    check_exact(np.array([2**53]), "mean")
    check_exact(np.array([], "int64"), "mean")
    for value in (np.array([2**53 + 1]), np.array([-(2**53) - 1]), np.array([2**64 - 1], "uint64")):
        with pytest.raises(BuildError, match="mean cannot be computed of integers beyond"):
            check_exact(value, "mean")


def test_sums_that_a_type_cannot_hold_are_refused() -> None:
    uint8 = np.dtype("uint8")
    check_sum(np.array([255.4, np.nan]), uint8, None)
    check_sum(np.array([1e30]), np.dtype("float32"), None)
    with pytest.raises(BuildError, match="sum gives 300, which uint8 cannot hold"):
        check_sum(np.array([300.0, 1.0]), uint8, 0)
    with pytest.raises(BuildError, match="stands for no data"):
        check_sum(np.array([7.0, 1.0]), uint8, 7)


@pytest.mark.parametrize(
    ("dtype", "method"), [("uint8", "mean"), ("uint16", "sum"), ("bool", "max")]
)
def test_a_wider_type_has_a_value_to_spare(dtype: str, method: str) -> None:
    wider = WiderType.of(np.dtype(dtype), method)
    values = np.array([0, 1], dtype)
    wide = np.append(wider.widened(values), wider.dtype.type(wider.fill))
    if dtype != "bool":
        narrow, missing = wider.narrowed(wide, 1)
        assert narrow.tolist() == [0, 1, 1]
        assert narrow.dtype == dtype
        assert missing is not None
        assert missing.tolist() == [False, False, True]
    assert not np.isin(wider.fill, wider.widened(values))
