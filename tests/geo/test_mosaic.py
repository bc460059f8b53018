"""Files on one lattice of pixels are read as one file, the first with data on top."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.mosaic import Mosaic, Window, mosaics


def tile(x: float, y: float, shape: tuple[int, int] = (4, 4), e: float = -1.0) -> PixelGrid:
    return PixelGrid("EPSG:3035", (1.0, 0.0, x, 0.0, e, y), shape)


TARGET = tile(0, 8, (8, 8))


def read_from(arrays: list[NDArray[Any]], asked: list[int]) -> Any:
    def read(number: int, window: Window) -> NDArray[Any]:
        asked.append(number)
        return arrays[number][window]

    return read


def assembled(mosaic: Mosaic, arrays: list[NDArray[Any]], window: Window) -> tuple[Any, list[int]]:
    asked: list[int] = []
    read = read_from(arrays, asked)
    return mosaic.assemble(window, read, lambda block: block == 0, 0), asked


def test_neighbours_and_strangers() -> None:
    found = mosaics((tile(0, 8), tile(4, 8), tile(0.5, 4), tile(4, 4)), TARGET)
    assert [[placement.number for placement in each.placements] for each in found] == [
        [0, 1, 3],
        [2],
    ]
    assert found[0].grid.shape == (8, 8)
    assert found[0].grid.transform[2] == 0


def test_the_first_with_data_wins_and_the_rest_is_not_read() -> None:
    arrays = [np.full((4, 4), 1), np.full((4, 4), 2), np.full((4, 4), 3)]
    arrays[0][0, 0] = 0
    (mosaic,) = mosaics((tile(0, 8), tile(0, 8), tile(2, 8)), TARGET)
    before = arrays[0].copy()
    block, asked = assembled(mosaic, arrays, (slice(0, 4), slice(0, 6)))
    assert block[0].tolist() == [2, 1, 1, 1, 3, 3]
    assert block[1].tolist() == [1, 1, 1, 1, 3, 3]
    assert asked == [0, 1, 2]
    np.testing.assert_array_equal(arrays[0], before)
    _, asked = assembled(mosaic, arrays, (slice(1, 4), slice(0, 4)))
    assert asked == [0]


def test_rows_may_run_the_other_way() -> None:
    arrays = [np.arange(1, 17).reshape(4, 4), np.arange(101, 117).reshape(4, 4)]
    (mosaic,) = mosaics((tile(0, 8), tile(4, 4, e=1.0)), TARGET)
    block, _ = assembled(mosaic, arrays, (slice(0, 2), slice(2, 6)))
    assert block.tolist() == [[3, 4, 113, 114], [7, 8, 109, 110]]


def test_around_the_earth_the_first_column_follows_the_last() -> None:
    world = PixelGrid("EPSG:4326", (90.0, 0.0, -180.0, 0.0, -90.0, 90.0), (2, 4))
    (mosaic,) = mosaics((world,), world)
    assert mosaic.period == 4
    block, _ = assembled(
        mosaic, [np.array([[1, 2, 3, 4], [5, 6, 7, 8]])], (slice(0, 1), slice(2, 7))
    )
    assert block.tolist() == [[3, 4, 1, 2, 3]]


def test_the_window_has_a_margin_and_ends_with_the_lattice() -> None:
    (mosaic,) = mosaics((tile(0, 100, (100, 100)),), TARGET)
    assert mosaic.window(tile(50, 50, (10, 10)), (slice(0, 2), slice(0, 2)), "bilinear") == (
        slice(46, 57),
        slice(46, 57),
    )
    assert mosaic.window(tile(0, 100), (slice(0, 2), slice(0, 2)), "mean") == (
        slice(0, 7),
        slice(0, 7),
    )
    assert mosaic.window(tile(500, 500), (slice(0, 2), slice(0, 2)), "mean") is None
