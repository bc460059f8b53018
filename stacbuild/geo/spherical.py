"""Resampling around poles, across the antimeridian and between strongly rotated grids.

GDAL's warper takes the source to be a plane. A target pixel across the antimeridian has one corner
at either end of a source in degrees, and near a pole pixels side by side lie half the earth apart;
GDAL leaves such pixels empty. Its aggregates look at the box between two opposite corners
of a target pixel, which is nearly nothing where the grids are rotated by 45 degrees.

Here bilinear takes the four source pixels around each centre, columns counted around the earth.
Aggregates take the target pixel as many small ones, each with the source pixel that is nearest
(`stacbuild.geo.mapping`, which knows of poles), so that source pixels weigh in by their area.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.errors import BuildError
from stacbuild.geo.block import Block, Onto
from stacbuild.geo.grid import Floats, PixelGrid, Window
from stacbuild.geo.longitudes import wrapped
from stacbuild.geo.mapping import index_map
from stacbuild.geo.positions import positions, reduction
from stacbuild.geo.validity import avoid_fill
from stacbuild.geo.working import whole
from stacbuild.nodata import Number

# Small pixels along the side of a target pixel: two for each source pixel, within these bounds.
_FEWEST, _MOST = 4, 32
# Small pixels held at a time.
_AT_ONCE = 1 << 22
# Rows whose positions are held at a time.
_STRIP = 128


def resample(block: Block, onto: Onto) -> NDArray[Any]:
    """Resample a block of source pixels onto a window of the target grid.

    Returns
    -------
    2-D array of the target window's shape and the block's dtype, *fill* where there is no data.

    Raises
    ------
    BuildError
        The method is ``sum``, which would need each pixel's size on the ground.
    """
    source, target, method = block.grid, onto.target, onto.method
    rows, cols = onto.window
    shape = (rows.stop - rows.start, cols.stop - cols.start)
    result = np.full(shape, block.fill, block.values.dtype)
    if method == "bilinear":
        for first in range(rows.start, rows.stop, _STRIP):
            strip = slice(first, min(first + _STRIP, rows.stop))
            at = np.meshgrid(_numbers(strip), _numbers(cols), indexing="ij")
            values = _bilinear(block, positions(source, target, *at))
            lines = result[strip.start - rows.start : strip.stop - rows.start]
            _put(lines, values, block.fill)
        return result
    if method not in _AGGREGATES:
        raise BuildError(
            f"{method} cannot be computed around a pole, across the antimeridian or onto a rotated "
            f"grid; these can: {', '.join(sorted(_AGGREGATES))}, bilinear, nearest"
        )
    parts = min(max(math.ceil(2 * reduction(source, target)), _FEWEST), _MOST)
    for part in _pieces(onto.window, parts):
        fine = _gathered(block, target, part, parts)
        if fine is not None:
            (top, bottom), (left, right) = (
                (span.start - start.start, span.stop - start.start)
                for span, start in zip(part, onto.window, strict=True)
            )
            _put(result[top:bottom, left:right], _AGGREGATES[method](fine), block.fill)
    return result


def _numbers(pixels: slice) -> Floats:
    return np.arange(pixels.start, pixels.stop, dtype=np.float64)


def _put(result: NDArray[Any], values: Floats, fill: Number) -> None:
    """Write the values that are numbers, rounded if the result is of integers."""
    known = ~np.isnan(values)
    found = values[known]
    if np.issubdtype(result.dtype, np.integer):
        result[known] = avoid_fill(whole(found, result.dtype), fill)
    else:
        result[known] = found


def _as_floats(found: NDArray[Any], fill: float) -> Floats:
    values = found.astype(np.float64)
    if not np.isnan(fill):
        values[found == fill] = np.nan
    return values


def _bilinear(block: Block, at: tuple[Floats, Floats]) -> Floats:
    """Weigh the four pixels around each position; what has no data does not count.

    There is a value where the pixel at the position itself has data, as GDAL has it.
    """
    row, col = at
    known = np.isfinite(row) & np.isfinite(col)
    row, col = np.where(known, row, 0.0), np.where(known, col, 0.0)
    known &= ~np.isnan(_picked(block, np.floor(row), np.floor(col)))
    row, col = row - 0.5, col - 0.5
    top, left = np.floor(row), np.floor(col)
    total, weights = np.zeros(row.shape), np.zeros(row.shape)
    for down in (0, 1):
        for across in (0, 1):
            picked = _picked(block, top + down, left + across)
            weight = np.abs(1 - down - (row - top)) * np.abs(1 - across - (col - left))
            weight = np.where(known & ~np.isnan(picked), weight, 0.0)
            total += weight * np.where(np.isnan(picked), 0.0, picked)
            weights += weight
    enough = weights > 1e-5
    return np.where(enough, total / np.where(enough, weights, 1.0), np.nan)


def _picked(block: Block, row: Floats, col: Floats) -> Floats:
    """Return the values of whole rows and columns of the lattice; NaN where there is no data."""
    height, width = block.values.shape
    r, c = row - block.window[0].start, col - block.window[1].start
    if block.period is not None:
        c = np.mod(c, block.period)
    there = (r >= 0) & (r < height) & (c >= 0) & (c < width)
    r, c = (np.where(there, number, 0).astype(np.intp) for number in (r, c))
    return np.where(there, _as_floats(block.values[r, c], block.fill), np.nan)


def _pieces(window: Window, parts: int) -> Iterator[Window]:
    """Cut a window into such as hold no more than `_AT_ONCE` small pixels."""
    rows, cols = window
    side = max(1, math.isqrt(_AT_ONCE) // parts)
    for top in range(rows.start, rows.stop, side):
        for left in range(cols.start, cols.stop, side):
            yield (
                slice(top, min(top + side, rows.stop)),
                slice(left, min(left + side, cols.stop)),
            )


def _gathered(block: Block, target: PixelGrid, window: Window, parts: int) -> Floats | None:
    """Return the values in each pixel (rows, columns, parts * parts); None if there are none.

    "No data" is NaN.
    """
    a, b, c, d, e, f = target.transform
    finer = PixelGrid(
        target.crs,
        (a / parts, b / parts, c, d / parts, e / parts, f),
        (target.shape[0] * parts, target.shape[1] * parts),
    )
    rows, cols = (slice(span.start * parts, span.stop * parts) for span in window)
    values: Floats | None = None
    for read in wrapped(block.as_grid(), target):
        mapping = index_map(read, finer, (rows, cols))
        if mapping is None:
            continue
        found = _as_floats(mapping.gather(block.values[mapping.window], block.fill), block.fill)
        values = found if values is None else np.where(np.isnan(values), found, values)
    if values is None:
        return None
    height, width = (span.stop - span.start for span in window)
    grouped = values.reshape(height, parts, width, parts).swapaxes(1, 2)
    return grouped.reshape(height, width, parts * parts)


def _mean(values: Floats) -> Floats:
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _max(values: Floats) -> Floats:
    return np.asarray(np.fmax.reduce(values, axis=-1))


def _min(values: Floats) -> Floats:
    return np.asarray(np.fmin.reduce(values, axis=-1))


def _median(values: Floats) -> Floats:
    # Sorting puts what is not a number last.
    ordered = np.sort(values, axis=-1)
    count = (~np.isnan(values)).sum(axis=-1)
    middle = [np.maximum(count - 1, 0) // 2, count // 2 % values.shape[-1]]
    low, high = (np.take_along_axis(ordered, at[..., None], axis=-1)[..., 0] for at in middle)
    # A value that is there, as GDAL has it, so that codes stay codes.
    return np.where(count > 0, np.where(count % 2, low, high), np.nan)


def _mode(values: Floats) -> Floats:
    ordered = np.sort(values, axis=-1)
    runs = np.ones(ordered.shape, np.int32)
    for at in range(1, ordered.shape[-1]):
        same = ordered[..., at] == ordered[..., at - 1]
        runs[..., at] = np.where(same, runs[..., at - 1] + 1, 1)
    longest = runs.argmax(axis=-1)
    return np.take_along_axis(ordered, longest[..., None], axis=-1)[..., 0]


_AGGREGATES: dict[str, Callable[[Floats], Floats]] = {
    "mean": _mean,
    "max": _max,
    "min": _min,
    "median": _median,
    "mode": _mode,
}
