"""Compute the positions of one grid's pixels on another grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise

import numpy as np

from stacbuild.geo.crs import full_circle, parse_crs, same_crs, transformer
from stacbuild.geo.grid import Floats, PixelGrid, Window

# Properties of a whole window are sampled at every 16th pixel.
STEP = 16

# Source and target pixels that are offset by less than this (in pixels) coincide.
_MAX_OFFSET = 1e-3

# A width within this many columns of 360 degrees is global: steps are given with few digits.
_SEAM = 0.5

# Rows of positions in memory at a time.
_STRIP = 8 * STEP

# Maximum number of nodes along each axis of a whole grid, to measure pixels.
_FEW_NODES = 128

# Projections whose inverse is finite even beyond the earth's limb, by their PROJ names.
_WITHOUT_LIMB = frozenset(
    {"Equal Earth", "Natural Earth", "Natural Earth II", "Sinusoidal", "Winkel Tripel"}
    | {"Eckert I", "Eckert II", "Eckert V", "Eckert VI", "PROJ hammer"}
)
# Maximum round-trip error, in target pixels, of a point within the limb.
_ROUND_TRIP = 0.01


def _half_open(x: Floats, circle: float) -> Floats:
    """Wrap longitudes into [-circle / 2, circle / 2)."""
    # Longitudes already within are unchanged, to the last digit.
    x = np.where(x >= circle / 2, x - circle, x)
    return np.where(x < -circle / 2, x + circle, x)


@lru_cache(maxsize=256)
def period_of(source: PixelGrid) -> float | None:
    """Return the number of columns in a full circle; None if not geographic or not aligned."""
    circle = full_circle(source.crs)
    if circle is None or not source.is_aligned:
        return None
    period = circle / abs(source.transform[0])
    # A global source has a whole number of columns, however its step is rounded.
    return round(period) if abs(period - source.shape[1]) < _SEAM else period


def extremes(
    source: PixelGrid,
    target: PixelGrid,
    rows: Floats,
    cols: Floats,
    at: Callable[[PixelGrid, PixelGrid, Floats, Floats], tuple[Floats, Floats]],
) -> tuple[Floats, Floats]:
    """Return minimum and maximum source rows and columns over all pixels of *rows* and *cols*.

    The arrays are empty if no pixel can be transformed. *at* is `positions` or `edge_positions`.
    """
    found: tuple[list[float], list[float]] = ([], [])
    for first in range(0, len(rows), _STRIP):
        points = np.meshgrid(rows[first : first + _STRIP], cols, indexing="ij")
        for values, limits in zip(at(source, target, *points), found, strict=True):
            finite = values[np.isfinite(values)]
            if finite.size:
                limits += [float(finite.min()), float(finite.max())]
    return np.array(found[0]), np.array(found[1])


def reduction(source: PixelGrid, target: PixelGrid) -> float:
    """Return how many source pixels a target pixel spans, along the axis where it spans more.

    0 if no two points of the target can be transformed to the source's CRS.
    """
    # Measure over several pixels at once, which reduces rounding errors. Over fewer where all of
    # those steps lead off the earth: a grid that extends beyond a pole, or a global grid of a few
    # large pixels.
    found = [0.0, 0.0]
    for stride in (STEP, STEP // 4, 1):
        for axis, lengths in enumerate(_lengths(source, target, stride)):
            if not found[axis] and lengths.size:
                found[axis] = float(np.median(lengths))
        if all(found):
            break
    return max(found)


def _lengths(source: PixelGrid, target: PixelGrid, stride: int) -> Iterator[Floats]:
    """Yield, for rows and then columns, the source pixels that a target pixel spans at each point.

    They are measured over *stride* pixels of the target, or the whole axis if it is shorter.
    Points off the earth are left out.
    """
    # Sample the whole grid, but no points beyond it: for a grid of a few large pixels, those may
    # be half the earth away.
    spacing = (stride * -(-length // (stride * _FEW_NODES)) for length in target.shape)
    down, across = (min(stride, length) for length in target.shape)
    rows, cols = np.meshgrid(
        *(
            np.minimum(nodes(slice(0, length), apart), length - step) - 0.5
            for length, apart, step in zip(target.shape, spacing, (down, across), strict=True)
        ),
        indexing="ij",
    )
    here = positions(source, target, rows, cols)
    for row_step, col_step in ((down, 0), (0, across)):
        row, col = positions(source, target, rows + row_step, cols + col_step)
        with np.errstate(invalid="ignore"):
            length = np.hypot(row - here[0], _wrapped_difference(source, col - here[1]))
        yield length[np.isfinite(length)] / (row_step + col_step)


def _wrapped_difference(source: PixelGrid, columns: Floats) -> Floats:
    """Return differences of columns, reduced to at most half a circle."""
    if (period := period_of(source)) is None:
        return columns
    with np.errstate(invalid="ignore"):
        return np.asarray(columns - period * np.round(columns / period))


def centres(grid: PixelGrid, rows: Floats, cols: Floats) -> tuple[Floats, Floats]:
    """Return x and y of pixel centres."""
    # Computed from pixel numbers in the whole grid, so that a pixel's centre does not depend on
    # the window.
    a, b, c, d, e, f = grid.transform
    x = c + a * (cols + 0.5) + (b * (rows + 0.5) if b else 0.0)
    y = f + e * (rows + 0.5) + (d * (cols + 0.5) if d else 0.0)
    return x, y


def source_positions(grid: PixelGrid, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return fractional rows and columns of coordinates (a pixel spans [n, n + 1))."""
    a, _, c, _, e, f = grid.transform
    if grid.is_aligned:
        return (y - f) / e, (x - c) / a
    inverse = ~grid.affine
    return inverse.d * x + inverse.e * y + inverse.f, inverse.a * x + inverse.b * y + inverse.c


