"""Which source pixel lies under each pixel of the target grid: exact nearest neighbour.

The answer depends on the two grids only, not on bands, years or files, so it is computed once a
target window and shared by all of them. "Exact" means: as if every single pixel centre had gone
through PROJ. Only one pixel in 16 x 16 does; between them positions are interpolated, and those
that come near an edge of a source pixel (nearer than the interpolation error, which is measured)
go through PROJ after all. GDAL's approximating transformer skips that last step, which is why
1 to 2 % of its pixels are the neighbour of the nearest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer

if TYPE_CHECKING:
    from stacbuild.grid import Grid

# Every 16th pixel goes through PROJ: at 30 m that is half a kilometre, over which the
# interpolation is wrong by some 1e-4 of a pixel.
_STEP = 16
# Where interpolation is wrong by more than this (in source pixels), every pixel goes through PROJ.
_COARSE_ERROR = 0.05
# A centre this close (in source pixels) below an edge belongs to the next pixel. It makes ties,
# which aligned grids are full of, fall the same way whatever the rounding. GDAL does so too.
_TIE = 1e-9

Window = tuple[slice, slice]


@dataclass(frozen=True)
class PixelGrid:
    """Where pixels lie: a CRS, an affine transform and a shape.

    Parameters
    ----------
    crs
        Anything `pyproj.CRS` understands; an EPSG code or WKT.
    transform
        The six numbers ``a, b, c, d, e, f`` from (column, row) of a pixel's corner to (x, y).
    shape
        Rows and columns.
    """

    crs: str
    transform: tuple[float, float, float, float, float, float]
    shape: tuple[int, int]

    @classmethod
    def of_properties(cls, properties: Mapping[str, Any]) -> PixelGrid:
        """Take the grid from the ``proj:*`` fields of a STAC item."""
        a, b, c, d, e, f = properties["proj:transform"][:6]
        rows, cols = properties["proj:shape"]
        crs = properties.get("proj:code") or properties["proj:wkt2"]
        return cls(crs, (a, b, c, d, e, f), (rows, cols))

    @classmethod
    def of_grid(cls, grid: Grid) -> PixelGrid:
        """Take the grid of a cube."""
        a, b, c, d, e, f = tuple(grid.transform)[:6]
        return cls(f"EPSG:{grid.epsg}", (a, b, c, d, e, f), grid.shape)

    @property
    def affine(self) -> Affine:
        """The transform as an object."""
        return Affine(*self.transform)


@dataclass(frozen=True)
class IndexMap:
    """For each pixel of a target window the source pixel under its centre.

    Parameters
    ----------
    window
        The rows and columns of the source that the target window touches.
    index
        Position in the flattened source window, int64, shape of the target window; or, where
        rows depend on rows and columns on columns only, the pair of 1-D positions.
    outside
        Where the target lies beyond the source (same shape); None if nowhere.
    """

    window: Window
    index: NDArray[np.int64] | tuple[NDArray[np.int64], NDArray[np.int64]]
    outside: NDArray[np.bool_] | None

    @property
    def nbytes(self) -> int:
        """Memory held."""
        arrays = self.index if isinstance(self.index, tuple) else (self.index,)
        masks = () if self.outside is None else (self.outside,)
        return sum(array.nbytes for array in (*arrays, *masks))

    def gather(self, block: NDArray[Any], fill: float | np.generic) -> NDArray[Any]:
        """Pick the target's pixels out of the source window.

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
            # Columns first: on the few source rows; rows are then copied whole.
            picked = block.take(cols, axis=1, mode="clip").take(rows, axis=0, mode="clip")
        else:
            # The indices are in range by construction; "clip" spares NumPy its checking copy.
            picked = np.ascontiguousarray(block).ravel().take(self.index, mode="clip")
        if self.outside is not None:
            picked[self.outside] = fill
        return picked


@lru_cache(maxsize=64)
def transformer(source: str, target: str) -> Transformer:
    """Give the transformer between two CRSs, x before y.

    One is kept for each pair: making it takes longer than transforming a tile, and pyproj's
    transformers may be used from several threads.
    """
    return Transformer.from_crs(
        CRS.from_user_input(source), CRS.from_user_input(target), always_xy=True
    )


@lru_cache(maxsize=64)
def same_crs(one: str, other: str) -> bool:
    """Tell whether two CRSs give the same coordinates in x, y order."""
    return CRS.from_user_input(one).equals(CRS.from_user_input(other), ignore_axis_order=True)


def index_map(source: PixelGrid, target: PixelGrid, window: Window) -> IndexMap | None:
    """Map the pixels of a *window* of the *target* grid to those of the *source*.

    Returns
    -------
    The map, or None if no pixel of the window lies on the source.
    """
    if same_crs(source.crs, target.crs) and _is_aligned(source) and _is_aligned(target):
        return _separable_map(source, target, window)
    return _warped_map(source, target, window)


