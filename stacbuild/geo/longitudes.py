"""Longitudes: one meridian has many (-10 and 350), and a grid in degrees may count from anywhere.

Files count -180 to 180, 0 to 360, or from where their part of the earth begins; PROJ gives -180 to
180. `wrapped` moves a source by whole circles to where the target lies; a source both of whose ends
lie on the target is there twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

from stacbuild.geo.bbox import BBox
from stacbuild.geo.crs import full_circle, same_crs
from stacbuild.geo.grid import PixelGrid, Window
from stacbuild.geo.positions import period_of

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
    low, _, high, _ = target.bounds
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

    Each time with the rows and columns of the source that it is.
    """
    west, _, east, _ = bbox
    for copy in wrapped_between(source, west, east):
        # A centre that is on a meridian but for rounding is on it, whichever copy it is.
        window = copy.window_of(bbox, slack=_SHARE * abs(copy.transform[0]))
        if window is not None:
            yield copy.part(window), window
