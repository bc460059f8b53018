"""Traversal of a static catalog by its links, which may be deep or cyclic."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from urllib.parse import quote, unquote, urlsplit

from stacbuild.errors import IntegrityError, RemoteError, StacbuildError
from stacbuild.net.hrefs import check
from stacbuild.net.http import public_url
from stacbuild.sources.stac.found import Found, counted, item_of
from stacbuild.sources.stac.items import is_of_items, items_within, nothing_in, of_assets
from stacbuild.sources.stac.query import Query
from stacbuild.sources.stac.reader import Json, Reader, links

_DEEPEST = 12


def documents(reader: Reader, landing: Json) -> Iterator[tuple[str, Json]]:
    """Yield the root of a static catalog, and the catalogs and collections below it.

    Each is yielded once. Those that cannot be read are left out.

    Raises
    ------
    IntegrityError
        The catalog is too deep.
    """
    return _walk(reader, (reader.root, landing), {}, lambda document: True)  # noqa: ARG005


def _walk(
    reader: Reader,
    start: tuple[str, Json],
    known: Mapping[str, Json],
    enters: Callable[[Json], bool],
) -> Iterator[tuple[str, Json]]:
    """Yield a document and, level by level, those below it that pass *enters*, each once.

    Parameters
    ----------
    known
        Documents already read, by location.
    """
    seen = {start[0]}
    level = [start]
    for _ in range(_DEEPEST):
        linked: dict[str, None] = {}
        for where, each in level:
            yield where, each
            linked |= dict.fromkeys(reader.addresses(where, links(each, "child")))
        fresh = [where for where in linked if where not in seen]
        seen.update(fresh)
        read = dict(reader.all_json([where for where in fresh if where not in known]))
        below = [(where, read.get(where) or known.get(where)) for where in fresh]
        level = [(where, each) for where, each in below if each and enters(each)]
        if not level:
            return
    raise IntegrityError(
        f"{public_url(start[0])}: is deeper than {_DEEPEST} catalogs; name one further down"
    )


def items_of(
    reader: Reader, location: str, document: Json, named: str | None = None
) -> Iterator[Found]:
    """Yield the readable items that a catalog or collection links to.

    Parameters
    ----------
    named
        Id of the only requested item. Links that look like its own are followed first, and others
        only until it is found, so that their errors do not matter.

    Raises
    ------
    RemoteError, AuthError
        A server does not answer, and all items are requested.
    """
    hrefs = reader.addresses(location, links(document, "item"))
    likely = [href for href in hrefs if named is not None and _looks_like(href, named)]
    for group in (likely, [href for href in hrefs if href not in set(likely)]):
        for where, content in reader.all_json(group, tolerant=named is not None):
            try:
                item = item_of(where, content)
            except IntegrityError as error:
                reader.leave_out(where, error)
                continue
            yield Found(item, where, document, location)
            if item["id"] == named:
                return


def walk(reader: Reader, landing: Json, query: Query) -> Iterator[Found]:
    """Yield the items that a query matches in the catalogs and collections below the root.

    A data id may also be the path of a document below the catalog's folder, with or without its
    ``.json``. If it looks like a path, that is tried before the ids, otherwise after them.
    """
    file = query.path if query.path.endswith(".json") else f"{query.path}.json"
    looks_like_path = file == query.path or query.path.count("/") > 1
    missing = None
    if looks_like_path:
        try:
            document = _below(reader, file)
        except RemoteError as error:
            # Some servers answer 403 for missing files.
            missing = error
        else:
            yield from _of_document(reader, *document, query)
            return
    found = False
    for each in _by_ids(reader, landing, query):
        found = True
        yield each
    if not found and not looks_like_path:
        try:
            document = _below(reader, file)
        except StacbuildError:
            return
        yield from _of_document(reader, *document, query)
    elif not found and missing is not None and file == query.path:
        raise missing


def _by_ids(reader: Reader, landing: Json, query: Query) -> Iterator[Found]:
    parts = list(documents(reader, landing))
    named = [part for part in parts if part[1].get("id") == query.collection]
    # Without such a collection, the data id is the id of an item.
    wanted = query.item if named else query.path
    count = 0
    empty = []
    known = dict(parts)
    for location, document in named or parts:
        some = False
        catalogs = [(location, document)]
        if named:
            catalogs = list(_with_catalogs(reader, location, document, known))
        for found in _items_in(reader, catalogs, wanted):
            some = True
            if wanted in (None, found.id) and query.takes(found.content):
                count = counted(reader, count)
                yield found
        if not some and not any(links(each, "item") for _, each in catalogs):
            whole = of_assets(location, document)
            if whole and wanted is None and query.takes(whole.content):
                count = counted(reader, count)
                yield whole
            elif not whole:
                empty.append((location, document))
    if named and len(empty) == len(named):
        raise nothing_in(*empty[0])


def _of_document(reader: Reader, location: str, document: Json, query: Query) -> Iterator[Found]:
    """Yield the items of a document: its own, or linked ones."""
    if is_of_items(document):
        founds = items_within(reader, location, document)
        yield from (found for found in founds if query.takes(found.content))
        return
    whole = None
    catalogs = list(_with_catalogs(reader, location, document, {}))
    if not any(links(each, "item") for _, each in catalogs):
        whole = of_assets(location, document)
        if whole is None:
            raise nothing_in(location, document)
    count = 0
    for found in [whole] if whole else _items_in(reader, catalogs):
        if query.takes(found.content):
            count = counted(reader, count)
            yield found


def _with_catalogs(
    reader: Reader, location: str, document: Json, known: Mapping[str, Json]
) -> Iterator[tuple[str, Json]]:
    """Yield a collection and the plain catalogs below it, which only group its items."""
    return _walk(reader, (location, document), known, lambda each: not _is_collection(each))


def _is_collection(document: Json) -> bool:
    # Collections have no type before STAC 1.0.
    return document.get("type") == "Collection" or "extent" in document


def _items_in(
    reader: Reader, catalogs: list[tuple[str, Json]], named: str | None = None
) -> Iterator[Found]:
    """Yield the items of a collection, the first of *catalogs*, and of the catalogs below it."""
    location, document = catalogs[0]
    for where, each in catalogs:
        for found in items_of(reader, where, each, named):
            yield replace(found, collection=document, collection_location=location)
            if found.id == named:
                return


def _below(reader: Reader, path: str) -> tuple[str, Json]:
    """Read the document at a path below the folder of the catalog."""
    root = reader.root
    is_file = root.endswith(".json") or "://" not in root
    folder = posixpath.dirname(root) if is_file else root
    if ".." in unquote(path).split("/"):
        raise IntegrityError(f"{path[:100]}: contains '..'; refused")
    location = f"{folder}/{quote(path) if '://' in folder else path}"
    check(location, reader.allowed)
    return location, reader.json(location)


def _looks_like(href: str, item_id: str) -> bool:
    """Return whether a location is that of an item, by the usual layouts of catalogs."""
    path = unquote(urlsplit(href).path)
    name = posixpath.basename(path).removesuffix(".json")
    return item_id in (name, posixpath.basename(posixpath.dirname(path)))
