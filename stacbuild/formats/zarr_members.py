"""The members of a Zarr group from raw metadata, for groups that zarr or xarray cannot open.

A single array with an unknown codec or type, or without names of its dimensions, makes both fail
for the whole group. Here each array is tried alone, and the group is opened without those that
cannot be read. This is done only for groups that cannot be opened, or that contain only groups.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import xarray as xr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import MemoryStore, WrapperStore

from stacbuild.errors import IntegrityError
from stacbuild.formats.zarr_values import DIMENSIONS

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest, Store
    from zarr.core.buffer import Buffer, BufferPrototype

Json = dict[str, Any]
Documents = Mapping[str, Json]
"""The metadata documents of a node by key: ``zarr.json``, or ``.zarray``, ``.zattrs``."""

# Limit on the groups searched below a group without consolidated metadata.
_MOST_GROUPS = 100

_OF_VALUES = ("shape", "dtype", "data_type", "fill_value", "dimension_names")
_KEYS = {2: (".zgroup", ".zarray", ".zattrs"), 3: ("zarr.json",)}


@dataclass(frozen=True)
class Hidden:
    """An array that cannot be read.

    Parameters
    ----------
    reason
        Text that follows its name in a message.
    dims
        Names of its dimensions, if known.
    """

    reason: str
    dims: tuple[str, ...]


class PartStore(WrapperStore["Store"]):
    """A wrapper of a store with other, consolidated metadata of its group.

    Parameters
    ----------
    below
        The wrapped store, which chunks are read from.
    documents
        Content of metadata keys.
    hidden
        Arrays that are left out, by name.
    """

    def __init__(
        self, below: Store, documents: Mapping[str, bytes], hidden: Mapping[str, Hidden]
    ) -> None:
        super().__init__(below)
        self.below = below
        self.hidden = hidden
        self._documents = documents

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a key, replaced metadata first."""
        if key in self._documents:
            return prototype.buffer.from_bytes(self._documents[key])
        return await self.below.get(key, prototype, byte_range)

    def why_none(self) -> str | None:
        """Return the message for a group whose arrays are all hidden; None if it has none."""
        if not self.hidden:
            return None
        more = f" and {len(self.hidden) - 5} more" if len(self.hidden) > 5 else ""
        first = [*self.hidden.items()][:5]
        if any(each.reason.startswith("cannot") for each in self.hidden.values()):
            shown = "; ".join(f"{name} {each.reason}" for name, each in first)
            return f"none of its arrays can be read: {shown}{more}"
        shown = ", ".join(name for name, _ in first)
        in_3 = "zarr.json" in self._documents
        key = "dimension_names in zarr.json" if in_3 else f"the attribute {DIMENSIONS}"
        return (
            f"its arrays ({shown}{more}) do not name their dimensions; add {key} to each, such as "
            '["time", "lat", "lon"], or write the store again with xarray.Dataset.to_zarr'
        )

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def hidden_of(store: Store) -> Mapping[str, Hidden]:
    """Return the arrays that a group of this store was opened without, by name."""
    return store.hidden if isinstance(store, PartStore) else {}


def groups_of(store: Store, zarr_format: int) -> list[str]:
    """Return the paths of the groups with arrays in a store, ``""`` for the root.

    Without consolidated metadata at most 100 groups are searched.
    """
    found = []
    for path, nodes in _groups(store, zarr_format):
        if any(is_array(documents) for documents in nodes.values()):
            found.append(path)
    return sorted(found)


def outdated(store: Store, zarr_format: int) -> list[str]:
    """Return how a group's consolidated metadata differ from those of its arrays.

    Each is a text that follows "consolidated metadata", such as ``lack the array v``. The metadata
    of every array are read, so this is for local stores. Empty without consolidated metadata.
    """
    whole = store.below if isinstance(store, PartStore) else store
    known = _consolidated(whole, zarr_format)
    if known is None:
        return []
    try:
        listed = _listed(whole, "", zarr_format)
    except (OSError, ValueError, IntegrityError):
        # The consolidated metadata may be meant to replace these.
        return []
    found = {name: documents for name, documents in listed.items() if is_array(documents)}
    notes = [f"lack the array {name}" for name in found if name not in known]
    for name, documents in known.items():
        if "/" in name or not is_array(documents):
            continue
        if name not in found:
            notes.append(f"name the array {name}, which is not there")
            continue
        stated, own = _compared(documents), _compared(found[name])
        # Compared as JSON, too, as NaN is not equal to itself.
        keys = [
            key
            for key in sorted({*stated, *own})
            if stated.get(key) != own.get(key)
            and json.dumps(stated.get(key)) != json.dumps(own.get(key))
        ]
        if keys:
            notes.append(f"differ from those of {name} in {', '.join(keys)}")
    return notes


