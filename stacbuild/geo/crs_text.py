"""Parse the CRS of a configuration: a code, WKT, PROJJSON or a PROJ string."""

from __future__ import annotations

import re
from functools import lru_cache

import pyproj
from pyproj.exceptions import CRSError, ProjError

from stacbuild.geo.crs import check_of_earth, epsg_code, horizontal, parse_crs, to_lonlat

_CODE = re.compile(r"([A-Za-z][A-Za-z0-9_]{0,19}):([A-Za-z0-9_.-]{1,40})")
_WKT = re.compile(r"[A-Za-z_]+[0-9]*\s*[\[(]")
_PROJ = re.compile(r"\+?[a-z_]+=\S|\+proj\b")
# Characters of a CRS in messages.
_SHOWN = 60
_FORMS = "write it like EPSG:4326 or EPSG:3035, ESRI:54009, or as WKT, PROJJSON or a PROJ string"


@lru_cache(maxsize=256)
def canonical_crs(text: str) -> str:
    """Return the horizontal CRS that a text defines, in the text that a grid has of it.

    Parameters
    ----------
    text
        ``EPSG:<code>``, the code alone, a code of another authority in PROJ's database
        (``ESRI:54009``), WKT, PROJJSON, or a PROJ string. Of a CRS with heights (EPSG:5698), the
        horizontal part is meant.

    Returns
    -------
    ``EPSG:<code>`` if it has an EPSG code; else ``<authority>:<code>`` if it is registered under
    that; else WKT 2 (2019).

    Raises
    ------
    ValueError
        If *text* defines no CRS, or one without two horizontal axes on the earth from which PROJ
        transforms to longitude and latitude.
    """
    crs, name = _parsed(" ".join(text.split()))
    try:
        flat = horizontal(crs)
    except ValueError:
        msg = f"{name} has no two horizontal axes; a grid needs them"
        raise ValueError(msg) from None
    check_of_earth(flat)
    found = registered_text(flat)
    try:
        to_lonlat(parse_crs(found))
    except (ValueError, ProjError):
        msg = f"{name}: PROJ cannot transform its coordinates to longitude and latitude"
        raise ValueError(msg) from None
    return found


@lru_cache(maxsize=256)
def registered_text(crs: pyproj.CRS) -> str:
    """Return the code of a CRS with its authority, EPSG first; WKT 2 (2019) if it has none."""
    if (code := epsg_code(crs)) is not None:
        return f"EPSG:{code}"
    stated = crs.to_json_dict().get("id", {})
    text = f"{stated.get('authority')}:{stated.get('code')}"
    if stated and _CODE.fullmatch(text):
        try:
            registered = pyproj.CRS.from_user_input(text)
        except CRSError:
            pass
        else:
            if registered.equals(crs, ignore_axis_order=True):
                return text
    if stated:
        # Anybody can write an id into a definition; others would trust it.
        crs = pyproj.CRS.from_json_dict({k: v for k, v in crs.to_json_dict().items() if k != "id"})
    return crs.to_wkt("WKT2_2019")


def is_code(text: str) -> bool:
    """Return whether the text of a CRS is ``<authority>:<code>``, not WKT."""
    return _CODE.fullmatch(text) is not None


def spatial_dims(crs: str) -> tuple[str, str]:
    """Return ``("lat", "lon")`` of a geographic CRS, ``("y", "x")`` of any other.

    Coordinates from a rotated pole are not latitude and longitude.
    """
    known = parse_crs(crs)
    return ("lat", "lon") if known.is_geographic and not known.is_derived else ("y", "x")


def _parsed(text: str) -> tuple[pyproj.CRS, str]:
    """Return a CRS, and its name for messages."""
    shown = repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}...")
    if text.isdigit():
        text = f"EPSG:{text}"
    if match := _CODE.fullmatch(text):
        text = f"{match[1].upper()}:{match[2]}"
        if match[1].upper() == "EPSG" and not re.fullmatch(r"\d{1,9}", match[2]):
            msg = f"{shown} is not an EPSG code; {_FORMS}"
            raise ValueError(msg)
        try:
            crs = parse_crs(text)
        except CRSError:
            msg = f"{text} is not a coordinate reference system that the installed PROJ knows"
            raise ValueError(msg) from None
        return crs, f"{text} ({crs.name})"
    if "+init=" in text or text.startswith("init="):
        msg = f"{shown}: +init is obsolete; write the code itself, such as EPSG:4326"
        raise ValueError(msg)
    kind = (
        "WKT"
        if _WKT.match(text)
        else "PROJJSON"
        if text.startswith("{")
        else "PROJ string"
        if _PROJ.match(text)
        else None
    )
    if kind is None:
        msg = f"{shown} is not an EPSG code; {_FORMS}"
        raise ValueError(msg)
    try:
        return (crs := pyproj.CRS.from_user_input(text)), f"{shown} ({crs.name})"
    except CRSError as error:
        reason = " ".join(str(error).split())
        # The message of pyproj ends with PROJ's own, after the whole input.
        reason = reason.rpartition("(Internal Proj Error: ")[2].rstrip(")") or reason
        msg = f"{shown} is not valid {kind}: {reason[-200:]}"
        raise ValueError(msg) from None
