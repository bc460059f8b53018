"""``open_params`` of a STAC catalog's data, folded into the data id.

The notebook's tool says beside a data id which items and assets of a collection are meant. Here a
data id says all of that itself (`stacbuild.harvesters.stac_query`), so that items in the catalog
are found by it; both ways of writing come to the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

_FOLDED = ("asset_names", "bbox", "datetime", "time_range")


def fold(data: Any) -> Any:
    """Give a configuration's data with such parameters in the data ids; *data* stays as it is.

    What is not well formed is left where it stands, for others to complain of.
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
            terms.append(f"{name}={quote(value, safe=',/:.-_')}")
            del rest[key]
    if not terms:
        return entry
    joint = "&" if "?" in data_id else "?"
    return entry | {"data_id": f"{data_id}{joint}{'&'.join(terms)}", "open_params": rest}


def _value(key: str, value: Any) -> str | None:
    if isinstance(value, str) and value.strip():
        return value.strip()
    if not isinstance(value, list | tuple) or not value:
        return None
    if key in ("time_range", "datetime"):
        # An open end is null, or an empty text; ".." is a folder to a data id.
        ends = ["" if each in (None, "..") else str(each) for each in value]
        return "/".join(ends) if len(ends) == 2 else None
    if key == "bbox":
        numbers = all(isinstance(each, int | float) for each in value)
        return ",".join(map(str, value)) if numbers and len(value) == 4 else None
    return ",".join(map(str, value)) if all(isinstance(each, str) for each in value) else None


def _mappings(value: Any) -> list[Mapping[Any, Any]]:
    entries = value if isinstance(value, list | tuple) else ()
    return [each for each in entries if isinstance(each, dict)]
