"""The format of a foreign asset, by its media type or its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from stacbuild.formats.file_format import ARRAY_FILES, MEDIA_TYPES, Format, format_of

Json = dict[str, Any]

_TIFF = frozenset({"tif", "tiff", "geotiff", "geotif", "cog"})
_JPEG2000 = frozenset({"image/jp2", "image/jpx", "image/j2c", "image/jpeg2000"})
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
    if is_jpeg2000(asset):
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


def readable(assets: Mapping[str, Any]) -> dict[str, str]:
    """Return the kind of each asset that can be read, by its key.

    JPEG 2000 is left out if there are others: it often is the original that these were made from.
    """
    known = {str(key): asset for key, asset in assets.items() if isinstance(asset, dict)}
    kinds = {key: kind for key, asset in known.items() if (kind := kind_of(asset))}
    others = {key: kind for key, kind in kinds.items() if not is_jpeg2000(known[key])}
    return others or kinds


def is_jpeg2000(asset: Json) -> bool:
    """Return whether an asset is a JPEG 2000 file."""
    media = _media(asset)
    return media in _JPEG2000 or (
        media in _ANYTHING and format_of(_path_of(asset.get("href"))) is Format.JPEG2000
    )


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
