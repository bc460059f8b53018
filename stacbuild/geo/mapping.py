"""Map each pixel of the target grid to the source pixel under its centre: exact nearest neighbour.

The map depends only on the two grids, not on bands, years or files, so it is computed once per
target window and shared by all of them. "Exact" means: as if PROJ had transformed every single
pixel centre. It transforms only one pixel in 16 x 16; positions between these are interpolated, and
those near an edge of a source pixel (nearer than the interpolation error, which is measured) are
then transformed by PROJ too. GDAL's approximating transformer skips that last step, so 1 to 2 % of
its pixels are a neighbour of the nearest one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.geo.crs import same_crs
from stacbuild.geo.grid import Floats, PixelGrid, Window
from stacbuild.geo.positions import (
    STEP,
    centres,
    clip,
    cuts,
    extremes,
    nodes,
    positions,
    source_positions,
    span,
)
from stacbuild.shared import SharedArray

# If the interpolation error exceeds this (in source pixels), PROJ transforms every pixel.
_COARSE_ERROR = 0.05
# A centre this close (in source pixels) below an edge belongs to the next pixel. Ties, which are
# common on aligned grids, are then resolved alike regardless of rounding. GDAL does so too.
_TIE = 1e-9
# Rows of the map filled at a time: enough for NumPy to release Python's lock for a while.
_STRIP = 8 * STEP


@dataclass(frozen=True)
class IndexMap:
    """The source pixel under the centre of each pixel of a target window.

    Parameters
    ----------
    window
        The rows and columns of the source that the target window touches.
    index
        Position in the flattened source window, intp, shape of the target window, filled by the
        threads that first need it; or, if rows depend only on rows and columns only on columns,
        the pair of 1-D positions.
    outside
        Mask of the target pixels outside the source (same shape); None if there are none.
    cells
        First and last source rows and columns of each cell of 16 x 16 target pixels, shape
        (4, cells down, cells across); None if they are no narrower than the window.
    """

    window: Window
    index: SharedArray | tuple[NDArray[np.intp], NDArray[np.intp]]
    outside: NDArray[np.bool_] | None
    cells: Floats | None = None

    @property
    def nbytes(self) -> int:
        """Memory used, in bytes."""
        arrays = self.index if isinstance(self.index, tuple) else (self.index,)
        outside = 0 if self.outside is None else self.outside.nbytes
        return outside + sum(array.nbytes for array in arrays)

    @property
    def size(self) -> int:
        """Number of pixels of the source window."""
        rows, cols = self.window
        return int((rows.stop - rows.start) * (cols.stop - cols.start))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the target window."""
        if isinstance(self.index, tuple):
            return len(self.index[0]), len(self.index[1])
        rows, cols = self.index.get().shape
        return int(rows), int(cols)

    def source_indices(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return source rows and columns, each of the target window's shape.

        They are undefined where the target lies outside the source.
        """
        if isinstance(self.index, tuple):
            rows, cols = np.meshgrid(*self.index, indexing="ij")
        else:
            rows, cols = np.divmod(self.index.get(), self.window[1].stop - self.window[1].start)
        return rows + self.window[0].start, cols + self.window[1].start

    def strips(self, height: int) -> Iterator[Window]:
        """Yield the parts of the source window that are needed.

        A target window is usually rotated relative to the source, so that the corners of the
        source window are not needed: up to a fifth of it need not be read.

        Parameters
        ----------
        height
            Source rows per strip, counted from the top of the source.
        """
        if self.cells is None:
            yield self.window
            return
        rows, cols = self.window
        top, bottom, left, right = self.cells
        for start, stop in cuts(rows, height):
            hit = (bottom >= start) & (top < stop)
            if hit.any():
                first = max(int(left[hit].min()), cols.start)
                last = min(int(right[hit].max()) + 1, cols.stop)
                if first < last:
                    yield slice(start, stop), slice(first, last)

    def gather(self, block: NDArray[Any], fill: float | np.generic) -> NDArray[Any]:
        """Return the pixels of the target window, taken from the source window.

        Parameters
        ----------
        block
            The source window, 2-D, any dtype.
        fill
            The value outside the source.

        Returns
        -------
        An array of the target window's shape and the block's dtype.
        """
        if isinstance(self.index, tuple):
            rows, cols = self.index
            # Columns first, on the few source rows; whole rows are copied after that.
            picked = block.take(cols, axis=1, mode="wrap").take(rows, axis=0, mode="wrap")
        else:
            flat = np.ascontiguousarray(block).ravel()
            # Indices are in range by construction; "wrap" is NumPy's fastest mode without a check.
            picked = flat.take(self.index.get(), mode="wrap")
        if self.outside is not None:
            picked[self.outside] = fill
        return picked


def index_map(source: PixelGrid, target: PixelGrid, window: Window) -> IndexMap | None:
    """Return the map from pixels of a *window* of the *target* grid to those of the *source*.

    Returns
    -------
    The map, or None if no pixel of the window lies on the source.
    """
    if same_crs(source.crs, target.crs) and source.is_aligned and target.is_aligned:
        return _separable_map(source, target, window)
    return _warped_map(source, target, window)


def _separable_map(source: PixelGrid, target: PixelGrid, window: Window) -> IndexMap | None:
    rows = np.arange(window[0].start, window[0].stop, dtype=np.float64)
    cols = np.arange(window[1].start, window[1].stop, dtype=np.float64)
    x, y = centres(target, rows, cols)
    row, col = (np.floor(position + _TIE) for position in source_positions(source, x, y))
    bounds = clip(span(row, 0), span(col, 0), source.shape)
    if bounds is None:
        return None
    row_out = (row < 0) | (row >= source.shape[0])
    col_out = (col < 0) | (col >= source.shape[1])
    outside = row_out[:, None] | col_out[None, :] if row_out.any() or col_out.any() else None
    index = (
        row.astype(np.intp) - bounds[0].start,
        col.astype(np.intp) - bounds[1].start,
    )
    return IndexMap(bounds, index, outside)


def _warped_map(source: PixelGrid, target: PixelGrid, window: Window) -> IndexMap | None:
    rows, cols = window
    at = (nodes(rows), nodes(cols))
    row_at, col_at = positions(source, target, *np.meshgrid(*at, indexing="ij"))
    error = _interpolation_error(source, target, at, row_at, col_at)
    nonlinear = error >= _COARSE_ERROR
    if nonlinear:
        # Around a pole or across the antimeridian, pixels lie far outside of their nodes.
        numbers = [np.arange(part.start, part.stop, dtype=np.float64) for part in window]
        row_at, col_at = extremes(source, target, numbers[0], numbers[1], positions)
    bounds = clip(span(row_at, 1), span(col_at, 1), source.shape)
    if bounds is None:
        return None
    shape = (rows.stop - rows.start, cols.stop - cols.start)
    # NumPy's own index type: narrower ones would be converted for every band.
    index = np.empty(shape, np.intp)
    may_leave = nonlinear or _leaves(row_at, col_at, source.shape)
    outside = np.zeros(shape, np.bool_) if may_leave else None
    # Nothing is interpolated if PROJ transforms every pixel.
    lines = (np.empty((0, 0)),) * 2 if nonlinear else _lines(row_at, col_at, shape[1])
    strips = _Strips(source, target, window, bounds, error, *lines)
    parts = [
        partial(strips.fill, slice(first, min(first + _STRIP, shape[0])), index, outside)
        for first in range(0, shape[0], _STRIP)
    ]
    cells = None if nonlinear else _cells(row_at, col_at)
    return IndexMap(bounds, SharedArray(index, parts), outside, cells)


@dataclass(frozen=True)
class _Strips:
    """Inputs to fill the map strip by strip.

    The lines are the nodes' positions, interpolated along the columns.
    """

    source: PixelGrid
    target: PixelGrid
    window: Window
    bounds: Window
    error: float
    row_lines: Floats
    col_lines: Floats

    def fill(
        self, strip: slice, index: NDArray[np.intp], outside: NDArray[np.bool_] | None
    ) -> None:
        """Fill the rows of one strip."""
        row, col = self._positions(strip)
        row_floor, col_floor = np.floor(row + _TIE), np.floor(col + _TIE)
        if self.error < _COARSE_ERROR:
            self._recheck(strip, row, col, row_floor, col_floor)
        if outside is not None:
            height, width = self.source.shape
            # NaN (beyond the projection) compares false, so it is outside as well.
            inside = (row_floor >= 0) & (row_floor < height)
            inside &= (col_floor >= 0) & (col_floor < width)
            np.logical_not(inside, out=outside[strip])
            row_floor[~inside] = self.bounds[0].start
            col_floor[~inside] = self.bounds[1].start
        width = self.bounds[1].stop - self.bounds[1].start
        row_floor *= width
        row_floor += col_floor
        row_floor -= self.bounds[0].start * width + self.bounds[1].start
        index[strip] = row_floor

    def _positions(self, strip: slice) -> tuple[Floats, Floats]:
        numbers = np.arange(strip.start, strip.stop, dtype=np.float64)
        if self.error >= _COARSE_ERROR:
            cols = np.arange(self.window[1].start, self.window[1].stop, dtype=np.float64)
            at = np.meshgrid(self.window[0].start + numbers, cols, indexing="ij")
            return positions(self.source, self.target, *at)
        first, last = strip.start // STEP, -(-strip.stop // STEP)
        down = (np.arange(STEP) / STEP)[:, None]
        between = []
        for lines in (self.row_lines, self.col_lines):
            above, below = lines[first:last, None], lines[first + 1 : last + 1, None]
            part = down * (below - above)
            part += above
            between.append(part.reshape(-1, lines.shape[1])[: len(numbers)])
        return between[0], between[1]

    def _recheck(
        self, strip: slice, row: Floats, col: Floats, row_floor: Floats, col_floor: Floats
    ) -> None:
        """Set the exact pixel where the interpolated position is too near an edge."""
        near_edge = 0.5 - (2 * self.error + 1e-7)
        near = np.zeros(row.shape, np.bool_)
        for position, floor in ((row, row_floor), (col, col_floor)):
            position -= floor
            position -= 0.5
            np.abs(position, out=position)
            near |= position > near_edge
        where = np.nonzero(near)
        if not len(where[0]):
            return
        exact = positions(
            self.source,
            self.target,
            (self.window[0].start + strip.start + where[0]).astype(np.float64),
            (self.window[1].start + where[1]).astype(np.float64),
        )
        row_floor[where], col_floor[where] = (np.floor(position + _TIE) for position in exact)


def _cells(row_at: Floats, col_at: Floats) -> Floats:
    """Return source rows and columns of the cells between nodes, plus a pixel on each side."""
    edges = []
    for at in (row_at, col_at):
        corners = np.stack([at[:-1, :-1], at[:-1, 1:], at[1:, :-1], at[1:, 1:]])
        edges += [np.floor(corners.min(axis=0)) - 1, np.floor(corners.max(axis=0)) + 1]
    return np.stack(edges)


def _lines(row_at: Floats, col_at: Floats, width: int) -> tuple[Floats, Floats]:
    """Return the positions of nodes interpolated along the columns."""
    across = np.arange(width) / STEP
    left = np.minimum(across.astype(np.int64), row_at.shape[1] - 2)
    weight = across - left
    row_lines, col_lines = (
        at[:, left] + weight * (at[:, left + 1] - at[:, left]) for at in (row_at, col_at)
    )
    return row_lines, col_lines


def _interpolation_error(
    source: PixelGrid,
    target: PixelGrid,
    at: tuple[Floats, Floats],
    row_at: Floats,
    col_at: Floats,
) -> float:
    """Return the maximum interpolation error in any cell, in source pixels.

    Between two nodes the error is largest in the middle, and within a cell it is at most the sum
    over both axes. The middle of the cell is no measure: from one conformal projection to another,
    the errors of both axes cancel out there, and only there.
    """
    rows, cols = at
    across = positions(source, target, *np.meshgrid(rows, cols[:-1] + STEP / 2, indexing="ij"))
    down = positions(source, target, *np.meshgrid(rows[:-1] + STEP / 2, cols, indexing="ij"))
    with np.errstate(invalid="ignore"):
        worst = max(
            np.abs((p[:, :-1] + p[:, 1:]) / 2 - a).max() + np.abs((p[:-1] + p[1:]) / 2 - d).max()
            for p, a, d in zip((row_at, col_at), across, down, strict=True)
        )
    return float(worst) if np.isfinite(worst) else np.inf


def _leaves(row: NDArray[np.float64], col: NDArray[np.float64], shape: tuple[int, int]) -> bool:
    """Return whether any target pixel may lie outside the source (with a margin of one pixel)."""
    return not all(
        bool(((position > 1) & (position < count - 1)).all())
        for position, count in ((row, shape[0]), (col, shape[1]))
    )
