"""Quality layers of scenes: assets whose pixels are classes or bits, not a quantity."""

from __future__ import annotations

import re
from typing import Any

from stacbuild.safe_text import clean
from stacbuild.sources.stac.asset import Data
from stacbuild.sources.stac.asset_names import only_bands

Json = dict[str, Any]

_ROLES = frozenset(
    {"data-mask", "cloud", "cloud-shadow", "snow-ice", "water-mask", "land-water", "saturation"}
)
# Sentinel-2: scene classification; Landsat and HLS: bits.
_KEYS = re.compile(
    r"(scl|fmask|clm|(\w+_)?qa_(pixel|radsat|aerosol)|bqa)([_-]\d+m)?", re.IGNORECASE
)
# Names of bits in some products, of an uncertainty with a unit in others.
_MAYBE = re.compile(r"(\w+_)?qa(_\w+)?|qa\d+", re.IGNORECASE)
_QUANTITY = ("unit", "scale", "offset", "raster:scale", "raster:offset")
_STATED = ("classification:classes", "classification:bitfields")
_TEXTS = ("name", "title", "description")


def is_quality(data: Data) -> bool:
    """Return whether an asset has classes or bits: by its fields, its roles or its name."""
    roles = data.content.get("roles")
    if isinstance(roles, list) and not _ROLES.isdisjoint(map(str, roles)):
        return True
    fields = [data.content, *only_bands(data.content)]
    if any(each.get(key) for each in fields for key in _STATED):
        return True
    if _MAYBE.fullmatch(data.key) and not any(key in each for each in fields for key in _QUANTITY):
        return True
    return _KEYS.fullmatch(data.key) is not None


def bitfields_of(data: Data) -> Json:
    """Return ``classification:bitfields`` as the asset or its only band states them, if it does."""
    for fields in (data.content, *only_bands(data.content)):
        stated = fields.get("classification:bitfields")
        if isinstance(stated, list) and 0 < len(stated) <= 64:
            found = [_bitfield(each) for each in stated]
            if all(found):
                return {"classification:bitfields": found}
    return {}


def _bitfield(stated: Any) -> Json | None:
    if not isinstance(stated, dict):
        return None
    offset, length, classes = (stated.get(key) for key in ("offset", "length", "classes"))
    if not _is_count(offset, 0) or not _is_count(length, 1) or not isinstance(classes, list):
        return None
    found = [_class(each) for each in classes[:256]]
    if not found or not all(found):
        return None
    return {"offset": offset, "length": length, "classes": found} | _texts(stated)


def _class(stated: Any) -> Json | None:
    if not isinstance(stated, dict) or not _is_count(stated.get("value"), 0):
        return None
    value, texts = stated["value"], _texts(stated)
    name = texts.pop("name", None) or _name(texts.get("title") or texts.get("description") or "")
    return {"value": value, "name": name or f"value_{value}"} | texts


def _texts(stated: Json) -> Json:
    """Return its texts, with a name as the schema has it."""
    texts = {key: clean(stated[key])[:1000] for key in _TEXTS if isinstance(stated.get(key), str)}
    if name := _name(texts.pop("name", "")):
        texts["name"] = name
    return texts


def _name(text: str) -> str:
    return re.sub(r"[^0-9A-Za-z_-]+", "_", text[:100]).strip("_")


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
