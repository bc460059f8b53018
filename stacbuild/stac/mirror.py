"""The items of a collection as stac-geoparquet, for DuckDB, QGIS, geopandas and rustac.

A collection with many items has ``items.parquet`` beside ``collection.json``, with which it is
linked as an asset with the role ``collection-mirror``, if rustac is installed (the extra
``export``). stacbuild itself never reads it. It states a digest of the items that it was made of,
and is removed before they change: so it may be missing, but is not outdated unless somebody else
changed an item.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stacbuild import progress
from stacbuild.atomic import sweep
from stacbuild.errors import IntegrityError, LocalError, StacbuildError
from stacbuild.stac.files import read_json, save
from stacbuild.stac.index import MIN_ITEMS, Index
from stacbuild.stac.links import link_to
from stacbuild.stac.parquet import can_write_parquet, footer, write_parquet

Json = dict[str, Any]

MIRROR = "items.parquet"
"""Name of the Parquet file in the folder of a collection."""

MIRROR_KEY = "geoparquet-items"
"""Key of the Parquet file in the assets of the collection."""

_ASSET = {
    "href": f"./{MIRROR}",
    "type": "application/vnd.apache.parquet",
    "title": "Items as stac-geoparquet",
    "description": "All items in one file. Relative hrefs in it are relative to the file.",
    "roles": ["collection-mirror"],
}

# Field of the collection in the metadata of the file.
_DIGEST = "stacbuild:items_digest"

_STRUCTURAL = {"root", "parent", "collection", "self"}


def is_mirrored(collection: Path, index: Index) -> bool:
    """Return whether the Parquet file of a collection is that of its items as they are now."""
    mark = f'"{_DIGEST}":"{index.digest}"'.encode()
    return mark in footer(collection.with_name(MIRROR)).replace(b": ", b":")


def is_own_mirror(path: Path) -> bool:
    """Return whether a file is a Parquet file of items that stacbuild wrote."""
    return f'"{_DIGEST}"'.encode() in footer(path)


def drop_mirror(collection: Path) -> None:
    """Remove the Parquet file of a collection and its asset, if stacbuild wrote it.

    Requires the lock of the catalog.
    """
    if not is_own_mirror(collection.with_name(MIRROR)):
        return
    content = read_json(collection) if collection.exists() else {}
    if MIRROR_KEY in content.get("assets", {}):
        del content["assets"][MIRROR_KEY]
        if not content["assets"]:
            del content["assets"]
        # First, so that the asset never refers to a file that does not exist.
        save(collection, content)
    remove_mirror(collection)


def remove_mirror(collection: Path) -> None:
    """Remove the Parquet file beside a collection, if stacbuild wrote it."""
    path = collection.with_name(MIRROR)
    sweep(path)
    if is_own_mirror(path):
        path.unlink(missing_ok=True)


def renew_mirror(collection: Path, index: Index) -> None:
    """Write the Parquet file of a collection, unless it is that of its items; requires the lock.

    A collection with few items, or with items without a geometry (files that are still in an
    archive), has none. A file of somebody else is left as it is. If the file cannot be written,
    there is none, and a message says why.
    """
    path = collection.with_name(MIRROR)
    content = read_json(collection)
    if is_mirrored(collection, index) and MIRROR_KEY in content.get("assets", {}):
        return
    drop_mirror(collection)
    complete = len(index.entries) >= MIN_ITEMS and all(each["bbox"] for each in index.items)
    if not complete or not can_write_parquet():
        return
    if path.is_symlink() or path.exists():
        progress.warn(
            f"{path}: is a file that stacbuild did not write, so the items are not written as "
            "stac-geoparquet; move it away"
        )
        return
    stated = content | {_DIGEST: index.digest, "links": []}
    try:
        write_parquet(path, lambda: _items(collection, index), stated)
    except (StacbuildError, LocalError, IntegrityError) as error:
        progress.say(f"no {MIRROR}: {error}")
        return
    content.setdefault("assets", {})[MIRROR_KEY] = _ASSET
    save(collection, content)


def _items(collection: Path, index: Index) -> Iterator[Json]:
    """Yield the items of a collection, with hrefs relative to its folder."""
    for href in index.entries:
        content = read_json(collection.parent / href)
        folder = posixpath.dirname(href)
        links = [link for link in content.get("links", []) if link["rel"] not in _STRUCTURAL]
        for entry in [*links, *_assets(content)]:
            entry["href"] = _moved(entry["href"], folder)
        content["links"] = [
            link_to("collection", "./collection.json", "application/json"),
            link_to("canonical", href, "application/geo+json"),
            *links,
        ]
        yield content


def _assets(content: Json) -> Iterator[Json]:
    for asset in content.get("assets", {}).values():
        yield asset
        yield from asset.get("alternate", {}).values()


def _moved(href: str, folder: str) -> str:
    """Return an href that is relative to a folder, relative to the folder that contains it."""
    if "://" in href or href.startswith(("/", "mailto:")):
        return href
    return posixpath.normpath(posixpath.join(folder, href))
