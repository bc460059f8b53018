"""A STAC API of somebody, searched with pystac-client, whose every request `Reader` sends."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from pystac_client import Client
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO

from stacbuild.errors import NotFoundError, RemoteError, StacbuildError
from stacbuild.fetch.http import public_url
from stacbuild.harvesters.stac_found import Found, counted, item_of
from stacbuild.harvesters.stac_query import Query
from stacbuild.harvesters.stac_reader import Json, Reader, links
from stacbuild.harvesters.stac_walk import walk


def find(reader: Reader, query: Query) -> list[Found]:
    """Give the items that a query means, sorted by id.

    Raises
    ------
    NotFoundError
        There is no such collection, item or any item that fits.
    StacbuildError
        More than `MOST_ITEMS` fit, or the catalog cannot do what the query asks.
    """
    landing = reader.json(reader.root)
    look = search if is_api(landing) else walk
    # By their addresses: what two pages or two links give is there once.
    found = {each.location: each for each in look(reader, landing, query)}
    if not found:
        what = query.collection if query.item is None else f"{query.collection}/{query.item}"
        raise NotFoundError(
            f"{public_url(reader.root)}: has no item {what} in the box and time that are asked for;"
            f" stacbuild list stac {public_url(reader.root)} shows what there is"
        )
    return sorted(found.values(), key=lambda each: (each.id, each.location))


def is_api(landing: Json) -> bool:
    """Tell whether the root of a catalog is that of an API that can be searched."""
    return any(link.get("rel") == "search" for link in links(landing))


def collections(reader: Reader) -> Iterator[Json]:
    """Give the collections of an API, page after page.

    Raises
    ------
    RemoteError
        The pages lead in a circle, or are none.
    """
    seen = set()
    where: str | None = f"{reader.root}/collections"
    while where:
        if where in seen:
            raise RemoteError(f"{public_url(where)}: the pages lead in a circle")
        seen.add(where)
        page = reader.json(where)
        entries = page.get("collections")
        if not isinstance(entries, list):
            raise RemoteError(f"{public_url(where)}: is no list of collections")
        yield from (each for each in entries if isinstance(each, dict))
        following = next(iter(links(page, "next")), None)
        where = reader.resolve(where, following.get("href")) if following else None


def search(reader: Reader, _landing: Json, query: Query) -> Iterator[Found]:
    """Give the items that a query means, page after page."""
    where = f"{reader.root}/collections/{quote(query.collection, safe='')}"
    collection = reader.json(where)
    try:
        # What an API does not say of itself is no matter: what it cannot do, it refuses.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client = Client.open(reader.root, stac_io=_ClientIO(reader))
            pages = client.search(
                collections=[query.collection],
                ids=[query.item] if query.item else None,
                bbox=list(query.bbox) if query.bbox else None,
                datetime=query.datetime,
                query=list(query.terms) or None,
                limit=100,
            ).pages_as_dicts()
            count = 0
            for page in pages:
                for content in page.get("features") or ():
                    item = item_of(where, content)
                    own = next(iter(links(item, "self")), {}).get("href")
                    fallback = f"{where}/items/{quote(str(item['id']), safe='')}"
                    location = reader.resolve(where, own) if own else fallback
                    count = counted(reader, count)
                    yield Found(item, location, collection, where)
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
        said = " ".join(str(error).split())[:300]
        raise RemoteError(f"{public_url(reader.root)}: cannot be searched ({said})") from error


class _ClientIO(StacApiIO):
    """What pystac-client sends its requests by: our session, with our bounds."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(max_retries=None)
        self._reader = reader
        self._asked: set[str] = set()

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """Send a request of a search; a page that was given already means a circle."""
        method = (method or "GET").upper()
        asked = json.dumps([method, href, parameters], sort_keys=True, default=str)
        if asked in self._asked:
            raise RemoteError(f"{public_url(href)}: the pages of the search lead in a circle")
        self._asked.add(asked)
        body: Json = {"json": parameters} if method == "POST" else {"params": parameters}
        url = self._reader.resolve(self._reader.root, href)
        return self._reader.request(method, url, headers=headers, **body).decode()
