"""Identify the coordinate reference system of a file, and compare CRSs.

Two CRSs are the same only if PROJ considers them equal (`pyproj.CRS.equals`), or if one has the
code of the other, their datums agree, and both assign the same position to the same coordinates.
A common ellipsoid, or a code that a search finds similar, is never enough.
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

# PROJ assigns an ellipsoid to the earth if its semi-major axis is within this fraction of 6375 km
# (Ellipsoid::guessBodyName).
_EARTH_RADIUS, _RADIUS_TOLERANCE = 6_375_000.0, 0.005
# Metres, or their equivalent in degrees, by which positions of the same CRS may differ.
_MAX_DISTANCE = 1e-3
METRES_PER_DEGREE = 111_320.0
# Placeholders for the name of a datum, and the spellings of WGS 84 in use.
_UNKNOWN = re.compile(r"(un(known|defined|named|specified)|not specified)\b|$")
_OF_WGS84 = re.compile(r"(wgs|world geodetic system) ?(19)?84$")


def short_crs(text: str) -> str:
    """Return the code of a grid's CRS for a message, and no WKT of a thousand characters."""
    return text if ":" in text[:12] else "a CRS without code"


@lru_cache(maxsize=256)
def parse_crs(text: str) -> pyproj.CRS:
    """Return the CRS of an EPSG code (``EPSG:3035``) or WKT, from a cache."""
    return pyproj.CRS.from_user_input(text)


def crs_text(crs: pyproj.CRS) -> str:
    """Return ``EPSG:<code>`` of a CRS, or WKT 2 (2019) if it has no code."""
    code = epsg_code(crs)
    return crs.to_wkt("WKT2_2019") if code is None else f"EPSG:{code}"


@lru_cache(maxsize=64)
def same_crs(one: str, other: str) -> bool:
    """Return whether two CRSs are equal, regardless of the order of axes."""
    return parse_crs(one).equals(parse_crs(other), ignore_axis_order=True)


@lru_cache(maxsize=64)
def transformer(source: str, target: str) -> pyproj.Transformer:
    """Return the transformer between two CRSs, x before y.

    Transformers are cached, as creating one takes longer than transforming a tile; pyproj's may be
    used from several threads.
    """
    return pyproj.Transformer.from_crs(parse_crs(source), parse_crs(target), always_xy=True)


def horizontal(crs: pyproj.CRS) -> pyproj.CRS:
    """Return the horizontal part of *crs*, without heights.

    For a CRS that is bound to a datum shift (``TOWGS84``), this is the base CRS if that has a code,
    as in GDAL.

    Raises
    ------
    ValueError
        It lacks two horizontal axes.
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
        It is of another body, from which PROJ has no transformation to the earth.
    """
    ellipsoid = crs.ellipsoid
    if ellipsoid is None:
        return
    radius = ellipsoid.semi_major_metre
    if abs(radius - _EARTH_RADIUS) > _RADIUS_TOLERANCE * _EARTH_RADIUS:
        msg = f"its coordinate system ({crs.name}) is not of the earth: a radius of {radius:.0f} m"
        raise ValueError(msg)


