"""Which part of a source lies under a window of the target grid, poles and antimeridian included.

Nodes 16 pixels apart tell it where the source is a plane. Around a pole, and across the
antimeridian of a source in degrees, what lies between two nodes may be far beyond both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stacbuild.geo.crs import full_circle, same_crs
from stacbuild.geo.grid import Floats, PixelGrid, Window
from stacbuild.geo.longitudes import wrapped
from stacbuild.geo.positions import (
    STEP,
    clip,
    edge_positions,
    extremes,
    period_of,
    positions,
    source_positions,
    span,
)

# Degrees between the axes of two grids, in the source's pixels, up to which the box between two
# corners of a pixel is near enough to the pixel. National and UTM grids stay below it.
_ROTATED = 25.0
# Looked at along each axis, to tell how two grids lie.
_SAMPLES = 65
# To find the end of the earth within a pixel, as many times half as far.
_HALVINGS = 12
# Along each axis, to tell whether two grids have anything in common.
_PLACES = 64


def under(source: PixelGrid, target: PixelGrid, window: Window) -> tuple[Floats, Floats]:
    """Return source rows and columns of places in a target window, the outermost among them."""
    # From the corners of pixels, not their centres: an aggregate looks at all of a pixel.
    row, col = edge_positions(source, target, *np.meshgrid(*map(_places, window), indexing="ij"))
    if same_crs(source.crs, target.crs):
        return row, col
    if not _jumps(source, row, col):
        return _bent(row), _bent(col)
    rows, cols = (np.arange(part.start, part.stop + 1, dtype=np.float64) - 0.5 for part in window)
    row, col = extremes(source, target, rows, cols, edge_positions)
    row = np.append(row, _poles_within(source, target, window))
    for ends, _ in _ends(source, target, window):
        row, col = np.append(row, ends[0]), np.append(col, ends[1])
    return row, col


def _places(part: slice) -> Floats:
    """Return three places or more from the first edge to the last, at most 16 pixels apart."""
    count = max(2, -(-(part.stop - part.start) // STEP))
    return np.linspace(part.start, part.stop, count + 1) - 0.5


def _bent(at: Floats) -> Floats:
    """Return positions, and how far what bends between them may reach beyond the outermost."""
    # A bow's height is an eighth of the second difference of places as far apart.
    bow = max(float(np.abs(np.diff(at, 2, axis=axis)).max()) for axis in (0, 1)) / 8
    # As much as no margin of whole pixels holds; twice that, as it is not the same everywhere.
    if bow < 1:
        return at
    return np.concatenate([at.ravel(), [at.min() - 2 * bow, at.max() + 2 * bow]])


def touches(source: PixelGrid, target: PixelGrid) -> bool:
    """Return whether any part of the target grid may lie on the source.

    Looks at so many places of either grid at the most, however large they are.
    """
    return any(_touches(moved, target) for moved in wrapped(source, target))


def _touches(source: PixelGrid, target: PixelGrid) -> bool:
    rows, cols = (_edges(length) for length in target.shape)
    row, col = positions(source, target, *np.meshgrid(rows, cols, indexing="ij"))
    if same_crs(source.crs, target.crs) or not _jumps(source, row, col):
        # What bends between two places reaches no further than a share of what is between them.
        margins = [1 + int(_widest(at) / 8) for at in (row, col)]
        return clip(span(row, margins[0]), span(col, margins[1]), source.shape) is not None
    if _any_inside(row, col, source):
        return True
    places = np.meshgrid(*(_edges(length) for length in source.shape), indexing="ij")
    return any(
        _any_inside(*positions(moved, source, *places), moved) for moved in wrapped(target, source)
    )


def _widest(at: Floats) -> float:
    """Return the largest difference between neighbours."""
    return max(float(np.abs(np.diff(at, axis=axis)).max(initial=0)) for axis in (0, 1))


def _edges(length: int) -> Floats:
    """Return places from the first edge of a row of pixels to the last, as pixel numbers."""
    return np.linspace(0, length, min(length, _PLACES) + 1) - 0.5


def _any_inside(row: Floats, col: Floats, grid: PixelGrid) -> bool:
    height, width = grid.shape
    with np.errstate(invalid="ignore"):
        inside = (row > -1) & (row < height + 1) & (col > -1) & (col < width + 1)
    return bool(inside.any())


def _jumps(source: PixelGrid, row: Floats, col: Floats) -> bool:
    """Return whether positions of nodes say little of what lies between them."""
    if not (np.isfinite(row).all() and np.isfinite(col).all()):
        return True
    period = period_of(source)
    # Nodes a tenth of the earth apart: around a pole, or at both ends of the source.
    return period is not None and any(
        float(np.abs(np.diff(col, axis=axis)).max()) > period / 10 for axis in (0, 1)
    )


@lru_cache(maxsize=64)
def needs_spherical(source: PixelGrid, target: PixelGrid) -> bool:
    """Return whether GDAL's warper is wrong for these grids, in any part of the target.

    It is one answer for all of the target, so that its tiles fit together.
    """
    if same_crs(source.crs, target.crs) and source.is_aligned and target.is_aligned:
        return False
    samples = (np.linspace(0, n - 1, min(n, _SAMPLES)) for n in target.shape)
    rows, cols = np.meshgrid(*samples, indexing="ij")
    here, right, below = (
        positions(source, target, rows + down, cols + across)
        for down, across in ((0, 0), (0, 1), (1, 0))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        if (period := period_of(source)) is not None:
            if _pole_within(source, target):
                return True
            columns = here[1], _corner_columns(source, target)
            jumps = (
                np.abs(np.diff(at, axis=axis)) > period / 2 for at in columns for axis in (0, 1)
            )
            if any(bool(jump.any()) for jump in jumps):
                return True
        # GDAL aggregates the box between two opposite corners of a target pixel, which is the pixel
        # only where both of its edges lie along the source's axes, in either order. One edge is not
        # enough: far from its central meridian the columns of a sinusoidal grid are skewed, its
        # rows are not.
        row, column = (np.abs(np.subtract(end, here)) for end in (right, below))
        upright = _smaller(row[0], column[0]) & _smaller(column[1], row[1])
        swapped = _smaller(column[0], row[0]) & _smaller(row[1], column[1])
        known = np.isfinite(row).all(axis=0) & np.isfinite(column).all(axis=0)
        if (known & ~upright & ~swapped).any():
            return True
    return _beyond_earth(source, target)


def _smaller(one: Floats, other: Floats) -> NDArray[np.bool_]:
    """Return where *one* is as much smaller than *other* as `_ROTATED` degrees make it, or more."""
    return np.asarray(one <= other * math.tan(math.radians(_ROTATED)))


def _beyond_earth(source: PixelGrid, target: PixelGrid) -> bool:
    """Return whether a target pixel over the source has a corner beyond the earth.

    So it is at a pole that is a line, of a cylindrical projection. GDAL leaves such a pixel empty.
    """
    rows, cols = target.shape
    return any(
        _overlaps(here, before, source.shape)
        for here, before in _ends(source, target, (slice(0, rows), slice(0, cols)))
    )


def _overlaps(one: Floats, other: Floats, shape: tuple[int, int]) -> bool:
    """Return whether anything between two sets of positions lies on so many rows and columns."""
    length = np.array(shape)[:, None]
    inside = (np.maximum(one, other) > 0) & (np.minimum(one, other) < length)
    return bool(inside.all(axis=0).any())


def _ends(source: PixelGrid, target: PixelGrid, window: Window) -> Iterator[tuple[Floats, Floats]]:
    """Yield where the earth ends within a target window, along sampled lines of corners.

    For lines along columns, and along rows: the last positions on the source, and those of the
    corners before them, as arrays of rows and columns.
    """
    for axis in (0, 1):
        along, across = (
            np.unique(np.linspace(part.start, part.stop, _SAMPLES).round()) - 0.5
            for part in (window[axis], window[1 - axis])
        )

        def at(places: Floats, lines: Floats, axis: int = axis) -> Floats:
            rows, cols = (places, lines) if axis == 0 else (lines, places)
            return np.stack(edge_positions(source, target, rows, cols))

        known = np.logical_and(*np.isfinite(at(*np.meshgrid(along, across, indexing="ij"))))
        sample, line = np.nonzero(known[:-1] != known[1:])
        if not sample.size:
            continue
        lines, forward = across[line], known[sample, line]
        inner = along[sample + ~forward]
        outer = along[sample + forward]
        for _ in range(_HALVINGS + int(np.abs(outer - inner).max()).bit_length()):
            middle = (inner + outer) / 2
            there = np.logical_and(*np.isfinite(at(middle, lines)))
            inner, outer = np.where(there, middle, inner), np.where(there, outer, middle)
        corner = np.where(forward, np.floor(inner + 0.5), np.ceil(inner + 0.5)) - 0.5
        yield at(inner, lines), at(corner, lines)


def _corner_columns(source: PixelGrid, target: PixelGrid) -> Floats:
    """Return source columns of corners of target pixels, as PROJ gives their longitudes to GDAL.

    A pixel may have its centre this side of the antimeridian and a corner beyond; a corner that is
    on it is this side of it for PROJ, and for GDAL.
    """
    edges = (np.linspace(0, n, min(n + 1, _SAMPLES)) - 0.5 for n in target.shape)
    rows, cols = np.meshgrid(*edges, indexing="ij")
    return edge_positions(source, target, rows, cols)[1]


def _pole_within(source: PixelGrid, target: PixelGrid) -> bool:
    """Return whether a pole lies on the target grid, or within a pixel of it."""
    rows, cols = (slice(0, n) for n in target.shape)
    return bool(_poles_within(source, target, (rows, cols)).size)


def _poles_within(source: PixelGrid, target: PixelGrid, window: Window) -> Floats:
    """Return the source rows of the poles that lie on a target window, or within a pixel of it.

    None of a source that is not in degrees.
    """
    unit = (full_circle(source.crs) or 0.0) / 360
    if not unit:
        return np.empty(0)
    degrees = PixelGrid(source.crs, (unit, 0.0, 0.0, 0.0, unit, -90.0 * unit), (180, 1))
    # From pixel centres, which are half a pixel on: corners at 90 degrees south and north.
    row, col = positions(target, degrees, np.array([-0.5, 179.5]), np.array([-0.5, -0.5]))
    inside = np.ones(2, np.bool_)
    for at, part in zip((row, col), window, strict=True):
        with np.errstate(invalid="ignore"):
            inside &= (at > part.start - 1) & (at < part.stop + 1)
    latitudes = np.array([-90.0, 90.0])[inside] * unit
    return source_positions(source, np.zeros(latitudes.shape), latitudes)[0]
