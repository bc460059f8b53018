"""Longitudes: one meridian has many (-10 and 350), and a grid in degrees may count from anywhere.

Files count -180 to 180, 0 to 360, or from where their part of the earth begins; PROJ gives -180 to
180. `wrapped` moves a source by whole circles to where the target lies; a source both of whose ends
lie on the target is there twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np

from stacbuild.geo.pixelgrid import PixelGrid, full_circle, is_aligned, period_of, same_crs

# What two grids have in common has to be more than this share of a pixel.
_SHARE = 1e-6
# A circle of as near a whole number of pixels is one.
_WHOLE = 1e-3


def whole_period(source: PixelGrid) -> int | None:
    """Return how many columns go once around the earth; None if they are no whole number."""
    period = period_of(source)
    if period is None or abs(period - round(period)) > _WHOLE:
        return None
    return round(period)


@lru_cache(maxsize=1024)
def wrapped(source: PixelGrid, target: PixelGrid) -> tuple[PixelGrid, ...]:
    """Return copies of the source, moved by whole circles, that share longitudes with the target.

    A source that is not in degrees is returned as it is. Empty if no copy does.
    """
    low, high = extent(target)
    circle = full_circle(source.crs)
    if circle is not None and not same_crs(source.crs, target.crs):
        # As `positions` gives them.
        low, high = -circle / 2, circle / 2
    return wrapped_between(source, low, high)


def wrapped_between(source: PixelGrid, low: float, high: float) -> tuple[PixelGrid, ...]:
    """Return copies of the source, moved by whole circles, that share x from *low* to *high*.

    The copy nearest to the file's own longitudes comes first.
    """
    circle = full_circle(source.crs)
    if circle is None:
        return (source,)
    a, b, c, d, e, f = source.transform
    if is_aligned(source) and (columns := whole_period(source)) is not None:
        circle = columns * abs(a)
    west, east = extent(source)
    slack = _SHARE * math.hypot(a, b)
    first = math.floor((low - east + slack) / circle) + 1
    last = math.ceil((high - west - slack) / circle) - 1
    return tuple(
        source if not number else replace(source, transform=(a, b, c + number * circle, d, e, f))
        for number in sorted(range(first, last + 1), key=abs)
    )


def columns_between(source: PixelGrid, low: float, high: float) -> Iterator[tuple[PixelGrid, int]]:
    """Yield the columns whose centres are at *low* or beyond and less than *high*, by copy.

    Each time with the number of its first column in the source.
    """
    for copy in wrapped_between(source, low, high):
        a, _, c, d, e, f = copy.transform
        x = c + a * (np.arange(source.shape[1]) + 0.5)
        # A centre that is on a meridian but for rounding is on it, whichever copy it is.
        slack = _SHARE * abs(a)
        columns = np.flatnonzero((x >= low - slack) & (x < high - slack))
        if columns.size:
            first = int(columns[0])
            moved = (a, 0.0, c + a * first, d, e, f)
            yield PixelGrid(source.crs, moved, (source.shape[0], int(columns.size))), first


def extent(grid: PixelGrid) -> tuple[float, float]:
    """Return the least and largest x of a grid's corners."""
    rows, cols = grid.shape
    a, b, c, *_ = grid.transform
    xs = [c + a * col + b * row for col in (0, cols) for row in (0, rows)]
    return min(xs), max(xs)
