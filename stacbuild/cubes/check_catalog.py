"""Whether a catalog's files are JSON, its links lead somewhere, and nothing lies there unlinked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pystac

from stacbuild.catalog import Catalog, read_json
from stacbuild.cubes.found import Found
from stacbuild.errors import IntegrityError, StacbuildError

Json = dict[str, Any]

_STRUCTURAL = ("root", "parent", "collection", "child", "item", "derived_from")


def check_catalog(catalog: Catalog, found: Found) -> Iterator[pystac.Item]:
    """Give the items that can be read; whatever cannot is a problem of the catalog."""
    seen = {catalog.path}
    for collection in _linked(catalog.path, "child", "Catalog", seen, found):
        for path in _linked(collection, "item", "Collection", seen, found):
            try:
                item = catalog.read_item(path)
            except StacbuildError as error:
                found.problems.append(error)
                continue
            for link in item.to_dict(transform_hrefs=False)["links"]:
                _check_link(path, link, found)
            _check_thumbnail(path, item.assets.get("thumbnail"), found)
            if "data" not in item.assets:
                found.wrong(f"{path}: has no asset 'data'; harvest or build it again")
            yield item
    for stray in sorted(set(catalog.root.rglob("*.json")) - seen):
        if not stray.name.startswith("."):
            found.wrong(
                f"{stray}: nothing in the catalog links to it; harvest or build again, or remove it"
            )


def _linked(path: Path, rel: str, kind: str, seen: set[Path], found: Found) -> list[Path]:
    """Give the files that a catalog or collection links to, each once."""
    try:
        content = read_json(path)
        if content.get("type") != kind:
            raise IntegrityError(f"{path}: is not a STAC {kind}; remove it, then harvest")
    except StacbuildError as error:
        found.problems.append(error)
        return []
    paths = []
    for link in content.get("links", []):
        target = _check_link(path, link, found)
        if target is not None and link.get("rel") == rel:
            if target in seen:
                found.wrong(f"{path}: links to {target} more than once")
                continue
            seen.add(target)
            paths.append(target)
    return paths


def _check_link(path: Path, link: Json, found: Found) -> Path | None:
    """Give the file that a link within the catalog leads to; None if it leads elsewhere."""
    href = link.get("href")
    if link.get("rel") not in _STRUCTURAL or not isinstance(href, str) or "://" in href:
        return None
    target = (path.parent / unquote(href)).resolve()
    if not target.is_file():
        found.wrong(f"{path}: its link {link['rel']!r} leads to {target}, which is not there")
        return None
    return target


def _check_thumbnail(path: Path, asset: pystac.Asset | None, found: Found) -> None:
    """Look for a picture that an item names beside itself."""
    if asset is not None and "://" not in asset.href and not Path(asset.href).is_file():
        found.wrong(
            f"{path}: its thumbnail {asset.href} is not there; build it again (cube --force)"
        )
