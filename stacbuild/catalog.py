"""The local STAC catalog: found in, put into, saved atomically.

The layout is self-contained with relative links (STAC best practices, "self-contained catalogs")::

    catalog.json
    <collection id>/collection.json
    <collection id>/<item id>/<item id>.json

Files are written only when their bytes change, so that harvesting an unchanged source again
changes nothing on disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pystac

from stacbuild.errors import IntegrityError, LocalError
from stacbuild.fetch.hrefs import is_relative_path
from stacbuild.locks import hold

if TYPE_CHECKING:
    from stacbuild.harvesters.base import Harvest

STORE = "stacbuild:store"
DATA_ID = "stacbuild:data_id"

Json = dict[str, Any]

THUMBNAIL = "thumbnail.png"
"""Name of the picture beside the file of an item or a collection."""
_THUMBNAIL_ASSET = {
    "href": f"./{THUMBNAIL}",
    "type": "image/png",
    "title": "Thumbnail",
    "roles": ["thumbnail"],
}

# To put takes less than a second; who takes longer hangs.
_LONGEST_PUT = 120

_STRUCTURAL = {"root", "parent", "child", "item", "collection", "self"}


def slug(text: str) -> str:
    """Turn *text* into an id that is also a file name: only ``[A-Za-z0-9._-]``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "_"


