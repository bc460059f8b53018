"""Checks of the parts of STAC documents that are relied upon, since anyone can edit them."""

from __future__ import annotations

import math
from typing import Any

Json = dict[str, Any]


def malformed(content: Json) -> str | None:
    """Return what is wrong with the structure of a STAC document; None if nothing is.

    Checked are its links, assets and properties, not their meaning.
    """
    links = content.get("links", [])
    if not isinstance(links, list):
        return "its links are not a list"
    for link in links:
        # Without a generator: a product has tens of thousands of links.
        if not (
            isinstance(link, dict) and _is_text(link.get("rel")) and _is_text(link.get("href"))
        ):
            return "one of its links has no rel or no href"
    assets = content.get("assets", {})
    if not isinstance(assets, dict):
        return "its assets are not an object"
    for name, asset in assets.items():
        if not isinstance(asset, dict) or not isinstance(asset.get("href"), str):
            return f"its asset {name[:60]!r} has no href"
    if not isinstance(content.get("properties", {}), dict):
        return "its properties are not an object"
    return None


def malformed_projection(properties: Json) -> str | None:
    """Return what is wrong with the ``proj:`` fields of an item; None if nothing is."""
    shape = properties.get("proj:shape")
    if not isinstance(shape, list) or len(shape) != 2 or not all(_is_count(n) for n in shape):
        return "its proj:shape is not the number of rows and columns"
    transform = properties.get("proj:transform")
    if not isinstance(transform, list) or len(transform) not in (6, 9):
        return "its proj:transform is not six numbers"
    if not all(isinstance(each, int | float) and math.isfinite(each) for each in transform):
        return "its proj:transform is not six numbers"
    a, b, _, d, e, _ = map(float, transform[:6])
    if not math.isfinite(1 / area if (area := abs(a * e - b * d)) else math.inf):
        return "its proj:transform has pixels of no size"
    crs = properties.get("proj:code") or properties.get("proj:wkt2")
    if not _is_text(crs):
        return "it states no CRS (proj:code or proj:wkt2)"
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31
