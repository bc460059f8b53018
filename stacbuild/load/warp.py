"""Everything but nearest neighbour, through GDAL's warper where the earth is flat enough for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from stacbuild.load.around import resample
from stacbuild.load.footprint import closes
from stacbuild.load.pixelgrid import PixelGrid, Window

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
    if closes(source, target):
        return resample(block, source, source_window, target, target_window, method, fill)
    height, width = block.shape
    rows, cols = target_window
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            height=height,
            width=width,
            count=1,
            dtype=block.dtype,
            crs=source.crs,
            transform=_shifted(source.affine, source_window),
            nodata=fill,
        ) as written:
            written.write(block, 1)
        with (
            memory.open() as dataset,
            WarpedVRT(
                dataset,
                crs=target.crs,
                transform=_shifted(target.affine, target_window),
                height=rows.stop - rows.start,
                width=cols.stop - cols.start,
                nodata=fill,
                resampling=METHODS[method],
                tolerance=_TOLERANCE,
                # GDAL would guess the scale from the two windows, and blur a little where it
                # takes a turned window for a reduction.
                XSCALE=1,
                YSCALE=1,
            ) as warped,
        ):
            return np.asarray(warped.read(1))


def _shifted(transform: Affine, window: Window) -> Affine:
    a, b, c, d, e, f = tuple(transform)[:6]
    row, col = window[0].start, window[1].start
    return Affine(a, b, c + a * col + b * row, d, e, f + d * col + e * row)
