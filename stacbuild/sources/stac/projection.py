"""Where somebody's item says that its pixels lie, compared with the file, which counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyproj
import pystac
from affine import Affine

from stacbuild.geo.bbox import BBox
from stacbuild.geo.crs import identified
from stacbuild.sources.stac.asset import Data
from stacbuild.sources.stac.found import Found
from stacbuild.sources.stac.query import overlap

Json = dict[str, Any]

_HALF = 0.5


def place_notes(item: pystac.Item, found: Found, data: Data, said: pyproj.CRS | None) -> list[str]:
    """Return a line for each statement of CRS or place in which a foreign item differs.

    Parameters
    ----------
    item
        Ours, as its file was described.
    found, data
        The foreign item and its asset.
    said
        The CRS that these state.

    Returns
    -------
    Lines without the item's name. Places differ if an outer edge is half a pixel off or more.
    """
    code = item.properties.get("proj:code")
    crs = pyproj.CRS.from_user_input(code or item.properties["proj:wkt2"])
    if said is not None and not _horizontal(said).equals(crs, ignore_axis_order=True):
        theirs, ours = f"its catalog says {said.to_string()[:60]}", code or crs.name
        return [f"{theirs}, but the file {ours}, which is what counts"]
    mine = item.properties["proj:bbox"]
    a, _, _, _, e, _ = item.properties["proj:transform"][:6]
    pixel = (abs(a) or 1.0, abs(e) or 1.0) * 2
    stated = _edges(data.content) or _edges(found.content["properties"])
    if stated is None:
        box = found.content.get("bbox")
        if not _apart(box, item.bbox):
            return []
        theirs, ours = f"its item's bbox is {_short(box)}", f"lies in {_short(item.bbox)}"
    elif any(
        abs(one - two) >= _HALF * size for one, two, size in zip(mine, stated, pixel, strict=True)
    ):
        theirs, ours = f"its item says pixels within {_short(stated)}", _short(mine)
    else:
        return []
    return [f"{theirs}, but the file {ours}, which is what counts"]


def _horizontal(crs: pyproj.CRS) -> pyproj.CRS:
    try:
        return identified(crs)
    except ValueError:
        return crs


def _edges(fields: Mapping[str, Any]) -> BBox | None:
    """Return the outer edges that projection fields state, of whatever pixels in between."""
    transform, shape = (_numbers(fields.get(f"proj:{key}")) for key in ("transform", "shape"))
    if transform and shape and len(transform) in (6, 9) and len(shape) == 2:
        affine = Affine(*transform[:6])
        corners = [affine @ (x, y) for x in (0, shape[1]) for y in (0, shape[0])]
        xs, ys = zip(*corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)
    box = _numbers(fields.get("proj:bbox"))
    return (box[0], box[1], box[2], box[3]) if box and len(box) == 4 else None


def _numbers(value: Any) -> list[float] | None:
    if not isinstance(value, list) or any(
        isinstance(each, bool) or not isinstance(each, int | float) for each in value
    ):
        return None
    return [float(each) for each in value]


def _apart(one: Any, other: Any) -> bool:
    """Return whether two boxes in degrees have nothing in common, wherever they count from."""
    first, second = _numbers(one), _numbers(other)
    if not first or not second or len(first) != 4 or len(second) != 4:
        return False
    return (
        not overlap((first[0], first[2]), (second[0], second[2]))
        or first[1] > second[3]
        or second[1] > first[3]
    )


def _short(box: Any) -> str:
    return "[" + ", ".join(f"{edge:.9g}" for edge in box) + "]"
