"""Which part of a source lies under a window of the target grid, on an earth that closes.

Nodes 16 pixels apart tell it where the source is a plane. Around a pole, and across the
antimeridian of a source in degrees, what lies between two nodes may be far beyond both.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from pyproj import CRS

from stacbuild.load.globe import turns
from stacbuild.load.pixelgrid import (
    Floats,
    PixelGrid,
    Window,
    around,
    clip,
    extremes,
    is_aligned,
    nodes,
    positions,
    same_crs,
    span,
)

# Degrees between the axes of two grids, in the source's pixels, up to which the box between two
# corners of a pixel is near enough to the pixel. National and UTM grids stay below it.
_TURNED = 25.0
# Looked at along each axis, to tell how two grids lie.
_SAMPLES = 65
# Along each axis, to tell whether two grids have anything in common.
_PLACES = 64


def under(source: PixelGrid, target: PixelGrid, window: Window) -> tuple[Floats, Floats]:
    """Return source rows and columns of places in a target window, the outermost among them."""
    # From the corners of pixels, not their centres: an aggregate looks at all of a pixel.
    at = np.meshgrid(*(nodes(part) - 0.5 for part in window), indexing="ij")
    row, col = positions(source, target, *at)
    if not same_crs(source.crs, target.crs) and _jumps(source, row, col):
        every = (np.arange(part.start, part.stop + 1, dtype=np.float64) - 0.5 for part in window)
        row, col = extremes(source, target, *every)
    return row, col


def footprint_window(
    source: PixelGrid, target: PixelGrid, window: Window, margin: int
) -> Window | None:
    """Give the source rows and columns under a target window, grown by *margin* pixels a side."""
    row, col = under(source, target, window)
    with np.errstate(invalid="ignore"):
        return clip(span(row, margin), span(col, margin), source.shape)


def touches(source: PixelGrid, target: PixelGrid) -> bool:
    """Tell whether any part of the target grid may lie on the source.

    Looks at so many places of either grid at the most, however large they are.
    """
    return any(_touches(turned, target) for turned in turns(source, target))


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
        _any_inside(*positions(turned, source, *places), turned) for turned in turns(target, source)
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
    """Tell whether positions of nodes say little of what lies between them."""
    if not (np.isfinite(row).all() and np.isfinite(col).all()):
        return True
    period = around(source)
    # Nodes a tenth of the earth apart: around a pole, or at both ends of the source.
    return period is not None and any(
        float(np.abs(np.diff(col, axis=axis)).max()) > period / 10 for axis in (0, 1)
    )


@lru_cache(maxsize=64)
def closes(source: PixelGrid, target: PixelGrid) -> bool:
    """Tell whether GDAL's warper is wrong for these grids, in any part of the target.

    It is one answer for all of the target, so that its tiles fit together.
    """
    if same_crs(source.crs, target.crs) and is_aligned(source) and is_aligned(target):
        return False
    samples = (np.linspace(0, n - 1, min(n, _SAMPLES)) for n in target.shape)
    rows, cols = np.meshgrid(*samples, indexing="ij")
    here, right, below = (
        positions(source, target, rows + down, cols + across)
        for down, across in ((0, 0), (0, 1), (1, 0))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        if (period := around(source)) is not None:
            if _pole_within(source, target):
                return True
            at = here[1]
            jumps = (np.abs(np.diff(at, axis=axis)) > period / 2 for axis in (0, 1))
            if any(bool(jump.any()) for jump in jumps):
                return True
        # Of rows, and of columns: far from its meridian a sinusoidal grid is skewed, so that its
        # rows are those of the target and its columns are not.
        for axis, (along, across) in enumerate(((right, below), (below, right))):
            off = np.abs(along[axis] - here[axis]), np.abs(across[axis] - here[axis])
            angle = np.degrees(np.arctan2(*off))
            if ((angle > _TURNED) & (angle < 90 - _TURNED)).any():
                return True
    return False


def _pole_within(source: PixelGrid, target: PixelGrid) -> bool:
    """Tell whether a pole lies on the target grid, or within a pixel of it."""
    known = CRS.from_user_input(source.crs)
    degrees = PixelGrid(source.crs, (1.0, 0.0, 0.0, 0.0, 1.0, -90.0), (180, 1))
    if not known.is_geographic:
        return False
    # From pixel centres, which are half a pixel on: corners at 90 degrees south and north.
    row, col = positions(target, degrees, np.array([-0.5, 179.5]), np.array([-0.5, -0.5]))
    height, width = target.shape
    return bool(((row > -1) & (row < height + 1) & (col > -1) & (col < width + 1)).any())
