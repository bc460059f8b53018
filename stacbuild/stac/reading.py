"""Read the local STAC catalog: its collections, and the items of a data id.

Collections with many items have an index (`stacbuild.stac.index`), by which a lookup reads only the
items that it returns.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pystac

from stacbuild.errors import ConflictError, IntegrityError, LocalError, LockedError
from stacbuild.locks import hold
from stacbuild.stac.checksum_file import NAME as CHECKSUMS
from stacbuild.stac.checksum_file import add_checksum, read_checksums
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.stac.files import STORE, read_bytes, read_json
from stacbuild.stac.ids import cube_id
from stacbuild.stac.index import MIN_ITEMS, Index, parse_item, read_index
from stacbuild.stac.item_time import FILE, ORDER
from stacbuild.stac.links import DATA_ID, hrefs
from stacbuild.stac.parsed import item_of_json

Json = dict[str, Any]

LOCK = ".catalog.lock"
"""Name of the lock of a catalog, in its folder."""


# Segments of a path that are no names.
_SPECIAL = frozenset({"", ".", ".."})


@dataclass
class _Known:
    """A document that was read, and the index of its items once it was needed."""

    version: tuple[int, ...]
    content: Json
    index: Index | None = None


class CatalogReader:
    """A catalog in a folder, as far as it is read.

    Documents that list others are kept, and read again when their file changes. The same holds for
    the index of a collection with many items; the items themselves are read each time.

    Parameters
    ----------
    root
        The folder of ``catalog.json``.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root).resolve()
        self._below = f"{str(self.root).rstrip(os.sep)}{os.sep}"
        self._known: dict[Path, _Known] = {}
        self._real: dict[Path, str] = {}
        self._guard = threading.RLock()

    def __repr__(self) -> str:
        return f"Catalog({str(self.root)!r})"

    def __getstate__(self) -> dict[str, Any]:
        # What was read is not sent to other processes.
        return {"root": self.root, "_below": self._below, "_known": {}, "_real": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _guard=threading.RLock())

    def sibling(self) -> Self:
        """Return the same catalog for another thread, which shares `alone`."""
        other = type(self)(self.root)
        other._guard = self._guard  # noqa: SLF001 - of the same class
        return other

    def alone(self) -> AbstractContextManager[object]:
        """Return a context in which no other thread of the run changes the catalog."""
        return self._guard

    @property
    def path(self) -> Path:
        """The file ``catalog.json``."""
        return self.root / "catalog.json"

    def item_path(self, collection_id: str, item_id: str) -> Path:
        """Return the path of an item (for a cube, by its identifier); the file may not exist."""
        item_id = cube_id(item_id)
        return self.root / collection_id / item_id / f"{item_id}.json"

    def collections(self) -> Iterator[Path]:
        """Yield the collection files in the catalog's order."""
        if self.path.exists():
            for link in hrefs(self._document(self.path).content, "child"):
                yield self._inside(self.path, link)

    def items(self) -> Iterator[pystac.Item]:
        """Yield all items, with absolute paths in the hrefs of local assets."""
        for collection in self.collections():
            for path in self._item_paths(collection):
                yield self.read_item(path)

    def cubes(self) -> Iterator[pystac.Item]:
        """Yield the items of cubes that stacbuild made, as `items`."""
        for collection in self.collections():
            for href, item in self._indexed(collection):
                if FINGERPRINT in item["properties"]:
                    yield self.read_item(self._inside(collection, href))

    def readable_items(self, collection_id: str) -> Iterator[pystac.Item]:
        """Yield the items of a collection that can be read; none if it does not exist."""
        path = self.root / collection_id / "collection.json"
        if path in self.collections():
            for href in hrefs(self._document(path).content, "item"):
                with contextlib.suppress(LocalError, IntegrityError):
                    yield self.read_item(self._inside(path, href))

    def find(self, store: str, data_id: str) -> list[pystac.Item]:
        """Return the items of a data id; empty if it is not harvested.

        They are in the order of the list that the data id is, or of the names of files, or of ids.

        Parameters
        ----------
        store
            The canonical address of the store (``Store.key`` of the configuration).
        data_id
            The data id within that store.

        Raises
        ------
        LocalError, IntegrityError
            If a collection of the store, or one of its items, cannot be read.
        """
        found = map(self.read_item, self.paths_of(store, data_id))
        # Another process may have changed an item after its collection was read.
        return sorted(
            (item for item in found if item.properties.get(DATA_ID) == data_id),
            key=lambda item: (
                item.properties.get(ORDER, 0),
                item.properties.get(FILE, ""),
                item.id,
            ),
        )

    def paths_of(self, store: str, data_id: str) -> list[Path]:
        """Return the files of the items of a data id, in the catalog's order; as `find`."""
        return [
            self._inside(collection, href)
            for collection in self.collections()
            # A collection names its store, so items of other stores need not be opened.
            if self._document(collection).content.get(STORE) == store
            for href, item in self._indexed(collection)
            if item["properties"].get(DATA_ID) == data_id
        ]

    def collection_ids(self) -> dict[str, Json]:
        """Return the JSON of the collections, keyed by folder name."""
        return {path.parent.name: self._document(path).content for path in self.collections()}

    def item_ids(self, collection_id: str) -> list[str]:
        """Return the ids of the items that a collection links to; none if it does not exist."""
        path = self.root / collection_id / "collection.json"
        if path not in set(self.collections()) or not path.exists():
            return []
        return [Path(href).stem for href in hrefs(self._document(path).content, "item")]

    def is_of_sources(self, collection_id: str) -> bool:
        """Return whether a collection has items of sources, not of cubes, by its first item."""
        ids = self.item_ids(collection_id)
        if not ids:
            return False
        try:
            properties = read_json(self.item_path(collection_id, ids[0])).get("properties")
        except (LocalError, IntegrityError):
            return False
        return (
            isinstance(properties, dict) and DATA_ID in properties and FINGERPRINT not in properties
        )

    def get(self, collection_id: str, item_id: str) -> pystac.Item | None:
        """Return one item by its ids; None if the catalog does not link to it."""
        path = self.item_path(collection_id, item_id)
        if not path.exists() or not self._links_to(collection_id, item_id):
            return None
        return self.read_item(path)

    def _links_to(self, collection_id: str, item_id: str) -> bool:
        collection = self.root / collection_id / "collection.json"
        name = cube_id(item_id)
        return collection in self.collections() and f"./{name}/{name}.json" in hrefs(
            self._document(collection).content, "item"
        )

    def read_item(self, path: Path) -> pystac.Item:
        """Read the item in a file, with absolute paths in the hrefs of local assets.

        Raises
        ------
        LocalError, IntegrityError
            If it cannot be read, or is not an item.
        """
        content = parse_item(path, read_bytes(path))
        add_checksum(content, self._checksums(path.parent.parent))
        try:
            return item_of_json(content, path)
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            raise IntegrityError(f"{path}: is not a STAC item ({text})") from error

    def forget(self) -> None:
        """Read every document again when it is needed next."""
        self._known.clear()
        self._real.clear()

    def _inside(self, file: Path, href: str) -> Path:
        """Return the target of a link of *file*, after checking that it is in the catalog."""
        # As `Path.resolve`, which takes longer: a product has thousands of items.
        path = self._plain(file, href) or os.path.realpath(file.parent / href)
        if path != str(self.root) and not path.startswith(self._below):
            raise IntegrityError(f"{file}: links to {href!r} outside of the catalog; refused")
        return Path(path)

    def _plain(self, file: Path, href: str) -> str | None:
        """Return the path of an item in the usual layout; None if links have to be followed."""
        parts = href.split("/")
        if len(parts) != 3 or parts[0] != "." or not _SPECIAL.isdisjoint(parts[1:]):
            return None
        folder = self._real.get(file)
        if folder is None:
            folder = self._real[file] = os.path.realpath(file.parent)
        below = f"{folder}/{parts[1]}"
        path = f"{below}/{parts[2]}"
        return None if os.path.islink(below) or os.path.islink(path) else path  # noqa: PTH114

    def _document(self, path: Path) -> _Known:
        """Return a catalog or collection file, which is read again only if it changed."""
        version = _version(path)
        known = self._known.get(path)
        if known is None or not version or known.version != version:
            known = self._known[path] = _Known(version, read_json(path))
        return known

    def _checksums(self, folder: Path) -> Mapping[str, list[Any]]:
        """Return the recorded checksums of a collection, read again only if they changed."""
        path = folder / CHECKSUMS
        version = _version(path)
        known = self._known.get(path)
        if known is None or known.version != version:
            known = self._known[path] = _Known(version, dict(read_checksums(folder)))
        return known.content

    def _item_paths(self, collection: Path) -> list[Path]:
        content = self._document(collection).content
        return [self._inside(collection, href) for href in hrefs(content, "item")]

    def _indexed(self, collection: Path) -> Iterator[tuple[str, Json]]:
        """Yield the href of each item of a collection, and what the index has of it."""
        known = self._document(collection)
        index = known.index
        if index is None:
            index = self._read_index(collection, hrefs(known.content, "item"))
            if len(index.entries) >= MIN_ITEMS:
                # Few items are cheap to read each time.
                known.index = index
                self._save_index(index)
        for href, entry in index.entries.items():
            yield href, entry.item

    def _read_index(
        self, collection: Path, links: list[str], *, skip_missing: bool = False
    ) -> Index:
        return read_index(
            collection.parent,
            links,
            lambda href: self._inside(collection, href),
            skip_missing=skip_missing,
        )

    def _save_index(self, index: Index) -> None:
        """Save an index that a lookup had to renew, unless another process writes the catalog."""
        if index.is_stored:
            return
        with (
            contextlib.suppress(LockedError, LocalError, ConflictError, OSError),
            hold(self.root / LOCK, str(self.path)),
        ):
            index.save()


def _version(path: Path) -> tuple[int, ...]:
    """Return what changes when a file does, even if it is replaced; empty if there is none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
