"""Comparison of CRS and pixel positions in a foreign item with its file, which is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyproj
import pystac
from affine import Affine

from stacbuild.geo.bbox import BBox
from stacbuild.geo.crs import identified, parse_crs
from stacbuild.geo.grid import PixelGrid
from stacbuild.sources.stac.asset import Data
from stacbuild.sources.stac.found import Found
from stacbuild.sources.stac.query import overlap

Json = dict[str, Any]

_HALF = 0.5


def position_notes(
    item: pystac.Item, found: Found, data: Data, item_crs: pyproj.CRS | None
) -> list[str]:
    """Return a line if a foreign item states another CRS or position than its file.

    Parameters
    ----------
    item
        Our item, described from the file.
    found, data
        The foreign item and its asset.
    item_crs
        The CRS that these state.

    Returns
    -------
    Lines without the item's name. Positions differ if an outer edge is off by half a pixel or more.
    """
    grid = PixelGrid.from_properties(item.properties)
    code, crs = item.properties.get("proj:code"), parse_crs(grid.crs)
    if item_crs is not None and not _horizontal(item_crs).equals(crs, ignore_axis_order=True):
        theirs, ours = f"its catalog states {item_crs.to_string()[:60]}", code or crs.name
        return [f"{theirs}, but the file {ours}, which is used"]
    mine = item.properties["proj:bbox"]
    a, _, _, _, e, _ = grid.transform
    pixel = (abs(a) or 1.0, abs(e) or 1.0) * 2
    stated = _edges(data.content) or _edges(found.content["properties"])
    bbox = found.content.get("bbox")
    # EOPF states its bbox in degrees as proj:bbox, too.
    if stated is None or (list(stated) == _numbers(bbox) and crs.is_projected):
        if not _disjoint(bbox, item.bbox):
            return []
        theirs, ours = f"its item's bbox is {_short(bbox)}", f"lies in {_short(item.bbox)}"
    elif any(
        abs(one - two) >= _HALF * size for one, two, size in zip(mine, stated, pixel, strict=True)
    ):
        theirs, ours = f"its item states pixels within {_short(stated)}", _short(mine)
    else:
        return []
    return [f"{theirs}, but the file {ours}, which is used"]


def _horizontal(crs: pyproj.CRS) -> pyproj.CRS:
    try:
        return identified(crs)
    except ValueError:
        return crs


def _edges(fields: Mapping[str, Any]) -> BBox | None:
    """Return the outer edges of the pixels in projection fields."""
    transform, shape = (_numbers(fields.get(f"proj:{key}")) for key in ("transform", "shape"))
    if transform and shape and len(transform) in (6, 9) and len(shape) == 2:
        affine = Affine(*transform[:6])
        corners = [affine @ (x, y) for x in (0, shape[1]) for y in (0, shape[0])]
        xs, ys = zip(*corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)
    bbox = _numbers(fields.get("proj:bbox"))
    return (bbox[0], bbox[1], bbox[2], bbox[3]) if bbox and len(bbox) == 4 else None


def _numbers(value: Any) -> list[float] | None:
    if not isinstance(value, list) or any(
        isinstance(each, bool) or not isinstance(each, int | float) for each in value
    ):
        return None
    return [float(each) for each in value]


def _disjoint(one: Any, other: Any) -> bool:
    """Return whether two bounding boxes in degrees do not overlap, modulo 360 degrees."""
    first, second = _numbers(one), _numbers(other)
    if not first or not second or len(first) != 4 or len(second) != 4:
        return False
    return (
        not overlap((first[0], first[2]), (second[0], second[2]))
        or first[1] > second[3]
        or second[1] > first[3]
    )


def is_around(footprint: BBox, stated: Any) -> bool:
    """Return whether a footprint has a stated bbox within it, give or take a tenth of its sides.

    Both are in degrees. What is stated is often that of valid pixels only; nothing is compared if
    it is no bbox.
    """
    bbox = _numbers(stated)
    if not bbox or len(bbox) != 4:
        return True
    (west, south, east, north), own = bbox, footprint
    if west > east or own[0] > own[2]:
        return not _disjoint(stated, list(footprint))
    across, down = (own[2] - own[0]) / 10, (own[3] - own[1]) / 10
    return (
        own[0] - across <= west <= east <= own[2] + across
        and own[1] - down <= south <= north <= own[3] + down
    )


def _short(bbox: Any) -> str:
    return "[" + ", ".join(f"{edge:.9g}" for edge in bbox) + "]"