def footprint_window(
    source: PixelGrid, target: PixelGrid, window: Window, margin: int
) -> Window | None:
    """Give the source rows and columns under a target window, grown by *margin* pixels a side."""
    rows, cols = window
    nodes = (_nodes(rows), _nodes(cols))
    row, col = _exact(source, target, *np.meshgrid(*nodes, indexing="ij"))
    with np.errstate(invalid="ignore"):
        return _clip(_span(row, margin), _span(col, margin), source.shape)


def covers(sources: Sequence[PixelGrid], target: PixelGrid) -> bool:
    """Tell whether the sources together lie under every 16th pixel of the target grid."""
    rows, cols = (slice(0, length) for length in target.shape)
    nodes = np.meshgrid(_nodes(rows), _nodes(cols), indexing="ij")
    inside = np.zeros(nodes[0].shape, np.bool_)
    np.minimum(nodes[0], target.shape[0] - 1, out=nodes[0])
    np.minimum(nodes[1], target.shape[1] - 1, out=nodes[1])
    for source in sources:
        row, col = _exact(source, target, *nodes)
        inside |= (row >= 0) & (row < source.shape[0]) & (col >= 0) & (col < source.shape[1])
    return bool(inside.all())


def touches(source: PixelGrid, target: PixelGrid) -> bool:
    """Tell whether any part of the target grid may lie on the source."""
    return footprint_window(source, target, _whole(target), 1) is not None


def reduction(source: PixelGrid, target: PixelGrid) -> float:
    """Give how many source pixels a target pixel spans along the axis where it spans more."""
    rows, cols = _whole(target)
    row, col = _exact(source, target, *np.meshgrid(_nodes(rows), _nodes(cols), indexing="ij"))
    steps = [np.hypot(np.diff(row, axis=axis), np.diff(col, axis=axis)) / _STEP for axis in (0, 1)]
    return float(max(np.nanmedian(np.where(np.isfinite(step), step, np.nan)) for step in steps))


def _whole(grid: PixelGrid) -> Window:
    return slice(0, grid.shape[0]), slice(0, grid.shape[1])


def _is_aligned(grid: PixelGrid) -> bool:
    _, b, _, d, _, _ = grid.transform
    return b == 0 and d == 0


