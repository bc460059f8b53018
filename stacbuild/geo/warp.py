"""Everything but nearest neighbour, through GDAL's warper where the earth is flat enough for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.dtypes import dtype_rev, typename_fwd
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from stacbuild.errors import BuildError
from stacbuild.geo.block import Block, Onto
from stacbuild.geo.coverage import closes
from stacbuild.geo.mosaic import Mosaic
from stacbuild.geo.pixelgrid import Window, is_aligned, same_crs
from stacbuild.geo.spherical import resample
from stacbuild.geo.validity import Layer, NoData, is_fill
from stacbuild.geo.working import Working, whole
from stacbuild.nodata import Number

# Any CRS of a plane, for source and target alike.
_FLAT = "EPSG:3857"
# Bytes of source pixels put together at a time. More, under a target window of pixels that are
# much larger than the source's, are taken in parts.
_BLOCK_BYTES = 512 * 2**20

# Edges of pixels as near to each other, in source pixels, are one but for rounding.
_SLIVER = 1e-6
# Pixels of no data around what is summed. GDAL spreads the last column that it looks at, some ten
# beyond those that it needs, over all of a row (seen in 3.10 with 110 x 110 pixels, summed two by
# two from the sixth on: wrong by a fiftieth of that column's value).
_APRON = 32
# How far (in source pixels) GDAL's approximating transformer may be off. Its default of an eighth
# of a pixel is visible in a bilinear result; this is not, and costs little. `rasterio.warp.
# reproject` does not pass it on (seen in 1.4.4: 0.06 pixels off whatever it is told), a VRT does.
_TOLERANCE = 0.001

# Methods of `spatial_resample_params` and what computes them. The names are those of the
# configuration language; where GDAL has no such method the language's reader refuses it.
METHODS = {
    "bilinear": Resampling.bilinear,
    "mean": Resampling.average,
    "mode": Resampling.mode,
    "max": Resampling.max,
    "min": Resampling.min,
    "median": Resampling.med,
    "sum": Resampling.sum,
}


@dataclass(frozen=True)
class Pixels:
    """How pixels of a mosaic's sources are had.

    Parameters
    ----------
    read
        Reads a window of one source, by its number, rows and columns last, "no data" as
        ``nodata.fill``.
    nodata
        What stands for "no data".
    dtype
        Of what is read.
    """

    read: Callable[[int, Window], NDArray[Any]]
    nodata: NoData
    dtype: np.dtype[Any]


def regrid(mosaic: Mosaic, onto: Onto, pixels: Pixels) -> Layer | None:
    """Resample what lies under a window of the target grid, put together from all its sources.

    Returns
    -------
    Array of the sources' dtype, the target window's rows and columns last, and where it has no data
    if the values do not tell; None if no source lies under it.

    Raises
    ------
    BuildError
        As `warp`.
    """
    nodata, method = pixels.nodata, onto.method
    if nodata.reserved:
        values = _regridded(mosaic, onto, pixels)
        return None if values is None else (values, None)
    dtype, working = pixels.dtype, nodata.working_dtype(pixels.dtype, method)

    def read(number: int, window: Window) -> NDArray[Any]:
        block = pixels.read(number, window)
        _check_exact(block, method)
        return block.astype(working)

    wide = Pixels(read, nodata.working(dtype, method), working)
    values = _regridded(mosaic, onto, wide)
    if values is None:
        return None
    missing = is_fill(values, wide.nodata.fill)
    if method == "sum":
        _check_sum(values, dtype, None)
    values[missing] = 0
    found = whole(values, dtype) if working.kind == "f" else values.astype(dtype)
    found[missing] = nodata.fill
    return found, missing


def _regridded(mosaic: Mosaic, onto: Onto, pixels: Pixels) -> NDArray[Any] | None:
    window = mosaic.window(onto.target, onto.window, onto.method)
    if window is None:
        return None
    rows, cols = (part.stop - part.start for part in window)
    sides = [part.stop - part.start for part in onto.window]
    if rows * cols * pixels.dtype.itemsize > _BLOCK_BYTES and max(sides) > 1:
        # Rows first: files in strips are read in whole rows.
        return _halved(mosaic, onto, pixels, axis=0 if sides[0] > 1 else 1)

    def missing(values: NDArray[Any]) -> NDArray[np.bool_]:
        return is_fill(values, pixels.nodata.fill)

    block = mosaic.assemble(window, pixels.read, missing, pixels.nodata.fill)
    result = np.empty((*block.shape[:-2], *sides), block.dtype)
    for index in np.ndindex(block.shape[:-2]):
        plane = Block(block[index], mosaic.grid, window, pixels.nodata.fill, mosaic.period)
        result[index] = warp(plane, onto)
    return result


def _halved(mosaic: Mosaic, onto: Onto, pixels: Pixels, axis: int) -> NDArray[Any] | None:
    whole = onto.window[axis]
    middle = (whole.start + whole.stop) // 2
    found = []
    for half in (slice(whole.start, middle), slice(middle, whole.stop)):
        window = (half, onto.window[1]) if axis == 0 else (onto.window[0], half)
        found.append((window, _regridded(mosaic, replace(onto, window=window), pixels)))
    known = next((values for _, values in found if values is not None), None)
    if known is None:
        return None
    return np.concatenate(
        [
            values
            if values is not None
            else np.full(
                (*known.shape[:-2], *(part.stop - part.start for part in window)),
                pixels.nodata.fill,
                known.dtype,
            )
            for window, values in found
        ],
        axis=axis - 2,
    )


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
        _check_exact(block.values[block.values != block.fill], onto.method)
    if closes(source, target):
        return resample(block, onto)
    working = Working.of(block.values, block.fill, onto.method)
    found = _warped(working, block, onto)
    if onto.method == "sum":
        # GDAL adds what rounding leaves under a pixel, of a millionth of a millionth of its size,
        # where all else is no data; a mean does not look at it.
        mean = _warped(working, block, replace(onto, method="mean"))
        found[is_fill(mean, working.fill)] = working.fill
        _check_sum(found, block.values.dtype, block.fill)
    return working.restored(found, block.values.dtype, block.fill)


def _warped(working: Working, block: Block, onto: Onto) -> NDArray[Any]:
    # Within one CRS nothing is projected, and GDAL is to know nothing of poles and meridians:
    # blocks may reach beyond 180 degrees.
    source, target = block.grid, onto.target
    flat = same_crs(source.crs, target.crs)
    lies, onto_affine = _affines(block, onto, flat=flat)
    rows, cols = onto.window
    values, empty = working.values, working.fill
    # Seen in GDAL 3.10: an aggregate of a pixel that only touches the edge of the source takes the
    # row or column along it, and bilinear goes along no axis of what is one pixel wide or high.
    apron = _APRON if onto.method == "sum" else 1
    values = np.pad(values, apron, constant_values=empty)
    with (
        _in_memory(values) as dataset,
        WarpedVRT(
            dataset,
            src_crs=_FLAT if flat else source.crs,
            src_transform=lies @ Affine.translation(-apron, -apron),
            src_nodata=empty,
            crs=_FLAT if flat else target.crs,
            transform=onto_affine,
            height=rows.stop - rows.start,
            width=cols.stop - cols.start,
            nodata=empty,
            resampling=METHODS[onto.method],
            tolerance=_TOLERANCE,
            # GDAL would guess the scale from the two windows, and blur a little where it
            # takes a turned window for a reduction.
            XSCALE=1,
            YSCALE=1,
        ) as warped,
    ):
        found: NDArray[Any] = warped.read(1)
    return found


@contextmanager
def _in_memory(values: NDArray[Any]) -> Iterator[DatasetReader]:
    """Open a 2-D array as a dataset, read only and where it lies (GDAL's MEM driver).

    Not as a GeoTIFF in memory: its blocks would be in the cache that all threads share, not yet
    written, where another thread may come to write them. And it would put the CRS through the
    keys of GeoTIFF, which not all of them survive; for units other than metres GDAL 3.10 also asks
    PROJ in a context that threads share without a lock (and that says "Cannot find proj.db").
    """
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    (height, width), dtype = values.shape, typename_fwd[dtype_rev[values.dtype.name]]
    # The geotransform means nothing (that of the block is given to the warper); rasterio warns of
    # a dataset that has none.
    name = (
        f"MEM:::DATAPOINTER={values.ctypes.data},PIXELS={width},LINES={height},"
        f"DATATYPE={dtype},GEOTRANSFORM=0/2/0/0/0/-2"
    )
    with rasterio.Env(GDAL_MEM_ENABLE_OPEN=True), rasterio.open(name, driver="MEM") as dataset:
        yield dataset


def _check_exact(valid: NDArray[Any], method: str) -> None:
    if valid.dtype not in (np.int64, np.uint64):
        return
    if valid.size and max(int(valid.max()), -int(valid.min())) > 2**53:
        raise BuildError(
            f"{method} cannot be computed of integers beyond 2**53 without rounding them; state "
            "spatial_resample_params.interp_methods: nearest and agg_methods: center"
        )


def _check_sum(found: NDArray[Any], dtype: np.dtype[Any], fill: Number | None) -> None:
    """Refuse sums that the type of integers cannot hold; GDAL would make its limits of them."""
    known = found[~np.isnan(found)]
    if dtype.kind not in "iu" or not known.size:
        return
    limits = np.iinfo(dtype)
    worst = max((np.rint(known.min()), np.rint(known.max())), key=abs)
    taken = fill is not None and bool((np.rint(known) == fill).any())
    if not limits.min <= worst <= limits.max or taken:
        raise BuildError(
            f"sum gives {worst:.0f}, which {dtype} cannot hold or stands for no data in it; state "
            "agg_methods: mean, or write the source with a wider type"
        )


def _affines(block: Block, onto: Onto, *, flat: bool) -> tuple[Affine, Affine]:
    """Return the transforms of a block and of a target window.

    Within one CRS in pixels of the block, so that edges that are one fall together: where rounding
    leaves a sliver under a target pixel, GDAL would take its value.
    """
    source, target = block.as_grid(), onto.target.affine
    row, col = (part.start for part in onto.window)
    target = target @ Affine.translation(col, row)
    if not (flat and is_aligned(source) and is_aligned(onto.target)):
        return source.affine, target
    found = ~source.affine @ target
    (rows, cols), north = onto.window, Affine.scale(1, -1)
    a, c = _snapped(found.a, found.c, cols.stop - cols.start)
    e, f = _snapped(found.e, found.f, rows.stop - rows.start)
    return north, north @ Affine(a, 0, c, 0, e, f)


def _snapped(step: float, first: float, count: int) -> tuple[float, float]:
    """Return step and offset of target pixels, whole where only rounding makes them other."""
    if abs(step - round(step)) * count < _SLIVER:
        step = float(round(step))
    if abs(first - round(first)) < _SLIVER:
        first = float(round(first))
    return step, first
