"""Repair of attributes of foreign Zarr stores that have other types than CF defines.

In JSON an attribute can have any type. Text or a number in a list of length one, as in HDF5, is
unwrapped; other values of a wrong type are left out, and noted. Readers of attributes can then rely
on their types.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

# Attributes of CF (1.11, appendix A, type "S") that are read; others are not checked.
_TEXT = frozenset(
    (
        "axis",
        "bounds",
        "calendar",
        "cell_methods",
        "climatology",
        "coordinates",
        "grid_mapping",
        "grid_mapping_name",
        "long_name",
        "positive",
        "standard_name",
        "units",
    )
)
_NO_DATA = ("_FillValue", "missing_value")
_NUMBERS = (*_NO_DATA, "scale_factor", "add_offset")
# Names separated by blanks, which some stores have as a list.
_NAMES = "coordinates"

_MOST_SHOWN = 60


def repaired(path: str, name: str, document: Json, notes: dict[str, str]) -> bool:
    """Convert the attributes in a metadata document to the expected types.

    Parameters
    ----------
    path
        Path of the node of the document, empty for the root.
    name
        ``zarr.json``, ``.zattrs`` or ``.zmetadata``; other documents are not changed.
    document
        Changed in place.
    notes
        Attributes that are left out are added, by node and attribute, as texts that follow "its".

    Returns
    -------
    Whether anything was changed.
    """
    changed = False
    for node, container, key in [*_attributes(path, name, document)]:
        known = container[key]
        found = sound(node, known, notes)
        if found != known:
            container[key] = found
            changed = True
    return changed


def sound(node: str, attributes: Any, notes: dict[str, str]) -> Json:
    """Return attributes of the expected types, without those that are null.

    Parameters
    ----------
    node
        The path of the array or group; empty for the root.
    attributes
        From the metadata, of any type.
    notes
        As for `repaired`.
    """
    of = f" of {node}" if node else ""
    if not isinstance(attributes, dict):
        if attributes is not None:
            notes[node] = f"attributes{of} are {_shown(attributes)}, no object"
        return {}
    found = {}
    for key, value in attributes.items():
        if value is None:
            continue
        if key in _NUMBERS and isinstance(value, list) and len(value) == 1:
            value = value[0]
        if key in _NO_DATA and not _may_be_values(value):
            if value != []:
                notes[f"{node}/{key}"] = f"attribute {key}{of} is {_shown(value)}, no number"
            continue
        if key not in _TEXT or isinstance(value, str):
            found[key] = value
            continue
        texts = _texts(key, value)
        if texts is None:
            notes[f"{node}/{key}"] = f"attribute {key}{of} is {_shown(value)}, no text"
        elif texts:
            found[key] = " ".join(texts)
    return found


def _may_be_values(value: Any) -> bool:
    """Return whether this is a value of pixels, or a list of some: numbers, or text for them."""
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(type(each) in (int, float, str) for each in values)


def _texts(key: str, value: Any) -> list[str] | None:
    """Return the texts of an attribute, an empty list if it is empty; None if it is not text."""
    if key == "units" and type(value) in (int, float) and value == 1:
        return ["1"]
    texts = value if isinstance(value, list) else [value]
    are_texts = all(isinstance(each, str) for each in texts)
    return texts if are_texts and (len(texts) <= 1 or key == _NAMES) else None


def odd_member(name: str, document: Json) -> str | None:
    """Return the first member of consolidated metadata that is not an object; None if all are."""
    for key, each in _members(name, document).items():
        # Attributes are repaired.
        if not isinstance(each, dict) and not key.endswith(".zattrs"):
            return str(key)
    return None


def _members(name: str, document: Json) -> Json:
    """Return the consolidated metadata in a document by path or key, empty if there are none."""
    inline = document if name == ".zmetadata" else document.get("consolidated_metadata")
    members = inline.get("metadata") if isinstance(inline, dict) else None
    return members if isinstance(members, dict) else {}


def _attributes(path: str, name: str, document: Json) -> Iterator[tuple[str, Json, str]]:
    """Yield the path of each node in a document, and the mapping and key of its attributes."""
    if name == "zarr.json":
        if "attributes" in document:
            yield path, document, "attributes"
        for inner, node in _members(name, document).items():
            if isinstance(node, dict) and "attributes" in node:
                yield f"{path}/{inner}".strip("/"), node, "attributes"
    elif name == ".zmetadata":
        members = _members(name, document)
        for key in members:
            inner, _, last = key.rpartition("/")
            if last == ".zattrs":
                yield f"{path}/{inner}".strip("/"), members, key


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
