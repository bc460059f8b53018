"""Check that a catalog's files are JSON, links resolve, and every file is linked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pystac

from stacbuild.errors import IntegrityError, StacbuildError
from stacbuild.stac.catalog import Catalog, read_json
from stacbuild.stac.mirror import MIRROR
from stacbuild.stac.scenes import data_assets
from stacbuild.validation.found import Found

Json = dict[str, Any]

_STRUCTURAL = ("root", "parent", "collection", "child", "item", "derived_from")


def check_catalog(
    catalog: Catalog, found: Found, only: Set[str] | None = None
) -> Iterator[pystac.Item]:
    """Yield the readable items of a catalog, and collect its problems.

    Parameters
    ----------
    only
        Paths of the items to check; other items and unlinked files are left out. All if None.
    """
    walk = _Walk(found, only, {catalog.path})
    for collection in walk.linked(catalog.path, "child", "Catalog"):
        _check_collection_thumbnail(collection, found)
        for path in walk.linked(collection, "item", "Collection"):
            try:
                item = catalog.read_item(path)
            except StacbuildError as error:
                found.problems.append(error)
                continue
            for link in item.to_dict(transform_hrefs=False)["links"]:
                _check_link(path, link, found)
            if (picture := item.assets.get("thumbnail")) is not None:
                _check_thumbnail(path, picture.href, found)
            if not data_assets(item):
                found.wrong(f"{path}: has no asset with data; harvest or build it again")
            yield item
        if only is None:
            _check_mirror(catalog, collection, found)
    # What an unreadable file links to is no stray.
    if only is not None or found.is_unread:
        return
    for stray in sorted(set(catalog.root.rglob("*.json")) - walk.seen):
        if not stray.name.startswith("."):
            found.wrong(
                f"{stray}: nothing in the catalog links to it; harvest or build again, or remove it"
            )


@dataclass(frozen=True)
class _Walk:
    """A walk through a catalog: files that were seen, and the paths of the items to check."""

    found: Found
    only: Set[str] | None
    seen: set[Path]

    def linked(self, path: Path, rel: str, kind: str) -> list[Path]:
        """Return the files that a catalog or collection links to, each once."""
        try:
            content = read_json(path)
            if content.get("type") != kind:
                raise IntegrityError(f"{path}: is not a STAC {kind}; remove it, then harvest")
        except StacbuildError as error:
            self.found.problems.append(error)
            return []
        paths = []
        for link in content.get("links", []):
            if link.get("rel") == "item" and self._is_left_out(path, link):
                continue
            target = _check_link(path, link, self.found)
            if target is not None and link.get("rel") == rel:
                if target in self.seen:
                    self.found.wrong(f"{path}: links to {target} more than once")
                    continue
                self.seen.add(target)
                paths.append(target)
        return paths

    def _is_left_out(self, path: Path, link: Json) -> bool:
        if self.only is None:
            return False
        return os.path.normpath(f"{path.parent}/{unquote(str(link.get('href')))}") not in self.only


def _check_link(path: Path, link: Json, found: Found) -> Path | None:
    """Return the target of a link within the catalog; None for other links."""
    href = link.get("href")
    if link.get("rel") not in _STRUCTURAL or not isinstance(href, str) or "://" in href:
        return None
    target = (path.parent / unquote(href)).resolve()
    if not target.is_file():
        found.wrong(f"{path}: its link {link['rel']!r} refers to {target}, which does not exist")
        return None
    return target


def _check_collection_thumbnail(path: Path, found: Found) -> None:
    """Check that the thumbnail of a collection exists."""
    with contextlib.suppress(StacbuildError, AttributeError, KeyError, TypeError):
        _check_thumbnail(path, read_json(path)["assets"]["thumbnail"]["href"], found)


def _check_mirror(catalog: Catalog, collection: Path, found: Found) -> None:
    """Check that the Parquet file of a collection is that of its items."""
    with contextlib.suppress(StacbuildError, KeyError, TypeError):
        if catalog.has_outdated_mirror(collection):
            found.wrong(
                f"{collection.with_name(MIRROR)}: is not that of the collection's items, of which "
                "one was changed by hand, or is damaged; harvest again to renew it"
            )


def _check_thumbnail(path: Path, href: str, found: Found) -> None:
    """Check that the thumbnail of a collection or item exists."""
    picture = path.parent / href
    if "://" not in href and not picture.is_file():
        found.wrong(f"{path}: its thumbnail {picture} does not exist; build again (cube --force)")
