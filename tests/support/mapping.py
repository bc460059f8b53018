"""The index map compared with PROJ, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pyproj

from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.mapping import index_map


def brute(source: PixelGrid, target: PixelGrid, window: tuple[slice, slice]):
    """Rows and columns of every pixel, each by itself, and how near an edge each lies."""
    rows = np.arange(window[0].start, window[0].stop)
    cols = np.arange(window[1].start, window[1].stop)
    a, _, c, _, e, f = target.transform
    x, y = np.meshgrid(c + a * (cols + 0.5), f + e * (rows + 0.5))
    x, y = pyproj.Transformer.from_crs(target.crs, source.crs, always_xy=True).transform(x, y)
    back = ~source.affine
    col, row = back.a * x + back.b * y + back.c, back.d * x + back.e * y + back.f
    near = np.minimum(np.abs(row - np.rint(row)), np.abs(col - np.rint(col))) < 1e-6
    return np.floor(row), np.floor(col), near


def looked_up(source: PixelGrid, target: PixelGrid, window: tuple[slice, slice]):
    """What the index map says, as rows and columns of the whole source; -1 outside."""
    found = index_map(source, target, window)
    shape = tuple(part.stop - part.start for part in window)
    if found is None:
        return np.full(shape, -1), np.full(shape, -1)
    height, width = (part.stop - part.start for part in found.window)
    numbers = np.arange(height * width).reshape(height, width)
    flat = found.gather(numbers, -1)
    row, col = np.divmod(flat, width)
    outside = flat < 0
    return (
        np.where(outside, -1, row + found.window[0].start),
        np.where(outside, -1, col + found.window[1].start),
    )


def assert_exact(source: PixelGrid, target: PixelGrid, window: tuple[slice, slice]) -> None:
    row, col, near = brute(source, target, window)
    inside = (row >= 0) & (row < source.shape[0]) & (col >= 0) & (col < source.shape[1])
    found_row, found_col = looked_up(source, target, window)
    assert ((found_row == np.where(inside, row, -1)) | near).all()
    assert ((found_col == np.where(inside, col, -1)) | near).all()
