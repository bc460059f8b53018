"""Which values of a quality layer mask a pixel, and how far masked pixels grow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.nodata import Number, held

# Types whose every value has an entry in a table, which is faster than to compare.
_SMALL = 2


@dataclass(frozen=True)
class Rule:
    """The pixels of a quality layer that hide those of a band.

    A pixel is masked if its value is one of *values*, or any of *tests* holds.

    Parameters
    ----------
    values
        Values as the file stores them.
    tests
        Pairs of bits and value: a test holds where ``pixel & bits == value``.
    invert
        Mask the other pixels instead.
    dilate
        Mask also what lies up to so many pixels of the layer from a masked pixel, from centre to
        centre.
    """

    values: tuple[Number, ...] = ()
    tests: tuple[tuple[int, int], ...] = ()
    invert: bool = False
    dilate: int = 0

    def masked(self, pixels: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which pixels the rule masks, not dilated.

        Parameters
        ----------
        pixels
            Values of the layer, any shape; *tests* need integers. NaN, which no rule can name, is
            always masked.
        """
        kind, size = pixels.dtype.kind, pixels.dtype.itemsize
        if kind in "iu" and size <= _SMALL:
            bits = pixels.view(pixels.dtype.str.replace("i", "u"))
            return _table(self, f"{kind}{size}").take(bits)
        return self.compared(pixels)

    def compared(self, pixels: NDArray[Any]) -> NDArray[np.bool_]:
        """Return what `masked` does, without a table."""
        found = np.zeros(pixels.shape, np.bool_)
        for value in self.values:
            found |= pixels == held(value, pixels.dtype)
        for bits, value in self.tests:
            found |= (pixels & _as(bits, pixels.dtype)) == _as(value, pixels.dtype)
        if self.invert:
            found = ~found
        if pixels.dtype.kind == "f":
            found |= np.isnan(pixels)
        return found


def _as(number: int, dtype: np.dtype[Any]) -> Any:
    """Return an unsigned number as the integer of a type that has the same bits."""
    if dtype.kind == "b":
        return np.bool_(number & 1)
    limit = 1 << 8 * dtype.itemsize
    number &= limit - 1
    return dtype.type(number - limit if dtype.kind == "i" and number >= limit // 2 else number)


@lru_cache(maxsize=64)
def _table(rule: Rule, dtype: str) -> NDArray[np.bool_]:
    """Return whether a rule masks each value of a small integer type, by its bits."""
    stored = np.dtype(dtype)
    numbers = np.arange(1 << 8 * stored.itemsize, dtype=f"u{stored.itemsize}")
    return rule.compared(numbers.view(stored))


def dilated(masked: NDArray[np.bool_], distance: int) -> NDArray[np.bool_]:
    """Return a mask grown by a disc: what lies within *distance* of a masked pixel.

    Parameters
    ----------
    masked
        2-D. What lies beyond its edges counts as not masked.
    distance
        Pixels from centre to centre.

    Returns
    -------
    Array of the same shape; *masked* itself if nothing changes.
    """
    if distance == 0 or not masked.any():
        return masked
    rows, cols = masked.shape
    # Sums from the left, with margins, so that the pixels of a row within any distance are
    # counted by one subtraction.
    sums = np.zeros((rows, cols + 2 * distance + 1), np.int32)
    np.cumsum(masked, axis=1, out=sums[:, distance + 1 : distance + 1 + cols])
    sums[:, distance + 1 + cols :] = sums[:, distance + cols, None]
    found = np.zeros(masked.shape, np.bool_)
    for down in range(min(distance, rows - 1) + 1):
        side = math.isqrt(distance**2 - down**2)
        right = sums[:, distance + 1 + side : distance + 1 + side + cols]
        wide = right != sums[:, distance - side : distance - side + cols]
        found[down:] |= wide[: rows - down]
        found[: rows - down] |= wide[down:]
    return found
