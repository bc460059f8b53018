"""Sums hold the pixels under each target pixel and none beside them."""

from __future__ import annotations

import numpy as np
import pytest

from stacbuild.geo.block import Block, Onto
from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.warp import warp


# Of these sizes and places GDAL 3.10 adds pixels of another column to each row.
@pytest.mark.parametrize(
    ("size", "first", "count"), [(79, 0, 37), (82, 3, 37), (105, 0, 50), (110, 5, 50), (111, 4, 50)]
)
def test_no_other_column_is_added(size: int, first: int, count: int) -> None:
    values = np.random.default_rng(1).integers(0, 250, (size, size)).astype("float64")
    source = PixelGrid("EPSG:32632", (10, 0, 600_000, 0, -10, 5_000_000), (size, size))
    place = (20, 0, 600_000 + 10 * first, 0, -20, 5_000_000 - 10 * first)
    target = PixelGrid("EPSG:32632", place, (count, count))
    whole = (slice(0, size), slice(0, size))
    window = (slice(0, count), slice(0, count))
    found = warp(Block(values, source, whole, np.nan, None), Onto(target, window, "sum"))
    under = values[first : first + 2 * count, first : first + 2 * count]
    expected = under.reshape(count, 2, count, 2).sum(axis=(1, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
