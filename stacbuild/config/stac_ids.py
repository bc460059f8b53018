"""``open_params`` of data in a STAC catalog, moved into the data id.

The notebook's tool selects items and assets of a collection by parameters beside the data id. Here
the data id is the whole query (`stacbuild.sources.stac.query`), by which items are found in the
catalog; both notations are equivalent.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

import pyproj
from pydantic import ValidationError
from pyproj.exceptions import CRSError

from stacbuild.config.datasets import OpenParams
from stacbuild.geo.crs import METRES_PER_DEGREE, transformer

_FOLDED = ("datetime", "time_range", "query", "filter")
_AREA = ("bbox", "crs", "point", "bbox_width", "spatial_res")

# Not fields of the model: they are moved into the data id before validation.
PROPERTIES: dict[str, Any] = {
    "asset_names": {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "description": "Stores of kind `stac`: names of the assets to take. Several become "
        "variables of the cube, each named so.",
        "title": "Asset Names",
    },
    "query": {
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": ["string", "object"]}},
            {"type": "object"},
        ],
        "description": "Stores of kind `stac`: conditions on properties of items, such as "
        "`eo:cloud_cover<20` or `{eo:cloud_cover: {lt: 20}}`; all of them have to hold.",
        "title": "Query",
    },
    "filter": {
        "type": "string",
        "description": "Stores of kind `stac`: a condition on items in CQL2 text, such as "
        "`eo:cloud_cover < 20 AND platform = 'sentinel-2a'`.",
        "title": "Filter",
    },
    "datetime": {
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": ["string", "null"]}, "minItems": 2, "maxItems": 2},
        ],
        "description": "Stores of kind `stac`: time of the items to take, such as `2018`, or first "
        "and last; the same as `time_range` there.",
        "title": "Datetime",
    },
}
"""Keys of `open_params` that its model does not have, as properties of the JSON Schema."""


def fold(data: Any) -> Any:
    """Return a configuration's data with such parameters moved into the data ids.

    *data* is not changed. Malformed parts are returned as they are; validation reports them.
    """
    if not isinstance(data, dict):
        return data
    stores = {
        entry.get("identifier")
        for entry in _mappings(data.get("data_stores"))
        if entry.get("store_id") == "stac" and isinstance(entry.get("identifier"), str)
    }
    datasets = data.get("datasets")
    if not stores or not isinstance(datasets, list | tuple):
        return data
    grids = {
        entry["identifier"]: entry
        for entry in _mappings(data.get("grid_mappings"))
        if isinstance(entry.get("identifier"), str)
    }
    return data | {"datasets": [_dataset(entry, stores, grids) for entry in datasets]}


def _dataset(entry: Any, stores: set[Any], grids: Mapping[str, Mapping[Any, Any]]) -> Any:
    if not isinstance(entry, dict):
        return entry
    name, variables = entry.get("grid_mapping"), entry.get("variables")
    grid = grids.get(name) if isinstance(name, str) else None
    if isinstance(variables, list | tuple):
        return entry | {"variables": [_source(each, stores, grid) for each in variables]}
    return _source(entry, stores, grid)


def _source(entry: Any, stores: set[Any], grid: Mapping[Any, Any] | None) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get("store"), str):
        return entry
    params, data_id = entry.get("open_params"), entry.get("data_id")
    if entry["store"] not in stores or not isinstance(params, dict) or not isinstance(data_id, str):
        return entry
    data_id, names, rest = _assets(data_id, params)
    terms = [f"asset_names={names}"] if names else []
    for key in _FOLDED:
        if key in params and (values := _values(key, params[key])):
            name = "datetime" if key == "time_range" else key
            if key == "query" or f"{name}=" not in data_id:
                terms += [f"{name}={_quoted(value)}" for value in values]
                del rest[key]
            if key == "time_range" and not isinstance(params[key], str):
                rest[key] = [None if end in ("", "..") else end for end in params[key]]
    # Items are searched by bbox and time, and then clipped to both when opened, as items seldom end
    # there. So both are in the data id and in open_params.
    if "bbox=" not in data_id and (bbox := _bbox(params)):
        terms.append(f"bbox={','.join(map(str, bbox))}")
    # Of several resolutions of an asset, that of the cube is looked for. A data id of one asset has
    # none of the grid, as before there were scenes.
    if "spatial_res=" not in data_id:
        several = "," in names or re.search(r"[?&]asset_names=[^&]*,", data_id)
        size = _resolution(params, grid if several else None)
        terms += [f"spatial_res={size}"] if size else []
    if not terms and data_id == entry["data_id"] and rest == params:
        return entry
    terms.sort()
    joint = "&" if "?" in data_id else "?"
    joined = f"{data_id}{joint}{'&'.join(terms)}" if terms else data_id
    return entry | {"data_id": joined, "open_params": rest}


def _assets(data_id: str, params: Mapping[Any, Any]) -> tuple[str, str, dict[Any, Any]]:
    """Return the data id, the assets to add to it, and the parameters.

    The data id names all assets to find, the parameters those that become variables. They are equal
    for a single asset without masks, which only the data id names then.
    """
    rest = dict(params)
    stated = re.search(r"(?<=[?&]asset_names=)[^&]*", data_id)
    value = params.get("asset_names")
    if value is None and stated:
        value = unquote(stated[0])
    if isinstance(value, str) and value.strip():
        value = [each.strip() for each in value.split(",")]
    if not isinstance(value, list | tuple) or not _are_texts(value):
        return data_id, "", rest
    masks = _mappings(params.get("mask")) or _mappings([params.get("mask")])
    names = list(dict.fromkeys([*value, *(mask.get("asset") for mask in masks)]))
    if not _are_texts(names):
        return data_id, "", rest
    rest.pop("asset_names", None)
    if len(value) > 1 or masks:
        rest["asset_names"] = list(value)
    if not stated:
        return data_id, _quoted(",".join(names)), rest
    if masks:
        data_id = f"{data_id[: stated.start()]}{_quoted(','.join(names))}{data_id[stated.end() :]}"
    return data_id, "", rest


def _resolution(params: Mapping[Any, Any], grid: Mapping[Any, Any] | None) -> str:
    """Return the pixel size of a cube in metres; empty if it is not stated, or malformed."""
    if grid is None:
        size, metres = params.get("spatial_res"), 1.0
    else:
        size, metres = grid.get("spatial_res"), _metres(grid.get("crs"))
    if isinstance(size, list | tuple) and size:
        size = size[-1]
    try:
        # Text, if it is of a table, or written as 1e1, which is none of YAML's numbers.
        size = math.nan if isinstance(size, bool) else float(str(size))
    except (TypeError, ValueError):
        return ""
    if not 0 < size < math.inf:
        return ""
    return f"{size * metres:.6g}" if metres else ""


def _metres(crs: Any) -> float:
    """Return the length of a unit of a CRS; 0 if it is not valid."""
    try:
        unit = pyproj.CRS.from_user_input(crs)
        factor = unit.axis_info[0].unit_conversion_factor
    except (CRSError, IndexError, TypeError, ValueError):
        return 0
    return METRES_PER_DEGREE if unit.is_geographic else factor


def _are_texts(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(each, str) and each for each in values)


def _quoted(text: str) -> str:
    return quote(text, safe=",/:.-_")


def _bbox(params: Mapping[Any, Any]) -> list[float] | None:
    """Return the bbox of the parameters in degrees, for a search; None if there is none."""
    try:
        model = OpenParams.model_validate({key: params[key] for key in _AREA if key in params})
    except ValidationError:
        return None  # reported by the models
    if model.area is None:
        return None
    # With spatial_res, the cube is the rectangle around the area in UTM.
    stated = (model.area_crs, model.area) if model.spatial_res is None else model.utm_area
    to_degrees = transformer(stated[0], "EPSG:4326")
    return [round(edge, 9) for edge in to_degrees.transform_bounds(*stated[1], densify_pts=21)]


def _values(key: str, value: Any) -> list[str]:
    """Return the values of a parameter in a data id; empty if it is malformed."""
    if isinstance(value, str) and value.strip():
        return [value.strip()]
    if key == "query":
        return _conditions(value if isinstance(value, list | tuple) else [value])
    if not isinstance(value, list | tuple) or not value or key == "filter":
        return []
    # An open end is null or empty text; a data id must not contain "..".
    ends = ["" if each in (None, "..") else str(each) for each in value]
    return ["/".join(ends)] if len(ends) == 2 else []


def _conditions(values: Sequence[Any]) -> list[str]:
    """Return the conditions of a query as text, those of a mapping as JSON."""
    found = []
    for value in values:
        if isinstance(value, dict) and value:
            try:
                found.append(json.dumps(value, sort_keys=True, allow_nan=False))
            except (TypeError, ValueError):
                return []
        elif isinstance(value, str) and value.strip():
            found.append(value.strip())
        else:
            return []
    return found


def _mappings(value: Any) -> list[Mapping[Any, Any]]:
    entries = value if isinstance(value, list | tuple) else ()
    return [each for each in entries if isinstance(each, dict)]
