"""Read regions of interest from vector files: GeoJSON, GeoPackage, Shapefile, GeoParquet.

GeoJSON and GeoParquet are parsed without GDAL, and the other formats only if the file begins as
they do: otherwise GDAL would probe all of its formats, some of which refer to other files or URLs.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from pyproj.exceptions import CRSError

from stacbuild.errors import LocalError
from stacbuild.geo.crs_text import canonical_crs

_MAGIC = {".gpkg": b"SQLite format 3\x00", ".shp": b"\x00\x00\x27\x0a"}
_EXTRA = "pip install 'stacbuild[vector]'"


@dataclass(frozen=True)
class Features:
    """Geometries of a vector file.

    Parameters
    ----------
    geometries
        Array of shapely geometries, None where a feature has none.
    crs
        Their CRS, as `stacbuild.geo.crs_text.canonical_crs` returns it.
    """

    geometries: Any
    crs: str


def digest_of(path: Path) -> str:
    """Return a SHA-256 of the content, in hexadecimal: for a Shapefile, with its CRS.

    Raises
    ------
    LocalError
        If the file cannot be read.
    """
    files = [path, path.with_suffix(".prj")] if path.suffix.lower() == ".shp" else [path]
    digest = hashlib.sha256()
    for file in files:
        if file == path or file.is_file():
            digest.update(_bytes(file))
    return digest.hexdigest()


def read_features(path: Path, layer: str | None) -> Features:
    """Read the geometries of a vector file.

    Parameters
    ----------
    layer
        Name of the layer; None if the file has only one.

    Raises
    ------
    LocalError
        If the file cannot be read, states no CRS, has several layers and *layer* is None, has no
        such layer, or its format needs the extra ``vector``, which is not installed.
    """
    suffix = path.suffix.lower()
    with suppress(OSError):  # reported with the reason when it is opened
        if path.is_file() and path.stat().st_size == 0:
            raise LocalError(f"{path.name}: is empty (0 bytes); write it again")
    if layer is not None and suffix != ".gpkg":
        raise LocalError(f"{path.name}: only a GeoPackage has layers; leave '|{layer}' out")
    if suffix in (".geojson", ".json"):
        geometries, crs = _geojson(path)
    elif suffix in (".parquet", ".geoparquet"):
        geometries, crs = _geoparquet(path)
    else:
        geometries, crs = _by_gdal(path, layer)
    try:
        known = canonical_crs(crs)
    except ValueError as error:
        raise LocalError(f"{path.name}: its CRS cannot be used: {error}") from error
    return Features(shapely.force_2d(np.asarray(geometries, object)), known)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LocalError(f"{path.name}: cannot be read: {error.strerror}") from error


def _geojson(path: Path) -> tuple[list[Any], str]:
    try:
        content = json.loads(_bytes(path))
        kind = content["type"]
        if kind == "FeatureCollection":
            listed = [feature["geometry"] for feature in content["features"]]
        else:
            listed = [content["geometry"] if kind == "Feature" else content]
        geometries = [each and shapely.from_geojson(json.dumps(each)) for each in listed]
        stated = content.get("crs")
        crs = "OGC:CRS84" if stated is None else str(stated["properties"]["name"])
    except (ValueError, KeyError, TypeError, RecursionError, shapely.GEOSException) as error:
        raise LocalError(f"{path.name}: is not valid GeoJSON ({_short(error)})") from error
    # Such as urn:ogc:def:crs:EPSG::3035, of the GeoJSON of 2008.
    if crs.lower().startswith("urn:ogc:def:crs:"):
        parts = crs.split(":")
        crs = f"{parts[4]}:{parts[-1]}"
    return geometries, crs


def _geoparquet(path: Path) -> tuple[Any, str]:
    parquet, arrow = _imported("pyarrow.parquet", path), _imported("pyarrow", path)
    try:
        stated = json.loads(parquet.read_schema(path).metadata[b"geo"])
        name = stated["primary_column"]
        column = stated["columns"][name]
        if column["encoding"] != "WKB":
            raise LocalError(
                f"{path.name}: its geometries are {column['encoding']}; write them as WKB"
            )
        table = parquet.read_table(path, columns=[name])
        geometries = shapely.from_wkb(table[name].to_numpy())
        crs = column.get("crs", "OGC:CRS84")
    except (arrow.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise LocalError(f"{path.name}: is not valid GeoParquet ({_short(error)})") from error
    except shapely.GEOSException as error:
        raise LocalError(f"{path.name}: has invalid geometries ({_short(error)})") from error
    if crs is None:
        raise LocalError(f"{path.name}: states no CRS; write it with one")
    return geometries, json.dumps(crs) if isinstance(crs, dict) else crs


def _by_gdal(path: Path, layer: str | None) -> tuple[Any, str]:
    magic = _MAGIC[path.suffix.lower()]
    try:
        with path.open("rb") as file:
            start = file.read(len(magic))
    except OSError as error:
        raise LocalError(f"{path.name}: cannot be read: {error.strerror}") from error
    if start != magic:
        raise LocalError(f"{path.name}: is not what its name says ({path.suffix})")
    pyogrio = _imported("pyogrio", path)
    raw = _imported("pyogrio.raw", path)
    try:
        names = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
        if not names:
            raise LocalError(f"{path.name}: has no layer with geometries; write the region into it")
        if layer is None and len(names) > 1:
            raise LocalError(
                f"{path.name}: has several layers: {', '.join(names)}; name one, as in "
                f"'{path.name}|{names[0]}'"
            )
        if layer is not None and layer not in names:
            raise LocalError(f"{path.name}: has no layer {layer!r}; there are: {', '.join(names)}")
        meta, _, geometries, _ = raw.read(path, layer=layer, columns=[])
        found = shapely.from_wkb(geometries)
    except pyogrio.errors.DataSourceError as error:
        raise LocalError(f"{path.name}: cannot be read ({_short(error)})") from error
    except shapely.GEOSException as error:
        raise LocalError(f"{path.name}: has invalid geometries ({_short(error)})") from error
    crs = meta["crs"]
    try:
        known = None if crs is None else pyproj.CRS.from_user_input(crs)
    except CRSError:
        known = None
    if known is None:
        raise LocalError(f"{path.name}: states no CRS; write it with one (.prj of a Shapefile)")
    return found, known.to_wkt()


def _imported(name: str, path: Path) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise LocalError(f"{path.name}: reading it needs {package}: {_EXTRA}") from error


def _short(error: Exception) -> str:
    return " ".join(f"{error}".split())[:120] or type(error).__name__
