"""Zones of UTM (WGS 84), in which most imagery is delivered."""

from __future__ import annotations

import math
import re

from stacbuild.geo.bbox import BBox, unwrapped
from stacbuild.geo.crs import short_crs, transformer
from stacbuild.geo.crs_text import canonical_crs

# Latitudes that UTM covers; the poles have UPS.
_SOUTHERNMOST, _NORTHERNMOST = -80.0, 84.0
# Metres from the central meridian at which lengths are off by 5 %.
_WIDEST = 2_000_000.0
_EASTING = 500_000.0
_NORTHING_SOUTH = 10_000_000.0
_CODE = re.compile(r"EPSG:32([67])(\d\d)")


def utm_zone(lon: float, lat: float) -> int:
    """Return the number of the UTM zone of a point in degrees, 1 to 60.

    The zones off Norway and Svalbard are those of MGRS (NGA.STND.0037, section 2.3), by which the
    tiles of Sentinel-2 are named. The areas of use in PROJ's database, which `odc.geo` and
    `pyproj.database.query_utm_crs_info` go by, do not have these exceptions.
    """
    lon = (lon + 180) % 360 - 180
    if 56 <= lat < 64 and 3 <= lon < 12:
        return 32
    if 72 <= lat < 84 and 0 <= lon < 42:
        return next(zone for east, zone in ((9, 31), (21, 33), (33, 35), (42, 37)) if lon < east)
    return int((lon + 180) // 6) + 1


def utm_crs(lon: float, lat: float) -> str:
    """Return the CRS of the UTM zone of a point in degrees, ``EPSG:326..`` or, south, ``327..``.

    Raises
    ------
    ValueError
        If the point lies beyond 80 degrees south or 84 degrees north.
    """
    if not _SOUTHERNMOST <= lat <= _NORTHERNMOST:
        msg = f"latitude {lat:.6g} is beyond the zones of UTM, from 80 south to 84 north"
        raise ValueError(msg)
    return f"EPSG:32{7 if lat < 0 else 6}{utm_zone(lon, lat):02d}"


def utm_shift(crs: str, other: str) -> float | None:
    """Return what to add to a northing in *crs* for one in *other*, a CRS of the same zone.

    Landsat has northern zones, with negative northings, south of the equator, too.

    Returns
    -------
    None if these are not CRSs of one UTM zone.
    """
    one, two = _CODE.fullmatch(crs), _CODE.fullmatch(other)
    if one is None or two is None or one[2] != two[2] or not 1 <= int(one[2]) <= 60:
        return None
    return (int(two[1]) - int(one[1])) * _NORTHING_SOUTH


def is_utm(crs: str) -> bool:
    """Return whether a CRS is a zone of UTM on WGS 84, by its code."""
    return utm_shift(crs, crs) is not None


def utm_bounds(bbox: BBox, crs: str) -> tuple[str, BBox]:
    """Return the CRS of the UTM zone of the centre of a bbox, and its bounds in it.

    Parameters
    ----------
    bbox
        West, south, east, north in *crs*; west may be more than east in a geographic one.

    Raises
    ------
    ValueError
        If it is beyond UTM, or too wide for a zone.
    """
    crs = canonical_crs(crs)
    west, south, east, north = unwrapped(bbox, crs)
    utm = _crs_at((west + east) / 2, (south + north) / 2, crs)
    if utm == crs:
        return utm, _checked(bbox)
    to_utm = transformer(crs, utm)
    return utm, _checked(to_utm.transform_bounds(west, south, east, north, densify_pts=21))


def utm_square(point: tuple[float, float], width: float, crs: str) -> tuple[str, BBox]:
    """Return the CRS of the UTM zone of a point, and a square in it that is centred there.

    Parameters
    ----------
    point
        x and y in *crs*.
    width
        Length of its sides in metres of UTM.

    Raises
    ------
    ValueError
        If it is beyond UTM, or too wide for a zone.
    """
    crs = canonical_crs(crs)
    utm, half = _crs_at(*point, crs), width / 2
    x, y = transformer(crs, utm).transform(*point)
    return utm, _checked((x - half, y - half, x + half, y + half))


def _crs_at(x: float, y: float, crs: str) -> str:
    lon, lat = transformer(crs, "EPSG:4326").transform(x, y)
    if not (math.isfinite(lon) and math.isfinite(lat)):
        msg = f"{[x, y]} lies outside of what {short_crs(crs)} can represent"
        raise ValueError(msg)
    return utm_crs(lon, lat)


def _checked(bbox: BBox) -> BBox:
    west, _, east, _ = bbox
    if not all(map(math.isfinite, bbox)) or max(_EASTING - west, east - _EASTING) > _WIDEST:
        msg = "the area is too wide for a zone of UTM"
        raise ValueError(msg)
    return bbox
