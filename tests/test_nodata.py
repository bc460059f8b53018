"""Values for "no data": read, written, held by a type, and found in arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from stacbuild import nodata

LOWEST = float(np.finfo("float32").min)


@pytest.mark.parametrize(
    ("value", "number"),
    [(7, 7), (0.5, 0.5), ("nan", math.nan), ("-inf", -math.inf), ("12", 12), (2**63, 2**63)],
)
def test_numbers_of_items_are_read_and_written(value: Any, number: float) -> None:
    found = nodata.from_json(value)
    np.testing.assert_equal(found, number)
    assert type(found) is type(number)
    assert nodata.from_json(nodata.to_json(number)) is not None


@pytest.mark.parametrize("value", [True, None, [1], "water"])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        nodata.from_json(value)


@pytest.mark.parametrize(
    ("number", "written"),
    [(30.0, 30), (0.5, 0.5), (math.nan, "nan"), (-math.inf, "-inf"), (2**63 + 1, 2**63 + 1)],
)
def test_numbers_are_written_as_stac_has_them(number: float, written: float | str) -> None:
    assert nodata.to_json(number) == written
    assert type(nodata.to_json(number)) is type(written)


def test_only_integers_that_a_float_holds_become_floats() -> None:
    assert isinstance(nodata.exact(2**53), float)
    assert isinstance(nodata.exact(2**53 + 1), int)
    assert nodata.exact(True) is True
    assert nodata.exact("x") == "x"


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (255, "uint8", 255),
        (256, "uint8", None),
        (0.5, "uint8", None),
        (-1.0, "uint8", None),
        (-1.0, "int8", -1),
        (math.nan, "int16", None),
        (math.inf, "int16", None),
        (2**64 - 1, "uint64", 2**64 - 1),
        (1, "bool", 1),
        (2, "bool", None),
        (0.1, "float32", float(np.float32(0.1))),
        (1e300, "float32", math.inf),
    ],
)
def test_a_value_as_a_type_holds_it(value: float, dtype: str, expected: float | None) -> None:
    assert nodata.held(value, np.dtype(dtype)) == expected


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32"])
def test_wider_integers_hold_all_values_and_others(dtype: str) -> None:
    narrow, wide = np.iinfo(dtype), np.iinfo(nodata.wider(np.dtype(dtype)))
    assert wide.min < narrow.min
    assert wide.max > narrow.max


def test_values_are_found_exactly_or_as_gdal_does() -> None:
    block = np.array([LOWEST, np.nan, 0, -0.0, 1 + 1e-7, 1], "float32")
    assert nodata.matches(block, math.nan).tolist() == [False, True, *4 * [False]]
    assert nodata.matches(block, 0).tolist() == [False, False, True, True, False, False]
    assert nodata.matches(block, -3.402823e38).sum() == 0
    assert nodata.matches(block, -3.402823e38, tolerant=True).tolist() == [True, *5 * [False]]
    assert nodata.matches(block, 1, tolerant=True).tolist() == [*4 * [False], True, True]
    assert nodata.matches(np.array([3, 4], "uint8"), 4).tolist() == [False, True]


def test_few_digits_may_mean_the_limit_of_a_type() -> None:
    assert nodata.limits_meant([-3.402823e38], np.dtype("float32")) == [LOWEST]
    assert nodata.limits_meant([-3.402823e38], np.dtype("float64")) == []
    assert nodata.limits_meant([LOWEST, math.nan, 0], np.dtype("float32")) == []
    assert nodata.limits_meant([255], np.dtype("uint8")) == []


def test_every_value_becomes_the_one_fill_value() -> None:
    block = np.array([1, -9999, np.nan, 5], "float64")
    nodata.fill_nodata(block, [-9999, 5], 5)
    np.testing.assert_array_equal(block, [1, 5, 5, 5])
    codes = np.array([0, 1, 255], "uint8")
    nodata.fill_nodata(codes, [0, 255], 255)
    assert codes.tolist() == [255, 1, 255]
