"""The file system of S3 that every read and write of a bucket goes through.

It overrides private methods of s3fs: those by which each listing is requested, page by page, and
that which reads an object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

import s3fs
from zarr.storage import FsspecStore

from stacbuild.errors import RemoteError
from stacbuild.formats.zarr_errors import where_of

MOST_PAGES = 10_000
"""Most pages of one listing: ten million objects with the 1000 objects a page of most servers."""

REQUEST_SECONDS = 600.0
"""Longest time of a request with all its retries, to which that for the body is added."""

# Bytes per second, and the bytes of a body that are assumed if they are not known.
_LEAST_SPEED = 8000
_UNKNOWN = 64 << 20

# A listing has at least one of these, even if it is empty.
_FIELDS = ("IsTruncated", "KeyCount", "MaxKeys", "Name", "Contents", "CommonPrefixes")


class _Pages:
    """What earlier pages of a listing had."""

    def __init__(self) -> None:
        self.tokens: set[str] = set()
        self.first = ""


# By task: file systems are shared by threads, and list several folders at once.
_pages: ContextVar[_Pages | None] = ContextVar("pages", default=None)


class S3FileSystem(s3fs.S3FileSystem):  # type: ignore[misc]
    """s3fs, which would accept any answer of a server as a listing, and list or wait without end.

    Raises
    ------
    RemoteError
        A listing is none, has other keys than those asked for, or does not end.
    TimeoutError
        A response trickles.
    """

    async def _lsdir(self, *args: Any, **kwargs: Any) -> Any:
        before = _pages.set(_Pages())
        try:
            return await super()._lsdir(*args, **kwargs)
        finally:
            _pages.reset(before)

    async def _cat_file(
        self, path: str, version_id: Any = None, start: Any = None, end: Any = None
    ) -> Any:
        size = _UNKNOWN if start is None or end is None or end < start else end - start
        async with asyncio.timeout(REQUEST_SECONDS + size / _LEAST_SPEED):
            return await super()._cat_file(path, version_id=version_id, start=start, end=end)

    async def _call_s3(self, method: str, *args: Any, **kwargs: Any) -> Any:
        # Uploads have no bound, since the line may be slow.
        seconds = REQUEST_SECONDS if method.startswith(("list_", "head_", "get_")) else None
        async with asyncio.timeout(seconds):
            found = await super()._call_s3(method, *args, **kwargs)
        if method == "list_objects_v2" and (why := _wrong(found, kwargs, _pages.get())):
            where = f"s3://{kwargs['Bucket']}/{kwargs.get('Prefix') or ''}".rstrip("/")
            raise RemoteError(
                f"{where_of(where, self.storage_options)}: cannot be listed: {why}; check that "
                "this is the address of an S3 server, or try again later"
            )
        return found


def s3_store(
    href: str, options: dict[str, Any], missing: tuple[type[Exception], ...]
) -> FsspecStore:
    """Return a store of zarr, to read what is at an ``s3://`` URL; *missing* count as absent."""
    # A cached listing may be outdated. Without concurrent parts s3fs does not request the size of
    # each chunk first.
    arguments = {"use_listings_cache": False, "max_concurrency": 1, **options}
    system = S3FileSystem(asynchronous=True, **arguments)
    path = href.partition("://")[2].rstrip("/")
    return FsspecStore(system, read_only=True, path=path, allowed_exceptions=missing)


def _wrong(page: dict[str, Any], asked: dict[str, Any], pages: _Pages | None) -> str:
    """Return what is wrong with a page of a listing; empty if nothing is."""
    if not any(field in page for field in _FIELDS):
        return "the answer is no listing of a bucket"
    keys = [each.get("Key") for each in page.get("Contents") or ()]
    folders = [each.get("Prefix") for each in page.get("CommonPrefixes") or ()]
    if key := _stranger([*keys, *folders], asked.get("Prefix") or ""):
        return f"{key[:200]!r} is not below it"
    if pages is None or not page.get("IsTruncated"):
        return ""
    token = page.get("NextContinuationToken")
    if not token:
        return "a page says that more follow, without the token to ask for them"
    first = min((*keys, *folders), default="")
    repeated = token in pages.tokens or (first and first == pages.first)
    pages.tokens.add(token)
    pages.first = first
    if repeated:
        return "the server sends the same page again"
    return f"it has more than {MOST_PAGES} pages" if len(pages.tokens) >= MOST_PAGES else ""


def _stranger(keys: Iterable[str | None], prefix: str) -> str | None:
    """Return the first key that is not below a prefix; None if there is none."""
    for key in keys:
        # Some servers quote keys without saying so.
        if key is None or not (key.startswith(prefix) or unquote(key).startswith(prefix)):
            return key or "a key without a name"
    return None
