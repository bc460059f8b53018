"""Catalogs of others, read with bounds: they are untrusted, and may be large, deep or circular.

A static catalog is walked link by link; a STAC API is searched with pystac-client, whose every
request goes through `Reader`, too.
"""

from __future__ import annotations

import json
import posixpath
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import requests
from pystac_client import Client
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO

from stacbuild.config.stores import StacStore
from stacbuild.errors import (
    IntegrityError,
    NotFoundError,
    RemoteError,
    StacbuildError,
)
from stacbuild.fetch.hrefs import Allowed, check, is_relative_path
from stacbuild.fetch.http import Tell, public_url, reason, refuse_page, send, session
from stacbuild.harvesters.stac_query import Query

Json = dict[str, Any]

MOST_ITEMS = 1000
"""Items that a data id may mean."""

_MOST_BYTES = 32 << 20
_MOST_DOCUMENTS = 20_000
_DEEPEST = 12
_THREADS = 8


@dataclass(frozen=True)
class Found:
    """An item as its catalog has it: the JSON, where it lies, and its collection's JSON."""

    content: Json
    location: str
    collection: Json
    collection_location: str

    @property
    def id(self) -> str:
        """Id of the item."""
        return str(self.content["id"])


class Reader:
    """Reads the documents of a store's catalog, and nothing that it must not lead to.

    Parameters
    ----------
    store
        The store.
    tell
        Takes a line each time a server is waited for.
    """

    def __init__(self, store: StacStore, tell: Tell) -> None:
        self.store = store
        self.session = session(tell)
        self.root = store.location
        self.tell = tell
        self.allowed = Allowed(
            (store.folder,) if store.folder else (),
            (store.server,),
            None if store.anonymous else "s3://",
        )
        self._read = 0

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def resolve(self, base: str, href: Any) -> str:
        """Give the address that an href of the document at *base* means.

        Raises
        ------
        IntegrityError
            It leads where the catalog may not lead to: from the web to this machine, for one.
        """
        if not isinstance(href, str) or not href or len(href) > 4096:
            raise IntegrityError(f"{base}: holds a link without an address")
        if "://" in base:
            if not is_relative_path(href) and not href.startswith(("/", "http:", "https:", "s3:")):
                raise IntegrityError(f"{base}: holds the link {href[:100]!r}; refused")
            try:
                whole = urljoin(base, href)
            except ValueError:
                raise IntegrityError(f"{base}: holds a link that is no URL") from None
        elif is_relative_path(href):
            whole = posixpath.normpath(posixpath.join(posixpath.dirname(base), href))
        else:
            whole = href
        try:
            check(whole, self.allowed)
        except IntegrityError as error:
            raise IntegrityError(f"{base}: {error}") from None
        return whole

    def json(self, location: str) -> Json:
        """Read a document.

        Raises
        ------
        NotFoundError, RemoteError, AuthError, IntegrityError
            Naming its address.
        """
        text = self.request("GET", location) if "://" in location else _local(Path(location))
        return _parsed(location, text)

    def request(self, method: str, url: str, **options: Any) -> bytes:
        """Send a request, if one may, and give the body, if it is not too large."""
        check(url.partition("?")[0], self.allowed)
        self._read += 1
        if self._read > _MOST_DOCUMENTS:
            raise RemoteError(
                f"{public_url(self.root)}: has led to more than {_MOST_DOCUMENTS} documents; name "
                "a collection that lies nearer to the catalog's root, or use its API"
            )
        response = send(self.session, method, url, stream=True, **options)
        with response:
            body = bytearray()
            try:
                for part in response.iter_content(1 << 16):
                    body += part
                    if len(body) > _MOST_BYTES:
                        raise RemoteError(
                            f"{public_url(url)}: is larger than {_MOST_BYTES >> 20} MB, which no "
                            "STAC document is"
                        )
            except requests.RequestException as error:
                raise RemoteError(f"{public_url(url)}: {reason(error)}") from error
            refuse_page(response, "JSON", bytes(body[:64]))
        return bytes(body)

    def all_json(
        self, locations: list[str], *, skip_missing: bool = False
    ) -> Iterator[tuple[str, Json]]:
        """Read several documents, some at a time, in their order.

        Those that are not there are told of and left out, if that is allowed.
        """

        def read(location: str) -> Json | None:
            try:
                return self.json(location)
            except NotFoundError as error:
                if not skip_missing:
                    raise
                self.tell(f"{error}; left out")
                return None

        with ThreadPoolExecutor(_THREADS) as pool:
            for location, content in zip(locations, pool.map(read, locations), strict=True):
                if content is not None:
                    yield location, content


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
    search = _search if is_api(landing) else _walk
    # By their addresses: what two pages or two links give is there once.
    found = {each.location: each for each in search(reader, landing, query)}
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


def links(document: Json, *rels: str) -> list[Json]:
    """Give a document's links, of these relations only if any are given."""
    given = document.get("links")
    entries = given if isinstance(given, list) else []
    return [
        each for each in entries if isinstance(each, dict) and (not rels or each.get("rel") in rels)
    ]


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


def items_of(reader: Reader, location: str, document: Json) -> Iterator[Found]:
    """Give the items that a catalog or collection links to."""
    hrefs = dict.fromkeys(
        reader.resolve(location, link.get("href")) for link in links(document, "item")
    )
    for where, content in reader.all_json(list(hrefs)):
        yield Found(_item(where, content), where, document, location)


def _walk(reader: Reader, landing: Json, query: Query) -> Iterator[Found]:
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
                count = _counted(reader, count)
                yield found


def _search(reader: Reader, _landing: Json, query: Query) -> Iterator[Found]:
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
                    item = _item(where, content)
                    own = next(iter(links(item, "self")), {}).get("href")
                    fallback = f"{where}/items/{quote(str(item['id']), safe='')}"
                    location = reader.resolve(where, own) if own else fallback
                    count = _counted(reader, count)
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


def _counted(reader: Reader, count: int) -> int:
    if count >= MOST_ITEMS:
        raise StacbuildError(
            f"{public_url(reader.root)}: more than {MOST_ITEMS} items fit; narrow them by bbox and "
            "datetime"
        )
    return count + 1


def _item(where: str, content: Any) -> Json:
    ok = isinstance(content, dict) and isinstance(content.get("id"), str) and content["id"]
    if not ok or not isinstance(content.get("assets"), dict):
        raise IntegrityError(f"{public_url(where)}: holds an item that is none (no id or assets)")
    if not isinstance(content.get("properties"), dict):
        content["properties"] = {}
    return dict(content)


def _local(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise IntegrityError(f"{path}: is larger than {_MOST_BYTES >> 20} MB")
        return path.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{path}: cannot be read ({error.strerror})") from error


def _parsed(location: str, text: bytes) -> Json:
    where = public_url(location) if urlsplit(location).scheme else location
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{where}: is not JSON; it should be a STAC document") from error
    if not isinstance(content, dict):
        raise IntegrityError(f"{where}: is not a STAC document")
    return content
