"""Where pixels of one grid lie on another's."""

from __future__ import annotations

import numpy as np
import pytest

from stacbuild.geo.beneath import covers
from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.positions import (
    clip,
    coincide,
    cuts,
    nodes,
    period_of,
    positions,
    reduction,
    shifted,
    span,
    window_key,
)

WORLD = PixelGrid("EPSG:4326", (1.0, 0.0, -180.0, 0.0, -1.0, 90.0), (180, 360))


def metres(size: float, x: float = 0.0, y: float = 0.0, side: int = 100) -> PixelGrid:
    return PixelGrid("EPSG:3035", (size, 0.0, x, 0.0, -size, y), (side, side))


def test_columns_once_around_the_earth() -> None:
    assert period_of(WORLD) == 360
    assert period_of(PixelGrid("EPSG:4326", (0.7, 0.0, 0.0, 0.0, -0.7, 0.0), (5, 5))) == 360 / 0.7
    assert period_of(metres(10)) is None


def test_positions_are_fractional_rows_and_columns() -> None:
    row, col = positions(metres(10), metres(20, x=100, y=-40), np.array([0.0]), np.array([2.0]))
    assert (row[0], col[0]) == (5, 15)


def test_the_antimeridian_is_where_the_earth_begins() -> None:
    # Centred on 150 degrees east, a pixel a degree: centres at 179.5, -179.5 (and 180 between).
    degree = 6_378_137 * np.pi / 180
    pacific = PixelGrid("EPSG:3832", (degree, 0.0, 29 * degree, 0.0, -1.0, 0.5), (1, 2))
    _, col = positions(WORLD, pacific, np.zeros(3), np.array([0, 0.5, 1]))
    np.testing.assert_allclose(col, [359.5, 0, 0.5], atol=1e-6)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [(1, 10, 10), (10, 1, 0.1), (10, 10, 1)],
)
def test_source_pixels_in_a_target_pixel(source: float, target: float, expected: float) -> None:
    assert reduction(metres(source), metres(target)) == pytest.approx(expected)


def test_the_axis_with_more_of_them_counts() -> None:
    wide = PixelGrid("EPSG:3035", (30.0, 0.0, 0.0, 0.0, -10.0, 0.0), (50, 50))
    assert reduction(metres(10), wide) == pytest.approx(3)


def test_sources_cover_a_target_together() -> None:
    target = metres(10, side=40)
    halves = (metres(10, side=40), metres(10, x=200, side=40))
    assert covers(halves, target)
    shifted_halves = (metres(10, x=-200, side=40), metres(10, x=210, side=40))
    assert covers((shifted_halves[0], metres(10, x=200, side=40)), target)
    assert not covers(shifted_halves[:1], target)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (metres(10), metres(10, x=30, y=-50), True),
        (metres(10), metres(10, x=5), False),
        (metres(10), metres(20), False),
        (metres(10), PixelGrid("EPSG:3035", (10.0, 0.0, 0.0, 0.0, 10.0, -1000.0), (9, 9)), True),
        (metres(10), PixelGrid("EPSG:3034", (10.0, 0.0, 0.0, 0.0, -10.0, 0.0), (9, 9)), False),
        # Nine digits of a step, which add up to more than the thousandth of a pixel.
        (metres(10), metres(10.001), False),
    ],
)
def test_grids_whose_pixels_are_the_same(
    source: PixelGrid, target: PixelGrid, *, expected: bool
) -> None:
    assert coincide(source, target) is expected


def test_windows() -> None:
    assert nodes(slice(5, 38)).tolist() == [5, 21, 37, 53]
    assert span(np.array([np.nan, 2.5, 7.9]), 1) == (1, 9)
    assert span(np.array([np.nan]), 1) is None
    assert clip((-3, 9), (2, 50), (8, 20)) == (slice(0, 8), slice(2, 20))
    assert clip((8, 9), (2, 50), (8, 20)) is None
    assert clip(None, (2, 50), (8, 20)) is None
    assert list(cuts(slice(3, 12), 4)) == [(3, 4), (4, 8), (8, 12)]
    assert list(cuts(slice(4, 8), 4)) == [(4, 8)]
    assert shifted((slice(1, 2), slice(3, 4)), (10, 20)) == (slice(11, 12), slice(23, 24))
    assert window_key((slice(1, 2), slice(3, 4))) == (1, 2, 3, 4)
