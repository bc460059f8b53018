"""Mosaic files that share one lattice of pixels, and plan what to read of each for a window.

Methods that combine several source pixels need those of the neighbouring file as well. So files on
one lattice are merged first, the first with data takes precedence, and resampled once. A global
lattice wraps around: its last column is followed by its first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.geo.coverage import footprint, needs_spherical
from stacbuild.geo.crs import full_circle, same_crs
from stacbuild.geo.grid import Floats, PixelGrid, Window
from stacbuild.geo.longitudes import whole_period, wrapped
from stacbuild.geo.positions import clip, span

# Maximum offset between pixels of different files, in pixels, on one lattice.
_MAX_OFFSET = 1e-3
# Edges of pixels closer than this, in pixels, coincide.
_TIE = 1e-6
# Source pixels beyond the target's footprint that a kernel may read: bilinear needs one, and
# an aggregation over a target pixel half of its size, which the footprint itself covers.
MARGIN = 4


@dataclass(frozen=True)
class Placement:
    """Position of a source on the lattice.

    Parameters
    ----------
    number
        Index of the source.
    top, left
        First row and column in the lattice.
    shape
        Rows and columns.
    flips
        Whether the rows and the columns are in reverse order.
    """

    number: int
    top: int
    left: int
    shape: tuple[int, int]
    flips: tuple[bool, bool]


@dataclass(frozen=True)
class Piece:
    """A part of one source and its position in a window of the lattice.

    ``window`` is in the source's own pixels; ``position`` counts from the first row and column of
    the lattice window.
    """

    number: int
    window: Window
    position: Window
    flips: tuple[bool, bool]


@dataclass(frozen=True)
class Mosaic:
    """Sources on one lattice of pixels.

    Parameters
    ----------
    grid
        The lattice, with rows and columns from the first to the last of any source.
    placements
        Position of each source, in order of precedence.
    period
        Columns in a full circle, if the lattice wraps around; any column number is then valid.
    """

    grid: PixelGrid
    placements: tuple[Placement, ...]
    period: int | None

    def window(self, target: PixelGrid, window: Window, method: str) -> Window | None:
        """Return the rows and columns of the lattice that a target window is resampled from.

        Columns may lie outside of the grid if the lattice wraps around. None if no pixel of the
        target lies on the lattice.
        """
        row, col = footprint(self.grid, target, window)
        if self.period is None:
            with np.errstate(invalid="ignore"):
                return clip(span(row, MARGIN), span(col, MARGIN), self.grid.shape)
        rows, finite = span(row, MARGIN), col[np.isfinite(col)]
        if rows is None or not finite.size:
            return None
        low, high = self._columns(target, finite, method)
        cut = clip(rows, (0, 1), self.grid.shape)
        if cut is None:
            return None
        found = cut[0], slice(low, high)
        return found if any(True for _ in self.pieces(found)) else None

    def _columns(self, target: PixelGrid, col: Floats, method: str) -> tuple[int, int]:
        """Return start and stop of the columns, on a lattice that wraps around."""
        assert self.period is not None  # noqa: S101 - not called without a period
        least, most = float(col.min()), float(col.max())
        low, high = math.floor(least) - MARGIN, math.floor(most) + MARGIN + 1
        if needs_spherical(self.grid, target):
            # Columns beyond one limit of PROJ's longitudes are at the other: read all columns.
            a, _, c, *_ = self.grid.transform
            circle = self.period * abs(a)
            limits = sorted(((-circle / 2 - c) / a, (circle / 2 - c) / a))
            if low < limits[0] or high > limits[1]:
                return math.floor(limits[0]), math.floor(limits[0]) + self.period
        elif method != "bilinear" and len(self.placements) == 1:
            # Do not read columns at the other end of the file only for the margin.
            left = self.placements[0].left
            right = left + self.placements[0].shape[1]
            if left <= least + _TIE < right:
                low = max(low, left)
            if left < most - _TIE <= right:
                high = min(high, right)
        return low, high

    def pieces(self, window: Window) -> Iterator[Piece]:
        """Yield the parts of each source to read for a window of the lattice."""
        rows, cols = window
        for placement in self.placements:
            (height, width), start = placement.shape, placement.top
            top, bottom = max(rows.start, start), min(rows.stop, start + height)
            if top >= bottom:
                continue
            for left in self._lefts(placement, cols):
                first, last = max(cols.start, left), min(cols.stop, left + width)
                if first < last:
                    own = (
                        _own(top - start, bottom - start, height, placement.flips[0]),
                        _own(first - left, last - left, width, placement.flips[1]),
                    )
                    within = (
                        slice(top - rows.start, bottom - rows.start),
                        slice(first - cols.start, last - cols.start),
                    )
                    yield Piece(placement.number, own, within, placement.flips)

    def _lefts(self, placement: Placement, cols: slice) -> Sequence[int]:
        """Return the first column of each copy of a source that overlaps *cols*."""
        if self.period is None:
            return (placement.left,)
        first = -(-(cols.start - placement.left - placement.shape[1] + 1) // self.period)
        last = (cols.stop - 1 - placement.left) // self.period
        numbers = sorted(range(first, last + 1), key=abs)
        return [placement.left + number * self.period for number in numbers]

    def assemble(
        self,
        window: Window,
        read: Callable[[int, Window], NDArray[Any]],
        is_missing: Callable[[NDArray[Any]], NDArray[np.bool_]],
        fill: Any,
    ) -> NDArray[Any]:
        """Read a window of the lattice, each pixel from the first source with data at it.

        Parameters
        ----------
        read
            Reads a window of a source, by its number, rows and columns last, nodata as *fill*.
        is_missing
            Returns the mask of the pixels that are *fill*.

        Returns
        -------
        Array of the sources' dtype, *fill* where none has data.
        """
        block: NDArray[Any] | None = None
        owned = False
        size = tuple(part.stop - part.start for part in window)
        for piece in self.pieces(window):
            where = (..., *piece.position)
            missing = None if block is None else is_missing(block[where])
            if missing is not None and not missing.any():
                continue
            values = read(piece.number, piece.window)
            if any(piece.flips):
                down, across = (slice(None, None, -1 if each else 1) for each in piece.flips)
                values = values[..., down, across]
            if block is None:
                if values.shape[-2:] == size:
                    block = values
                    continue
                block, owned = np.full((*values.shape[:-2], *size), fill, values.dtype), True
                block[where] = values
                continue
            if not owned:
                # The array may be cached and shared with other readers.
                block, owned = block.copy(), True
            np.copyto(block[where], values, where=missing)
        assert block is not None  # noqa: S101 - `window` returns None if there are no pieces
        return block


@lru_cache(maxsize=32)
def mosaics(sources: tuple[PixelGrid, ...], target: PixelGrid) -> tuple[Mosaic, ...]:
    """Group sources into mosaics, one per lattice of pixels.

    Sources on one lattice have the same CRS and step, and are offset by whole pixels; rows and
    columns may be in either order. A geographic source whose circle is not a whole number of pixels
    is included once for each of its copies (`wrapped`).
    """
    found: list[tuple[PixelGrid, int | None, list[Placement]]] = []
    for number, source in enumerate(sources):
        period = whole_period(source)
        once = period is not None or full_circle(source.crs) is None
        for each in (source,) if once else wrapped(source, target):
            for first, known, placements in found:
                placement = _placement(number, first, each) if known == period else None
                if placement is not None:
                    placements.append(placement)
                    break
            else:
                placement = Placement(number, 0, 0, each.shape, (False, False))
                found.append((each, period, [placement]))
    return tuple(_trimmed(*each) for each in found)


def _trimmed(first: PixelGrid, period: int | None, placements: Sequence[Placement]) -> Mosaic:
    """Return the mosaic of the smallest lattice that holds all *placements*."""
    top, left = min(each.top for each in placements), min(each.left for each in placements)
    bottom = max(each.top + each.shape[0] for each in placements)
    right = max(each.left + each.shape[1] for each in placements)
    moved = (replace(each, top=each.top - top, left=each.left - left) for each in placements)
    return Mosaic(first.part((slice(top, bottom), slice(left, right))), tuple(moved), period)


def _placement(number: int, lattice: PixelGrid, source: PixelGrid) -> Placement | None:
    """Return the position of a source on a lattice; None if its pixels are not on it."""
    if not same_crs(lattice.crs, source.crs):
        return None
    (rows, cols), m = source.shape, ~lattice.affine * source.affine
    offsets = (
        abs(abs(m.a) - 1) * cols,
        abs(abs(m.e) - 1) * rows,
        abs(m.b) * rows,
        abs(m.d) * cols,
        abs(m.c - round(m.c)),
        abs(m.f - round(m.f)),
    )
    if max(offsets) > _MAX_OFFSET:
        return None
    top, left = round(m.f) - (rows if m.e < 0 else 0), round(m.c) - (cols if m.a < 0 else 0)
    return Placement(number, top, left, source.shape, (m.e < 0, m.a < 0))


def _own(first: int, last: int, length: int, flipped: bool) -> slice:
    return slice(length - last, length - first) if flipped else slice(first, last)
