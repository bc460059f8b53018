"""Search of a STAC API with pystac-client, whose requests are sent by `Reader`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from pystac_client import ItemSearch
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO

from stacbuild import progress
from stacbuild.errors import IntegrityError, NotFoundError, RemoteError, StacbuildError
from stacbuild.net.http import public_url
from stacbuild.sources.stac.found import Found, counted, item_of
from stacbuild.sources.stac.items import choose, is_of_items, items_within, of_assets
from stacbuild.sources.stac.query import Query
from stacbuild.sources.stac.reader import Json, Reader, links
from stacbuild.sources.stac.walk import walk


def find(reader: Reader, query: Query) -> list[Found]:
    """Return the items that a query matches, sorted by id.

    Broken links are left out, with a warning that counts and names them.

    Raises
    ------
    NotFoundError
        There is no such collection or item, or no item matches.
    RemoteError, AuthError
        A server does not answer: its items would be missing.
    StacbuildError
        More than `MOST_ITEMS` items match, or the catalog does not support the query.
    """
    landing = reader.json(reader.root)
    if is_of_items(landing):
        founds = choose(reader, items_within(reader, reader.root, landing), query)
    else:
        founds = (search if is_api(landing) else walk)(reader, landing, query)
    # Without duplicates from several pages or links.
    found = {(each.location, each.id): each for each in founds}
    if not found:
        raise _nothing(reader, query)
    if query.item is None:
        reader.warn_left_out()
    for line in query.filter.differing:
        progress.warn(f"{root_of(reader)}: filter: {line}; such items do not match")
    return sorted(found.values(), key=lambda each: (each.id, each.location))


def _nothing(reader: Reader, query: Query) -> StacbuildError:
    """Return the error for a query without matches, with documents that could not be read."""
    left_out = list(reader.left_out)
    for where in left_out:
        error = reader.left_out[where]
        # The item may be on a server that does not answer.
        if not isinstance(error, NotFoundError | IntegrityError):
            return error
    root = root_of(reader)
    narrowed = " in the requested bbox and time" if query.bbox or query.interval else ""
    if query.filter:
        also = "".join(f" ({line})" for line in query.filter.differing[:3])
        narrowed += f" that passes the filter{also}"
    also = f"; {reader.describe_left_out(left_out)}" if left_out else ""
    what = query.path if "/" in query.path else f"of {query.path}"
    return NotFoundError(
        f"{root}: has no item {what}{narrowed}{also}; stacbuild list stac {root} shows "
        "what there is"
    )


def root_of(reader: Reader) -> str:
    """Return the address of a catalog for messages."""
    return public_url(reader.root) if "://" in reader.root else reader.root


def is_api(landing: Json) -> bool:
    """Return whether the root of a catalog is that of an API with search."""
    return any(link.get("rel") == "search" for link in links(landing))


def collections(reader: Reader) -> Iterator[Json]:
    """Yield the collections of an API, page after page.

    Raises
    ------
    RemoteError
        A page repeats, or is not a list of collections.
    """
    seen = set()
    where: str | None = f"{reader.root}/collections"
    while where:
        if where in seen:
            raise RemoteError(f"{public_url(where)}: the pages form a loop")
        seen.add(where)
        page = reader.json(where)
        entries = page.get("collections")
        if not isinstance(entries, list):
            raise RemoteError(f"{public_url(where)}: is not a list of collections")
        yield from (each for each in entries if isinstance(each, dict))
        following = next(iter(links(page, "next")), None)
        where = reader.resolve(where, following.get("href")) if following else None


def search(reader: Reader, landing: Json, query: Query) -> Iterator[Found]:
    """Yield the items that a query matches, page by page."""
    where = f"{reader.root}/collections/{quote(query.collection, safe='')}"
    collection = reader.json(where)
    try:
        # Without pystac-client's Client, which warns of every undeclared conformance class; an API
        # refuses what it does not support.
        pages = ItemSearch(
            _search_url(reader, landing),
            stac_io=_ClientIO(reader),
            collections=[query.collection],
            ids=[query.item] if query.item else None,
            bbox=list(query.bbox) if query.bbox else None,
            datetime=query.datetime,
            limit=reader.store.provider.page_size,
            **query.filter.parameters(landing.get("conformsTo")),
        ).pages_as_dicts()
        count = 0
        for page in pages:
            for content in page.get("features") or ():
                try:
                    item = item_of(where, content)
                except IntegrityError as error:
                    reader.leave_out(f"{where} {len(reader.left_out)}", error)
                    continue
                # An API may ignore what it does not know.
                if not (query.in_time(item) and query.filter.takes(item)):
                    continue
                own = next(iter(links(item, "self")), {}).get("href")
                fallback = f"{where}/items/{quote(str(item['id']), safe='')}"
                location = reader.resolve(where, own) if own else fallback
                count = counted(reader, count)
                yield Found(item, location, collection, where)
        whole = of_assets(where, collection) if not count and query.item is None else None
        if whole and query.takes(whole.content):
            yield whole
    except StacbuildError:
        raise
    except (
        APIError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        NotImplementedError,
    ) as error:
        reason = " ".join(str(error).split())[:300]
        raise RemoteError(f"{public_url(reader.root)}: cannot be searched ({reason})") from error


def _search_url(reader: Reader, landing: Json) -> str:
    kinds = (None, "application/geo+json", "application/json")
    stated = [link.get("href") for link in links(landing, "search") if link.get("type") in kinds]
    return reader.resolve(reader.root, stated[0] if stated else f"{reader.root}/search")


class _ClientIO(StacApiIO):
    """Requests of pystac-client, sent by `Reader` with its session and limits."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(max_retries=None)
        self._reader = reader
        self._requested: set[str] = set()

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """Send a request of a search; a repeated one is an error."""
        method = (method or "GET").upper()
        key = json.dumps([method, href, parameters], sort_keys=True, default=str)
        if key in self._requested:
            raise RemoteError(f"{public_url(href)}: the pages of the search form a loop")
        self._requested.add(key)
        body: Json = {"json": parameters} if method == "POST" else {"params": parameters}
        url = self._reader.resolve(self._reader.root, href)
        return self._reader.request(method, url, headers=headers, **body).decode()
