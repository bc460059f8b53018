"""Shift sources by whole circles of longitude to where the target lies.

A meridian has many longitudes (-10 and 350). Files use -180 to 180, 0 to 360, or start at their own
western edge; PROJ returns -180 to 180. A source of which both ends lie on the target is shifted to
either, so that it occurs twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

from stacbuild.geo.bbox import BBox
from stacbuild.geo.crs import full_circle, same_crs
from stacbuild.geo.grid import PixelGrid, Window
from stacbuild.geo.positions import period_of

# Two grids overlap if they share more than this fraction of a pixel.
_SHARE = 1e-6
# A circle within this of a whole number of pixels is that number of pixels.
_WHOLE = 1e-3


def whole_period(source: PixelGrid) -> int | None:
    """Return the number of columns in a full circle; None if it is not a whole number."""
    period = period_of(source)
    if period is None or abs(period - round(period)) > _WHOLE:
        return None
    return round(period)


@lru_cache(maxsize=1024)
def wrapped(source: PixelGrid, target: PixelGrid) -> tuple[PixelGrid, ...]:
    """Return copies of the source, shifted by whole circles, that share longitudes with the target.

    A source that is not geographic is returned unchanged. The result is empty if no copy overlaps.
    """
    circle = full_circle(source.crs)
    if circle is None:
        return (source,)
    low, _, high, _ = target.bounds
    if not same_crs(source.crs, target.crs):
        # The range of longitudes that `positions` uses.
        low, high = -circle / 2, circle / 2
    return wrapped_between(source, low, high)


def wrapped_between(source: PixelGrid, low: float, high: float) -> tuple[PixelGrid, ...]:
    """Return copies of the source, shifted by whole circles, that overlap x from *low* to *high*.

    The copy nearest to the file's own longitudes comes first.
    """
    circle = full_circle(source.crs)
    if circle is None:
        return (source,)
    a, b, *_ = source.transform
    if source.is_aligned and (columns := whole_period(source)) is not None:
        circle = columns * abs(a)
    west, _, east, _ = source.bounds
    slack = _SHARE * math.hypot(a, b)
    first = math.floor((low - east + slack) / circle) + 1
    last = math.ceil((high - west - slack) / circle) - 1
    return tuple(
        source.moved(number * circle) if number else source
        for number in sorted(range(first, last + 1), key=abs)
    )


def parts_within(source: PixelGrid, bbox: BBox) -> Iterator[tuple[PixelGrid, Window]]:
    """Yield the part of each copy of an aligned source whose pixel centres lie in *bbox*.

    Each part comes with its window, the rows and columns of the source.
    """
    west, _, east, _ = bbox
    for copy in wrapped_between(source, west, east):
        # A centre on a meridian, except for rounding, counts as on it in every copy.
        window = copy.window_of(bbox, slack=_SHARE * abs(copy.transform[0]))
        if window is not None:
            yield copy.part(window), window
