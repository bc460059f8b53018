"""What is read of a product of many tiles: those under a window, until it is full."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stacbuild.geo.block import Onto
from stacbuild.geo.grid import PixelGrid, Window
from stacbuild.geo.validity import NoData
from stacbuild.loading.regrid import Plane, regrid

SIDE = 20
TARGET = PixelGrid("EPSG:3035", (10, 0, 4e6, 0, -10, 3e6), (10 * SIDE, 10 * SIDE))
DOWN, UP = (slice(0, 2 * SIDE), slice(0, 2 * SIDE)), (slice(30, 70), slice(30, 70))


def tiles(offset: float = 0.0) -> list[PixelGrid]:
    left, top = 4e6 + offset, 3e6 - offset
    return [
        PixelGrid("EPSG:3035", (10, 0, left + 200 * x, 0, -10, top - 200 * y), (SIDE, SIDE))
        for y in range(10)
        for x in range(10)
    ]


class Numbers:
    """A decoder of tiles whose pixels are their number plus one, and 0 in the given rows."""

    pixel_bytes = 2

    def __init__(self, empty: slice = slice(0)) -> None:
        self.empty = empty
        self.read_: list[tuple[int, Window]] = []

    def read(self, number: int, window: Window, mapping: Any = None, /) -> NDArray[Any]:
        self.read_.append((number, window))
        whole = np.full((SIDE, SIDE), number + 1, np.int16)
        whole[self.empty] = 0
        return whole[window]

    def pick(self, number: int, mapping: Any, key: Any) -> NDArray[Any]:
        raise AssertionError


def values(decoder: Numbers, grids: list[PixelGrid], window: Window, method: str) -> NDArray[Any]:
    plane = Plane("a", tuple(grids), decoder, np.dtype(np.int16), NoData(0))
    return regrid(plane, Onto(TARGET, window, method))


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
def test_a_window_reads_the_tiles_under_it_and_of_each_its_part(method: str) -> None:
    decoder = Numbers()
    found = values(decoder, tiles(), UP, method)
    # The first and the last pixel of a kernel may be those of the next tile.
    margin = 0 if method == "nearest" else 4
    assert {number for number, _ in decoder.read_} == {11, 12, 13, 21, 22, 23, 31, 32, 33}
    assert len(decoder.read_) == 9
    assert decoder.read_[0][1] == (slice(10 - margin, SIDE), slice(10 - margin, SIDE))
    if method == "nearest":
        expected = 1 + 10 * (np.arange(30, 70) // SIDE)[:, None] + np.arange(30, 70) // SIDE
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
@pytest.mark.parametrize("offset", [0, 5, 3])
def test_tiles_beneath_a_full_window_are_not_read(method: str, offset: float) -> None:
    decoder = Numbers()
    first = values(decoder, tiles() + tiles(offset), DOWN, method)
    numbers = [number for number, _ in decoder.read_]
    assert numbers
    assert max(numbers) < 100
    np.testing.assert_array_equal(first, values(Numbers(), tiles(), DOWN, method))


def test_tiles_beneath_holes_are_read() -> None:
    decoder = Numbers(empty=slice(5, 7))
    # Half a tile off, so that rows of the one are beneath the holes of the other.
    below = tiles(100)
    found = values(decoder, tiles() + below, (slice(0, SIDE), slice(0, SIDE)), "nearest")
    assert [number for number, _ in decoder.read_] == [0]  # nothing of the second is in rows 5, 6
    found = values(decoder, tiles() + below, (slice(20, 40), slice(20, 40)), "nearest")
    assert (found != 0).all()
    assert {number for number, _ in decoder.read_[1:]} == {11, 100, 101}


def test_a_window_without_tiles_has_no_data() -> None:
    decoder = Numbers()
    corner = [PixelGrid("EPSG:3035", (10, 0, 4e6, 0, -10, 3e6), (SIDE, SIDE))] * 2
    for method in ("nearest", "bilinear"):
        assert not values(decoder, corner, (slice(150, 160), slice(150, 160)), method).any()
    assert not decoder.read_
