"""File interface to a URL, read by ranges: few and large requests, and no byte twice.

GDAL and zipfile read through it, without network access of their own: GDAL takes a truncated body
for a complete one, and keeps failing after the server has recovered.
"""

from __future__ import annotations

import threading
import time
from contextlib import closing, suppress
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from stacbuild.errors import RemoteError
from stacbuild.net.http import content_range, public_url, refuse_page, tell_of
from stacbuild.net.in_flight import slot
from stacbuild.net.pages import AHEAD, PagedFile, Pages
from stacbuild.net.signing import get_signed
from stacbuild.net.speed import Patience, Speed
from stacbuild.net.versions import version_text


class HttpRanges:
    """Complete ranges of one URL; thread-safe.

    Parameters
    ----------
    url
        An http(s) URL whose server supports ranges.
    session
        From `stacbuild.net.http.session`: it retries 429 and 5xx, and its *tell* gets a line for
        each interrupted body, too.
    size
        Size of the file in bytes; by default from the response to the first request.
    service
        URL of the service that signs requests, see `stacbuild.net.signing`; empty: none.

    Raises
    ------
    NotFoundError, AuthError, RemoteError
        On opening (without *size*) and on `fetch`: the server does not return the range, returns
        too few bytes repeatedly, or the file has changed.
    """

    def __init__(
        self,
        url: str,
        session: requests.Session,
        size: int | None = None,
        patience: Patience = Patience(),  # noqa: B008 - frozen
        service: str = "",
    ) -> None:
        self.requests = 0
        self.bytes_read = 0
        self.name = public_url(url)
        self._url = url
        self._host = urlsplit(url).netloc
        self._session = session
        self._service = service
        self._patience = patience
        self._lock = threading.Lock()
        self._etag: str | None = None
        self._modified: str | None = None
        self._due = size
        self._first = b""
        self.size = size if size is not None else self._learn_size()

    @property
    def version(self) -> str:
        """What the server says of which bytes it returns; empty before the first response."""
        return version_text(self._etag, self._modified)

    def fetch(self, start: int, stop: int) -> bytes:
        """Return the bytes from *start* up to *stop* (exclusive)."""
        have = self._first[:stop] if start == 0 else b""
        failures = 0
        while len(have) < stop - start:
            with slot(self._host):
                part, _ = self._part(start + len(have), stop)
            have += part
            if len(have) == stop - start:
                break
            failures = 1 if len(part) >= self._patience.worth else failures + 1
            if failures >= self._patience.tries:
                raise RemoteError(
                    f"{self.name}: bytes {start} to {stop} are incomplete after {failures} tries"
                )
            wait = self._patience.pause * 2 ** (failures - 1)
            at = start + len(have)
            tell_of(self._session)(
                f"{self.name}: the connection broke at byte {at}; resuming in {wait:.0f} s"
            )
            time.sleep(wait)
        return have

    def _learn_size(self) -> int:
        first, size = self._part(0, AHEAD)
        if size is None:
            raise RemoteError(f"{self.name}: the server does not report the size of the file")
        # The first pages come with this request and need not be fetched again.
        self._first = first
        return size

    def _part(self, start: int, stop: int) -> tuple[bytes, int | None]:
        """Return the beginning of a range, maybe all of it, and the size of the whole file."""
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        timeout = (10, self._patience.seconds)
        response = get_signed(
            self._session, self._url, self._service, headers=headers, stream=True, timeout=timeout
        )
        with closing(response):
            refuse_page(response, "a part of a file")
            if response.status_code != 206:
                raise RemoteError(
                    f"{self.name}: the server has no ranges, which are parts of a file; download "
                    "it into a folder and read it by store_id: file (of Zenodo: preload it)"
                )
            offset, size = content_range(response) or (None, None)
            if offset != start:
                raise RemoteError(f"{self.name}: the server returned another range than requested")
            self._check_unchanged(response, size)
            body = self._body(response, stop - start)
        with self._lock:
            self.requests += 1
            self.bytes_read += len(body)
        return body, size

    def _body(self, response: requests.Response, length: int) -> bytes:
        """Read up to *length* bytes; fewer if the body is cut, stalls or is too slow."""
        body = bytearray()
        speed = Speed(self._patience)
        # Bytes before an interruption are valid; the rest is requested again.
        with suppress(HTTPError, OSError):
            while len(body) < length:
                block = response.raw.read1(length - len(body), decode_content=False)
                if not block:
                    break
                body += block
                if speed.too_slow(len(body)) is not None:
                    break
        return bytes(body)

    def _check_unchanged(self, response: requests.Response, size: int | None) -> None:
        etag = response.headers.get("ETag")
        with self._lock:
            if (etag and self._etag and etag != self._etag) or (
                size and self._due and size != self._due
            ):
                raise RemoteError(f"{self.name}: the file changed while it was read")
            self._etag = self._etag or etag
            self._modified = self._modified or response.headers.get("Last-Modified")
            self._due = self._due or size


class RangeFile(PagedFile):
    """A read-only, seekable file at an http(s) URL; see `HttpRanges` for parameters and errors.

    One per thread; ``PagedFile(other.pages)`` shares the cached pages.
    """

    def __init__(
        self,
        url: str,
        session: requests.Session,
        size: int | None = None,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        self._ranges = HttpRanges(url, session, size, patience)
        super().__init__(Pages(self._ranges.name, self._ranges.fetch, self._ranges.size))

    @property
    def requests(self) -> int:
        """Number of requests for ranges so far."""
        return self._ranges.requests

    @property
    def bytes_read(self) -> int:
        """Number of bytes of the file fetched so far."""
        return self._ranges.bytes_read
