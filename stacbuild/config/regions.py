"""Vector files of a configuration: paths relative to it, and a layer where a file has several."""

from __future__ import annotations

from pathlib import Path

from stacbuild.config.code import CodeError, check_within

SUFFIXES = (".geojson", ".json", ".gpkg", ".shp", ".parquet", ".geoparquet")
"""File names of the formats that are read: GeoJSON, GeoPackage, Shapefile, GeoParquet."""


def is_region(value: object) -> bool:
    """Return whether a value is the path of a vector file, to judge by its suffix."""
    return isinstance(value, str) and _path(value).lower().endswith(SUFFIXES)


def check_region(value: str) -> str:
    """Return the path of a vector file; raise ValueError if it cannot be one."""
    path = Path(_path(value))
    if not is_region(value):
        msg = f"{value!r} has to be a vector file: {', '.join(SUFFIXES)}"
        raise ValueError(msg)
    if "://" in value or path.is_absolute() or ".." in path.parts or value.startswith("~"):
        msg = f"{value!r} has to be a file, relative to the configuration, without '..'"
        raise ValueError(msg)
    return value


def find_region(value: str, directory: Path) -> tuple[Path, str | None]:
    """Return the file and the layer that ``<path>`` or ``<path>|<layer>`` names.

    Raises
    ------
    CodeError
        If there is no such file in *directory*, the folder of the configuration, or it is a link
        out of it.
    """
    name, layer = _path(value), value.partition("|")[2]
    path = directory / name
    check_within(path, directory)
    if not path.is_file():
        message = f"there is no file {name!r} in the folder of the configuration"
        raise CodeError(message)
    return path, layer or None


def _path(value: str) -> str:
    return value.partition("|")[0]
