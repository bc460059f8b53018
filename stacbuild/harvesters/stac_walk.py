"""A static catalog of somebody, walked link by link: it may be deep or go in circles."""

from __future__ import annotations

from collections.abc import Iterator

from stacbuild.errors import IntegrityError, StacbuildError
from stacbuild.fetch.http import public_url
from stacbuild.harvesters.stac_found import Found, counted, item_of
from stacbuild.harvesters.stac_query import Query
from stacbuild.harvesters.stac_reader import Json, Reader, links

_DEEPEST = 12


def documents(reader: Reader, landing: Json) -> Iterator[tuple[str, Json]]:
    """Give the catalogs and collections below the root of a static catalog, itself first.

    Each is given once, whatever links lead to it.
    """
    seen = {reader.root}
    level = [(reader.root, landing)]
    for _ in range(_DEEPEST):
        following: dict[str, None] = {}
        for location, document in level:
            yield location, document
            for link in links(document, "child"):
                following.setdefault(reader.resolve(location, link.get("href")))
        fresh = [location for location in following if location not in seen]
        seen.update(fresh)
        if not fresh:
            return
        level = list(reader.all_json(fresh, skip_missing=True))
    raise IntegrityError(
        f"{public_url(reader.root)}: is deeper than {_DEEPEST} catalogs; name one further down"
    )


def items_of(reader: Reader, location: str, document: Json) -> Iterator[Found]:
    """Give the items that a catalog or collection links to."""
    hrefs = dict.fromkeys(
        reader.resolve(location, link.get("href")) for link in links(document, "item")
    )
    for where, content in reader.all_json(list(hrefs)):
        yield Found(item_of(where, content), where, document, location)


def walk(reader: Reader, landing: Json, query: Query) -> Iterator[Found]:
    """Give the items that a query means, of the catalogs and collections below the root."""
    if query.terms:
        raise StacbuildError(
            f"{public_url(reader.root)}: is a static catalog, which cannot be asked by query=; "
            "name items, or narrow them by bbox and datetime"
        )
    parts = list(documents(reader, landing))
    named = [part for part in parts if part[1].get("id") == query.collection]
    # In a catalog without collections, or where ids are known to be unique, an item's is enough.
    wanted = query.item if named else query.collection
    count = 0
    for location, document in named or parts:
        for found in items_of(reader, location, document):
            if wanted in (None, found.id) and query.takes(found.content):
                count = counted(reader, count)
                yield found
