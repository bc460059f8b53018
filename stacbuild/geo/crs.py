"""Coordinate reference systems: which one a file means, and whether two are the same.

Two are the same only if PROJ says so (`pyproj.CRS.equals`), or if one states the code of the
other, their datums do not differ, and every position comes out the same. An ellipsoid alone,
or a code that a search finds similar, is never enough.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pyproj
from numpy.typing import ArrayLike, NDArray
from pyproj.exceptions import CRSError, ProjError

WGS84 = pyproj.CRS.from_epsg(4326)

# PROJ takes an ellipsoid for the earth's within this share of 6375 km (Ellipsoid::guessBodyName).
_EARTH, _OF_EARTH = 6_375_000.0, 0.005
# Metres, or what they are in degrees, by which positions of the same CRS may differ.
_SAME = 1e-3
_METRES_A_DEGREE = 111_320.0
# Datum names that name none, or that of WGS 84 in the spellings in use.
_UNKNOWN = re.compile(r"(un(known|defined|named|specified)|not specified)\b|$")
_OF_WGS84 = re.compile(r"(wgs|world geodetic system) ?(19)?84$")


@lru_cache(maxsize=256)
def parse_crs(text: str) -> pyproj.CRS:
    """Return the CRS of an EPSG code (``EPSG:3035``) or WKT; each is made once."""
    return pyproj.CRS.from_user_input(text)


def crs_text(crs: pyproj.CRS) -> str:
    """Return ``EPSG:<code>`` of a CRS, or WKT 2 (2019) if it has no code."""
    code = epsg_code(crs)
    return crs.to_wkt("WKT2_2019") if code is None else f"EPSG:{code}"


@lru_cache(maxsize=64)
def same_crs(one: str, other: str) -> bool:
    """Return whether two CRSs give the same coordinates in x, y order."""
    return parse_crs(one).equals(parse_crs(other), ignore_axis_order=True)


@lru_cache(maxsize=64)
def transformer(source: str, target: str) -> pyproj.Transformer:
    """Return the transformer between two CRSs, x before y.

    One is kept for each pair: making it takes longer than transforming a tile, and pyproj's
    transformers may be used from several threads.
    """
    return pyproj.Transformer.from_crs(parse_crs(source), parse_crs(target), always_xy=True)


def horizontal(crs: pyproj.CRS) -> pyproj.CRS:
    """Return the part of *crs* that places pixels: without heights.

    A CRS that is bound to a datum shift (``TOWGS84``) and has a code of its own is taken by that
    code, as GDAL does.

    Raises
    ------
    ValueError
        It has no two horizontal axes.
    """
    if crs.is_compound:
        return horizontal(crs.sub_crs_list[0])
    if crs.is_bound and crs.source_crs is not None:
        base = horizontal(crs.source_crs)
        return base if _registered_code(base) is not None else crs
    if crs.is_geocentric or not (crs.is_geographic or crs.is_projected):
        msg = f"{crs.name} ({crs.type_name}) has no two horizontal axes on the earth"
        raise ValueError(msg)
    return crs.to_2d() if len(crs.axis_info) > 2 else crs


def check_of_earth(crs: pyproj.CRS) -> None:
    """Check that *crs* is of the earth, by the size of its ellipsoid.

    Raises
    ------
    ValueError
        It is of another body, of which PROJ transforms nothing to the earth.
    """
    ellipsoid = crs.ellipsoid
    if ellipsoid is None:
        return
    radius = ellipsoid.semi_major_metre
    if abs(radius - _EARTH) > _OF_EARTH * _EARTH:
        msg = f"its coordinate system ({crs.name}) is not of the earth: a radius of {radius:.0f} m"
        raise ValueError(msg)


def identified(crs: pyproj.CRS, *codes: int | None) -> pyproj.CRS:
    """Return the horizontal part of *crs*, as PROJ's database has it if it is there.

    Parameters
    ----------
    crs
        As a file states it.
    codes
        EPSG codes that may be its; each is checked.

    Raises
    ------
    ValueError
        It has no horizontal axes, or is not of the earth.
    """
    flat = horizontal(crs)
    check_of_earth(flat)
    code = epsg_code(flat, *codes)
    return flat if code is None else pyproj.CRS.from_epsg(code)


@lru_cache(maxsize=256)
def epsg_code(crs: pyproj.CRS, *codes: int | None) -> int | None:
    """Return the EPSG code under which PROJ knows *crs*, None if it has none.

    Longitude and latitude in degrees from Greenwich on the ellipsoid of WGS 84, or on a sphere,
    of a datum that nobody names, are EPSG:4326: PROJ transforms them without a change.
    """
    code = _registered_code(crs, *codes)
    return 4326 if code is None and _is_plain(crs) else code


def _registered_code(crs: pyproj.CRS, *codes: int | None) -> int | None:
    for code in _candidates(crs, codes):
        try:
            registered = pyproj.CRS.from_epsg(code)
        except CRSError:
            # GDAL's PROJ may be newer than pyproj's; the CRS itself is described all the same.
            continue
        if len(registered.axis_info) == len(crs.axis_info) and _same(crs, registered):
            return code
    return None


def _candidates(crs: pyproj.CRS, codes: tuple[int | None, ...]) -> Iterator[int]:
    stated = crs.to_json_dict().get("id", {})
    if stated.get("authority") == "EPSG":
        yield int(stated["code"])
    yield from filter(None, codes)
    if not crs.is_bound:
        # The search takes long; nobody else's code is that of a bound CRS.
        yield from (int(each.code) for each in crs.list_authority("EPSG", min_confidence=25)[:3])


def is_lonlat(crs: pyproj.CRS) -> bool:
    """Return whether *crs* is in degrees of longitude from Greenwich and of latitude."""
    prime = crs.prime_meridian
    return (
        crs.is_geographic
        and not crs.is_derived
        and (prime is None or prime.longitude == 0)
        and all(math.isclose(axis.unit_conversion_factor, math.pi / 180) for axis in crs.axis_info)
    )


@lru_cache(maxsize=256)
def full_circle(crs: pyproj.CRS | str) -> float | None:
    """Return 360 degrees in the unit of a geographic CRS; None if the CRS is projected."""
    if isinstance(crs, str):
        crs = parse_crs(crs)
    if not crs.is_geographic:
        return None
    turns = 2 * math.pi / crs.axis_info[0].unit_conversion_factor
    return float(round(turns, 9))


def to_lonlat(crs: pyproj.CRS) -> pyproj.Transformer:
    """Return the transformer to longitude and latitude of WGS 84, x before y.

    Raises
    ------
    ValueError
        PROJ has no way there.
    """
    return _transformer(crs, WGS84)


def apart(
    one: pyproj.CRS, other: pyproj.CRS, x: ArrayLike, y: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far apart the same coordinates *x*, *y* lie by two CRSs, in units of *one*.

    Infinite where PROJ cannot tell.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    try:
        there = _transformer(other, one).transform(x, y)
    except ValueError:
        return np.full(x.shape, np.inf), np.full(x.shape, np.inf)
    off = [np.abs(now - was) for now, was in zip(there, (x, y), strict=True)]
    if (circle := full_circle(one)) is not None:
        off[0] = np.minimum(off[0] % circle, circle - off[0] % circle)
    return np.nan_to_num(off[0], nan=np.inf), np.nan_to_num(off[1], nan=np.inf)


def _transformer(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer:
    try:
        return pyproj.Transformer.from_crs(source, target, always_xy=True)
    except ProjError as error:
        msg = f"PROJ knows no way from {source.name} to {target.name} ({error})"
        raise ValueError(" ".join(msg.split())[:300]) from error


def _same(crs: pyproj.CRS, registered: pyproj.CRS) -> bool:
    if crs.equals(registered, ignore_axis_order=True):
        return True
    # Other programs write other names of datum and projection, and other orders of axes.
    return _same_datum(crs, registered) and _same_positions(crs, registered)


def _same_datum(crs: pyproj.CRS, registered: pyproj.CRS) -> bool:
    one, other = crs.geodetic_crs, registered.geodetic_crs
    if one is None or other is None:
        return False
    if one.equals(other, ignore_axis_order=True):
        return True
    figures = (one.ellipsoid, other.ellipsoid)
    names = [_datum_name(each) for each in (one, other)]
    return (
        all(figures)
        and math.isclose(figures[0].semi_major_metre, figures[1].semi_major_metre, abs_tol=1e-3)  # type: ignore[union-attr]
        and math.isclose(
            figures[0].inverse_flattening,  # type: ignore[union-attr]
            figures[1].inverse_flattening,  # type: ignore[union-attr]
            abs_tol=1e-6,
        )
        and (names[0] == names[1] or (crs.is_projected and _UNKNOWN.match(names[0]) is not None))
    )


def _datum_name(crs: pyproj.CRS) -> str:
    name = "" if crs.datum is None else crs.datum.name
    plain = re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()
    return plain.removeprefix("d ").removesuffix(" ensemble")


def _same_positions(crs: pyproj.CRS, registered: pyproj.CRS) -> bool:
    area = registered.area_of_use
    if area is None:
        return False
    east = area.east if area.east > area.west else area.east + 360
    lon, lat = np.meshgrid(
        np.linspace(area.west, east, 5)[1:-1], np.linspace(area.south, area.north, 5)[1:-1]
    )
    try:
        x, y = _transformer(WGS84, registered).transform(lon, lat)
    except ValueError:
        return False
    there = np.isfinite(x) & np.isfinite(y)
    off = apart(registered, crs, x[there], y[there])
    unit = registered.axis_info[0].unit_conversion_factor
    # Of metres, or of radians.
    metre = 1 / unit if registered.is_projected else 1 / math.degrees(unit) / _METRES_A_DEGREE
    return bool(there.any()) and all(bool((each <= _SAME * metre).all()) for each in off)


def _is_plain(crs: pyproj.CRS) -> bool:
    if not is_lonlat(crs) or crs.is_bound or crs.ellipsoid is None:
        return False
    if crs.equals(WGS84, ignore_axis_order=True):
        return True
    name = _datum_name(crs)
    figure = crs.ellipsoid
    of_wgs84 = math.isclose(figure.semi_major_metre, 6378137.0, abs_tol=1e-3) and math.isclose(
        figure.inverse_flattening, 298.257223563, abs_tol=1e-6
    )
    sphere = figure.semi_major_metre == figure.semi_minor_metre
    if _UNKNOWN.match(name):
        return of_wgs84 or sphere
    return of_wgs84 and _OF_WGS84.match(name) is not None
