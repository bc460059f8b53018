"""Exceptions of rasterio for files that cannot be read, and their messages."""

from __future__ import annotations

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError, RasterioIOError

# rasterio raises GDAL's own errors from properties of a dataset, for headers that turn out damaged
# after opening. Their class has no public name (rasterio 1.4). And it decodes names in a CRS as
# UTF-8, which they need not be.
GDAL_ERRORS: tuple[type[Exception], ...] = (
    RasterioError,
    CPLE_BaseError,
    UnicodeDecodeError,
)
"""Exceptions of rasterio for a file that cannot be opened or decoded."""


def message_of(error: BaseException) -> str:
    """Return the message of GDAL on one line."""
    if isinstance(error, UnicodeDecodeError):
        # The bytes are the CRS as WKT, or a name in it: too long for a line.
        found = error.object[max(0, error.start - 10) : error.start + 10]
        return f"a name in its CRS is not UTF-8: {found!r}; set the CRS with gdal_edit -a_srs"
    cause = error.__cause__ if isinstance(error, RasterioIOError) else None
    return " ".join(str(cause or error).split())