def _centres(
    grid: PixelGrid, rows: NDArray[np.float64], cols: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # From whole pixel numbers of the whole grid, so that a pixel's centre does not depend on
    # the window that it is asked for in.
    a, b, c, d, e, f = grid.transform
    x = c + a * (cols + 0.5) + (b * (rows + 0.5) if b else 0.0)
    y = f + e * (rows + 0.5) + (d * (cols + 0.5) if d else 0.0)
    return x, y


def _positions(
    grid: PixelGrid, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn coordinates into fractional rows and columns (a pixel spans [n, n + 1))."""
    a, _, c, _, e, f = grid.transform
    if _is_aligned(grid):
        return (y - f) / e, (x - c) / a
    back = ~grid.affine
    return back.d * x + back.e * y + back.f, back.a * x + back.b * y + back.c


def _exact(
    source: PixelGrid, target: PixelGrid, rows: NDArray[np.float64], cols: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = _centres(target, rows, cols)
    if not same_crs(source.crs, target.crs):
        x, y = transformer(target.crs, source.crs).transform(x, y)
    return _positions(source, x, y)


def _separable_map(source: PixelGrid, target: PixelGrid, window: Window) -> IndexMap | None:
    rows = np.arange(window[0].start, window[0].stop, dtype=np.float64)
    cols = np.arange(window[1].start, window[1].stop, dtype=np.float64)
    x, y = _centres(target, rows, cols)
    row, col = (np.floor(position + _TIE) for position in _positions(source, x, y))
    bounds = _clip(_span(row, 0), _span(col, 0), source.shape)
    if bounds is None:
        return None
    row_out = (row < 0) | (row >= source.shape[0])
    col_out = (col < 0) | (col >= source.shape[1])
    outside = row_out[:, None] | col_out[None, :] if row_out.any() or col_out.any() else None
    index = (
        row.astype(np.int64) - bounds[0].start,
        col.astype(np.int64) - bounds[1].start,
    )
    return IndexMap(bounds, index, outside)


def _warped_map(source: PixelGrid, target: PixelGrid, window: Window) -> IndexMap | None:
    rows, cols = window
    row_nodes, col_nodes = _nodes(rows), _nodes(cols)
    row_at, col_at = _exact(source, target, *np.meshgrid(row_nodes, col_nodes, indexing="ij"))
    error = _interpolation_error(source, target, row_nodes, col_nodes, row_at, col_at)
    bounds = _clip(_span(row_at, 1), _span(col_at, 1), source.shape)
    if bounds is None:
        return None
    height, width = rows.stop - rows.start, cols.stop - cols.start
    index = np.empty((height, width), np.int64)
    outside = np.zeros((height, width), np.bool_) if _leaves(row_at, col_at, source.shape) else None
    across = np.arange(width) / _STEP
    left = np.minimum(across.astype(np.int64), len(col_nodes) - 2)
    weight = across - left
    # Node rows interpolated along the columns once; then strips between two node rows, which
    # are small enough to stay in the processor's cache.
    row_lines = row_at[:, left] + weight * (row_at[:, left + 1] - row_at[:, left])
    col_lines = col_at[:, left] + weight * (col_at[:, left + 1] - col_at[:, left])
    for strip in range(len(row_nodes) - 1):
        first = strip * _STEP
        last = min(first + _STEP, height)
        numbers = rows.start + np.arange(first, last, dtype=np.float64)
        if error < _COARSE_ERROR:
            down = (np.arange(last - first) / _STEP)[:, None]
            row = row_lines[strip] + down * (row_lines[strip + 1] - row_lines[strip])
            col = col_lines[strip] + down * (col_lines[strip + 1] - col_lines[strip])
            _recheck(source, target, numbers, cols.start, row, col, 2 * error + 1e-7)
        else:
            grid = np.meshgrid(
                numbers, np.arange(cols.start, cols.stop, dtype=float), indexing="ij"
            )
            row, col = _exact(source, target, *grid)
        _store(index, outside, slice(first, last), row, col, bounds, source.shape)
    return IndexMap(bounds, index, outside)


def _recheck(
    source: PixelGrid,
    target: PixelGrid,
    numbers: NDArray[np.float64],
    first_col: int,
    row: NDArray[np.float64],
    col: NDArray[np.float64],
    tolerance: float,
) -> None:
    """Put the exact position where the interpolated one is too near an edge to tell; in place."""
    near = np.abs(row - np.rint(row)) < tolerance
    near |= np.abs(col - np.rint(col)) < tolerance
    where = np.nonzero(near)
    if len(where[0]):
        row[where], col[where] = _exact(
            source, target, numbers[where[0]], (first_col + where[1]).astype(np.float64)
        )


def _store(
    index: NDArray[np.int64],
    outside: NDArray[np.bool_] | None,
    strip: slice,
    row: NDArray[np.float64],
    col: NDArray[np.float64],
    bounds: Window,
    shape: tuple[int, int],
) -> None:
    row += _TIE
    col += _TIE
    np.floor(row, out=row)
    np.floor(col, out=col)
    if outside is not None:
        # Not a number (beyond the projection) compares false: outside as well.
        inside = (row >= 0) & (row < shape[0]) & (col >= 0) & (col < shape[1])
        np.logical_not(inside, out=outside[strip])
        row[~inside] = bounds[0].start
        col[~inside] = bounds[1].start
    row -= bounds[0].start
    row *= bounds[1].stop - bounds[1].start
    row += col
    row -= bounds[1].start
    index[strip] = row


def _nodes(pixels: slice) -> NDArray[np.float64]:
    """Every 16th pixel number, the last one at or beyond the end of the window."""
    count = max(1, -(-(pixels.stop - pixels.start - 1) // _STEP))
    return np.arange(count + 1, dtype=np.float64) * _STEP + float(pixels.start)


def _interpolation_error(
    source: PixelGrid,
    target: PixelGrid,
    row_nodes: NDArray[np.float64],
    col_nodes: NDArray[np.float64],
    row_at: NDArray[np.float64],
    col_at: NDArray[np.float64],
) -> float:
    """Measure, in source pixels, how wrong interpolation is in the middle of each cell."""
    middle = np.meshgrid(row_nodes[:-1] + _STEP / 2, col_nodes[:-1] + _STEP / 2, indexing="ij")
    row, col = _exact(source, target, *middle)
    with np.errstate(invalid="ignore"):
        errors = [
            np.abs((at[:-1, :-1] + at[:-1, 1:] + at[1:, :-1] + at[1:, 1:]) / 4 - exact).max()
            for at, exact in ((row_at, row), (col_at, col))
        ]
    worst = max(errors)
    return float(worst) if np.isfinite(worst) else np.inf


def _span(position: NDArray[np.float64], margin: int) -> tuple[float, float] | None:
    finite = position[np.isfinite(position)]
    if not finite.size:
        return None
    return np.floor(finite.min()) - margin, np.floor(finite.max()) + margin + 1


def _clip(
    rows: tuple[float, float] | None, cols: tuple[float, float] | None, shape: tuple[int, int]
) -> Window | None:
    if rows is None or cols is None:
        return None
    row = slice(int(max(rows[0], 0)), int(min(rows[1], shape[0])))
    col = slice(int(max(cols[0], 0)), int(min(cols[1], shape[1])))
    return (row, col) if row.start < row.stop and col.start < col.stop else None


def _leaves(row: NDArray[np.float64], col: NDArray[np.float64], shape: tuple[int, int]) -> bool:
    """Tell whether any target pixel may lie beyond the source (one pixel of caution)."""
    return not all(
        bool(((position > 1) & (position < count - 1)).all())
        for position, count in ((row, shape[0]), (col, shape[1]))
    )
