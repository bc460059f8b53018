"""Meanings of quality layers that items do not state: those that their producers document.

They are used only for a layer of that name whose item states neither classes nor bits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pystac

Json = dict[str, Any]


def _classes(*names: str, first: int = 0) -> list[Json]:
    return [{"value": value, "name": name} for value, name in enumerate(names, first)]


def _bits(*fields: str | tuple[str, list[Json]]) -> list[Json]:
    """Return bit fields in the order of their bits; those with classes have two bits."""
    found: list[Json] = []
    offset = 0
    for field in fields:
        name, classes = (field, []) if isinstance(field, str) else field
        length = 2 if classes else 1
        found.append({"name": name, "offset": offset, "length": length, "classes": classes})
        offset += length
    return found


@dataclass(frozen=True)
class Table:
    """What the values of a quality layer mean.

    Parameters
    ----------
    name
        Name of the layer, for messages.
    fields
        ``classification:classes`` or ``classification:bitfields``, as in STAC.
    """

    name: str
    fields: Json


# Sentinel-2 Level-2A Algorithm Theoretical Basis Document, "Scene Classification"; names as the
# Copernicus Data Space Ecosystem states them.
_SCL = Table(
    "the scene classification of Sentinel-2",
    {
        "classification:classes": _classes(
            "no_data",
            "saturated_or_defective",
            "dark_area_pixels",
            "cloud_shadows",
            "vegetation",
            "not_vegetated",
            "water",
            "unclassified",
            "cloud_medium_probability",
            "cloud_high_probability",
            "thin_cirrus",
            "snow",
        )
    },
)
_LEVELS = _classes("not_set", "low", "medium", "high")
_ENDS = _classes("not_set", "low", "reserved", "high")
# Landsat 8-9 Collection 2 Level 2 Science Product Guide (LSDS-1619), table 6-2; that of Landsat
# 4-7 (LSDS-1618) is the same without cirrus.
_QA_PIXEL = Table(
    "the pixel quality of Landsat Collection 2",
    {
        "classification:bitfields": _bits(
            "fill",
            "dilated_cloud",
            "cirrus",
            "cloud",
            "cloud_shadow",
            "snow",
            "clear",
            "water",
            ("cloud_confidence", _LEVELS),
            ("cloud_shadow_confidence", _ENDS),
            ("snow_confidence", _ENDS),
            ("cirrus_confidence", _ENDS),
        )
    },
)
# Harmonized Landsat Sentinel-2 (HLS) Product User Guide, version 2.0, table 9.
_FMASK = Table(
    "the Fmask of HLS",
    {
        "classification:bitfields": _bits(
            "cirrus",
            "cloud",
            "adjacent_to_cloud",
            "cloud_shadow",
            "snow_ice",
            "water",
            ("aerosol", _classes("climatology", "low", "moderate", "high")),
        )
    },
)


def known_table(item: pystac.Item, asset: str) -> Table | None:
    """Return what a layer means by its name, if the item does not say that it is another one."""
    name = re.sub(r"[^a-z0-9]+", "_", asset.casefold())
    properties = item.properties
    made_by = f"{properties.get('constellation', '')} {properties.get('platform', '')}".casefold()
    if re.fullmatch(r"scl(_\d+m)?", name):
        return _SCL if not made_by.strip() or "sentinel" in made_by else None
    if name == "qa_pixel":
        collection = str(properties.get("landsat:collection_number", "2"))
        landsat = not made_by.strip() or "landsat" in made_by
        return _QA_PIXEL if landsat and collection.lstrip("0") == "2" else None
    return _FMASK if name == "fmask" else None
