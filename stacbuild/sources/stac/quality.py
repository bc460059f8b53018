"""Quality layers of scenes: assets whose pixels are classes or bits, not a quantity."""

from __future__ import annotations

import re
from typing import Any

from stacbuild.safe_text import clean
from stacbuild.sources.stac.asset import Data

Json = dict[str, Any]

_ROLES = frozenset(
    {"data-mask", "cloud", "cloud-shadow", "snow-ice", "water-mask", "land-water", "saturation"}
)
# Sentinel-2: scene classification and masks; Landsat and HLS: bits.
_KEYS = re.compile(r"(scl|fmask|clm|cld(mask)?|msk\w*|\w*qa(_\w+)?|qa\d+)([_-]\d+m)?", re.I)
_STATED = ("classification:classes", "classification:bitfields")
_TEXTS = ("name", "title", "description", "color_hint")


def is_quality(data: Data) -> bool:
    """Return whether an asset has classes or bits: by its fields, its roles or its name."""
    roles = data.content.get("roles")
    if isinstance(roles, list) and not _ROLES.isdisjoint(map(str, roles)):
        return True
    if any(fields.get(key) for fields in _fields(data) for key in _STATED):
        return True
    return _KEYS.fullmatch(data.key) is not None


def bitfields_of(data: Data) -> Json:
    """Return ``classification:bitfields`` as the asset or its only band states them, if it does."""
    for fields in _fields(data):
        stated = fields.get("classification:bitfields")
        if isinstance(stated, list) and 0 < len(stated) <= 64:
            found = [_bitfield(each) for each in stated]
            if all(found):
                return {"classification:bitfields": found}
    return {}


def _fields(data: Data) -> list[Json]:
    found = [data.content]
    for key in ("bands", "raster:bands"):
        bands = data.content.get(key)
        if isinstance(bands, list) and len(bands) == 1 and isinstance(bands[0], dict):
            found.append(bands[0])
    return found


def _bitfield(stated: Any) -> Json | None:
    if not isinstance(stated, dict):
        return None
    offset, length, classes = (stated.get(key) for key in ("offset", "length", "classes"))
    if not _is_count(offset, 0) or not _is_count(length, 1) or not isinstance(classes, list):
        return None
    found = [_class(each) for each in classes[:256]]
    if not all(found):
        return None
    return {"offset": offset, "length": length, "classes": found} | _texts(stated)


def _class(stated: Any) -> Json | None:
    if not isinstance(stated, dict) or not _is_count(stated.get("value"), 0):
        return None
    return {"value": stated["value"]} | _texts(stated)


def _texts(stated: Json) -> Json:
    return {key: clean(stated[key])[:1000] for key in _TEXTS if isinstance(stated.get(key), str)}


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
