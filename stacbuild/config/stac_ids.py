"""``open_params`` of data in a STAC catalog, moved into the data id.

The notebook's tool selects items and assets of a collection by parameters beside the data id. Here
the data id is the whole query (`stacbuild.sources.stac.query`), by which items are found in the
catalog; both notations are equivalent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from stacbuild.config.datasets import OpenParams
from stacbuild.geo.crs import transformer

_FOLDED = ("asset_names", "datetime", "time_range")
_AREA = ("bbox", "crs", "point", "bbox_width")

# Not fields of the model: they are moved into the data id before validation.
PROPERTIES = {
    "asset_names": {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "description": "Stores of kind `stac`: names of the assets to take, where items have "
        "several with data.",
        "title": "Asset Names",
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
    return data | {"datasets": [_dataset(entry, stores) for entry in datasets]}


def _dataset(entry: Any, stores: set[Any]) -> Any:
    if not isinstance(entry, dict):
        return entry
    variables = entry.get("variables")
    if isinstance(variables, list | tuple):
        return entry | {"variables": [_source(each, stores) for each in variables]}
    return _source(entry, stores)


def _source(entry: Any, stores: set[Any]) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get("store"), str):
        return entry
    params, data_id = entry.get("open_params"), entry.get("data_id")
    if entry["store"] not in stores or not isinstance(params, dict) or not isinstance(data_id, str):
        return entry
    terms = []
    rest = dict(params)
    for key in _FOLDED:
        if key in params and (value := _value(key, params[key])) is not None:
            name = "datetime" if key == "time_range" else key
            if f"{name}=" not in data_id:
                terms.append(f"{name}={quote(value, safe=',/:.-_')}")
            del rest[key]
            if key == "time_range" and not isinstance(params[key], str):
                rest[key] = [None if end in ("", "..") else end for end in params[key]]
    # Items are searched by bbox and time, and then clipped to both when opened, as items seldom end
    # there. So both are in the data id and in open_params.
    if "bbox=" not in data_id and (bbox := _bbox(params)):
        terms.append(f"bbox={','.join(map(str, bbox))}")
    if not terms:
        return entry
    terms.sort()
    joint = "&" if "?" in data_id else "?"
    return entry | {"data_id": f"{data_id}{joint}{'&'.join(terms)}", "open_params": rest}


def _bbox(params: Mapping[Any, Any]) -> list[float] | None:
    """Return the bbox of the parameters in degrees, for a search; None if there is none."""
    try:
        model = OpenParams.model_validate({key: params[key] for key in _AREA if key in params})
    except ValidationError:
        return None  # reported by the models
    if model.area is None:
        return None
    to_degrees = transformer(model.area_crs, "EPSG:4326")
    return [round(edge, 9) for edge in to_degrees.transform_bounds(*model.area, densify_pts=21)]


def _value(key: str, value: Any) -> str | None:
    if isinstance(value, str) and value.strip():
        return value.strip()
    if not isinstance(value, list | tuple) or not value:
        return None
    if key in ("time_range", "datetime"):
        # An open end is null or empty text; a data id must not contain "..".
        ends = ["" if each in (None, "..") else str(each) for each in value]
        return "/".join(ends) if len(ends) == 2 else None
    return ",".join(map(str, value)) if all(isinstance(each, str) for each in value) else None


def _mappings(value: Any) -> list[Mapping[Any, Any]]:
    entries = value if isinstance(value, list | tuple) else ()
    return [each for each in entries if isinstance(each, dict)]