def _compared(documents: Documents) -> Json:
    """Return the metadata of an array that affect its values, and its attributes."""
    array = documents.get("zarr.json") or documents[".zarray"]
    attrs = array.get("attributes") or documents.get(".zattrs") or {}
    return {key: array.get(key) for key in _OF_VALUES} | attrs


def is_array(documents: Documents) -> bool:
    """Return whether these are the metadata of an array."""
    return ".zarray" in documents or documents.get("zarr.json", {}).get("node_type") == "array"


def mended(store: Store, zarr_format: int) -> PartStore:
    """Return *store* with only the readable arrays of its group, and without nested groups."""
    root = _read(store, "", zarr_format)
    _, nodes = next(_groups(store, zarr_format))
    return _assembled(store, root, nodes)


def inherited(store: Store, above: Store, path: str, zarr_format: int) -> PartStore | None:
    """Return *store*, which is *path* in *above*, with the consolidated metadata of *above*.

    None if *above* has none, or *path* is not in them.
    """
    known = _consolidated(above, zarr_format)
    if known is None or path not in known:
        return None
    nodes = {
        name.removeprefix(f"{path}/"): documents
        for name, documents in known.items()
        if name.startswith(f"{path}/") and "/" not in name.removeprefix(f"{path}/")
    }
    return _assembled(store, known[path], nodes)


def _assembled(store: Store, root: Documents, nodes: Mapping[str, Documents]) -> PartStore:
    readable: dict[str, Documents] = {}
    hidden: dict[str, Hidden] = {}
    for name, documents in nodes.items():
        if not is_array(documents):
            continue
        plain = _plain(documents)
        if unnamed := _unnamed(plain):
            hidden[name] = Hidden(unnamed, _dims(plain))
            continue
        try:
            with xr.open_zarr(
                MemoryStore(_buffers(_group(root, {name: plain}))),
                consolidated=True,
                chunks=None,
                decode_cf=False,
            ) as alone:
                alone[name]
        except Exception as error:  # noqa: BLE001 - of zarr, numcodecs or xarray
            hidden[name] = Hidden(_reason(error), _dims(plain))
        else:
            readable[name] = plain
    contents = {key: json.dumps(one).encode() for key, one in _group(root, readable).items()}
    return PartStore(store, contents, hidden)


def _group(root: Documents, nodes: Mapping[str, Documents]) -> dict[str, Json]:
    """Return the consolidated metadata of a group with these members."""
    if "zarr.json" in root:
        members = {name: documents["zarr.json"] for name, documents in nodes.items()}
        inline = {"kind": "inline", "must_understand": False, "metadata": members}
        return {"zarr.json": {**root["zarr.json"], "consolidated_metadata": inline}}
    flat: Json = {f"{name}/{key}": one for name, each in nodes.items() for key, one in each.items()}
    content = dict(root)
    content[".zmetadata"] = {"zarr_consolidated_format": 1, "metadata": {**root, **flat}}
    return content


def _buffers(content: Mapping[str, Json]) -> dict[str, Buffer]:
    of = default_buffer_prototype().buffer
    return {key: of.from_bytes(json.dumps(one).encode()) for key, one in content.items()}


def _plain(documents: Documents) -> Documents:
    """Return metadata in the notation that xarray reads.

    In format 3 a ``_FillValue`` of floats is in base64. In format 2 ``_ARRAY_DIMENSIONS`` names the
    dimensions, which NCZarr names differently and scalars lack.
    """
    if ".zarray" in documents:
        return _with_dimensions(documents)
    array = documents.get("zarr.json")
    attrs = (array or {}).get("attributes") or {}
    if array is None or "_FillValue" not in attrs:
        return documents
    attrs = dict(attrs)
    value = attrs.pop("_FillValue")
    kind = str(array.get("data_type"))
    if kind.startswith("float"):
        try:
            packed = struct.pack("<d", float(value))
            attrs["_FillValue"] = base64.standard_b64encode(packed).decode()
        except (TypeError, ValueError):
            # Already in xarray's notation, or invalid.
            attrs["_FillValue"] = value
    elif kind.startswith(("int", "uint")):
        attrs["_FillValue"] = value
    return {"zarr.json": {**array, "attributes": attrs}}


def format_of(store: Store) -> int:
    """Return the format of the group at the root of a store."""
    return 3 if _json(store, "zarr.json") is not None else 2


