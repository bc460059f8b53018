"""Find source items and cached files that only the removed cubes use."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild.config import Config, Dataset
from stacbuild.planning.resolve import collection_id
from stacbuild.stac.catalog import STORE, THUMBNAIL, Catalog, cube_id
from stacbuild.stac.checksum_file import NAME as CHECKSUMS
from stacbuild.stac.checksum_file import is_checksums
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.stac.files import strange_picture
from stacbuild.stac.mirror import MIRROR, is_own_mirror
from stacbuild.stac.scenes import data_assets

if TYPE_CHECKING:
    import pystac


def unused(
    config: Config, catalog: Catalog, name: str, names: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return source items and cached files that only the removed cubes use.

    What several of them share is returned for the last one.
    """
    later = list(names)[list(names).index(name) + 1 :]
    own = _used_by(config, catalog, [name])
    others = [each.identifier for each in config.datasets if each.identifier not in names]
    used = _used_by(config, catalog, [*others, *later])
    gone = set(map(cube_id, names))
    for item in catalog.cubes():
        if item.collection_id != collection_id(config) or item.id not in gone:
            used |= _derived_from(item)
    paths = sorted(own - used)
    items = [catalog.read_item(path) for path in paths if path.exists()]
    items = [item for item in items if FINGERPRINT not in item.properties]
    files = _cached(config, catalog, items)
    return tuple(str(item.self_href) for item in items), tuple(map(str, files))


def dependent_paths(catalog: Catalog, paths: Sequence[str], gone: Sequence[str]) -> tuple[str, ...]:
    """Return the thumbnails of removed items, and collections that become empty, with their files.

    Parameters
    ----------
    paths
        Paths of the items.
    gone
        Paths of items that are removed before them.
    """
    found: list[Path] = []
    by_collection: dict[Path, set[str]] = {}
    for path in map(Path, paths):
        if strange_picture(path) is None:
            found.append(path.with_name(THUMBNAIL))
        by_collection.setdefault(path.parent.parent, set()).add(path.stem)
    before = {Path(path) for path in gone}
    for folder, ids in by_collection.items():
        left = {catalog.item_path(folder.name, each) for each in catalog.item_ids(folder.name)}
        left -= {catalog.item_path(folder.name, each) for each in ids} | before
        if not any(path.exists() for path in left):
            collection = folder / "collection.json"
            found.append(collection)
            if strange_picture(collection) is None:
                found.append(collection.with_name(THUMBNAIL))
            if is_own_mirror(collection.with_name(MIRROR)):
                found.append(collection.with_name(MIRROR))
            if is_checksums(collection.with_name(CHECKSUMS)):
                found.append(collection.with_name(CHECKSUMS))
    return tuple(str(path) for path in found if path.exists())


def _used_by(config: Config, catalog: Catalog, names: Sequence[str]) -> set[Path]:
    found: set[Path] = set()
    for name in names:
        dataset: Dataset | None
        dataset = next((each for each in config.datasets if each.identifier == name), None)
        for variable in dataset.variables if dataset else ():
            found |= set(catalog.paths_of(config.store(variable.store).key, variable.data_id))
        item = catalog.get(collection_id(config), name)
        found |= _derived_from(item) if item else set()
    return found


def _derived_from(item: pystac.Item) -> set[Path]:
    folder = Path(str(item.self_href)).parent
    hrefs = [str(link.href) for link in item.links if link.rel == "derived_from"]
    return {Path(os.path.normpath(folder / href)) for href in hrefs if "://" not in href}


def _cached(config: Config, catalog: Catalog, removed: Sequence[pystac.Item]) -> list[Path]:
    """Return the cached files that only these items refer to, each with its mark last."""
    wanted = {path for item in removed for path in _data_files(item)}
    marked: dict[Path, set[Path]] = {}
    for store in config.data_stores:
        if store.cache and store.own_cache and store.cache.is_dir():
            cache = store.cache.resolve()
            for mark, files in _marked_files(cache / store.own_cache.relative_to(store.cache)):
                inside = {path for path in files if path.is_relative_to(cache)}
                if inside & wanted:
                    marked.setdefault(mark, set()).update(inside)
    kept: set[Path] = set()
    if marked:
        # Only then, as there may be many others.
        hrefs = {item.self_href for item in removed}
        others = (item for item in catalog.items() if item.self_href not in hrefs)
        kept = {path for item in others for path in _data_files(item)}
    found: list[Path] = []
    for mark, inside in marked.items():
        if not inside & kept:
            found += [*sorted(inside), mark]
    return list(dict.fromkeys(found))


def _data_files(item: pystac.Item) -> Iterator[Path]:
    if STORE in item.properties:
        yield from (Path(os.path.realpath(asset.href)) for asset in data_assets(item).values())


def _marked_files(folder: Path) -> Iterator[tuple[Path, set[Path]]]:
    """Yield the marks in a cache, each with the files that it lists and whose size is unchanged."""
    for mark in sorted([*folder.rglob("*.stacbuild.json"), *folder.rglob("complete.json")]):
        try:
            content = json.loads(mark.read_bytes())
            if mark.name == "complete.json":
                listed, base = content["tiles"], mark.parent
            else:
                listed, base = list(content["files"].values()), folder
            files = {Path(os.path.normpath(base / each["path"])): each["size"] for each in listed}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        yield (
            mark,
            {
                path
                for path, size in files.items()
                if path.is_file() and not path.is_symlink() and path.stat().st_size == size
            },
        )


__all__ = ["dependent_paths", "unused"]
