"""Which exceptions of rasterio say that a file cannot be read, and what they say."""

from __future__ import annotations

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError, RasterioIOError

# rasterio raises GDAL's own errors as they are where it asks for a property: those of a header
# that was found damaged after the file was opened. Their class has no public name (rasterio 1.4).
GDAL_ERRORS: tuple[type[Exception], ...] = (RasterioError, CPLE_BaseError)
"""What rasterio raises of a file that cannot be opened, or not be decoded."""


def said(error: BaseException) -> str:
    """Return what GDAL said, on one line."""
    cause = error.__cause__ if isinstance(error, RasterioIOError) else None
    return " ".join(str(cause or error).split())
