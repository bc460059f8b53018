"""Resample around poles, across the antimeridian and between strongly rotated grids.

GDAL's warper assumes a planar source. A target pixel across the antimeridian has corners at both
ends of a source in degrees, and near a pole adjacent pixels can be half the earth apart; GDAL
leaves such pixels empty. Its aggregates use the bounding box of two opposite corners of a target
pixel, which is nearly empty if the grids are rotated by 45 degrees.

Here, bilinear uses the four source pixels around each centre, with columns that wrap around.
Aggregates divide the target pixel into subpixels, each with its nearest source pixel
(`stacbuild.geo.mapping`, which handles poles), so that source pixels are weighted by their area.
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

# Subpixels along the side of a target pixel: two for each source pixel, within these limits.
_MIN_PARTS, _MAX_PARTS = 4, 32
# Subpixels in memory at a time.
_MAX_SUBPIXELS = 1 << 22
# Rows whose positions are in memory at a time.
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
    parts = min(max(math.ceil(2 * reduction(source, target)), _MIN_PARTS), _MAX_PARTS)
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
    """Write the values that are not NaN, rounded if the result has an integer type."""
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
    """Return the weighted mean of the four pixels around each position, without nodata.

    As in GDAL, the result is valid only where the pixel at the position itself has data.
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
    """Return the values at integer rows and columns of the lattice; NaN where there is no data."""
    height, width = block.values.shape
    r, c = row - block.window[0].start, col - block.window[1].start
    if block.period is not None:
        c = np.mod(c, block.period)
    inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
    r, c = (np.where(inside, number, 0).astype(np.intp) for number in (r, c))
    return np.where(inside, _as_floats(block.values[r, c], block.fill), np.nan)


def _pieces(window: Window, parts: int) -> Iterator[Window]:
    """Yield parts of a window with no more than `_MAX_SUBPIXELS` subpixels each."""
    rows, cols = window
    side = max(1, math.isqrt(_MAX_SUBPIXELS) // parts)
    for top in range(rows.start, rows.stop, side):
        for left in range(cols.start, cols.stop, side):
            yield (
                slice(top, min(top + side, rows.stop)),
                slice(left, min(left + side, cols.stop)),
            )


def _gathered(block: Block, target: PixelGrid, window: Window, parts: int) -> Floats | None:
    """Return the values of subpixels (rows, columns, parts * parts); None if there are none.

    Nodata is NaN.
    """
    a, b, c, d, e, f = target.transform
    finer = PixelGrid(
        target.crs,
        (a / parts, b / parts, c, d / parts, e / parts, f),
        (target.shape[0] * parts, target.shape[1] * parts),
    )
    rows, cols = (slice(span.start * parts, span.stop * parts) for span in window)
    values: Floats | None = None
    for copy in wrapped(block.as_grid(), target):
        mapping = index_map(copy, finer, (rows, cols))
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
    # Sorting puts NaN last.
    ordered = np.sort(values, axis=-1)
    count = (~np.isnan(values)).sum(axis=-1)
    middle = [np.maximum(count - 1, 0) // 2, count // 2 % values.shape[-1]]
    low, high = (np.take_along_axis(ordered, at[..., None], axis=-1)[..., 0] for at in middle)
    # An existing value, as in GDAL, so that classes stay valid.
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
