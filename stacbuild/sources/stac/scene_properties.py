"""Properties of a scene that are kept: platform, clouds, tile, processing, orbit and view.

Names are the standard ones of STAC 1.1 and its extensions; older or own names of providers are
translated where the standard name is missing. Values that the schemas refuse are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from pystac.utils import datetime_to_str

from stacbuild.sources.stac.asset import text
from stacbuild.sources.stac.asset_names import only_bands
from stacbuild.sources.stac.found import Found
from stacbuild.sources.stac.times import instant
from stacbuild.stac.scenes import is_brief

Json = dict[str, Any]

_LONGEST = 200
_GRID_CODE = re.compile(r"[A-Z0-9]+-[-_.A-Za-z0-9]+")
_COMMON_NAMES = frozenset(
    {
        *("pan", "coastal", "blue", "green", "green05", "yellow", "red", "nir", "nir08", "nir09"),
        *("rededge", "rededge071", "rededge075", "rededge078", "cirrus", "swir16", "swir22"),
        *("lwir", "lwir11", "lwir12"),
    }
)


def scene_properties(found: Found) -> Json:
    """Return what is kept of the properties of a foreign item; empty if it is no scene.

    A scene states ``eo:cloud_cover`` or its tile: as ``grid:code``, or in the fields of Sentinel-2
    or Landsat that it is made from.
    """
    stated = found.content["properties"]
    kept: Json = {}
    for key, valid in _VALID.items():
        value = valid(stated.get(key))
        if value is not None:
            kept[key] = value
    for key, make in _MADE.items():
        if key not in kept and (value := make(stated)) is not None:
            kept[key] = value
    return kept if "eo:cloud_cover" in kept or "grid:code" in kept else {}


def is_acquired(found: Found) -> bool:
    """Return whether a foreign item is a scene of an instant, and not of weeks or years."""
    stated = found.content["properties"]
    start, end = (instant(stated.get(f"{which}_datetime")) for which in ("start", "end"))
    brief = start is None or end is None or is_brief(start, end)
    return brief and bool(scene_properties(found))


def band_properties(asset: Json) -> Json:
    """Return ``eo:common_name`` and wavelengths, in micrometres, of an asset's only band."""
    fields: Json = {}
    for band in only_bands(asset):
        for key in ("common_name", "center_wavelength", "full_width_half_max"):
            fields.setdefault(f"eo:{key}", band.get(f"eo:{key}", band.get(key)))
    kept: Json = {}
    if fields.get("eo:common_name") in _COMMON_NAMES:
        kept["eo:common_name"] = fields["eo:common_name"]
    for key in ("eo:center_wavelength", "eo:full_width_half_max"):
        if (value := _number(0, math.inf)(fields.get(key))) is not None:
            kept[key] = value
    return kept


def _short(value: Any) -> str | None:
    return text(value, _LONGEST)


def _texts(value: Any) -> list[str] | None:
    if not isinstance(value, list):
        return None
    return [each for each in map(_short, value[:20]) if each] or None


def _number(least: float, most: float) -> Callable[[Any], int | float | None]:
    def valid(value: Any) -> int | float | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return value if least <= value <= most and math.isfinite(value) else None

    return valid


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 1 else None


def _time(value: Any) -> str | None:
    when = instant(value)
    return None if when is None else datetime_to_str(when)


def _code(value: Any) -> str | None:
    return value if isinstance(value, str) and _GRID_CODE.fullmatch(value[:_LONGEST]) else None


def _one_of(*known: str) -> Callable[[Any], str | None]:
    return lambda value: value if value in known else None


_PERCENT, _CIRCLE, _QUARTER = _number(0, 100), _number(0, 360), _number(0, 90)

_VALID: dict[str, Callable[[Any], Any]] = {
    "platform": _short,
    "constellation": _short,
    "instruments": _texts,
    "eo:cloud_cover": _PERCENT,
    "eo:snow_cover": _PERCENT,
    "grid:code": _code,
    "processing:version": _short,
    "processing:level": _short,
    "processing:datetime": _time,
    "created": _time,
    "updated": _time,
    "sat:orbit_state": _one_of("ascending", "descending", "geostationary"),
    "sat:relative_orbit": _count,
    "sat:absolute_orbit": _count,
    "sat:platform_international_designator": _short,
    "view:off_nadir": _QUARTER,
    "view:incidence_angle": _QUARTER,
    "view:azimuth": _CIRCLE,
    "view:sun_azimuth": _CIRCLE,
    "view:sun_elevation": _number(-90, 90),
}


def _tile(stated: Json) -> str | None:
    """Return the code of the tile by the fields of Sentinel-2 or Landsat."""
    if isinstance(tile := stated.get("s2:mgrs_tile"), str):
        return _code(f"MGRS-{tile.removeprefix('T')}")
    parts = [stated.get(f"mgrs:{key}") for key in ("utm_zone", "latitude_band", "grid_square")]
    if all(isinstance(part, str | int) for part in parts):
        return _code("MGRS-" + "".join(map(str, parts)))
    path, row = (str(stated.get(f"landsat:wrs_{key}", "")) for key in ("path", "row"))
    if path.isdecimal() and row.isdecimal():
        kind = str(stated.get("landsat:wrs_type", "2"))
        return _code(f"WRS{kind}-{path:0>3}{row:0>3}")
    return None


_MADE: dict[str, Callable[[Json], Any]] = {
    "grid:code": _tile,
    "processing:version": lambda stated: _short(stated.get("s2:processing_baseline")),
    "processing:datetime": lambda stated: _time(stated.get("s2:generation_time")),
}
