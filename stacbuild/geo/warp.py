"""Resample by every method but nearest, with GDAL's warper where a planar source is accurate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.dtypes import dtype_rev, typename_fwd
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from stacbuild.geo.block import Block, Onto
from stacbuild.geo.coverage import needs_spherical
from stacbuild.geo.crs import same_crs
from stacbuild.geo.spherical import resample
from stacbuild.geo.validity import is_fill
from stacbuild.geo.working import Working, check_exact, check_sum

# Any projected CRS, for both source and target.
_FLAT = "EPSG:3857"

# Edges of pixels closer than this, in source pixels, differ only by rounding.
_SLIVER = 1e-6
# Nodata pixels padded around a block to be summed. GDAL spreads the last column that it reads, some
# ten beyond those that it needs, over the whole row (seen in 3.10 with 110 x 110 pixels, summed two
# by two from the sixth on: wrong by a fiftieth of that column's value).
_PADDING = 32
# Error (in source pixels) that GDAL's approximating transformer may have. Its default of an eighth
# of a pixel is visible in a bilinear result; this is not, and costs little. `rasterio.warp.
# reproject` does not pass it on (seen in 1.4.4: an error of 0.06 pixels regardless of the value), a
# VRT does.
_TOLERANCE = 0.001

# Methods of `spatial_resample_params` and the algorithms that compute them. The names are those of
# the configuration language; where GDAL has no such method, the reader of the language refuses it.
METHODS = {
    "bilinear": Resampling.bilinear,
    "mean": Resampling.average,
    "mode": Resampling.mode,
    "max": Resampling.max,
    "min": Resampling.min,
    "median": Resampling.med,
    "sum": Resampling.sum,
}


def warp(block: Block, onto: Onto) -> NDArray[Any]:
    """Resample a block of source pixels onto a window of the target grid.

    Parameters
    ----------
    onto
        Its method is a key of `METHODS`.

    Returns
    -------
    2-D array of the target window's shape and the block's dtype, *fill* where there is no data.
    Means of integers are rounded to the nearest.

    Raises
    ------
    BuildError
        The block has integers beyond 2**53, which no method but nearest keeps exact.
    """
    source, target = block.grid, onto.target
    if block.values.dtype.itemsize == 8 and block.values.dtype.kind in "iu":
        check_exact(block.values[block.values != block.fill], onto.method)
    if needs_spherical(source, target):
        return resample(block, onto)
    working = Working.of(block.values, block.fill, onto.method)
    found = _warped(working, block, onto)
    if onto.method == "sum":
        # Where everything else is nodata, GDAL adds slivers that rounding leaves under a pixel, of
        # a millionth of a millionth of its size; a mean ignores them.
        mean = _warped(working, block, replace(onto, method="mean"))
        found[is_fill(mean, working.fill)] = working.fill
        check_sum(found, block.values.dtype, block.fill)
    return working.restored(found, block.values.dtype, block.fill)


def _warped(working: Working, block: Block, onto: Onto) -> NDArray[Any]:
    # Within one CRS nothing is projected. A planar CRS hides poles and the antimeridian from GDAL,
    # as blocks may extend beyond 180 degrees.
    source, target = block.grid, onto.target
    flat = same_crs(source.crs, target.crs)
    block_affine, onto_affine = _affines(block, onto, flat=flat)
    rows, cols = onto.window
    values, empty = working.values, working.fill
    # Seen in GDAL 3.10: an aggregate of a pixel that only touches the edge of the source includes
    # the row or column along it, and bilinear does not interpolate along an axis of one pixel.
    padding = _PADDING if onto.method == "sum" else 1
    values = np.pad(values, padding, constant_values=empty)
    with (
        _in_memory(values) as dataset,
        WarpedVRT(
            dataset,
            src_crs=_FLAT if flat else source.crs,
            src_transform=block_affine @ Affine.translation(-padding, -padding),
            src_nodata=empty,
            crs=_FLAT if flat else target.crs,
            transform=onto_affine,
            height=rows.stop - rows.start,
            width=cols.stop - cols.start,
            nodata=empty,
            resampling=METHODS[onto.method],
            tolerance=_TOLERANCE,
            # GDAL would estimate the scale from the two windows, and blur slightly where it
            # mistakes a rotated window for a reduction.
            XSCALE=1,
            YSCALE=1,
        ) as warped,
    ):
        found: NDArray[Any] = warped.read(1)
    return found


@contextmanager
def _in_memory(values: NDArray[Any]) -> Iterator[DatasetReader]:
    """Open a 2-D array as a read-only dataset without a copy (GDAL's MEM driver).

    A GeoTIFF in memory is no alternative: its unwritten blocks would be in the cache that all
    threads share, so that another thread might write them. It would also convert the CRS to GeoTIFF
    keys, which not every CRS survives; for units other than metres, GDAL 3.10 also uses a PROJ
    context that threads share without a lock (with the error "Cannot find proj.db").
    """
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    (height, width), dtype = values.shape, typename_fwd[dtype_rev[values.dtype.name]]
    # The geotransform is a placeholder (the warper gets the block's own); rasterio warns about a
    # dataset without one.
    name = (
        f"MEM:::DATAPOINTER={values.ctypes.data},PIXELS={width},LINES={height},"
        f"DATATYPE={dtype},GEOTRANSFORM=0/2/0/0/0/-2"
    )
    with rasterio.Env(GDAL_MEM_ENABLE_OPEN=True), rasterio.open(name, driver="MEM") as dataset:
        yield dataset


def _affines(block: Block, onto: Onto, *, flat: bool) -> tuple[Affine, Affine]:
    """Return the transforms of a block and of a target window.

    Within one CRS both are in pixels of the block, so that common edges coincide: if rounding left
    a sliver under a target pixel, GDAL would include its value.
    """
    source, target = block.as_grid(), onto.target.affine
    row, col = (part.start for part in onto.window)
    target = target @ Affine.translation(col, row)
    if not (flat and source.is_aligned and onto.target.is_aligned):
        return source.affine, target
    found = ~source.affine @ target
    (rows, cols), north = onto.window, Affine.scale(1, -1)
    a, c = _snapped(found.a, found.c, cols.stop - cols.start)
    e, f = _snapped(found.e, found.f, rows.stop - rows.start)
    return north, north @ Affine(a, 0, c, 0, e, f)


def _snapped(step: float, first: float, count: int) -> tuple[float, float]:
    """Return step and offset of target pixels, as integers where they differ only by rounding."""
    if abs(step - round(step)) * count < _SLIVER:
        step = float(round(step))
    if abs(first - round(first)) < _SLIVER:
        first = float(round(first))
    return step, first
