"""Methods other than nearest, on grids where the results are known by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stacbuild.errors import BuildError
from stacbuild.geo.block import Block, Onto
from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.warp import METHODS, warp

FILL = -99


def grid(size: float, side: int) -> PixelGrid:
    return PixelGrid("EPSG:3035", (size, 0.0, 0.0, 0.0, -size, 40.0), (side, side))


def warped(values: Any, dtype: str, method: str, fill: float = FILL) -> list[list[float]]:
    array = np.array(values, dtype)
    block = Block(array, grid(10, 4), (slice(0, 4), slice(0, 4)), fill)
    found = warp(block, Onto(grid(20, 2), (slice(0, 2), slice(0, 2)), method))
    assert found.dtype == array.dtype
    return found.tolist()


VALUES = [[1, 2, -99, -99], [2, 5, -99, 7], [-99, -99, 4, 4], [-99, -99, 4, 8]]


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("mean", [[2.5, 7], [-99, 5]]),
        ("max", [[5, 7], [-99, 8]]),
        ("min", [[1, 7], [-99, 4]]),
        ("mode", [[2, 7], [-99, 4]]),
        ("sum", [[10, 7], [-99, 20]]),
    ],
)
def test_pixels_two_by_two(dtype: str, method: str, expected: list[list[float]]) -> None:
    if method == "mean" and dtype.startswith("int"):
        expected = [[3, 7], [-99, 5]]
    assert warped(VALUES, dtype, method) == expected


def test_bilinear_weighs_what_has_data() -> None:
    found = warped(VALUES, "float64", "bilinear")
    assert found[0][0] == pytest.approx(2.5)
    assert found[1] == [-99, 5]


def test_each_method_leaves_nothing_where_there_is_nothing() -> None:
    for method in METHODS:
        assert warped(np.full((4, 4), FILL), "float32", method) == [[FILL] * 2] * 2


def test_integers_that_a_float_cannot_hold_are_refused() -> None:
    values = np.full((4, 4), 2**60)
    with pytest.raises(BuildError, match="integers beyond"):
        warped(values, "int64", "mean")
    # "No data" itself may be as large.
    assert warped(values, "int64", "mean", 2**60) == [[2**60] * 2] * 2
