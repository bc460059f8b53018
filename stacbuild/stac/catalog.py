"""The local STAC catalog: find, add and remove items; files are written atomically.

The layout is self-contained with relative links (STAC best practices, "self-contained catalogs")::

    catalog.json
    <collection id>/collection.json
    <collection id>/<item id>/<item id>.json

Files are written only when their bytes change, so that harvesting an unchanged source again
changes nothing on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pystac

from stacbuild.atomic import write_bytes
from stacbuild.errors import ConflictError, IntegrityError, LocalError
from stacbuild.locks import hold
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.stac.files import (
    CATALOG_ID,
    STORE,
    THUMBNAIL,
    is_of_cubes,
    read_json,
    remove_item_files,
    save,
    save_all,
    save_picture,
    strange_picture,
    stranger,
    write_json,
)
from stacbuild.stac.item_time import FILE, ORDER
from stacbuild.stac.links import (
    DATA_ID,
    absolute,
    extent,
    hrefs,
    link_to,
    plain,
    relative,
    relative_assets,
    without_replaced,
)
from stacbuild.stac.malformed import malformed_projection

Json = dict[str, Any]

_THUMBNAIL_ASSET = {
    "href": f"./{THUMBNAIL}",
    "type": "image/png",
    "title": "Thumbnail",
    "roles": ["thumbnail"],
}

_MAX_ID_LENGTH = 180

_BESIDE_ITEMS = {"collection.json", THUMBNAIL}

# Lock timeout: a put takes less than a second.
_LOCK_TIMEOUT = 120

_STRUCTURAL = {"root", "parent", "child", "item", "collection", "self"}


@dataclass(frozen=True)
class Harvest:
    """One collection with its items, without links between them (the catalog adds those).

    Parameters
    ----------
    thumbnails
        PNGs by item id, or by collection id for a collection that has no thumbnail yet.
    """

    collection: pystac.Collection
    items: tuple[pystac.Item, ...]
    thumbnails: Mapping[str, bytes] = field(default_factory=dict)


def slug(text: str) -> str:
    """Return *text* as an id and file name: only ``[A-Za-z0-9._-]``, at most 180 characters.

    A longer id is truncated and ends with a digest of *text*, so that it is unique. The limit
    leaves room for suffixes: file systems allow 255 bytes.
    """
    short = _plain_characters(text)
    return short if len(short) <= _MAX_ID_LENGTH else with_digest(short, text)


def cube_id(identifier: str) -> str:
    """Return the id of a cube's item, which is the name of its folder.

    ``a/b`` gets a digest to distinguish it from ``a-b``, and so do the names of files that are
    beside the folders of items.
    """
    is_taken = identifier.lower() in _BESIDE_ITEMS
    return (
        with_digest(slug(identifier), identifier) if "/" in identifier or is_taken else identifier
    )


def _plain_characters(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "_"


def with_digest(name: str, text: str) -> str:
    """Return an id that starts with *name* and is unique for *text*."""
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{name[: _MAX_ID_LENGTH - 9]}-{digest}"


class Catalog:
    """A catalog in a folder.

    Parameters
    ----------
    root
        The folder of ``catalog.json``; created by the first `put`.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root).resolve()

    def __repr__(self) -> str:
        return f"Catalog({str(self.root)!r})"

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
            for link in hrefs(read_json(self.path), "child"):
                yield self._inside(self.path, link)

    def items(self) -> Iterator[pystac.Item]:
        """Yield all items, with absolute paths in the hrefs of local assets."""
        for collection in self.collections():
            for href in hrefs(read_json(collection), "item"):
                yield self.read_item(self._inside(collection, href))

    def readable_items(self, collection_id: str) -> Iterator[pystac.Item]:
        """Yield the items of a collection that can be read; none if it does not exist."""
        path = self.root / collection_id / "collection.json"
        if path in self.collections():
            for href in hrefs(read_json(path), "item"):
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
        """
        found = []
        for collection in self.collections():
            # A collection names its store, so items of other stores need not be opened.
            content = read_json(collection)
            if content.get(STORE) == store:
                for href in hrefs(content, "item"):
                    item = self.read_item(self._inside(collection, href))
                    if item.properties.get(DATA_ID) == data_id:
                        found.append(item)
        return sorted(
            found,
            key=lambda item: (
                item.properties.get(ORDER, 0),
                item.properties.get(FILE, ""),
                item.id,
            ),
        )

    def collection_ids(self) -> dict[str, Json]:
        """Return the JSON of the collections, keyed by folder name."""
        return {path.parent.name: read_json(path) for path in self.collections()}

    def item_ids(self, collection_id: str) -> list[str]:
        """Return the ids of the items that a collection links to; none if it does not exist."""
        path = self.root / collection_id / "collection.json"
        if path not in set(self.collections()) or not path.exists():
            return []
        return [Path(href).stem for href in hrefs(read_json(path), "item")]

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

    def stranger(self, collection_id: str, item_id: str | None = None) -> str | None:
        """Return a message if `put` would overwrite a foreign file; otherwise None."""
        collection = self.root / collection_id / "collection.json"
        found = stranger(self.path, "Catalog", CATALOG_ID)
        found = found or stranger(collection, "Collection", collection_id)
        if found is None and item_id is not None:
            item = self.item_path(collection_id, item_id)
            found = stranger(item, "Feature", cube_id(item_id))
            found = found or strange_picture(item) or strange_picture(collection)
        return found

    def check_strangers(self, collection_id: str, item_id: str | None = None) -> None:
        """Raise if `put` would overwrite a foreign file.

        Raises
        ------
        ConflictError
            If it would; the message names the file.
        """
        if found := self.stranger(collection_id, item_id):
            raise ConflictError(f"{found}; move it away, or use another folder for --catalog")

    def put(self, harvest: Harvest) -> bool:
        """Add or replace a collection and items; return whether any byte changed.

        Other items of the collection are preserved. Items are written first, then the collection
        and the catalog, so that links never dangle. A lock serializes concurrent processes, and
        each preserves the items of the others.

        Raises
        ------
        ConflictError
            If it would overwrite a foreign file; nothing is written in this case.
        LocalError
            If the catalog cannot be written.
        LockedError
            If another process holds the lock for minutes.
        """
        collection = harvest.collection
        changed = False
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LocalError(f"{self.root}: cannot be created: {error.strerror}") from error
        with hold(self.root / ".catalog.lock", str(self.path), wait=_LOCK_TIMEOUT):
            self.check_strangers(collection.id)
            for item in harvest.items:
                self.check_strangers(collection.id, item.id)
            contents = {}
            for item in harvest.items:
                path = self.item_path(collection.id, item.id)
                contents[path] = self._item_json(item, collection, path)
                if item.id in harvest.thumbnails:
                    changed |= save_picture(path, harvest.thumbnails[item.id])
                    contents[path]["assets"]["thumbnail"] = _THUMBNAIL_ASSET
            changed |= save_all(contents)
            changed |= self._put_collection(harvest)
            changed |= self._put_root(collection)
        return changed

    def remove(self, collection_id: str, item_ids: Sequence[str]) -> None:
        """Remove items, and their collection if it becomes empty.

        Links never dangle. Foreign files are not removed.

        Raises
        ------
        ConflictError, LocalError, LockedError
            As `put`.
        """
        path = self.root / collection_id / "collection.json"
        if not self.root.is_dir():
            return
        with hold(self.root / ".catalog.lock", str(self.path), wait=_LOCK_TIMEOUT):
            self.check_strangers(collection_id)
            content = read_json(path) if path.exists() else {}
            gone = {f"./{name}/{name}.json" for name in item_ids}
            links = content.get("links", [])
            kept = [each for each in links if each["rel"] != "item" or each["href"] not in gone]
            files = [self._inside(path, link["href"]) for link in kept if link["rel"] == "item"]
            items = [read_json(file) for file in files if file.exists()]
            if items:
                content["links"] = kept
                content["extent"] = extent(items, content["extent"])
                save(path, content)
            elif self.path.exists():
                root = read_json(self.path)
                href = f"./{collection_id}/collection.json"
                root["links"] = [link for link in root["links"] if link["href"] != href]
                save(self.path, root)
            for name in item_ids:
                item = self.item_path(collection_id, name)
                if stranger(item, "Feature", name) is None:
                    remove_item_files(item)
            if not items:
                remove_item_files(path)

    def add_thumbnail(self, collection_id: str, png: bytes) -> bool:
        """Add a thumbnail to a collection that has none; return whether its file changed.

        Raises
        ------
        LocalError, LockedError
            As `put`.
        """
        path = self.root / collection_id / "collection.json"
        with hold(self.root / ".catalog.lock", str(self.path), wait=_LOCK_TIMEOUT):
            if not path.exists() or strange_picture(path) is not None:
                return False
            content = read_json(path)
            if "thumbnail" in content.get("assets", {}) and path.with_name(THUMBNAIL).exists():
                return False
            save_picture(path, png)
            content.setdefault("assets", {})["thumbnail"] = _THUMBNAIL_ASSET
            return save(path, content)

    def add_fields(self, fields: Iterable[tuple[pystac.Item, Mapping[str, Any]]]) -> None:
        """Add fields to the assets ``data`` of items of this catalog.

        An item that another process harvested again is left as it is.

        Raises
        ------
        LocalError, LockedError
            As `put`.
        """
        found = [(Path(item.self_href), item, dict(added)) for item, added in fields]
        if not found:
            return
        with hold(self.root / ".catalog.lock", str(self.path), wait=_LOCK_TIMEOUT):
            for path, item, added in found:
                content = read_json(path) if path.is_relative_to(self.root) else {}
                asset = content.get("assets", {}).get("data", {})
                if asset and asset.get("updated") == item.assets["data"].extra_fields["updated"]:
                    asset |= added
                    save(path, content)

    def _links_to(self, collection_id: str, item_id: str) -> bool:
        collection = self.root / collection_id / "collection.json"
        name = cube_id(item_id)
        return collection in self.collections() and f"./{name}/{name}.json" in hrefs(
            read_json(collection), "item"
        )

    def read_item(self, path: Path) -> pystac.Item:
        """Read the item in a file, with absolute paths in the hrefs of local assets.

        Raises
        ------
        LocalError, IntegrityError
            If it cannot be read, or is not an item.
        """
        content = read_json(path)
        if (why := _malformed_item(content)) is not None:
            raise IntegrityError(f"{path}: {why}; remove it, then harvest")
        try:
            # No migration needed: stacbuild writes the current STAC version.
            item = pystac.Item.from_dict(content, migrate=False, preserve_dict=False)
            for asset in item.assets.values():
                asset.href = absolute(asset.href, path.parent)
                for alternate in asset.extra_fields.get("alternate", {}).values():
                    alternate["href"] = absolute(alternate["href"], path.parent)
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            raise IntegrityError(f"{path}: is not a STAC item ({text})") from error
        item.set_self_href(str(path))
        return item

    def _inside(self, file: Path, href: str) -> Path:
        """Return the target of a link of *file*, after checking that it is in the catalog."""
        path = (file.parent / href).resolve()
        if not path.is_relative_to(self.root):
            raise IntegrityError(f"{file}: links to {href!r} outside of the catalog; refused")
        return path

    def _item_json(self, item: pystac.Item, collection: pystac.Collection, path: Path) -> Json:
        content = plain(item)
        content["collection"] = collection.id
        title = collection.title or collection.id
        content["links"] = [
            link_to("root", os.path.relpath(self.path, path.parent), "application/json"),
            link_to("parent", "../collection.json", "application/json", title),
            link_to("collection", "../collection.json", "application/json", title),
            *self._own_links(content, path),
        ]
        relative_assets(content, path.parent)
        return content

    def _own_links(self, content: Json, path: Path) -> list[Json]:
        links = [link for link in content.get("links", []) if link["rel"] not in _STRUCTURAL]
        for link in links:
            link["href"] = relative(link["href"], path.parent)
        return sorted(links, key=lambda link: (link["rel"], link["href"]))

    def _put_collection(self, harvest: Harvest) -> bool:
        collection = harvest.collection
        path = self.root / collection.id / "collection.json"
        known = read_json(path) if path.exists() else {}
        content = plain(collection)
        # Items that the collection links to, and the new ones; unlinked files are ignored.
        ids = {Path(href).stem for href in hrefs(known, "item")}
        ids |= {item.id for item in harvest.items}
        items = [
            read_json(file)
            for item_id in sorted(ids)
            if (file := self.item_path(collection.id, item_id)).exists()
        ]
        for item in items:
            # Validate the id: a folder with this name may be removed below.
            name = item.get("id")
            if not isinstance(name, str) or name not in ids or _plain_characters(name) != name:
                raise IntegrityError(f"{path}: one of its items has the id {name!r}; refused")
        items, gone = without_replaced(items, harvest.items)
        stores = sorted(
            {item["properties"][STORE] for item in items if STORE in item["properties"]}
        )
        if stores:
            content[STORE] = stores[0]
        if items:
            content["extent"] = extent(items, content["extent"])
        content["links"] = [
            link_to("root", "../catalog.json", "application/json"),
            link_to("parent", "../catalog.json", "application/json"),
            *self._own_links(content, path),
            *(
                link_to(
                    "item",
                    f"./{item['id']}/{item['id']}.json",
                    "application/geo+json",
                    item["properties"].get("title", item["id"]),
                )
                for item in items
            ),
        ]
        relative_assets(content, path.parent)
        if "thumbnail" in known.get("assets", {}) and path.with_name(THUMBNAIL).exists():
            # The thumbnail was added with a cube; a harvest does not contain it.
            content.setdefault("assets", {})["thumbnail"] = known["assets"]["thumbnail"]
        elif collection.id in harvest.thumbnails:
            save_picture(path, harvest.thumbnails[collection.id])
            content.setdefault("assets", {})["thumbnail"] = _THUMBNAIL_ASSET
        changed = save(path, content)
        for item in gone:
            # Remove files only after unlinking them, so that links never dangle.
            remove_item_files(self.item_path(collection.id, item["id"]))
        return changed

    def _put_root(self, collection: pystac.Collection) -> bool:
        known = (
            {link["href"]: link for link in read_json(self.path)["links"] if link["rel"] == "child"}
            if self.path.exists()
            else {}
        )
        href = f"./{collection.id}/collection.json"
        known[href] = link_to("child", href, "application/json", collection.title or collection.id)
        content: Json = {
            "type": "Catalog",
            "id": CATALOG_ID,
            "stac_version": "1.1.0",
            "title": "stacbuild catalog",
            "description": "Sources harvested and cubes built by stacbuild.",
            "links": [
                link_to("root", "./catalog.json", "application/json"),
                # Cubes first, since they are what a reader looks for.
                *(known[key] for key in sorted(known, key=self._rank)),
            ],
        }
        return save(self.path, content)

    def _rank(self, href: str) -> tuple[bool, str]:
        path = (self.root / href).resolve()
        return not (path.is_relative_to(self.root) and is_of_cubes(path)), href


def _malformed_item(content: Json) -> str | None:
    """Return what is wrong with an item for planning and loading; None if nothing is."""
    properties = content.get("properties", {})
    if not isinstance(properties.get(DATA_ID, ""), str):
        return f"its {DATA_ID} is no text"
    if not isinstance(properties.get(STORE, ""), str):
        return f"its {STORE} is no text"
    if DATA_ID in properties and "data" not in content.get("assets", {}):
        return "it has no asset with data"
    if any(key in properties for key in ("proj:shape", "proj:transform")):
        return malformed_projection(properties)
    return None


__all__ = [
    "DATA_ID",
    "STORE",
    "THUMBNAIL",
    "Catalog",
    "read_json",
    "slug",
    "write_bytes",
    "write_json",
]