def write_json(path: Path, content: Json) -> bool:
    """Write *content* to *path* by atomic replace; tell whether its bytes changed."""
    data = (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    return write_bytes(path, data)


def write_bytes(path: Path, data: bytes) -> bool:
    """Write a file by atomic replace; tell whether its bytes changed."""
    try:
        if path.exists() and path.read_bytes() == data:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            # Still there if the disk is full.
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise LocalError(f"{path}: cannot be written: {error.strerror}") from error
    return True


def read_json(path: Path) -> Json:
    """Read a STAC file."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise LocalError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path}: is not JSON ({error}); remove it, then harvest") from error
    if not isinstance(content, dict):
        raise IntegrityError(f"{path}: is not a STAC object; remove it, then harvest")
    return content


class Catalog:
    """A catalog in a folder.

    Parameters
    ----------
    root
        The folder of ``catalog.json``; made on the first `put`.
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
        """Give the file of an item, whether it is there or not."""
        return self.root / collection_id / item_id / f"{item_id}.json"

    def collections(self) -> Iterator[Path]:
        """Give the collection files in the catalog's order."""
        if self.path.exists():
            for link in _hrefs(read_json(self.path), "child"):
                yield self._inside(self.path, link)

    def items(self) -> Iterator[pystac.Item]:
        """Give all items, with absolute paths in the hrefs of local assets."""
        for collection in self.collections():
            for href in _hrefs(read_json(collection), "item"):
                yield self.read_item(self._inside(collection, href))

    def readable_items(self, collection_id: str) -> Iterator[pystac.Item]:
        """Give the items of one collection, if there is such, but for those that are damaged."""
        path = self.root / collection_id / "collection.json"
        if path in self.collections():
            for href in _hrefs(read_json(path), "item"):
                with contextlib.suppress(LocalError, IntegrityError):
                    yield self.read_item(self._inside(path, href))

    def find(self, store: str, data_id: str) -> list[pystac.Item]:
        """Give the items of one data id, sorted by id; an empty list if it is not harvested.

        Parameters
        ----------
        store
            The canonical address of the store (``Store.key`` of the configuration).
        data_id
            The data id within that store.
        """
        found = []
        for collection in self.collections():
            # A collection names its store, so that others need not be opened item by item.
            content = read_json(collection)
            if content.get(STORE) == store:
                for href in _hrefs(content, "item"):
                    item = self.read_item(self._inside(collection, href))
                    if item.properties.get(DATA_ID) == data_id:
                        found.append(item)
        return sorted(found, key=lambda item: item.id)

    def get(self, collection_id: str, item_id: str) -> pystac.Item | None:
        """Give one item by its ids; None if there is none that the catalog links to."""
        path = self.item_path(collection_id, item_id)
        if not path.exists() or not self._links_to(collection_id, item_id):
            return None
        return self.read_item(path)

    def put(self, harvest: Harvest) -> bool:
        """Add or replace a collection and items; tell whether any byte changed.

        Items that the collection holds already and that *harvest* does not name stay. The order
        of the writes is item, collection, catalog: at every moment what is linked exists. Of
        several processes one puts at a time, and keeps what the others have put.

        Raises
        ------
        LocalError
            If the catalog cannot be written.
        LockedError
            If another process has been putting for minutes.
        """
        collection = harvest.collection
        changed = False
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LocalError(f"{self.root}: cannot be made: {error.strerror}") from error
        with hold(self.root / ".catalog.lock", str(self.path), wait=_LONGEST_PUT):
            for item in harvest.items:
                path = self.item_path(collection.id, item.id)
                content = self._item_json(item, collection, path)
                if item.id in harvest.thumbnails:
                    changed |= _save_picture(path, harvest.thumbnails[item.id])
                    content["assets"]["thumbnail"] = _THUMBNAIL_ASSET
                changed |= _save(path, content)
            changed |= self._put_collection(harvest)
            changed |= self._put_root(collection)
        return changed

    def add_thumbnail(self, collection_id: str, png: bytes) -> bool:
        """Give a collection a picture, if it is there and has none; tell whether its file changed.

        Raises
        ------
        LocalError, LockedError
            As `put`.
        """
        path = self.root / collection_id / "collection.json"
        with hold(self.root / ".catalog.lock", str(self.path), wait=_LONGEST_PUT):
            if not path.exists():
                return False
            content = read_json(path)
            if "thumbnail" in content.get("assets", {}) and path.with_name(THUMBNAIL).exists():
                return False
            _save_picture(path, png)
            content.setdefault("assets", {})["thumbnail"] = _THUMBNAIL_ASSET
            return _save(path, content)

    def _links_to(self, collection_id: str, item_id: str) -> bool:
        collection = self.root / collection_id / "collection.json"
        return collection in self.collections() and f"./{item_id}/{item_id}.json" in _hrefs(
            read_json(collection), "item"
        )

    def read_item(self, path: Path) -> pystac.Item:
        """Read the item in a file, with absolute paths in the hrefs of local assets.

        Raises
        ------
        LocalError, IntegrityError
            If it cannot be read, or is no item.
        """
        content = read_json(path)
        try:
            # No migration: the catalog is ours and holds the newest fields as plain JSON.
            item = pystac.Item.from_dict(content, migrate=False, preserve_dict=False)
            for asset in item.assets.values():
                asset.href = _absolute(asset.href, path.parent)
                for alternate in asset.extra_fields.get("alternate", {}).values():
                    alternate["href"] = _absolute(alternate["href"], path.parent)
        except Exception as error:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            raise IntegrityError(f"{path}: is not a STAC item ({said})") from error
        item.set_self_href(str(path))
        return item

    def _inside(self, file: Path, href: str) -> Path:
        """Give the file that a link of *file* leads to, if that is one of the catalog."""
        path = (file.parent / href).resolve()
        if not path.is_relative_to(self.root):
            raise IntegrityError(f"{file}: links to {href!r} outside of the catalog; refused")
        return path

    def _item_json(self, item: pystac.Item, collection: pystac.Collection, path: Path) -> Json:
        content = _plain(item)
        content["collection"] = collection.id
        title = collection.title or collection.id
        content["links"] = [
            _link("root", os.path.relpath(self.path, path.parent), "application/json"),
            _link("parent", "../collection.json", "application/json", title),
            _link("collection", "../collection.json", "application/json", title),
            *self._own_links(content, path),
        ]
        _relative_assets(content, path.parent)
        return content

    def _own_links(self, content: Json, path: Path) -> list[Json]:
        links = [link for link in content.get("links", []) if link["rel"] not in _STRUCTURAL]
        for link in links:
            link["href"] = _relative(link["href"], path.parent)
        return sorted(links, key=lambda link: (link["rel"], link["href"]))

    def _put_collection(self, harvest: Harvest) -> bool:
        collection = harvest.collection
        path = self.root / collection.id / "collection.json"
        known = read_json(path) if path.exists() else {}
        content = _plain(collection)
        # What the collection linked before and what is put now; a stray file does not enter.
        ids = {Path(href).stem for href in _hrefs(known, "item")}
        ids |= {item.id for item in harvest.items}
        items = [
            read_json(file)
            for item_id in sorted(ids)
            if (file := self.item_path(collection.id, item_id)).exists()
        ]
        for item in items:
            # A folder of this name may be removed below.
            name = item.get("id")
            if not isinstance(name, str) or name not in ids or slug(name) != name:
                raise IntegrityError(f"{path}: an item of it has the id {name!r}; refused")
        items, gone = _without_replaced(items, harvest.items)
        stores = sorted(
            {item["properties"][STORE] for item in items if STORE in item["properties"]}
        )
        if stores:
            content[STORE] = stores[0]
        if items:
            content["extent"] = _extent(items, content["extent"])
        content["links"] = [
            _link("root", "../catalog.json", "application/json"),
            _link("parent", "../catalog.json", "application/json"),
            *self._own_links(content, path),
            *(
                _link(
                    "item",
                    f"./{item['id']}/{item['id']}.json",
                    "application/geo+json",
                    item["properties"].get("title", item["id"]),
                )
                for item in items
            ),
        ]
        _relative_assets(content, path.parent)
        if "thumbnail" in known.get("assets", {}) and path.with_name(THUMBNAIL).exists():
            # It came with a cube, and harvesters know nothing of it.
            content.setdefault("assets", {})["thumbnail"] = known["assets"]["thumbnail"]
        elif collection.id in harvest.thumbnails:
            _save_picture(path, harvest.thumbnails[collection.id])
            content.setdefault("assets", {})["thumbnail"] = _THUMBNAIL_ASSET
        changed = _save(path, content)
        for item in gone:
            # Unlinked first, removed after: at no moment does a link lead nowhere.
            shutil.rmtree(self.item_path(collection.id, item["id"]).parent)
        return changed

    def _put_root(self, collection: pystac.Collection) -> bool:
        known = (
            {link["href"]: link for link in read_json(self.path)["links"] if link["rel"] == "child"}
            if self.path.exists()
            else {}
        )
        href = f"./{collection.id}/collection.json"
        known[href] = _link("child", href, "application/json", collection.title or collection.id)
        content: Json = {
            "type": "Catalog",
            "id": "stacbuild",
            "stac_version": "1.1.0",
            "title": "stacbuild catalog",
            "description": "Sources harvested and cubes built by stacbuild.",
            "links": [
                _link("root", "./catalog.json", "application/json"),
                *(known[key] for key in sorted(known)),
            ],
        }
        return _save(self.path, content)


def _save(path: Path, content: Json) -> bool:
    """Write a file of the catalog, whose lock is held; remove what a dead run left beside it."""
    _sweep(path)
    return write_json(path, content)


def _save_picture(path: Path, png: bytes) -> bool:
    """Write the picture beside a file of the catalog, in the same way."""
    picture = path.with_name(THUMBNAIL)
    _sweep(picture)
    return write_bytes(picture, png)


def _sweep(path: Path) -> None:
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        left.unlink()


def _plain(entity: pystac.Item | pystac.Collection) -> Json:
    content = entity.to_dict(include_self_link=False, transform_hrefs=False)
    content["stac_version"] = "1.1.0"
    content["stac_extensions"] = sorted(set(content.get("stac_extensions") or []))
    return json.loads(json.dumps(content))  # type: ignore[no-any-return]


def _without_replaced(
    items: list[Json], fresh: Sequence[pystac.Item]
) -> tuple[list[Json], list[Json]]:
    """Part the items into those that stay and those that a fresh harvest no longer names."""
    ids = {item.id for item in fresh}
    data_ids = {item.properties.get(DATA_ID) for item in fresh} - {None}
    gone = [
        item
        for item in items
        if item["id"] not in ids and item["properties"].get(DATA_ID) in data_ids
    ]
    return [item for item in items if item not in gone], gone


def _hrefs(content: Json, rel: str) -> list[str]:
    return [link["href"] for link in content.get("links", []) if link["rel"] == rel]


def _link(rel: str, href: str, media_type: str, title: str | None = None) -> Json:
    link = {"rel": rel, "href": href, "type": media_type}
    return link | {"title": title} if title else link


def _extent(items: list[Json], stated: Json) -> Json:
    """Unite what the items cover; keep what the collection states where they are silent."""
    boxes = [item["bbox"] for item in items if item.get("bbox")]
    extent = json.loads(json.dumps(stated))
    if boxes:
        west, south, east, north = zip(*boxes, strict=True)
        extent["spatial"]["bbox"] = [[min(west), min(south), max(east), max(north)]]
    starts, ends = [], []
    for item in items:
        properties = item["properties"]
        starts.append(properties.get("start_datetime") or properties.get("datetime"))
        ends.append(properties.get("end_datetime") or properties.get("datetime"))
    if any(starts):
        extent["temporal"]["interval"] = [[min(filter(None, starts)), max(filter(None, ends))]]
    return extent  # type: ignore[no-any-return]


def _is_local(href: str) -> bool:
    return Path(href).is_absolute()


def _relative(href: str, directory: Path) -> str:
    return Path(os.path.relpath(href, directory)).as_posix() if _is_local(href) else href


def _absolute(href: str, directory: Path) -> str:
    if "://" in href or not is_relative_path(href):
        return href
    return str(Path(os.path.normpath(directory / href)))


def _relative_assets(content: Json, directory: Path) -> None:
    for asset in content.get("assets", {}).values():
        asset["href"] = _relative(asset["href"], directory)
        for alternate in asset.get("alternate", {}).values():
            alternate["href"] = _relative(alternate["href"], directory)
