"""Find the part of a source that a window of the target grid covers.

Nodes 16 pixels apart are enough where the mapping is continuous. Around a pole, and across the
antimeridian of a source in degrees, positions between two nodes may be far outside of both.
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

# Angle in degrees between the axes of two grids, in source pixels, up to which the bounding box of
# two opposite corners is close enough to the pixel. National and UTM grids stay below it.
_ROTATED = 25.0
# Points sampled along each axis to compare the orientation of two grids.
_SAMPLES = 65
# Bisection steps to find the limb within a pixel.
_BISECTIONS = 12
# Share of a pixel by which edges may coincide.
_TIE = 1e-6
# Intervals sampled along each axis to test whether two grids overlap.
_INTERVALS = 64


def footprint(source: PixelGrid, target: PixelGrid, window: Window) -> tuple[Floats, Floats]:
    """Return source rows and columns of points in a target window, including the outermost."""
    # Corners of pixels, not their centres: an aggregate needs the whole of each pixel.
    row, col = edge_positions(source, target, *np.meshgrid(*map(_nodes, window), indexing="ij"))
    if same_crs(source.crs, target.crs):
        return row, col
    if not _is_discontinuous(source, row, col):
        return _with_curvature(row), _with_curvature(col)
    rows, cols = (np.arange(part.start, part.stop + 1, dtype=np.float64) - 0.5 for part in window)
    row, col = extremes(source, target, rows, cols, edge_positions)
    row = np.append(row, _poles_within(source, target, window))
    for ends, _ in _limb(source, target, window):
        row, col = np.append(row, ends[0]), np.append(col, ends[1])
    return row, col


def _nodes(part: slice) -> Floats:
    """Return three or more nodes from the first edge to the last, at most 16 pixels apart."""
    count = max(2, -(-(part.stop - part.start) // STEP))
    return np.linspace(part.start, part.stop, count + 1) - 0.5


def _with_curvature(at: Floats) -> Floats:
    """Return positions, extended by a bound on the curvature between nodes."""
    # Between two nodes, a parabola departs from the chord by at most an eighth of the second
    # difference of equidistant nodes.
    sagitta = max(float(np.abs(np.diff(at, 2, axis=axis)).max()) for axis in (0, 1)) / 8
    # The margin of whole pixels covers less than one pixel; above, double it, as the curvature is
    # not the same everywhere.
    if sagitta < 1:
        return at
    return np.concatenate([at.ravel(), [at.min() - 2 * sagitta, at.max() + 2 * sagitta]])


def touches(source: PixelGrid, target: PixelGrid) -> bool:
    """Return whether any part of the target grid may lie on the source.

    The number of points sampled on either grid is limited, however large the grids are.
    """
    return any(_touches(moved, target) for moved in wrapped(source, target))


def _touches(source: PixelGrid, target: PixelGrid) -> bool:
    rows, cols = (_edges(length) for length in target.shape)
    row, col = positions(source, target, *np.meshgrid(rows, cols, indexing="ij"))
    if same_crs(source.crs, target.crs) or not _is_discontinuous(source, row, col):
        # Curvature between two nodes extends no further than a fraction of their distance.
        margins = [1 + int(_widest(at) / 8) for at in (row, col)]
        return clip(span(row, margins[0]), span(col, margins[1]), source.shape) is not None
    if _any_inside(row, col, source):
        return True
    points = np.meshgrid(*(_edges(length) for length in source.shape), indexing="ij")
    return any(
        _any_inside(*positions(moved, source, *points), moved) for moved in wrapped(target, source)
    )


def overlaps(source: PixelGrid, target: PixelGrid) -> bool:
    """Return whether two grids have an area in common, by the outermost pixels of both.

    Unlike `touches`, it has no margin: neighbours do not overlap.
    """
    if not touches(source, target):
        return False
    # Most that touch share one of a few points; the others need all of them.
    pairs = ((target, source), (source, target))
    return any(
        _has_rim_on(inner, outer, most) for most in (_INTERVALS, None) for inner, outer in pairs
    )


def _has_rim_on(inner: PixelGrid, outer: PixelGrid, most: int | None) -> bool:
    """Return whether an edge or the centre of an outermost pixel lies inside of another grid.

    *most*: number of pixels along a side to test; None: all.
    """
    height, width = inner.shape
    down, across = (
        np.linspace(0, length, min(length, most or length) + 1) - 0.5 for length in inner.shape
    )
    # Centres, too, as edges of both may be the same.
    lines = [np.meshgrid(row, across) for row in (-0.5, 0, height - 1, height - 0.5)]
    lines += [np.meshgrid(down, col) for col in (-0.5, 0, width - 1, width - 0.5)]
    rows, cols = (np.concatenate([line[axis].ravel() for line in lines]) for axis in (0, 1))
    for each in wrapped(outer, inner):
        row, col = positions(each, inner, rows, cols)
        with np.errstate(invalid="ignore"):
            inside = (row > _TIE) & (row < each.shape[0] - _TIE)
            inside &= (col > _TIE) & (col < each.shape[1] - _TIE)
        if inside.any():
            return True
    return False


def _widest(at: Floats) -> float:
    """Return the largest difference between neighbours."""
    return max(float(np.abs(np.diff(at, axis=axis)).max(initial=0)) for axis in (0, 1))


def _edges(length: int) -> Floats:
    """Return points from the first edge of a row of pixels to the last, as pixel numbers."""
    return np.linspace(0, length, min(length, _INTERVALS) + 1) - 0.5


def _any_inside(row: Floats, col: Floats, grid: PixelGrid) -> bool:
    height, width = grid.shape
    with np.errstate(invalid="ignore"):
        inside = (row > -1) & (row < height + 1) & (col > -1) & (col < width + 1)
    return bool(inside.any())


def _is_discontinuous(source: PixelGrid, row: Floats, col: Floats) -> bool:
    """Return whether the mapping may be discontinuous between nodes."""
    if not (np.isfinite(row).all() and np.isfinite(col).all()):
        return True
    period = period_of(source)
    # Neighbouring nodes a tenth of the circle apart: around a pole, or at both ends of the source.
    return period is not None and any(
        float(np.abs(np.diff(col, axis=axis)).max()) > period / 10 for axis in (0, 1)
    )


@lru_cache(maxsize=64)
def needs_spherical(source: PixelGrid, target: PixelGrid) -> bool:
    """Return whether GDAL's warper is wrong for these grids, in any part of the target.

    The decision covers the whole target, so that its tiles are consistent.
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
        # GDAL aggregates the bounding box of two opposite corners of a target pixel. It matches the
        # pixel only where both edges lie along the source's axes, in either order. One edge is not
        # enough: far from the central meridian of a sinusoidal grid, columns are skewed but rows
        # are not.
        row, column = (np.abs(np.subtract(end, here)) for end in (right, below))
        upright = _smaller(row[0], column[0]) & _smaller(column[1], row[1])
        swapped = _smaller(column[0], row[0]) & _smaller(row[1], column[1])
        known = np.isfinite(row).all(axis=0) & np.isfinite(column).all(axis=0)
        if (known & ~upright & ~swapped).any():
            return True
    return _beyond_limb(source, target)


