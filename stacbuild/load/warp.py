"""Everything but nearest neighbour, through GDAL's warper where the earth is flat enough for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from stacbuild.errors import BuildError
from stacbuild.load.around import resample
from stacbuild.load.footprint import closes
from stacbuild.load.pixelgrid import PixelGrid, Window
from stacbuild.nodata import Number

# Source pixels beyond the target's footprint that a kernel may look at: bilinear needs one, and
# an aggregation over a target pixel half of its size, which the footprint itself covers.
MARGIN = 4

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


# What GDAL's warper computes in where it lacks a type. Floats of 64 bits hold integers up
# to 2**53; what is beyond is refused.
_WORKING = {
    "bool": "uint8",
    "int8": "int16",
    "int64": "float64",
    "uint64": "float64",
    "float16": "float32",
}


def warp(
    block: NDArray[Any],
    source: PixelGrid,
    source_window: Window,
    target: PixelGrid,
    target_window: Window,
    method: str,
    fill: Number,
) -> NDArray[Any]:
    """Resample a decoded source window onto a window of the target grid.

    Parameters
    ----------
    block
        2-D, the pixels of *source_window*; "no data" is *fill*.
    method
        A key of `METHODS`.

    Returns
    -------
    2-D array of the target window's shape and the block's dtype, *fill* where there is no data.
    Means of integers are rounded to the nearest.

    Raises
    ------
    BuildError
        The block has integers beyond 2**53, which no method but nearest keeps exact.
    """
    _check_exact(block, method, fill)
    if closes(source, target):
        return resample(block, source, source_window, target, target_window, method, fill)
    height, width = block.shape
    rows, cols = target_window
    values, empty = _working(block, fill)
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            height=height,
            width=width,
            count=1,
            dtype=values.dtype,
            crs=source.crs,
            transform=_shifted(source.affine, source_window),
            nodata=empty,
        ) as written:
            written.write(values, 1)
        with (
            memory.open() as dataset,
            WarpedVRT(
                dataset,
                crs=target.crs,
                transform=_shifted(target.affine, target_window),
                height=rows.stop - rows.start,
                width=cols.stop - cols.start,
                nodata=empty,
                resampling=METHODS[method],
                tolerance=_TOLERANCE,
                # GDAL would guess the scale from the two windows, and blur a little where it
                # takes a turned window for a reduction.
                XSCALE=1,
                YSCALE=1,
            ) as warped,
        ):
            return _restored(warped.read(1), block.dtype, fill)


def _check_exact(block: NDArray[Any], method: str, fill: Number) -> None:
    if block.dtype not in (np.int64, np.uint64):
        return
    valid = block[block != fill]
    if valid.size and max(int(valid.max()), -int(valid.min())) > 2**53:
        raise BuildError(
            f"{method} cannot be computed of integers beyond 2**53 without rounding them; state "
            "spatial_resample_params.interp_methods: nearest and agg_methods: center"
        )


def _working(block: NDArray[Any], fill: Number) -> tuple[NDArray[Any], Number]:
    """Return the block in a type that GDAL computes in, and what "no data" is in it."""
    dtype = np.dtype(_WORKING.get(block.dtype.name, block.dtype))
    values = block.astype(dtype, copy=False)
    if dtype.kind != "f" or np.isnan(fill):
        return values, fill
    # GDAL compares floats with a tolerance, under which valid values may lie.
    return np.where(block == fill, dtype.type(np.nan), values), np.nan


def _restored(found: NDArray[Any], dtype: np.dtype[Any], fill: Number) -> NDArray[Any]:
    """Return what GDAL computed as *dtype*."""
    if dtype.kind == "f" and np.isnan(fill):
        return np.asarray(found.astype(dtype, copy=False))
    if found.dtype.kind != "f":
        return np.asarray(found.astype(dtype, copy=False))
    result = np.full(found.shape, fill, dtype)
    known = ~np.isnan(found)
    values = found[known]
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.floor(values + 0.5)
        # The largest of 64 bits is no double; the next one is beyond.
        low, high = (values <= limits.min), (values >= limits.max)
        whole = np.where(low | high, 0.0, values).astype(dtype)
        whole[low], whole[high] = limits.min, limits.max
        result[known] = whole
    else:
        result[known] = values
    return result


def _shifted(transform: Affine, window: Window) -> Affine:
    a, b, c, d, e, f = tuple(transform)[:6]
    row, col = window[0].start, window[1].start
    return Affine(a, b, c + a * col + b * row, d, e, f + d * col + e * row)
