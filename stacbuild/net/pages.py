"""A cache of the fetched parts of a remote file, shared by threads, and a file interface to it.

The bytes are stored in a sparse temporary file at their own offsets, so that none is fetched twice
however large the file and however little memory there is.
"""

from __future__ import annotations

import io
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import pairwise
from typing import Any

from stacbuild.errors import LocalError, RemoteError
from stacbuild.net.in_flight import together

PAGE = 1 << 13
"""Bytes per page, the unit of the cache."""

GAP = 1 << 16
"""Ranges closer together than this, in bytes, are fetched as one."""

AHEAD = 1 << 16
"""Least number of bytes fetched by a read without `Pages.prefetch`."""

LONGEST = 32 << 20
"""Largest number of bytes per request."""

Span = tuple[int, int]
"""First byte, and the first byte after."""

Fetch = Callable[[int, int], bytes]
"""Return all bytes from *start* up to *stop* (exclusive), or raise."""


class Pages:
    """A thread-safe cache of the pages of one file.

    Parameters
    ----------
    name
        Name of the file in messages.
    fetch
        Fetches a range of the file.
    size
        Size of the file in bytes.
    """

    def __init__(self, name: str, fetch: Fetch, size: int) -> None:
        self.name = name
        self.size = size
        self.fetch = fetch
        self._lock = threading.Lock()
        self._cached: set[int] = set()
        self._pending: dict[int, Future[None]] = {}
        with tempfile.TemporaryFile(prefix="stacbuild-", buffering=0) as file:
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from *start* up to *stop*, or up to the end of the file.

        Raises
        ------
        RemoteError
            Fetching failed.
        LocalError
            There is no space in the temporary folder.
        """
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        numbers = range(start // PAGE, -(-stop // PAGE))
        if not self._cached.issuperset(numbers):
            least = range(start // AHEAD * (AHEAD // PAGE), -(-stop // AHEAD) * (AHEAD // PAGE))
            self._get(number for number in least if number * PAGE < self.size)
        return os.pread(self._file, stop - start, start)

    def prefetch(self, spans: Iterable[Span]) -> None:
        """Fetch missing pages of *spans*, in as few requests as possible; raises as `read`."""
        self._get(
            number
            for start, stop in spans
            for number in range(start // PAGE, -(-min(stop, self.size) // PAGE))
        )

    def put(self, start: int, data: bytes) -> None:
        """Put whole pages into the cache, which are known from elsewhere."""
        self._write(start, data)
        last = -(-(start + len(data)) // PAGE)
        with self._lock:
            self._cached.update(range(start // PAGE, last))

    def held(self) -> list[int]:
        """Return the numbers of the cached pages."""
        with self._lock:
            return sorted(self._cached)

    def spans(self, numbers: Iterable[int]) -> list[Span]:
        """Return the byte ranges of pages, in order; adjacent pages are one range."""
        found: list[Span] = []
        for number in numbers:
            start, stop = number * PAGE, min((number + 1) * PAGE, self.size)
            if found and found[-1][1] == start:
                found[-1] = found[-1][0], stop
            else:
                found.append((start, stop))
        return found

    def _get(self, numbers: Iterable[int]) -> None:
        """Fetch missing pages, each once; wait for those that other threads fetch."""
        wanted = sorted(set(numbers))
        with self._lock:
            others = [self._pending[number] for number in wanted if number in self._pending]
            runs = list(self._missing(wanted))
            for first, last in runs:
                for number in range(first, last + 1):
                    self._pending[number] = Future()
        try:
            if runs:
                together(partial(self._fetch_run, first, last) for first, last in runs)
        except BaseException as error:
            self._fail(runs, error)
            raise
        for future in others:
            future.result()

    def _missing(self, wanted: list[int]) -> Iterator[tuple[int, int]]:
        """Yield first and last page of each run to fetch, including small gaps."""
        missing = [n for n in wanted if n not in self._cached and n not in self._pending]
        if not missing:
            return
        first = missing[0]
        for number, following in pairwise([*missing, missing[-1] + GAP]):
            between = range(number + 1, following)
            near = len(between) * PAGE < GAP and all(
                n not in self._cached and n not in self._pending for n in between
            )
            if not near or (following + 1 - first) * PAGE > LONGEST:
                yield first, number
                first = following

    def _fetch_run(self, first: int, last: int) -> None:
        data = self.fetch(first * PAGE, min((last + 1) * PAGE, self.size))
        self._write(first * PAGE, data)
        with self._lock:
            self._cached.update(range(first, last + 1))
            for number in range(first, last + 1):
                # Absent if the read was interrupted.
                if (future := self._pending.pop(number, None)) is not None:
                    future.set_result(None)

    def _write(self, start: int, data: bytes) -> None:
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(self._file, memoryview(data)[done:], start + done)
        except OSError as error:
            raise LocalError(
                f"{tempfile.gettempdir()}: no space to cache {self.name} "
                f"({error.strerror}); set TMPDIR to a folder with more"
            ) from error

    def _fail(self, runs: Iterable[tuple[int, int]], error: BaseException) -> None:
        # An interrupt concerns this thread only; waiting threads get an error instead.
        if not isinstance(error, Exception):
            error = RemoteError(f"{self.name}: interrupted")
        with self._lock:
            for first, last in runs:
                for number in range(first, last + 1):
                    if number in self._pending:
                        self._pending.pop(number).set_exception(error)


class PagedFile(io.RawIOBase):
    """A read-only, seekable file on `Pages`; one per thread, while pages are shared."""

    def __init__(self, pages: Pages) -> None:
        super().__init__()
        self.pages = pages
        self._position = 0

    @property
    def size(self) -> int:
        """Size of the file in bytes."""
        return self.pages.size

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, which may be beyond the end, and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"{self.pages.name}: negative position {base + offset}")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read into *buffer* and return the number of bytes."""
        data = self.pages.read(self._position, self._position + len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
