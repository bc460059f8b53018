"""Check that a cube is not, by way of other cubes, its own source.

A catalog that stacbuild wrote can be read as a source, even the one that the cube is written to.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacbuild.errors import ConflictError
from stacbuild.stac.catalog import Catalog, read_json

if TYPE_CHECKING:
    import pystac

    from stacbuild.storage.output import Output

_ORIGINS = ("derived_from", "via")


def check_cycle(output: Output, items: Iterable[pystac.Item]) -> None:
    """Check that the sources of a cube were not made from that cube.

    Parameters
    ----------
    items
        Its source items, of the catalog of *output*.

    Raises
    ------
    ConflictError
        If one was: each build would make the other cube outdated.
    """
    catalog = output.catalog
    own = catalog.item_path(output.collection, output.identifier)
    for item in items:
        path = Path(str(item.get_self_href()))
        if path == own:
            raise _cycle(output, item)
        # As the item itself has been read, only what it was made from is.
        links = ({"rel": each.rel, "href": each.target} for each in item.links)
        pending = list(_origins(catalog, path, links))
        seen: set[Path] = set()
        while pending:
            path = pending.pop()
            if path == own:
                raise _cycle(output, item)
            if path not in seen and path.exists():
                seen.add(path)
                pending += _origins(catalog, path, read_json(path).get("links", ()))


def _cycle(output: Output, item: pystac.Item) -> ConflictError:
    return ConflictError(
        f"{output.identifier}: its source {item.properties['title']!r} "
        f"({item.get_self_href()}) was itself made from this cube, so each build would "
        "make the other outdated; name another source"
    )


def _origins(catalog: Catalog, path: Path, links: Iterable[Mapping[str, Any]]) -> Iterator[Path]:
    for link in links:
        if link.get("rel") in _ORIGINS and "://" not in str(link.get("href")):
            found = Path(os.path.normpath(path.parent / link["href"]))
            if found.is_relative_to(catalog.root):
                yield found
