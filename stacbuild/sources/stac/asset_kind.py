"""The format of a foreign asset, by its media type or its name."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from stacbuild.formats.file_format import ARRAY_FILES, MEDIA_TYPES, format_of

Json = dict[str, Any]

_TIFF = frozenset({"tif", "tiff", "geotiff", "geotif", "cog"})
# Media types of files of any format.
_ANYTHING = frozenset(
    {
        "",
        "application/octet-stream",
        "binary/octet-stream",
        "application/binary",
        "application/x-binary",
    }
)
# NetCDF, HDF5 and GRIB, also as they were spelled before they were registered.
_ARRAYS = frozenset(
    {
        *MEDIA_TYPES.values(),
        "application/x-netcdf",
        "application/x-netcdf4",
        "application/x-hdf",
        "application/hdf5",
        "application/wmo-grib2",
    }
)


def kind_of(asset: Json) -> str | None:
    """Return ``raster`` or ``zarr`` by an asset's media type, else by its name; None: neither.

    Catalogs have many spellings of both types: with parameters, in capitals, unregistered ones.
    """
    media = _media(asset)
    kind, _, name = media.partition("/")
    if kind == "application" and "zarr" in re.split(r"[^a-z0-9]+", name):
        return "zarr"
    if kind in ("image", "application") and _TIFF.intersection(re.split(r"[^a-z0-9]+", name)):
        return "raster"
    path = _path_of(asset.get("href"))
    if media == "application/zip" and path.endswith(".zarr.zip"):
        return "zarr"
    if is_array_file(asset):
        return "zarr"
    if media in _ANYTHING:
        if path.endswith((".zarr", ".zarr.zip")):
            return "zarr"
        if path.endswith((".tif", ".tiff")):
            return "raster"
    return None


def is_array_file(asset: Json) -> bool:
    """Return whether an asset is a NetCDF, HDF5 or GRIB file."""
    media = _media(asset)
    return media in _ARRAYS or (
        media in _ANYTHING and format_of(_path_of(asset.get("href"))) in ARRAY_FILES
    )


def _media(asset: Json) -> str:
    return str(asset.get("type") or "").partition(";")[0].strip().lower()


def _path_of(href: Any) -> str:
    try:
        return urlsplit(str(href)).path.lower().rstrip("/")
    except ValueError:
        return ""