def holds_array(store: Store) -> bool:
    """Return whether the root of a store is an array, of format 2."""
    return _json(store, ".zarray") is not None


def _with_dimensions(documents: Documents) -> Documents:
    array, attrs = documents[".zarray"], documents.get(".zattrs", {})
    if DIMENSIONS in attrs:
        return documents
    # The first is written by netCDF-C before 4.9.3.
    stated = array.get("_NCZARR_ARRAY") or attrs.get("_nczarr_array")
    names = (
        stated.get("dimrefs") or stated.get("dimension_references")
        if isinstance(stated, dict)
        else None
    )
    if isinstance(names, list) and len(names) == len(array.get("shape") or []):
        dims = [str(name).rpartition("/")[2] for name in names]
    elif array.get("shape") == []:
        dims = []
    else:
        return documents
    return {**documents, ".zattrs": {**attrs, DIMENSIONS: dims}}


def _named(documents: Documents) -> Any:
    names = documents.get("zarr.json", {}).get("dimension_names")
    return names or documents.get(".zattrs", {}).get(DIMENSIONS)


def _dims(documents: Documents) -> tuple[str, ...]:
    names = _named(documents)
    return tuple(filter(is_name, names)) if isinstance(names, list) else ()


def is_name(dim: Any) -> bool:
    """Return whether this is a name of a dimension, which may be null in format 3."""
    return isinstance(dim, str) and dim != ""


def _unnamed(documents: Documents) -> str | None:
    """Return why the names of an array's dimensions are unknown; None if they are known."""
    array = documents.get("zarr.json") or documents[".zarray"]
    names = _named(documents)
    if array.get("shape") == []:
        return None
    if not names:
        key = "dimension_names" if "zarr.json" in documents else f"attribute {DIMENSIONS}"
        return f"names no dimensions (it has no {key})"
    if isinstance(names, list) and not all(map(is_name, names)):
        return f"does not name all its dimensions ({json.dumps(names)})"
    return None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return f"cannot be read ({text[:150]})"


def _groups(store: Store, zarr_format: int) -> Iterator[tuple[str, dict[str, Documents]]]:
    """Yield each group of a store, the root first, with its direct members by name."""
    known = _consolidated(store, zarr_format)
    waiting = [""]
    for _ in range(_MOST_GROUPS if known is None else len(known) + 1):
        if not waiting:
            return
        path = waiting.pop(0)
        below = f"{path}/" if path else ""
        if known is None:
            nodes = _listed(store, path, zarr_format)
        else:
            nodes = {
                name.removeprefix(below): documents
                for name, documents in known.items()
                if name.startswith(below) and "/" not in name.removeprefix(below)
            }
        yield path, nodes
        waiting += [f"{below}{name}" for name, each in nodes.items() if not is_array(each)]


def _consolidated(store: Store, zarr_format: int) -> dict[str, Documents] | None:
    """Return the consolidated metadata of all nodes by path; None if there are none."""
    if zarr_format == 3:
        root = _read(store, "", 3).get("zarr.json") or {}
        inline = root.get("consolidated_metadata") or {}
        members = inline.get("metadata")
        if not isinstance(members, dict):
            return None
        return {name: {"zarr.json": document} for name, document in members.items()}
    content = _json(store, ".zmetadata")
    if content is None or not isinstance(content.get("metadata"), dict):
        return None
    nodes: dict[str, dict[str, Json]] = {}
    for key, document in content["metadata"].items():
        path, _, last = key.rpartition("/")
        if path:
            nodes.setdefault(path, {})[last] = document
    return dict(nodes)


def _listed(store: Store, path: str, zarr_format: int) -> dict[str, Documents]:
    found = {}
    for name in sorted(sync(_names(store, path))):
        inner = name.strip("/")
        if inner == "zarr.json" or inner.startswith("."):
            continue
        documents = _read(store, f"{path}/{inner}" if path else inner, zarr_format)
        if documents:
            found[inner] = documents
    return found


async def _names(store: Store, path: str) -> list[str]:
    return [name async for name in store.list_dir(path)]


def _read(store: Store, path: str, zarr_format: int) -> Documents:
    """Return the existing metadata documents of a node."""
    start = f"{path}/" if path else ""
    found = {key: _json(store, f"{start}{key}") for key in _KEYS[zarr_format]}
    return {key: document for key, document in found.items() if document is not None}


def _json(store: Store, key: str) -> Json | None:
    content = sync(store.get(key, default_buffer_prototype()))
    if content is None:
        return None
    document = json.loads(content.to_bytes())
    return document if isinstance(document, dict) else None