def _smaller(one: Floats, other: Floats) -> NDArray[np.bool_]:
    """Return where *one* is at most *other* times the tangent of `_ROTATED` degrees."""
    return np.asarray(one <= other * math.tan(math.radians(_ROTATED)))


def _beyond_limb(source: PixelGrid, target: PixelGrid) -> bool:
    """Return whether a target pixel over the source has a corner beyond the limb.

    This happens at a pole that a cylindrical projection draws as a line. GDAL leaves such pixels
    empty.
    """
    rows, cols = target.shape
    return any(
        _overlaps(here, before, source.shape)
        for here, before in _limb(source, target, (slice(0, rows), slice(0, cols)))
    )


def _overlaps(one: Floats, other: Floats, shape: tuple[int, int]) -> bool:
    """Return whether any point between two sets of positions lies within *shape*."""
    length = np.array(shape)[:, None]
    inside = (np.maximum(one, other) > 0) & (np.minimum(one, other) < length)
    return bool(inside.all(axis=0).any())


def _limb(source: PixelGrid, target: PixelGrid, window: Window) -> Iterator[tuple[Floats, Floats]]:
    """Yield points of the limb within a target window, along sampled lines of corners.

    For lines along columns, then along rows: the last positions on the source, and those of the
    corners before them, as arrays of rows and columns.
    """
    lattice = [
        np.unique(np.linspace(part.start, part.stop, _SAMPLES).round()) - 0.5 for part in window
    ]
    sampled = edge_positions(source, target, *np.meshgrid(*lattice, indexing="ij"))
    on_earth = np.logical_and(*np.isfinite(sampled))
    for axis in (0, 1):
        along, across = lattice[axis], lattice[1 - axis]
        known = np.moveaxis(on_earth, axis, 0)

        def at(points: Floats, lines: Floats, axis: int = axis) -> Floats:
            rows, cols = (points, lines) if axis == 0 else (lines, points)
            return np.stack(edge_positions(source, target, rows, cols))

        sample, line = np.nonzero(known[:-1] != known[1:])
        if not sample.size:
            continue
        lines, forward = across[line], known[sample, line]
        inner = along[sample + ~forward]
        outer = along[sample + forward]
        for _ in range(_BISECTIONS + int(np.abs(outer - inner).max()).bit_length()):
            middle = (inner + outer) / 2
            finite = np.logical_and(*np.isfinite(at(middle, lines)))
            inner, outer = np.where(finite, middle, inner), np.where(finite, outer, middle)
        corner = np.where(forward, np.floor(inner + 0.5), np.ceil(inner + 0.5)) - 0.5
        yield at(inner, lines), at(corner, lines)


def _corner_columns(source: PixelGrid, target: PixelGrid) -> Floats:
    """Return source columns of the corners of target pixels, from the longitudes PROJ returns.

    The antimeridian may run between the centre of a pixel and its corner. A corner on the
    antimeridian counts as on the same side as the centre, for PROJ and so for GDAL.
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

    The array is empty for a source that is not geographic.
    """
    unit = (full_circle(source.crs) or 0.0) / 360
    if not unit:
        return np.empty(0)
    degrees = PixelGrid(source.crs, (unit, 0.0, 0.0, 0.0, unit, -90.0 * unit), (180, 1))
    # Positions refer to pixel centres, so half a pixel less is a corner: 90 degrees south or north.
    row, col = positions(target, degrees, np.array([-0.5, 179.5]), np.array([-0.5, -0.5]))
    inside = np.ones(2, np.bool_)
    for at, part in zip((row, col), window, strict=True):
        with np.errstate(invalid="ignore"):
            inside &= (at > part.start - 1) & (at < part.stop + 1)
    latitudes = np.array([-90.0, 90.0])[inside] * unit
    return source_positions(source, np.zeros(latitudes.shape), latitudes)[0]
