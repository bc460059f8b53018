"""Find which of many sources lie beneath a window of the target grid, and beneath which part of it.

A product of a thousand tiles has a few of them beneath a window. Each source gets the rows and
columns of the target outside of which none of its pixels can be, so the others need not be mapped.
These limits may be wide, but never narrow: where the mapping between two grids may be
discontinuous, they are those of the whole target.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stacbuild.geo.crs import full_circle, same_crs, transformer
from stacbuild.geo.grid import Floats, PixelGrid, Window
from stacbuild.geo.longitudes import wrapped
from stacbuild.geo.positions import STEP, coordinates, nodes, source_positions

# Points sampled along each axis of a source, and of the target.
_SAMPLES, _TARGET_SAMPLES = 9, 33
# Target pixels around the limits, for rounding.
_MARGIN = 2
# Sources whose points are transformed together.
_TOGETHER = 1024
# Maximum number of nodes along each axis of a whole grid, to find gaps.
_MOST_NODES = 2048
# Pixels by which a point may miss itself after the round trip between two CRSs.
_ROUND_TRIP = 0.5


@dataclass(frozen=True, eq=False)
class Beneath:
    """The limits of sources on a target grid.

    Parameters
    ----------
    grids
        The sources, in order of precedence.
    limits
        For each source first row, stop row, first column and stop column of the target, (n, 4).
    """

    grids: tuple[PixelGrid, ...]
    limits: NDArray[np.int64]

    def parts(self, window: Window) -> Iterator[tuple[int, Window]]:
        """Yield the number of each source that may have pixels in a window, and that part of it."""
        rows, cols = window
        first = np.maximum(self.limits[:, ::2], (rows.start, cols.start))
        stop = np.minimum(self.limits[:, 1::2], (rows.stop, cols.stop))
        for number in np.flatnonzero((first < stop).all(axis=1)):
            (top, left), (bottom, right) = first[number].tolist(), stop[number].tolist()
            yield int(number), (slice(top, bottom), slice(left, right))


@lru_cache(maxsize=8)
def copies_beneath(
    sources: tuple[PixelGrid, ...], target: PixelGrid
) -> tuple[Beneath, tuple[int, ...]]:
    """Return the copies of sources that share longitudes with a target, and the source of each.

    Copies are those of `stacbuild.geo.longitudes.wrapped`.
    """
    copies = [
        (number, copy) for number, source in enumerate(sources) for copy in wrapped(source, target)
    ]
    grids = tuple(copy for _, copy in copies)
    return beneath(grids, target), tuple(number for number, _ in copies)


@lru_cache(maxsize=8)
def beneath(grids: tuple[PixelGrid, ...], target: PixelGrid, margin: int = 0) -> Beneath:
    """Return the limits of grids on a target.

    Parameters
    ----------
    margin
        Pixels of the source beyond its edges that count as its own.
    """
    limits = np.tile(np.array(_everywhere(target), np.int64), (len(grids), 1))
    # A single one is hardly worth the effort.
    if len(grids) > 1:
        by_crs: dict[str, list[int]] = {}
        for number, grid in enumerate(grids):
            by_crs.setdefault(grid.crs, []).append(number)
        for crs, numbers in by_crs.items():
            if not _returns(crs, target):
                continue
            for first in range(0, len(numbers), _TOGETHER):
                some = numbers[first : first + _TOGETHER]
                limits[some] = _limits([grids[number] for number in some], target, margin)
    return Beneath(grids, limits)


def covers(sources: Sequence[PixelGrid], target: PixelGrid) -> bool:
    """Return whether the sources together cover every 16th pixel of the target grid.

    On grids of more than 10^9 pixels, sampling is sparser, which limits the number of points; they
    are processed a few rows at a time.

    Parameters
    ----------
    sources
        Copies that share longitudes with the target (`stacbuild.geo.longitudes.wrapped`).
    """
    limits = beneath(tuple(sources), target)
    rows, cols = (
        np.minimum(nodes(slice(0, length), _spacing(length)), length - 1) for length in target.shape
    )
    for first in range(0, len(rows), STEP):
        strip = rows[first : first + STEP]
        at = np.meshgrid(strip, cols, indexing="ij")
        inside = np.zeros(at[0].shape, np.bool_)
        window = slice(int(strip[0]), int(strip[-1]) + 1), slice(0, target.shape[1])
        points: dict[str, tuple[Floats, Floats]] = {}
        for number, part in limits.parts(window):
            source = limits.grids[number]
            if source.crs not in points:
                points[source.crs] = coordinates(source.crs, target, *at)
            some = slice(*np.searchsorted(cols, (part[1].start, part[1].stop)).tolist())
            x, y = (each[:, some] for each in points[source.crs])
            row, col = source_positions(source, x, y)
            height, width = source.shape
            inside[:, some] |= (row >= 0) & (row < height) & (col >= 0) & (col < width)
            if inside.all():
                break
        if not inside.all():
            return False
    return True


def _spacing(length: int) -> int:
    """Return the distance, in pixels, between nodes along a whole grid."""
    return STEP * -(-length // (STEP * _MOST_NODES))


def _everywhere(target: PixelGrid) -> tuple[int, int, int, int]:
    return 0, target.shape[0], 0, target.shape[1]


def _limits(grids: Sequence[PixelGrid], target: PixelGrid, margin: int) -> NDArray[np.int64]:
    """Return the limits of grids in one CRS."""
    x, y, pixel = _points(grids, margin)
    known = np.ones(len(grids), np.bool_)
    if not same_crs(grids[0].crs, target.crs):
        way = transformer(grids[0].crs, target.crs)
        there = way.transform(x, y)
        back = way.transform(*there, direction="INVERSE")
        with np.errstate(invalid="ignore"):
            away = np.hypot(back[0] - x, back[1] - y)
            known = (away.max(axis=(1, 2)) <= _ROUND_TRIP * pixel) & np.isfinite(away).all((1, 2))
        x, y = there
    row, col = source_positions(target, x, y)
    if (circle := full_circle(target.crs)) is not None and target.is_aligned:
        # Around a pole, or across the antimeridian.
        jump = circle / abs(target.transform[0]) / 10
        known &= np.maximum(*(_widest(col, axis, 1) for axis in (1, 2))) <= jump
    found = np.empty((len(grids), 4))
    for place, at in ((0, row), (2, col)):
        # Between two points, a parabola departs from the chord by at most an eighth of the second
        # difference. Doubled, as the curvature is not the same everywhere.
        curved = np.maximum(*(_widest(at, axis, 2) for axis in (1, 2))) / 4
        found[:, place] = np.floor(at.min(axis=(1, 2)) - curved) - _MARGIN
        found[:, place + 1] = np.ceil(at.max(axis=(1, 2)) + curved) + _MARGIN
    whole = np.array(_everywhere(target), np.float64)
    found[~(known & np.isfinite(found).all(axis=1))] = whole
    return np.clip(found, -1, whole.max() + 1).astype(np.int64)


def _widest(at: Floats, axis: int, order: int) -> Floats:
    """Return the largest difference of an order along an axis, for each source."""
    with np.errstate(invalid="ignore"):
        widest: Floats = np.abs(np.diff(at, order, axis=axis)).max(axis=(1, 2))
    return widest


def _points(grids: Sequence[PixelGrid], margin: int) -> tuple[Floats, Floats, Floats]:
    """Return x and y of points on each source, (n, rows, columns), and the sides of its pixels."""
    steps = np.linspace(0, 1, _SAMPLES)
    shapes = np.array([grid.shape for grid in grids], np.float64)
    transforms = np.array([grid.transform for grid in grids])
    rows, cols = ((shapes[:, axis, None] + 2 * margin) * steps - margin for axis in (0, 1))
    row, col = rows[:, :, None], cols[:, None, :]
    a, b, c, d, e, f = (transforms[:, number, None, None] for number in range(6))
    pixel = np.sqrt(np.abs(a * e - b * d))[:, 0, 0]
    return a * col + b * row + c, d * col + e * row + f, pixel


@lru_cache(maxsize=64)
def _returns(crs: str, target: PixelGrid) -> bool:
    """Return whether points of the target come back from a CRS to where they were.

    They do not where the target is wider than the earth, as a map in Mercator may be, or has
    longitudes beyond 180: a source may then lie beneath several parts of it.
    """
    if same_crs(crs, target.crs):
        return True
    edges = (np.linspace(0, length, _TARGET_SAMPLES) for length in target.shape)
    rows, cols = np.meshgrid(*edges, indexing="ij")
    x, y = target.affine @ (cols, rows)
    way = transformer(target.crs, crs)
    back = way.transform(*way.transform(x, y), direction="INVERSE")
    with np.errstate(invalid="ignore"):
        away = np.hypot(back[0] - x, back[1] - y)
    limit = _ROUND_TRIP * math.sqrt(abs(target.affine.determinant))
    return bool((away[np.isfinite(away)] <= limit).all())
