"""The index of a collection: what lookups need of its items, in one file.

The items' JSON files are the truth, and the index can be removed at any time. An entry is used only
if size and times of its file are those that were recorded when it was read; an index that is
damaged, or was written by another version, is ignored. So an item that was edited by hand, copied
or restored is read again. Collections with few items have no index: reading them takes less time
than their metadata are worth.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stacbuild.atomic import write_bytes
from stacbuild.errors import IntegrityError
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.stac.files import STORE, begins_with, parse_json, read_bytes
from stacbuild.stac.links import DATA_ID
from stacbuild.stac.malformed import malformed_projection

Json = dict[str, Any]

INDEX = ".items.json"
"""Name of the index in the folder of a collection."""

MIN_ITEMS = 50
"""Collections with fewer items have no index and no Parquet file."""

_VERSION = 1
# The first line of an index states version and checksum of the second.
_START = b'{"stacbuild:index": '

# Larger than any coordinate; integers of JSON may exceed floats.
_FAR = 1e30

_TIMES = ("datetime", "start_datetime", "end_datetime")
_PROPERTIES = ("title", STORE, DATA_ID, FINGERPRINT, *_TIMES)

# A file that was written at the same tick of the clock as the index may have changed after it was
# read. Linux's clock of files ticks 100 to 1000 times a second; some file systems store seconds.
_TICK = 20_000_000
_COARSE_TICK = 2_000_000_000


@dataclass(frozen=True)
class Entry:
    """What the index has of one item.

    Parameters
    ----------
    state
        Size and times of its file when it was read.
    digest
        Digest of its bytes, by which the collection's Parquet file is known to be outdated.
    item
        Its id, bbox and those properties that lookups and the collection need, as STAC JSON.
    """

    state: str
    digest: str
    item: Json


@dataclass(frozen=True)
class Index:
    """The entries of a collection's items, as they are on disk now.

    Parameters
    ----------
    path
        The file of the index.
    entries
        One entry per item link, by href.
    is_stored
        Whether the file has exactly these entries.
    """

    path: Path
    entries: Mapping[str, Entry]
    is_stored: bool = field(default=False, compare=False)

    @property
    def digest(self) -> str:
        """Digest of the names and bytes of all items."""
        lines = (f"{href} {entry.digest}\n" for href, entry in sorted(self.entries.items()))
        return hashlib.sha256("".join(lines).encode(errors="surrogatepass")).hexdigest()[:32]

    @property
    def items(self) -> list[Json]:
        """The items as far as the index has them."""
        return [entry.item for entry in self.entries.values()]

    def without(self, gone: Set[str]) -> Index:
        """Return the index without the items of some hrefs."""
        if not gone:
            return self
        left = {href: entry for href, entry in self.entries.items() if href not in gone}
        return Index(self.path, left)

    def save(self) -> None:
        """Write the index, or remove it if the collection has few items; requires the lock.

        A file of somebody else is left as it is.

        Raises
        ------
        LocalError
            If it cannot be written.
        """
        if os.path.lexists(self.path) and not is_index(self.path):
            return
        if len(self.entries) < MIN_ITEMS:
            self.path.unlink(missing_ok=True)
        elif not self.is_stored:
            entries = {href: [e.state, e.digest, e.item] for href, e in self.entries.items()}
            body = json.dumps(entries).encode()
            head = {"stacbuild:index": _VERSION, "sha256": hashlib.sha256(body).hexdigest()}
            write_bytes(self.path, json.dumps(head).encode() + b"\n" + body + b"\n")


def read_index(
    folder: Path,
    links: Sequence[str],
    locate: Callable[[str], Path],
    *,
    skip_missing: bool = False,
) -> Index:
    """Return the index of a collection; only items that the stored one lacks are read.

    Parameters
    ----------
    folder
        Folder of the collection.
    links
        Hrefs of its items, relative to the folder.
    locate
        Returns the path of an href, or raises if it is outside of the catalog.
    skip_missing
        Whether to leave out links without a file, which are an error otherwise.

    Raises
    ------
    LocalError, IntegrityError
        If an item cannot be read, or is not an item.
    """
    path = folder / INDEX
    stored, written = _stored(path) if len(links) >= MIN_ITEMS else ({}, 0)
    tick = _TICK if written % 1_000_000_000 else _COARSE_TICK
    entries: dict[str, Entry] = {}
    unread = 0
    for href in links:
        known = stored.get(href)
        state = _state(f"{folder}/{href}", written - tick) if known else ""
        # An entry without a state, which stacbuild does not write, is that of no file.
        if known is not None and state and known.state == state:
            entries[href] = known
            continue
        file = locate(href)
        if skip_missing and not file.exists():
            continue
        entry = _read(file)
        # Entries that only are too young to be trusted need not be written again.
        unread += known is None or known != entry
        entries[href] = entry
    return Index(path, entries, is_stored=not unread and len(entries) == len(stored))


def is_index(path: Path) -> bool:
    """Return whether a file is an index that stacbuild wrote, of any version."""
    return begins_with(path, _START)


def parse_item(file: Path, data: bytes) -> Json:
    """Parse an item of the catalog.

    Raises
    ------
    IntegrityError
        If it is not an item, or malformed for planning and loading.
    """
    content = parse_json(file, data)
    if (why := _malformed(content)) is not None:
        raise IntegrityError(f"{file}: {why}; remove it, then harvest")
    return content


def _read(file: Path) -> Entry:
    # Before the content: if it changes in between, the next lookup reads it again.
    state = _state(str(file))
    data = read_bytes(file)
    return Entry(state, hashlib.sha256(data).hexdigest()[:32], _reduced(parse_item(file, data)))


def _reduced(content: Json) -> Json:
    """Return those fields of an item that lookups and its collection need."""
    properties = content.get("properties", {})
    return {
        "id": content.get("id"),
        "bbox": content.get("bbox"),
        "properties": {key: properties[key] for key in _PROPERTIES if key in properties},
    }


def _state(path: str, before: int | None = None) -> str:
    """Return size and times of a file; empty if it does not exist, or is younger than *before*."""
    try:
        # A Path takes three times as long to make as the status of its file.
        found = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return ""
    if before is not None and max(found.st_mtime_ns, found.st_ctime_ns) >= before:
        return ""
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _stored(path: Path) -> tuple[dict[str, Entry], int]:
    """Return the entries and the time of an index; none if it is damaged."""
    try:
        if not is_index(path):
            return {}, 0
        written = path.stat().st_mtime_ns
        head, body = path.read_bytes().rstrip(b"\n").split(b"\n")
        if json.loads(head) != {
            "stacbuild:index": _VERSION,
            "sha256": hashlib.sha256(body).hexdigest(),
        }:
            return {}, 0
        entries = {href: Entry(*entry) for href, entry in json.loads(body).items()}
        return (entries if all(map(_is_entry, entries.values())) else {}), written
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}, 0


def _is_entry(entry: Entry) -> bool:
    """Return whether an entry has the types of those that `_read` makes."""
    item = entry.item
    return (
        isinstance(entry.state, str)
        and isinstance(entry.digest, str)
        and isinstance(item, dict)
        and isinstance(item.get("properties"), dict)
        and "bbox" in item
    )


def _malformed(content: Json) -> str | None:
    """Return what is wrong with an item for planning and loading; None if nothing is."""
    properties = content.get("properties", {})
    if not isinstance(properties.get(DATA_ID, ""), str):
        return f"its {DATA_ID} is not text"
    if not isinstance(properties.get(STORE, ""), str):
        return f"its {STORE} is not text"
    if not _is_bbox(content.get("bbox")):
        return "its bbox is not four or six numbers"
    if not all(isinstance(properties.get(key, ""), str | None) for key in _TIMES):
        return "one of its times is not text"
    assets = content.get("assets", {})
    # As in `stacbuild.stac.scenes.data_assets`.
    placed = [asset for asset in assets.values() if "proj:transform" in asset]
    if DATA_ID in properties and "data" not in assets and not placed:
        return "it has no asset with data"
    scene = placed if len(placed) > 1 or "data" not in assets else []
    for fields in (properties, *(properties | asset for asset in scene)):
        if any(key in fields for key in ("proj:shape", "proj:transform")):
            why = malformed_projection(fields)
            if why is not None:
                return why
    return None


def _is_bbox(value: Any) -> bool:
    """Return whether a value may be the bbox of an item, which may have none."""
    return value is None or (
        isinstance(value, list)
        and len(value) in (4, 6)
        and all(isinstance(each, int | float) and abs(each) < _FAR for each in value)
    )
