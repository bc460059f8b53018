"""A coarse grid reads only the blocks of a source that hold a pixel it wants."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.geo.grid import PixelGrid, Window
from stacbuild.geo.mapping import IndexMap, index_map
from stacbuild.geo.sparse import pick

SOURCE = PixelGrid("EPSG:3035", (1.0, 0.0, 0.0, 0.0, -1.0, 100.0), (100, 100))


def mapped(size: float, x: float, side: int) -> IndexMap:
    target = PixelGrid("EPSG:3035", (size, 0.0, x, 0.0, -size, 100.0), (side, side))
    found = index_map(SOURCE, target, (slice(0, side), slice(0, side)))
    assert found is not None
    return found


def test_pixels_come_from_the_blocks_that_hold_them() -> None:
    file = np.arange(110 * 110).reshape(110, 110)
    read: list[Window] = []

    def at(window: Window) -> NDArray[Any]:
        read.append(window)
        return file[window]

    # The grid's first pixel is not the file's.
    found = pick(mapped(25, 0, 4), (10, 10), (16, 16), at)
    wanted = 10 + np.array([12, 37, 62, 87])
    np.testing.assert_array_equal(found, file[np.ix_(wanted, wanted)])
    # Four rows of blocks; two of the four wanted in each are side by side.
    assert len(read) == 12
    assert sum(file[window].size for window in read) == 4 * (27 + 1 + 1) - 4


def test_neighbouring_blocks_are_read_together() -> None:
    read: list[Window] = []

    def at(window: Window) -> NDArray[Any]:
        read.append(window)
        return np.zeros((2, *np.empty((100, 100))[window].shape), "uint8")

    found = pick(mapped(10, 0, 10), (0, 0), (20, 20), at)
    assert found.shape == (2, 10, 10)
    assert len(read) == 5


def test_a_target_that_reaches_beyond_the_source() -> None:
    file = np.arange(100 * 100).reshape(100, 100)
    mapping = mapped(25, -50, 4)
    found = pick(mapping, (0, 0), (16, 16), lambda window: file[window])
    assert mapping.outside is not None
    assert mapping.outside[:, :2].all()
    np.testing.assert_array_equal(found[0, 2:], [file[12, 12], file[12, 37]])