def coordinates(crs: str, target: PixelGrid, rows: Floats, cols: Floats) -> tuple[Floats, Floats]:
    """Return x and y of target pixels' centres in another CRS, each transformed by PROJ.

    Longitudes from PROJ are wrapped into [-180, 180): see `stacbuild.geo.longitudes`.
    """
    x, y = centres(target, rows, cols)
    if not same_crs(crs, target.crs):
        x, y = _projected(crs, target, (x, y))
        if (circle := full_circle(crs)) is not None:
            x = _half_open(x, circle)
    return x, y


def _projected(crs: str, target: PixelGrid, points: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    x, y = transformer(target.crs, crs).transform(*points)
    if _beyond_limb(crs, target):
        beyond = _round_trip_error(crs, target, points, (x, y)) > _ROUND_TRIP
        x, y = np.where(beyond, np.nan, x), np.where(beyond, np.nan, y)
    return x, y


@lru_cache(maxsize=64)
def _beyond_limb(crs: str, target: PixelGrid) -> bool:
    """Return whether a target grid extends beyond the limb, where PROJ's inverse is still finite.

    Some projections (Equal Earth, Natural Earth, sinusoidal) assign longitudes to points beyond the
    limb too; these fail a round trip. Cylindrical projections are exempt: their x wraps around.
    """
    operation = parse_crs(target.crs).coordinate_operation
    if operation is None or operation.method_name not in _WITHOUT_LIMB:
        return False
    samples = (np.linspace(0, n - 1, min(n, _FEW_NODES)) for n in target.shape)
    points = centres(target, *np.meshgrid(*samples, indexing="ij"))
    transformed = transformer(target.crs, crs).transform(*points)
    return bool((_round_trip_error(crs, target, points, transformed) > _ROUND_TRIP).any())


def _round_trip_error(
    crs: str, target: PixelGrid, points: tuple[Floats, Floats], transformed: tuple[Floats, Floats]
) -> Floats:
    """Return the distance, in target pixels, between points and their round trip through *crs*."""
    back = transformer(target.crs, crs).transform(*transformed, direction="INVERSE")
    with np.errstate(invalid="ignore"):
        distance = np.hypot(back[0] - points[0], back[1] - points[1])
    return np.asarray(distance / np.sqrt(abs(target.affine.determinant)))


def positions(
    source: PixelGrid, target: PixelGrid, rows: Floats, cols: Floats
) -> tuple[Floats, Floats]:
    """Return fractional source rows and columns of target pixels, each transformed by PROJ."""
    return source_positions(source, *coordinates(source.crs, target, rows, cols))


def edge_positions(
    source: PixelGrid, target: PixelGrid, rows: Floats, cols: Floats
) -> tuple[Floats, Floats]:
    """Return fractional source rows and columns of points on the edges of pixels.

    Longitudes are as PROJ returns them, unwrapped: the eastern edge of a global grid stays at 180
    degrees and does not become -180.
    """
    x, y = centres(target, rows, cols)
    if not same_crs(source.crs, target.crs):
        x, y = _projected(source.crs, target, (x, y))
    return source_positions(source, x, y)


def nodes(pixels: slice, apart: int = STEP) -> Floats:
    """Return every *apart*-th pixel number, the last one at or beyond the end of *pixels*."""
    count = -(-(pixels.stop - pixels.start) // apart)
    return np.arange(count + 1, dtype=np.float64) * apart + float(pixels.start)


def span(position: Floats, margin: int) -> tuple[float, float] | None:
    """Return start and stop of the pixels that positions touch, widened by *margin*."""
    finite = position[np.isfinite(position)]
    if not finite.size:
        return None
    return np.floor(finite.min()) - margin, np.floor(finite.max()) + margin + 1


def clip(
    rows: tuple[float, float] | None, cols: tuple[float, float] | None, shape: tuple[int, int]
) -> Window | None:
    """Return the window of spans clipped to a source of this shape; None if it is empty."""
    if rows is None or cols is None:
        return None
    row = slice(int(max(rows[0], 0)), int(min(rows[1], shape[0])))
    col = slice(int(max(cols[0], 0)), int(min(cols[1], shape[1])))
    return (row, col) if row.start < row.stop and col.start < col.stop else None


def cuts(pixels: slice, step: int) -> Iterator[tuple[int, int]]:
    """Yield start and stop of the parts of a range of pixels, split at multiples of *step*."""
    edges = range((pixels.start // step + 1) * step, pixels.stop, step)
    yield from pairwise([pixels.start, *edges, pixels.stop])


def shifted(window: Window, origin: tuple[int, int]) -> Window:
    """Return a window relative to *origin* in the pixels of the whole grid."""
    rows, cols = (
        slice(part.start + first, part.stop + first)
        for part, first in zip(window, origin, strict=True)
    )
    return rows, cols


def coincide(source: PixelGrid, target: PixelGrid) -> bool:
    """Return whether every target pixel is a pixel of the source, so no resampling is needed."""
    if not (same_crs(source.crs, target.crs) and source.is_aligned and target.is_aligned):
        return False
    rows, cols = target.shape
    corners = np.array([0.0, rows - 1.0]), np.array([0.0, cols - 1.0])
    at = positions(source, target, *corners)
    # Allow the offset from the source's centres that transforms of nine digits cause.
    offset = max(float(np.abs(ends - np.floor(ends) - 0.5).max()) for ends in at)
    steps = [abs(ends[1] - ends[0]) for ends in at]
    return offset < _MAX_OFFSET and all(
        abs(step - count) < _MAX_OFFSET
        for step, count in zip(steps, (rows - 1, cols - 1), strict=True)
    )


def window_key(window: Window) -> tuple[int, int, int, int]:
    """Return a hashable key of a window (Python 3.11 cannot hash slices)."""
    rows, cols = window
    return rows.start, rows.stop, cols.start, cols.stop
