"""Everything but nearest neighbour, through GDAL's warper."""

from __future__ import annotations

from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.warp import reproject

from stacbuild.load.pixelgrid import PixelGrid, Window

# Source pixels beyond the target's footprint that a kernel may look at: bilinear needs one, and
# an aggregation over a target pixel half of its size, which the footprint itself covers.
MARGIN = 4

# How far (in source pixels) GDAL's approximating transformer may be off. Its default of an eighth
# of a pixel is visible in a bilinear result; this is not, and costs little.
_TOLERANCE = 0.01

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


def warp(
    block: NDArray[Any],
    source: PixelGrid,
    source_window: Window,
    target: PixelGrid,
    target_window: Window,
    method: str,
    fill: float,
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
    """
    shape = tuple(part.stop - part.start for part in target_window)
    result = np.full(shape, fill, block.dtype)
    reproject(
        np.ascontiguousarray(block),
        result,
        src_crs=source.crs,
        src_transform=_shifted(source.affine, source_window),
        src_nodata=fill,
        dst_crs=target.crs,
        dst_transform=_shifted(target.affine, target_window),
        dst_nodata=fill,
        init_dest_nodata=True,
        resampling=METHODS[method],
        tolerance=_TOLERANCE,
    )
    return result


def _shifted(transform: Affine, window: Window) -> Affine:
    a, b, c, d, e, f = tuple(transform)[:6]
    row, col = window[0].start, window[1].start
    return Affine(a, b, c + a * col + b * row, d, e, f + d * col + e * row)
