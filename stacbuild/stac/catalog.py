"""Change the local STAC catalog: add and remove items; files are written atomically.

The layout is self-contained with relative links (STAC best practices, "self-contained catalogs")::

    catalog.json
    <collection id>/collection.json
    <collection id>/<item id>/<item id>.json

Files are written only when their bytes change, so that harvesting an unchanged source again
changes nothing on disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import starmap
from pathlib import Path
from typing import Any

import pystac

from stacbuild.atomic import write_bytes
from stacbuild.errors import ConflictError, IntegrityError, LocalError, LockedError
from stacbuild.locks import hold
from stacbuild.stac.checksum_file import (
    entries_of,
    item_of,
    read_checksums,
    remove_checksums,
    without_recorded,
    write_checksums,
)
from stacbuild.stac.files import (
    CATALOG_ID,
    STORE,
    THUMBNAIL,
    THUMBNAIL_ASSET,
    has_content,
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
from stacbuild.stac.ids import cube_id, plain_characters, slug, with_digest
from stacbuild.stac.index import MIN_ITEMS
from stacbuild.stac.links import (
    DATA_ID,
    extent,
    hrefs,
    link_to,
    own_links,
    plain,
    relative_assets,
    without_replaced,
)
from stacbuild.stac.mirror import (
    MIRROR,
    MIRROR_KEY,
    drop_mirror,
    is_mirrored,
    remove_mirror,
    renew_mirror,
)
from stacbuild.stac.reading import LOCK, CatalogReader

Json = dict[str, Any]

# Lock timeout: a put takes less than a second.
_LOCK_TIMEOUT = 120


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


class Catalog(CatalogReader):
    """A catalog in a folder, which is created by the first `put`.

    Parameters
    ----------
    root
        The folder of ``catalog.json``.
    """

    def stranger(self, collection_id: str, item_id: str | None = None) -> str | None:
        """Return a message if `put` would overwrite a foreign file; otherwise None."""
        collection = self.root / collection_id / "collection.json"
        found = stranger(self.path, "Catalog", CATALOG_ID)
        found = found or stranger(collection, "Collection", collection_id)
        if found is None and item_id is not None:
            found = strange_picture(collection) or self._stranger_of_item(collection_id, item_id)
        return found

    def _stranger_of_item(self, collection_id: str, item_id: str) -> str | None:
        item = self.item_path(collection_id, item_id)
        return stranger(item, "Feature", cube_id(item_id)) or strange_picture(item)

    def check_strangers(self, collection_id: str, item_ids: Sequence[str] = ()) -> None:
        """Raise if `put` would overwrite a foreign file.

        Raises
        ------
        ConflictError
            If it would; the message names the file.
        """
        found = self.stranger(collection_id, *item_ids[:1])
        for item_id in item_ids[1:]:
            found = found or self._stranger_of_item(collection_id, item_id)
        if found is not None:
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
        with self.locked():
            self.check_strangers(collection.id, [item.id for item in harvest.items])
            contents = {}
            recorded = read_checksums(self.root / collection.id)
            for item in harvest.items:
                path = self.item_path(collection.id, item.id)
                contents[path] = self._item_json(item, collection, path)
                without_recorded(contents[path], recorded)
                if item.id in harvest.thumbnails:
                    changed |= save_picture(path, harvest.thumbnails[item.id])
                    contents[path]["assets"]["thumbnail"] = THUMBNAIL_ASSET
            changed |= _save_items(contents)
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
        with self.locked():
            self.check_strangers(collection_id)
            content = read_json(path) if path.exists() else {}
            gone = {f"./{name}/{name}.json" for name in item_ids}
            links = content.get("links", [])
            kept = [each for each in links if each["rel"] != "item" or each["href"] not in gone]
            index = self._read_index(path, hrefs({"links": kept}, "item"), skip_missing=True)
            if index.entries:
                drop_mirror(path)
                content = read_json(path)
                content["links"] = kept
                content["extent"] = extent(index.items, content["extent"])
                save(path, content)
                index.save()
            elif self.path.exists():
                root = read_json(self.path)
                href = f"./{collection_id}/collection.json"
                root["links"] = [link for link in root["links"] if link["href"] != href]
                save(self.path, root)
            for name in item_ids:
                item = self.item_path(collection_id, name)
                if stranger(item, "Feature", name) is None:
                    remove_item_files(item)
            if not index.entries:
                index.save()
                remove_mirror(path)
                remove_checksums(path.parent)
                remove_item_files(path)

    def add_thumbnail(self, collection_id: str, png: bytes) -> bool:
        """Add a thumbnail to a collection that has none; return whether its file changed.

        Raises
        ------
        LocalError, LockedError
            As `put`.
        """
        path = self.root / collection_id / "collection.json"
        with self.locked():
            if not path.exists() or strange_picture(path) is not None:
                return False
            content = read_json(path)
            if "thumbnail" in content.get("assets", {}) and path.with_name(THUMBNAIL).exists():
                return False
            save_picture(path, png)
            content.setdefault("assets", {})["thumbnail"] = THUMBNAIL_ASSET
            return save(path, content)

    def add_checksums(self, found: Iterable[tuple[pystac.Item, str]]) -> None:
        """Record checksums of the files of items of this catalog, beside their collections.

        Raises
        ------
        LocalError, LockedError
            As `put`.
        """
        for folder, added in entries_of(found).items():
            if folder.is_relative_to(self.root):
                with self.locked():
                    entries = {**read_checksums(folder), **added}
                    linked = set(self.item_ids(folder.name))
                    kept = [name for name in sorted(entries) if item_of(name) in linked]
                    write_checksums(folder, {name: entries[name] for name in kept})

    def renew_mirrors(self) -> None:
        """Write the Parquet files of collections with many items, where they are missing.

        This is the last step of a run, so that each is written once. A collection that cannot be
        read is left out: others report it.
        """
        for path in list(self.collections()):
            with suppress(LocalError, IntegrityError, LockedError):
                if len(self.item_ids(path.parent.name)) < MIN_ITEMS:
                    continue
                with self.locked():
                    index = self._read_index(path, hrefs(read_json(path), "item"))
                    renew_mirror(path, index)
                    index.save()

    def has_outdated_mirror(self, collection: Path) -> bool:
        """Return whether the Parquet file of a collection is not that of its items.

        Raises
        ------
        LocalError, IntegrityError
            If the collection or an item cannot be read.
        """
        content = read_json(collection)
        if MIRROR_KEY not in content.get("assets", {}):
            return False
        return not is_mirrored(collection, self._read_index(collection, hrefs(content, "item")))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the catalog in the context; wait for another process if necessary."""
        with self.alone(), hold(self.root / LOCK, str(self.path), wait=_LOCK_TIMEOUT):
            try:
                yield
            finally:
                self.forget()

    def _item_json(self, item: pystac.Item, collection: pystac.Collection, path: Path) -> Json:
        content = plain(item)
        content["collection"] = collection.id
        title = collection.title or collection.id
        content["links"] = [
            link_to("root", os.path.relpath(self.path, path.parent), "application/json"),
            link_to("parent", "../collection.json", "application/json", title),
            link_to("collection", "../collection.json", "application/json", title),
            *own_links(content, path.parent),
        ]
        relative_assets(content, path.parent)
        return content

    def _put_collection(self, harvest: Harvest) -> bool:
        collection = harvest.collection
        path = self.root / collection.id / "collection.json"
        known = read_json(path) if path.exists() else {}
        content = plain(collection)
        # Items that the collection links to, and the new ones; unlinked files are ignored.
        ids = {Path(href).stem for href in hrefs(known, "item")}
        ids |= {item.id for item in harvest.items}
        links = [f"./{cube_id(name)}/{cube_id(name)}.json" for name in sorted(ids)]
        found = self._read_index(path, links, skip_missing=True)
        for item in found.items:
            # Validate the id: a folder with this name may be removed below.
            name = item.get("id")
            if not isinstance(name, str) or name not in ids or plain_characters(name) != name:
                raise IntegrityError(f"{path}: one of its items has the id {name!r}; refused")
        items, gone = without_replaced(found.items, harvest.items)
        index = found.without({f"./{item['id']}/{item['id']}.json" for item in gone})
        if not is_mirrored(path, index):
            drop_mirror(path)
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
            *own_links(content, path.parent),
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
            content.setdefault("assets", {})["thumbnail"] = THUMBNAIL_ASSET
        if MIRROR_KEY in known.get("assets", {}) and path.with_name(MIRROR).exists():
            content.setdefault("assets", {})[MIRROR_KEY] = known["assets"][MIRROR_KEY]
        changed = save(path, content)
        index.save()
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


def _save_items(contents: Mapping[Path, Json]) -> bool:
    """Write items; return whether any changed. No Parquet file is left outdated."""
    if all(starmap(has_content, contents.items())):
        return False
    for folder in {path.parent.parent for path in contents}:
        drop_mirror(folder / "collection.json")
    return save_all(contents)


__all__ = [
    "DATA_ID",
    "STORE",
    "THUMBNAIL",
    "Catalog",
    "Harvest",
    "cube_id",
    "read_json",
    "slug",
    "with_digest",
    "write_bytes",
    "write_json",
]