def identified(crs: pyproj.CRS, *codes: int | None) -> pyproj.CRS:
    """Return the horizontal part of *crs*, from PROJ's database if it is registered there.

    Parameters
    ----------
    crs
        The CRS that a file declares.
    codes
        Candidate EPSG codes of it; each is checked.

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
    """Return the EPSG code of *crs* in PROJ's database, None if it has none.

    Longitude and latitude in degrees from Greenwich, on the ellipsoid of WGS 84 or on a sphere, of
    an unnamed datum, count as EPSG:4326: PROJ transforms them without a change.
    """
    code = _registered_code(crs, *codes)
    return 4326 if code is None and _is_plain(crs) else code


def _registered_code(crs: pyproj.CRS, *codes: int | None) -> int | None:
    for code in _candidates(crs, codes):
        try:
            registered = pyproj.CRS.from_epsg(code)
        except CRSError:
            # GDAL's PROJ may be newer than pyproj's; the CRS has a full definition regardless.
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
        # The search is slow, and no other code can be that of a bound CRS.
        yield from (int(each.code) for each in crs.list_authority("EPSG", min_confidence=25)[:3])


def is_lonlat(crs: pyproj.CRS) -> bool:
    """Return whether *crs* has longitude from Greenwich and latitude, in degrees."""
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
    circle = 2 * math.pi / crs.axis_info[0].unit_conversion_factor
    return float(round(circle, 9))


def to_lonlat(crs: pyproj.CRS) -> pyproj.Transformer:
    """Return the transformer to longitude and latitude of WGS 84, x before y.

    Raises
    ------
    ValueError
        PROJ has no operation between the two.
    """
    return _transformer(crs, WGS84)


@lru_cache(maxsize=64)
def lonlat_of(crs: str) -> pyproj.Transformer:
    """Return the transformer of `to_lonlat` for a code or WKT.

    A text is compared faster than a CRS, whose hash is that of its WKT.
    """
    return to_lonlat(parse_crs(crs))


def apart(
    one: pyproj.CRS, other: pyproj.CRS, x: ArrayLike, y: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distances in x and y of the same coordinates in two CRSs, in units of *one*.

    Infinite where PROJ cannot transform them.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    try:
        transformed = _transformer(other, one).transform(x, y)
    except ValueError:
        return np.full(x.shape, np.inf), np.full(x.shape, np.inf)
    dx, dy = (np.abs(new - old) for new, old in zip(transformed, (x, y), strict=True))
    if (circle := full_circle(one)) is not None:
        dx = np.minimum(dx % circle, circle - dx % circle)
    return np.nan_to_num(dx, nan=np.inf), np.nan_to_num(dy, nan=np.inf)


@lru_cache(maxsize=64)
def _transformer(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer:
    # Cached as `transformer`: the items of a thousand tiles have few CRSs.
    try:
        return pyproj.Transformer.from_crs(source, target, always_xy=True)
    except ProjError as error:
        msg = f"PROJ knows no way from {source.name} to {target.name} ({error})"
        raise ValueError(" ".join(msg.split())[:300]) from error


def _same(crs: pyproj.CRS, registered: pyproj.CRS) -> bool:
    if crs.equals(registered, ignore_axis_order=True):
        return True
    # Programs differ in the names of datums and projections, and in the order of axes.
    return _same_datum(crs, registered) and _same_positions(crs, registered)


def _same_datum(crs: pyproj.CRS, registered: pyproj.CRS) -> bool:
    one, other = crs.geodetic_crs, registered.geodetic_crs
    if one is None or other is None:
        return False
    if one.equals(other, ignore_axis_order=True):
        return True
    ellipsoids = (one.ellipsoid, other.ellipsoid)
    names = [_datum_name(each) for each in (one, other)]
    return (
        all(ellipsoids)
        and math.isclose(
            ellipsoids[0].semi_major_metre,  # type: ignore[union-attr]
            ellipsoids[1].semi_major_metre,  # type: ignore[union-attr]
            abs_tol=1e-3,
        )
        and math.isclose(
            ellipsoids[0].inverse_flattening,  # type: ignore[union-attr]
            ellipsoids[1].inverse_flattening,  # type: ignore[union-attr]
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
    finite = np.isfinite(x) & np.isfinite(y)
    distances = apart(registered, crs, x[finite], y[finite])
    # The factor converts to metres, or to radians.
    unit = registered.axis_info[0].unit_conversion_factor
    metre = 1 / unit if registered.is_projected else 1 / math.degrees(unit) / METRES_PER_DEGREE
    limit = _MAX_DISTANCE * metre
    return bool(finite.any()) and all(bool((each <= limit).all()) for each in distances)


def _is_plain(crs: pyproj.CRS) -> bool:
    if not is_lonlat(crs) or crs.is_bound or crs.ellipsoid is None:
        return False
    if crs.equals(WGS84, ignore_axis_order=True):
        return True
    name = _datum_name(crs)
    ellipsoid = crs.ellipsoid
    of_wgs84 = math.isclose(ellipsoid.semi_major_metre, 6378137.0, abs_tol=1e-3) and math.isclose(
        ellipsoid.inverse_flattening, 298.257223563, abs_tol=1e-6
    )
    sphere = ellipsoid.semi_major_metre == ellipsoid.semi_minor_metre
    if _UNKNOWN.match(name):
        return of_wgs84 or sphere
    return of_wgs84 and _OF_WGS84.match(name) is not None
