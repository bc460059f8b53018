"""What was fetched of a file, kept once for all threads, and a file interface on it.

The bytes lie in a temporary file with holes, at their own places, so that none is fetched twice
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
from itertools import pairwise
from typing import Any

from stacbuild.errors import LocalError, RemoteError

PAGE = 1 << 13
"""Bytes a page, the unit in which is known what is here."""

GAP = 1 << 16
"""What lies closer together than this is fetched as one range."""

AHEAD = 1 << 16
"""Bytes fetched at the least by a read that was not announced by `Pages.prefetch`."""

LONGEST = 32 << 20
"""Bytes asked for in one request."""

Span = tuple[int, int]
"""First byte, and the first byte after."""

Fetch = Callable[[int, int], bytes]
"""Return the bytes from *start* up to *stop* (exclusive), all of them, or raise."""


class Pages:
    """The parts of one file that were fetched; safe to use from threads.

    Parameters
    ----------
    name
        What messages call the file.
    fetch
        Where bytes come from.
    size
        Bytes of the file.
    """

    def __init__(self, name: str, fetch: Fetch, size: int) -> None:
        self.name = name
        self.size = size
        self._fetch = fetch
        self._lock = threading.Lock()
        self._here: set[int] = set()
        self._coming: dict[int, Future[None]] = {}
        with tempfile.TemporaryFile(prefix="stacbuild-", buffering=0) as file:
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from *start* up to *stop*, or up to the end of the file.

        Raises
        ------
        RemoteError
            They did not come.
        LocalError
            There is no space to keep them.
        """
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        numbers = range(start // PAGE, -(-stop // PAGE))
        if not self._here.issuperset(numbers):
            least = range(start // AHEAD * (AHEAD // PAGE), -(-stop // AHEAD) * (AHEAD // PAGE))
            self._get(number for number in least if number * PAGE < self.size)
        return os.pread(self._file, stop - start, start)

    def prefetch(self, spans: Iterable[Span]) -> None:
        """Fetch what is not here of *spans*, in as few requests as possible; raises as `read`."""
        self._get(
            number
            for start, stop in spans
            for number in range(start // PAGE, -(-min(stop, self.size) // PAGE))
        )

    def _get(self, numbers: Iterable[int]) -> None:
        """Have pages here; each is fetched by one thread, and others that want it wait for that."""
        wanted = sorted(set(numbers))
        with self._lock:
            theirs = [self._coming[number] for number in wanted if number in self._coming]
            runs = list(self._missing(wanted))
            for first, last in runs:
                for number in range(first, last + 1):
                    self._coming[number] = Future()
        try:
            for first, last in runs:
                self._bring(first, last)
        except BaseException as error:
            self._give_up(runs, error)
            raise
        for future in theirs:
            future.result()

    def _missing(self, wanted: list[int]) -> Iterator[tuple[int, int]]:
        """Yield the first and last of each run of pages to fetch, small gaps fetched with them."""
        away = [n for n in wanted if n not in self._here and n not in self._coming]
        if not away:
            return
        first = away[0]
        for number, following in pairwise([*away, away[-1] + GAP]):
            between = range(number + 1, following)
            near = len(between) * PAGE < GAP and all(
                n not in self._here and n not in self._coming for n in between
            )
            if not near or (following + 1 - first) * PAGE > LONGEST:
                yield first, number
                first = following

    def _bring(self, first: int, last: int) -> None:
        data = self._fetch(first * PAGE, min((last + 1) * PAGE, self.size))
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(self._file, memoryview(data)[done:], first * PAGE + done)
        except OSError as error:
            raise LocalError(
                f"{tempfile.gettempdir()}: no place to keep what is read of {self.name} "
                f"({error.strerror}); set TMPDIR to a folder with more"
            ) from error
        with self._lock:
            self._here.update(range(first, last + 1))
            for number in range(first, last + 1):
                self._coming.pop(number).set_result(None)

    def _give_up(self, runs: Iterable[tuple[int, int]], error: BaseException) -> None:
        # An interrupt is this thread's own; those who wait are told of a failure instead.
        told = error if isinstance(error, Exception) else RemoteError(f"{self.name}: interrupted")
        with self._lock:
            for first, last in runs:
                for number in range(first, last + 1):
                    if number in self._coming:
                        self._coming.pop(number).set_exception(told)


class PagedFile(io.RawIOBase):
    """A read-only, seekable file on `Pages`. One object is for one thread; pages are shared."""

    def __init__(self, pages: Pages) -> None:
        super().__init__()
        self.pages = pages
        self._at = 0

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.pages.size

    def readable(self) -> bool:
        """Return True: it can be read."""
        return True

    def seekable(self) -> bool:
        """Return True: it has positions."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position, which may lie beyond the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"{self.pages.name}: negative position {base + offset}")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read as many bytes as *buffer* takes and the file has."""
        data = self.pages.read(self._at, self._at + len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
