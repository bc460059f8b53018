"""Byte ranges of one file: at a local path, an http(s) URL or an ``s3://`` URL."""

from __future__ import annotations

import difflib
import itertools
import os
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import requests

from stacbuild.errors import (
    AuthError,
    LocalError,
    MissingError,
    NoKeysError,
    NotFoundError,
    RemoteError,
)
from stacbuild.net import http
from stacbuild.net.hrefs import check_form
from stacbuild.net.pages import PagedFile, Pages, Span
from stacbuild.net.ranges import HttpRanges
from stacbuild.net.record_urls import kind_of
from stacbuild.net.signing import SERVICE
from stacbuild.net.versions import version_text


def s3_pages(href: str, options: dict[str, Any], size: int | None) -> tuple[Pages, str]:
    """Return the pages of an object at an ``s3://`` URL, and its version.

    The version is that of `stacbuild.net.versions.version_text`, empty if *size* is known.

    Raises
    ------
    NotFoundError, AuthError, RemoteError
        There is no such object, or the server refused or failed; also when pages are read.
    """
    # Imported when used: it takes a third of a second.
    from stacbuild.formats.s3_system import S3FileSystem

    # Servers may have buckets of the same name, so messages name the server, too.
    server = options.get("endpoint_url") or "AWS"
    name = f"{http.public_url(href)} at {server}"
    system = S3FileSystem(**options)
    path = href.removeprefix("s3://")

    def fetch(start: int, stop: int) -> bytes:
        try:
            data: bytes = system.cat_file(path, start=start, end=stop)
        except Exception as error:  # of s3fs, botocore or aiohttp
            raise _s3_error(name, error) from error
        if len(data) != stop - start:
            raise RemoteError(f"{name}: bytes {start} to {stop} are incomplete")
        return data

    try:
        known: dict[str, Any] = (
            {"size": size} if size is not None else system.info(path, refresh=True)
        )
    except Exception as error:
        raise _s3_error(name, error) from error
    return Pages(name, fetch, int(known["size"])), version_text(known.get("ETag"), None)


def _s3_error(name: str, error: Exception) -> RemoteError | AuthError:
    # Imported already, by s3fs.
    from botocore.exceptions import NoCredentialsError

    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"{name}: not found")
    if isinstance(error, NoCredentialsError):
        return NoKeysError(
            f"{name}: there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or write key and secret in storage_options"
        )
    if isinstance(error, PermissionError):
        # Without the server's message, which may quote them.
        return AuthError(f"{name}: access was refused; check the store's credentials")
    return RemoteError(f"{name}: cannot be read ({' '.join(str(error).split())})")


class FileBytes:
    """Bytes of one file; shared by threads.

    Parameters
    ----------
    href
        Absolute local path, http(s) or ``s3://`` URL.
    storage_options
        For ``s3://``, arguments of s3fs; for http(s), `stacbuild.net.signing.SERVICE` or nothing.
    session
        For http(s), from `stacbuild.net.http.session`.

    Attributes
    ----------
    name
        Path, or URL without credentials.
    version
        What a server says of which bytes it returns, see `stacbuild.net.versions.version_text`.

    Raises
    ------
    MissingError, LocalError, NotFoundError, RemoteError
        There is no such file, or it cannot be read; the message names *href*.
    """

    def __init__(
        self,
        href: str,
        storage_options: Mapping[str, Any] | None = None,
        session: requests.Session | None = None,
    ) -> None:
        check_form(href)
        self.name = self._href = href
        self._pages: Pages | None = None
        self.version = ""
        scheme = urlsplit(href).scheme.lower() if "://" in href else ""
        if scheme in ("http", "https"):
            service = (storage_options or {}).get(SERVICE, "")
            session = session or http.session(kind=kind_of(href))
            ranges = HttpRanges(href, session, service=service)
            self._pages = Pages(ranges.name, ranges.fetch, ranges.size)
            # The size came with the first response.
            self.version = ranges.version
        elif scheme == "s3":
            self._pages, self.version = s3_pages(href, dict(storage_options or {}), None)
        else:
            self._number = _opened(Path(href))
            weakref.finalize(self, os.close, self._number)
        if self._pages is not None:
            self.name = self._pages.name

    @property
    def is_local(self) -> bool:
        """Whether it is a local path."""
        return self._pages is None

    @property
    def identity(self) -> str:
        """Text that identifies the bytes of a remote file; empty if the server states no ETag.

        Two versions may have been written in the same second, so a time does not identify them.
        """
        return f"{self._href}\n{self.version}\n{self.size}" if "ETag " in self.version else ""

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._pages.size if self._pages else os.fstat(self._number).st_size

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from *start* up to *stop*, or up to the end of the file.

        Raises
        ------
        RemoteError, LocalError
            They cannot be read.
        """
        if self._pages is not None:
            self._pages.prefetch([(start, stop)])
            return self._pages.read(start, stop)
        found = bytearray()
        try:
            while len(found) < stop - start:
                block = os.pread(self._number, stop - start - len(found), start + len(found))
                if not block:
                    break
                found += block
        except OSError as error:
            raise LocalError(f"{self.name}: cannot be read ({error.strerror or error})") from error
        return bytes(found)

    def prefetch(self, spans: Iterable[Span]) -> None:
        """Fetch ranges in as few requests as possible; nothing is done for a local file."""
        if self._pages is not None:
            self._pages.prefetch(spans)

    def open(self) -> PagedFile:
        """Return a seekable file on these bytes, for one thread."""
        # Pages of its own: HDF5 reads while it holds a lock that other threads may need to finish
        # the pages that it would wait for. A local file has the methods of pages that are needed.
        pages = self._pages and Pages(self.name, self._pages.fetch, self._pages.size)
        return PagedFile(pages or cast("Pages", self))


def similar_names(path: Path) -> str:
    """Return the end of a message on a missing file: similar names in its folder, if any."""
    try:
        # Of very many names, only the first are compared.
        with os.scandir(path.parent) as entries:
            names = sorted(entry.name for entry in itertools.islice(entries, 1000))
    except OSError:
        return ""
    # Without endings, which most files of a folder have in common.
    stems = {Path(name).stem.casefold(): name for name in reversed(names)}
    near = difflib.get_close_matches(path.stem.casefold(), stems, n=3, cutoff=0.7)
    close = [stems[stem] for stem in near]
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _opened(path: Path) -> int:
    if path.is_dir() or not path.exists():
        raise MissingError(
            f"{path}: there is no such file{similar_names(path) or '; check the path'}"
        )
    try:
        return os.open(path, os.O_RDONLY)
    except PermissionError as error:
        raise LocalError(f"{path}: may not be read (permission denied)") from error
    except OSError as error:
        raise LocalError(f"{path}: cannot be read ({error.strerror or error})") from error
