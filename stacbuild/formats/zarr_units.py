"""Units of x and y, and their factors to the unit of a CRS.

Parsed are the spellings of CF and UDUNITS for coordinates: a number, a prefix, a unit (``km``,
``1000 m``, ``100 km``, ``US_survey_foot``, ``degrees_north``, ``microradian``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import pyproj

_NUMBER = re.compile(
    r"(?P<number>[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?)(?:(?:\^|\*\*)(?P<power>[-+]?\d+))?[\s*·.]*",
    re.IGNORECASE,
)
_DEGREE = re.compile(
    r"(decimal )?(arc )?deg(ree)?s?( ?(n|s|e|w|true|north|south|east|west))?|°", re.IGNORECASE
)
# Of latitude and longitude (CF 1.11, 4.1 and 4.2), in whatever case.
_AXIS = re.compile(r"deg(?:ree)?s?(?:(?P<y>n|north)|e|east)")
_BACKWARDS = re.compile(r"deg(?:ree)?s?(?:south|w|west)")
# Placeholders for a missing unit.
_NONE = frozenset({"", "1", "-", "none", "unknown", "unitless", "dimensionless", "n/a", "null"})
_FOOT, _US_FOOT = 0.3048, 1200 / 3937
_LENGTHS = {
    "m": 1.0,
    "dm": 0.1,
    "cm": 0.01,
    "mm": 0.001,
    "hm": 100.0,
    "km": 1000.0,
    # Not UDUNITS, but unambiguous.
    "Km": 1000.0,
    "KM": 1000.0,
    "ft": _FOOT,
    "us-ft": _US_FOOT,
    "ftUS": _US_FOOT,
}
_LENGTH_WORDS = {
    "metre": 1.0,
    "meter": 1.0,
    "foot": _FOOT,
    "feet": _FOOT,
    "international foot": _FOOT,
    "international feet": _FOOT,
    "us survey foot": _US_FOOT,
    "us survey feet": _US_FOOT,
    "survey foot": _US_FOOT,
    "mile": 1609.344,
    "nautical mile": 1852.0,
}
_PREFIXES = {"micro": 1e-6, "milli": 1e-3, "centi": 1e-2, "deci": 0.1, "hecto": 100.0, "kilo": 1e3}
_ANGLES = {"rad": 1.0, "mrad": 1e-3, "urad": 1e-6, "µrad": 1e-6, "μrad": 1e-6, "gon": math.pi / 200}
_ANGLE_WORDS = {"radian": 1.0, "grad": math.pi / 200, "grade": math.pi / 200, "gon": math.pi / 200}
_ANGLE_WORDS |= {"arcminute": math.pi / 10800, "arcsecond": math.pi / 648000}


def is_degrees(text: str) -> bool:
    """Return whether a unit is degrees, in any common spelling."""
    return _DEGREE.fullmatch(_plain(text)) is not None


def unit_of(attrs: Mapping[Any, Any]) -> str:
    """Return the attribute ``units``; empty if it is missing or not text."""
    unit = attrs.get("units")
    return unit if isinstance(unit, str) else ""


def axis_of_unit(text: str) -> str | None:
    """Return the axis of a unit: ``Y`` for ``degrees_north``, ``X`` for ``degreeE``, else None."""
    found = _AXIS.fullmatch(_joined(text))
    return None if found is None else "Y" if found["y"] else "X"


def factor(text: str, crs: pyproj.CRS) -> float:
    """Return the factor from the unit *text* to that of the axes of *crs*.

    1 without a unit. Scan angles of a geostationary satellite are multiplied by its height (CF
    1.11, F: geostationary; PROJ's ``geos`` is in metres).

    Raises
    ------
    ValueError
        The unit is unknown, or cannot be converted to that of the CRS.
    """
    if text.strip().lower() in _NONE:
        return 1.0
    if _BACKWARDS.fullmatch(_joined(text)):
        # Ambiguous: some stores count backwards, some do not.
        msg = f"is in {text}, which CF does not have; count in degrees_east and degrees_north"
        raise ValueError(msg)
    axis = crs.axis_info[0]
    kind, size = _size(text, axis.unit_name)
    if (kind == "length" and crs.is_projected) or (kind == "angle" and crs.is_geographic):
        found = size / axis.unit_conversion_factor
    elif kind == "angle" and (height := _satellite_height(crs)) is not None:
        found = size * height / axis.unit_conversion_factor
    else:
        msg = f"is in {text}, its CRS ({crs.name}) in {axis.unit_name}"
        raise ValueError(msg)
    # Snapped to an integer: 1000, not 1000.0000000000001.
    nearest = round(found)
    close = nearest and math.isclose(found, nearest, rel_tol=1e-12)
    return float(nearest) if close else found


def _size(text: str, of_crs: str) -> tuple[str, float]:
    """Return the kind of a unit and its size in metres or radians."""
    number, rest = 1.0, text.strip()
    if match := _NUMBER.match(rest):
        number = float(match["number"])
        if match["power"]:
            number **= int(match["power"])
        rest = rest[match.end() :]
    if rest in _LENGTHS:
        return "length", number * _LENGTHS[rest]
    if rest in _ANGLES:
        return "angle", number * _ANGLES[rest]
    word = _plain(rest)
    if _DEGREE.fullmatch(word):
        return "angle", number * math.pi / 180
    for prefix, times in ({"": 1.0} | _PREFIXES).items():
        if not word.startswith(prefix):
            continue
        name = word.removeprefix(prefix)
        for each in (name, name.removesuffix("s")):
            if each in _LENGTH_WORDS:
                return "length", number * times * _LENGTH_WORDS[each]
            if each in _ANGLE_WORDS:
                return "angle", number * times * _ANGLE_WORDS[each]
    msg = f"is in {text!r}, a unit that is not known; its CRS is in {of_crs}"
    raise ValueError(msg)


def _plain(text: str) -> str:
    return re.sub(r"[\s_]+", " ", text.strip().lower())


def _joined(text: str) -> str:
    return re.sub(r"[\s_]+", "", text.lower())


def _satellite_height(crs: pyproj.CRS) -> float | None:
    operation = crs.coordinate_operation
    if operation is None or "geostationary" not in operation.method_name.lower():
        return None
    heights = [each.value for each in operation.params if "height" in each.name.lower()]
    return float(heights[0]) if heights else None
