"""Documents of a foreign catalog, read with limits: they are untrusted, and may be large.

All requests to a catalog go through `Reader`, which also validates links.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from stacbuild import progress
from stacbuild.errors import (
    AuthError,
    IntegrityError,
    NotFoundError,
    RemoteError,
    StacbuildError,
)
from stacbuild.json_numbers import parse_int
from stacbuild.net.hrefs import Allowed, check, is_relative_path
from stacbuild.net.http import MOST_JSON, public_url, read_json_body, send, session
from stacbuild.sources.stac.store import StacStore

if TYPE_CHECKING:
    from stacbuild.formats.zarr_arrays import Nodes

Json = dict[str, Any]

_MOST_DOCUMENTS = 20_000
_THREADS = 8
_AT_ONCE = 8 * _THREADS


class Reader:
    """Reads the documents of a store's catalog, and follows allowed links only.

    Parameters
    ----------
    folders
        Folders of the configuration, in which assets of a catalog on this machine may be; its
        documents have to be in its own folder.
    """

    def __init__(self, store: StacStore, folders: Sequence[Path] = ()) -> None:
        self.store = store
        self.session = session(progress.current().say, searches=True)
        self.root = store.location
        self.left_out: dict[str, StacbuildError] = {}
        """Errors of documents that could not be read, by location."""
        self._warn = progress.current().warn
        self._warned: set[str] = set()
        self.allowed = Allowed(
            (store.folder,) if store.folder else (),
            (store.server,),
            None if store.anonymous else "s3://",
        )
        own = self.allowed.folders
        self._of_assets = replace(self.allowed, folders=(*own, *folders) if own else ())
        self._read = 0

    @cached_property
    def nodes(self) -> Nodes:
        """The groups of Zarr stores that were opened."""
        # Imported when used: it takes half a second, and lists need no Zarr.
        from stacbuild.formats.zarr_arrays import Nodes

        return Nodes()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def resolve(self, base: str, href: Any, *, allowed: Allowed | None = None) -> str:
        """Return the absolute path or URL of an href in the document at *base*.

        Raises
        ------
        IntegrityError
            It is not allowed, for example from the web to a local file.
        """
        if not isinstance(href, str) or not href or len(href) > 4096:
            raise IntegrityError(f"{base}: holds a link without an address")
        if "://" in base:
            if not is_relative_path(href) and not href.startswith(("/", "http:", "https:", "s3:")):
                raise IntegrityError(f"{base}: holds the link {href[:100]!r}; refused")
            try:
                whole = urljoin(base, href)
            except ValueError:
                raise IntegrityError(f"{base}: holds a link that is not a URL") from None
        elif (file := _of_file_url(href)) is not None:
            whole = file
        elif is_relative_path(href):
            whole = _file(posixpath.normpath(posixpath.join(posixpath.dirname(base), href)))
        else:
            whole = href
        try:
            check(whole, allowed or self.allowed)
        except IntegrityError as error:
            raise IntegrityError(f"{base}: {error}") from None
        return whole

    def resolve_asset(self, base: str, href: Any) -> str:
        """Return the absolute path or URL of an asset, as `resolve`."""
        try:
            return self.resolve(base, href, allowed=self._of_assets)
        except IntegrityError as error:
            is_file = self._of_assets.folders and isinstance(href, str) and "://" not in href
            hint = (
                "; name its folder as the root of a store of kind file, if you trust it, or look "
                "at it there: stacbuild describe file FOLDER NAME"
            )
            raise IntegrityError(f"{error}{hint if is_file else ''}") from None

    def json(self, location: str) -> Json:
        """Read a document.

        Raises
        ------
        NotFoundError, RemoteError, AuthError, IntegrityError
            Naming its location.
        """
        text = self.request("GET", location) if "://" in location else _local(Path(location))
        return _parsed(location, text)

    def request(self, method: str, url: str, **options: Any) -> bytes:
        """Send an allowed request and return the body, within the limit of size."""
        check(url.partition("?")[0], self.allowed)
        self._read += 1
        if self._read > _MOST_DOCUMENTS:
            raise RemoteError(
                f"{public_url(self.root)}: has led to more than {_MOST_DOCUMENTS} documents; name "
                "a collection that lies nearer to the catalog's root, or use its API"
            )
        return read_json_body(send(self.session, method, url, stream=True, **options))

    def addresses(self, base: str, entries: list[Json]) -> list[str]:
        """Return the distinct locations of links of the document at *base*.

        Links without an href, or with one that is not allowed, are left out (`leave_out`).
        """
        found: dict[str, None] = {}
        for link in entries:
            try:
                found.setdefault(self.resolve(base, link.get("href")))
            except IntegrityError as error:
                self.leave_out(f"{base} {str(link.get('href'))[:100]}", error)
        return list(found)

    def all_json(
        self, locations: list[str], *, tolerant: bool = False
    ) -> Iterator[tuple[str, Json]]:
        """Read several documents concurrently; yield them in order.

        Missing documents and those that are not JSON objects are left out (`leave_out`). A server
        that does not answer is an error, as its items would be missing unnoticed; with *tolerant*
        its documents are left out, too.

        Raises
        ------
        RemoteError, AuthError
            Unless *tolerant*.
        """

        def read(location: str) -> Json | None:
            try:
                return self.json(location)
            except (NotFoundError, IntegrityError) as error:
                self.leave_out(location, error)
            except (RemoteError, AuthError) as error:
                if not tolerant:
                    raise
                self.leave_out(location, error)
            return None

        with ThreadPoolExecutor(_THREADS) as pool:
            # In batches, as the caller may stop early.
            for first in range(0, len(locations), _AT_ONCE):
                some = locations[first : first + _AT_ONCE]
                for location, content in zip(some, pool.map(read, some), strict=True):
                    if content is not None:
                        yield location, content

    def leave_out(self, location: str, error: StacbuildError) -> None:
        """Record a document that cannot be read or is of another type than its link says."""
        self.left_out[location] = error

    def warn_left_out(self) -> None:
        """Warn of documents left out since the last warning: the count, and the first few."""
        new = [where for where in self.left_out if where not in self._warned]
        if new:
            self._warned.update(new)
            where = public_url(self.root) if "://" in self.root else self.root
            self._warn(f"{where}: {self.describe_left_out(new)}")

    def describe_left_out(self, locations: list[str]) -> str:
        """Return one line with the number of documents left out, and the first few errors."""
        reasons = "; ".join(str(self.left_out[where])[:300] for where in locations[:3])
        count = f"{len(locations)} link{'s' * (len(locations) != 1)}"
        return f"{count} cannot be read and left out: {reasons}{'; ...' if locations[3:] else ''}"


def _of_file_url(href: str) -> str | None:
    """Return the path of a local ``file`` URL (RFC 8089); None for any other href."""
    found = re.fullmatch(r"file:(?://(?:localhost)?)?(?P<path>/[^/].*)", href, re.IGNORECASE)
    return _file(posixpath.normpath(found["path"])) if found else None


def _file(path: str) -> str:
    """Return the file of a path in a catalog: as written if it exists, else percent-decoded."""
    decoded = posixpath.normpath(unquote(path))
    # Raised for example for a name that is too long.
    with suppress(OSError, ValueError):
        if decoded != path and not Path(path).exists() and Path(decoded).exists():
            return decoded
    return path


def _local(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_JSON:
            raise IntegrityError(f"{path}: is larger than {MOST_JSON >> 20} MB")
        return path.read_bytes()
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror})"
        others = sorted(each.name for each in path.parent.glob("*json"))
        if path.name == "catalog.json" and others:
            more = ", ..." if others[3:] else ""
            message += f"; if one of {', '.join(others[:3])}{more} is the catalog, write its path"
        raise NotFoundError(message) from error


def _parsed(location: str, text: bytes) -> Json:
    where = public_url(location) if urlsplit(location).scheme else location
    try:
        content = json.loads(text, parse_int=parse_int)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{where}: is not JSON; it should be a STAC document") from error
    if not isinstance(content, dict):
        raise IntegrityError(f"{where}: is not a STAC document")
    return content


def links(document: Json, *rels: str) -> list[Json]:
    """Return a document's links, by default of all relations."""
    content = document.get("links")
    return [
        each
        for each in (content if isinstance(content, list) else ())
        if isinstance(each, dict) and (not rels or each.get("rel") in rels)
    ]
