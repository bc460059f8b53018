"""Attributes of foreign Zarr stores whose types are not those that CF gives them.

JSON lets an attribute be anything. Text and numbers that are in a list of one, as HDF5 has them,
are text and numbers; what is none where one is due is left out and told of. So whoever reads
attributes later may rely on their types.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

# Those of CF (1.11, appendix A, type "S") that are read; others are passed on as they are.
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
# Names with blanks between, which others write as a list.
_NAMES = "coordinates"

_MOST_SHOWN = 60


def repaired(path: str, name: str, document: Json, notes: dict[str, str]) -> bool:
    """Convert the attributes in a metadata document to the types due; note what is left out.

    Parameters
    ----------
    path
        Of the node whose document it is, empty for the root.
    name
        ``zarr.json``, ``.zattrs`` or ``.zmetadata``; of others nothing is changed.
    document
        Changed in place.
    notes
        Takes what is left out, in words that follow "its", by node and attribute.

    Returns
    -------
    Whether anything was changed.
    """
    changed = False
    for node, container, key in [*_places(path, name, document)]:
        known = container[key]
        found = sound(node, known, notes)
        if found != known:
            container[key] = found
            changed = True
    return changed


def sound(node: str, attributes: Any, notes: dict[str, str]) -> Json:
    """Return attributes with text where text is due; without those that are null.

    Parameters
    ----------
    node
        The path of the array or group; empty for the root.
    attributes
        As they stand in the metadata.
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
    """Return whether pixels may have this value, or these: numbers, or what stands for them."""
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(type(each) in (int, float, str) for each in values)


def _texts(key: str, value: Any) -> list[str] | None:
    """Return the texts that an attribute holds, none if it is empty; None if it is no text."""
    if key == "units" and type(value) in (int, float) and value == 1:
        return ["1"]
    texts = value if isinstance(value, list) else [value]
    are_texts = all(isinstance(each, str) for each in texts)
    return texts if are_texts and (len(texts) <= 1 or key == _NAMES) else None


def odd_member(name: str, document: Json) -> str | None:
    """Return the first member of consolidated metadata that is no object; None if all are."""
    for key, each in _members(name, document).items():
        # Attributes are given what is due.
        if not isinstance(each, dict) and not key.endswith(".zattrs"):
            return str(key)
    return None


def _members(name: str, document: Json) -> Json:
    """Return the consolidated metadata in a document by path or key, empty if there are none."""
    inline = document if name == ".zmetadata" else document.get("consolidated_metadata")
    members = inline.get("metadata") if isinstance(inline, dict) else None
    return members if isinstance(members, dict) else {}


def _places(path: str, name: str, document: Json) -> Iterator[tuple[str, Json, str]]:
    """Yield the path of each node that a document describes, and where its attributes stand."""
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
