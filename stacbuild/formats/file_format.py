"""Which format a path, an object or the first bytes of a file have.

Harvesters, listings and descriptions all decide by the functions of this module.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

from stacbuild.errors import IntegrityError, LocalError


class Format(StrEnum):
    """A format of gridded data; the value is its name in lists and messages."""

    GEOTIFF = "GeoTIFF"
    ZARR = "Zarr"
    ZIPPED_ZARR = "Zarr in a zip"
    NETCDF = "NetCDF"
    HDF5 = "HDF5"
    GRIB = "GRIB"
    VRT = "VRT"
    JPEG2000 = "JPEG 2000"
    HDF4 = "HDF4"
    OTHER = "other"

    @property
    def is_raster(self) -> bool:
        """Whether it is a file with bands, that GDAL reads."""
        return self in _RASTERS

    @property
    def is_read(self) -> bool:
        """Whether data of this format are read at all."""
        return self.is_raster or self in _ARRAYS


_RASTERS = frozenset({Format.GEOTIFF, Format.JPEG2000})
ARRAY_FILES = frozenset({Format.NETCDF, Format.HDF5, Format.GRIB})
"""Formats of files with arrays, that are read as Zarr groups are."""

MEDIA_TYPES = {
    Format.NETCDF: "application/netcdf",
    Format.HDF5: "application/x-hdf5",
    Format.GRIB: "application/x-grib",
}
"""Media types of files with arrays."""

_INSTEAD = {
    Format.VRT: "it only names other files: name these by a pattern, as in tiles_*.tif, or by a "
    "list, or make a GeoTIFF of it with gdal_translate",
    Format.HDF4: "convert it to GeoTIFF with gdal_translate, or to HDF5 with h4toh5",
}

_ARRAYS = frozenset({Format.ZARR, Format.ZIPPED_ZARR, *ARRAY_FILES})

_SUFFIXES = {
    "tif": Format.GEOTIFF,
    "tiff": Format.GEOTIFF,
    "nc": Format.NETCDF,
    "nc3": Format.NETCDF,
    "nc4": Format.NETCDF,
    "cdf": Format.NETCDF,
    "h5": Format.HDF5,
    "he5": Format.HDF5,
    "hdf5": Format.HDF5,
    "hdf": Format.HDF4,
    "hdf4": Format.HDF4,
    "grib": Format.GRIB,
    "grib1": Format.GRIB,
    "grib2": Format.GRIB,
    "grb": Format.GRIB,
    "grb1": Format.GRIB,
    "grb2": Format.GRIB,
    "vrt": Format.VRT,
    "jp2": Format.JPEG2000,
    "j2k": Format.JPEG2000,
    "zarr": Format.ZARR,
}

# HDF5: specification of the file format, III.A. netCDF: NUG, appendix B. GRIB: WMO FM 92.
# JPEG 2000: ISO/IEC 15444-1, annexes A (code stream) and I (file). TIFF 6.0, section 2, BigTIFF.
_SIGNATURES = (
    (b"\x89HDF\r\n\x1a\n", Format.HDF5),
    (b"CDF\x01", Format.NETCDF),
    (b"CDF\x02", Format.NETCDF),
    (b"CDF\x05", Format.NETCDF),
    (b"\x0e\x03\x13\x01", Format.HDF4),
    (b"GRIB", Format.GRIB),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", Format.JPEG2000),
    (b"\xff\x4f\xff\x51", Format.JPEG2000),
    (b"II*\x00", Format.GEOTIFF),
    (b"MM\x00*", Format.GEOTIFF),
    (b"II+\x00", Format.GEOTIFF),
    (b"MM\x00+", Format.GEOTIFF),
    (b"<VRTDataset", Format.VRT),
)

SIGNATURE = 12
"""Number of bytes at the start of a file that `format_of_bytes` needs."""


def format_of(path: str) -> Format:
    """Return the format that the name of a file or folder states.

    Parameters
    ----------
    path
        A path, key or URL without query. A path may go on into a group: that of ``a.nc/forecast``
        is NetCDF. A Zarr group may have any name, so a path of `Format.OTHER` may be one.
    """
    *above, name = path.rstrip("/").split("/")
    if name.lower().endswith(".zarr.zip"):
        return Format.ZIPPED_ZARR
    found = _SUFFIXES.get(_suffix(name), Format.OTHER)
    if found is not Format.OTHER:
        return found
    kinds = (_SUFFIXES.get(_suffix(each), Format.OTHER) for each in reversed(above))
    return next((kind for kind in kinds if kind in {Format.ZARR, *ARRAY_FILES}), Format.OTHER)


def apart(path: str) -> tuple[str, str]:
    """Return the path of a file of arrays, and of the group in it that a path goes on into.

    By the names alone: ``2020/a.nc/forecast`` is ``2020/a.nc`` and ``forecast``. The group is empty
    if there is none.
    """
    names = path.strip("/").split("/")
    for number in range(len(names), 0, -1):
        kind = _SUFFIXES.get(_suffix(names[number - 1]))
        if kind in ARRAY_FILES:
            return "/".join(names[:number]), "/".join(names[number:])
        if kind is not None:
            break
    return path.strip("/"), ""


def format_of_bytes(start: bytes) -> Format:
    """Return the format of a file by its first `SIGNATURE` bytes."""
    return next((kind for sign, kind in _SIGNATURES if start.startswith(sign)), Format.OTHER)


def format_of_file(path: Path) -> Format:
    """Return the format of a local file or folder: by its name, then by its first bytes.

    Raises
    ------
    LocalError
        The file cannot be read.
    """
    kind = format_of(str(path))
    if path.is_dir():
        return Format.ZARR
    if path.is_file() and kind in (Format.OTHER, Format.HDF4):
        try:
            with path.open("rb") as file:
                found = format_of_bytes(file.read(SIGNATURE))
        except OSError as error:
            raise LocalError(f"{path}: cannot be read ({error.strerror or error})") from error
        return found if found is not Format.OTHER else kind
    return kind


def without_suffix(path: str) -> str:
    """Return a path without the suffix of its format, as in the id of an item."""
    return re.sub(r"\.(zarr|tiff?)/?$", "", path, flags=re.IGNORECASE)


def refuse(path: str, kind: Format) -> None:
    """Raise an error if data of a format are not read.

    Raises
    ------
    IntegrityError
        Names the path, the format and what to do.
    """
    if not kind.is_read and kind is not Format.OTHER:
        raise IntegrityError(
            f"{path}: is {kind}, which is not read; {_INSTEAD.get(kind, 'convert it to GeoTIFF')}"
        )


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""
