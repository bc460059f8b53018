"""A remote file read by ranges, as if it were here: few and large requests, no byte twice.

GDAL and zipfile read through it and never speak to the network themselves: GDAL keeps a body that
was cut as if it were whole, and goes on failing after the server is well again.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import closing, suppress

import requests
from urllib3.exceptions import HTTPError

from stacbuild.errors import RemoteError
from stacbuild.net.http import Patience, public_url, refuse_page, send, tell_of
from stacbuild.net.pages import AHEAD, PagedFile, Pages


class HttpRanges:
    """Fetches ranges of one URL, whole or not at all; safe to use from threads.

    Parameters
    ----------
    url
        An http(s) URL whose server answers ranges.
    session
        As `stacbuild.net.http.session` makes it: it waits on 429 and 5xx, and takes a line each
        time that a body breaks, too.
    size
        Bytes of the file if known; else the first request tells.

    Raises
    ------
    NotFoundError, AuthError, RemoteError
        On opening (if *size* is not given) and on `fetch`: the server does not give the range,
        gives it short again and again, or the file changed meanwhile.
    """

    def __init__(
        self,
        url: str,
        session: requests.Session,
        size: int | None = None,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        self.requests = 0
        self.bytes_read = 0
        self.name = public_url(url)
        self._url = url
        self._session = session
        self._patience = patience
        self._lock = threading.Lock()
        self._etag: str | None = None
        self._due = size
        self._first = b""
        self.size = size if size is not None else self._learn_size()

    def fetch(self, start: int, stop: int) -> bytes:
        """Return the bytes from *start* up to *stop* (exclusive)."""
        have = self._first[:stop] if start == 0 else b""
        failures = 0
        while len(have) < stop - start:
            part, _ = self._part(start + len(have), stop)
            have += part
            if len(have) == stop - start:
                break
            failures = 1 if len(part) >= self._patience.worth else failures + 1
            if failures >= self._patience.tries:
                raise RemoteError(
                    f"{self.name}: bytes {start} to {stop} came short in {failures} tries"
                )
            wait = self._patience.pause * 2 ** (failures - 1)
            at = start + len(have)
            tell_of(self._session)(
                f"{self.name}: the connection broke at byte {at}; going on in {wait:.0f} s"
            )
            time.sleep(wait)
        return have

    def _learn_size(self) -> int:
        first, size = self._part(0, AHEAD)
        if size is None:
            raise RemoteError(f"{self.name}: the server does not say how long the file is")
        # The same request has brought the first page; it need not come again.
        self._first = first
        return size

    def _part(self, start: int, stop: int) -> tuple[bytes, int | None]:
        """Fetch the beginning of a range, maybe all of it, and the size of the whole file."""
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        timeout = (10, self._patience.seconds)
        response = send(
            self._session, "GET", self._url, headers=headers, stream=True, timeout=timeout
        )
        with closing(response):
            refuse_page(response, "a part of a file")
            if response.status_code != 206:
                raise RemoteError(f"{self.name}: the server gives no ranges; preload the file")
            said = re.fullmatch(
                r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip()
            )
            if not said or int(said[1]) != start:
                raise RemoteError(f"{self.name}: the server answered another range than asked for")
            self._check_unchanged(response, None if said[2] == "*" else int(said[2]))
            body = self._body(response, stop - start)
        with self._lock:
            self.requests += 1
            self.bytes_read += len(body)
        return body, None if said[2] == "*" else int(said[2])

    def _body(self, response: requests.Response, length: int) -> bytes:
        """Read up to *length* bytes; fewer if the body is cut, stands still or trickles."""
        body = bytearray()
        mark, clock = 0, time.monotonic()
        # What came before a break is good; the rest is asked for anew.
        with suppress(HTTPError, OSError):
            while len(body) < length:
                block = response.raw.read1(length - len(body), decode_content=False)
                if not block:
                    break
                body += block
                passed = time.monotonic() - clock
                if passed >= self._patience.seconds:
                    if len(body) - mark < self._patience.min_speed * passed:
                        break
                    mark, clock = len(body), time.monotonic()
        return bytes(body)

    def _check_unchanged(self, response: requests.Response, size: int | None) -> None:
        etag = response.headers.get("ETag")
        with self._lock:
            if (etag and self._etag and etag != self._etag) or (
                size and self._due and size != self._due
            ):
                raise RemoteError(f"{self.name}: the file changed while it was read")
            self._etag = self._etag or etag
            self._due = self._due or size


class RangeFile(PagedFile):
    """A read-only, seekable file at an http(s) URL; see `HttpRanges` for parameters and errors.

    One object is for one thread; ``PagedFile(other.pages)`` is another position in the same
    pages.
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
        """How many requests for ranges were answered so far."""
        return self._ranges.requests

    @property
    def bytes_read(self) -> int:
        """How many bytes of the file came over the network so far."""
        return self._ranges.bytes_read
