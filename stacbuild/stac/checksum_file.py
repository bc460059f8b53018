"""The checksums of a collection's local files, recorded in one file when cubes are made of them.

A product may have thousands of files, and an item that changes is synced, indexed and put into the
Parquet file of its collection again; this file is written once a build. An entry holds only for an
item with the href, size and modification time that it states, so an outdated entry has no effect.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pystac

from stacbuild.atomic import sweep, write_bytes
from stacbuild.stac.checksums import CHECKSUM
from stacbuild.stac.files import begins_with
from stacbuild.stac.links import relative
from stacbuild.stac.scenes import DATA, asset_of

Json = dict[str, Any]

NAME = ".checksums"
"""Name of the file in the folder of a collection."""

_KEY = "stacbuild:checksums"
_START = b'{"stacbuild:checksums": '


def read_checksums(folder: Path) -> Mapping[str, list[Any]]:
    """Return the entries of a collection by item id; none if the file is missing or damaged."""
    path = folder / NAME
    try:
        found = json.loads(path.read_bytes())[_KEY] if is_checksums(path) else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def write_checksums(folder: Path, entries: Mapping[str, list[Any]]) -> None:
    """Write the entries of a collection; requires the lock of the catalog.

    A file of somebody else is left as it is.

    Raises
    ------
    LocalError
        If it cannot be written.
    """
    path = folder / NAME
    if not os.path.lexists(path) or is_checksums(path):
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(entries[key])}" for key in entries)
        write_bytes(path, _START + f"{{\n{lines}\n}}}}\n".encode())


def remove_checksums(folder: Path) -> None:
    """Remove the file from the folder of a collection, if stacbuild wrote it."""
    path = folder / NAME
    sweep(path)
    if is_checksums(path):
        path.unlink(missing_ok=True)


def is_checksums(path: Path) -> bool:
    """Return whether a file is one that stacbuild wrote."""
    return begins_with(path, _START)


def entries_of(found: Iterable[tuple[pystac.Item, str]]) -> dict[Path, dict[str, list[Any]]]:
    """Return entries by the folder of their collection, for items with checksums of their files."""
    of_folder: dict[Path, dict[str, list[Any]]] = {}
    for item, checksum in found:
        folder, asset = Path(item.self_href).parent, item.assets["data"]
        # As in the item's file, so that a catalog can be moved together with its sources.
        href, stated = relative(asset.href, folder), asset.extra_fields
        entry = [href, stated["file:size"], stated["updated"], checksum]
        of_folder.setdefault(folder.parent, {})[_name(item.id, asset_of(item))] = entry
    return of_folder


def item_of(name: str) -> str:
    """Return the id of the item that an entry is of."""
    return name.partition("/")[0]


def _name(item_id: str, asset: str) -> str:
    """Return the name of an entry: an id, which has no slash, and the asset of a scene."""
    return item_id if asset == DATA else f"{item_id}/{asset}"


def add_checksum(content: Json, entries: Mapping[str, list[Any]]) -> None:
    """Add the recorded checksum to an item, as JSON, if it is that of its file."""
    for asset, recorded in _recorded(content, entries):
        asset.setdefault(CHECKSUM, recorded)


def without_recorded(content: Json, entries: Mapping[str, list[Any]]) -> None:
    """Remove the checksum from an item that is to be written, as JSON, if it is recorded."""
    for asset, recorded in _recorded(content, entries):
        if asset.get(CHECKSUM) == recorded:
            del asset[CHECKSUM]


def _recorded(content: Json, entries: Mapping[str, list[Any]]) -> Iterator[tuple[Json, str]]:
    for key, asset in content.get("assets", {}).items():
        entry = entries.get(_name(str(content.get("id")), key))
        stated = [asset.get("href"), asset.get("file:size"), asset.get("updated")]
        if isinstance(entry, list) and entry[:-1] == stated and isinstance(entry[-1], str):
            yield asset, entry[-1]
