"""What was fetched of a file, in pages that threads share, and a file interface on it."""

from __future__ import annotations

import io
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from stacbuild.errors import RemoteError

PAGE = 1 << 16
"""Bytes a page; what lies closer together than this is fetched as one range."""

CAPACITY = 32 << 20
"""Bytes of pages kept for one file."""

LONGEST = 32 << 20
"""Bytes asked for in one request."""

Span = tuple[int, int]
"""First byte, and the first byte after."""

Fetch = Callable[[int, int], bytes]
"""Give the bytes from *start* up to *stop* (exclusive), all of them, or raise."""


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
    capacity
        Bytes to keep; pages in use (`hold`) are kept beyond that.
    """

    def __init__(self, name: str, fetch: Fetch, size: int, capacity: int = CAPACITY) -> None:
        self.name = name
        self.size = size
        self._fetch = fetch
        self._capacity = capacity
        self._lock = threading.Lock()
        self._pages: OrderedDict[int, bytes] = OrderedDict()
        self._kept = 0
        self._coming: dict[int, Future[bytes]] = {}
        self._held: Counter[int] = Counter()

    def read(self, start: int, stop: int) -> bytes:
        """Give the bytes from *start* up to *stop*, or up to the end of the file."""
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        first, last = start // PAGE, (stop - 1) // PAGE
        pages = self._get(range(first, last + 1))
        if first == last:
            return pages[first][start - first * PAGE : stop - first * PAGE]
        middle = [pages[number] for number in range(first + 1, last)]
        head = pages[first][start - first * PAGE :]
        return b"".join([head, *middle, pages[last][: stop - last * PAGE]])

    @contextmanager
    def hold(self, spans: Iterable[Span]) -> Iterator[None]:
        """Fetch *spans* in as few requests as possible and keep them while in the context."""
        numbers = {
            number
            for start, stop in spans
            for number in range(start // PAGE, -(-min(stop, self.size) // PAGE))
        }
        with self._lock:
            self._held.update(numbers)
        try:
            self._get(sorted(numbers))
            yield
        finally:
            with self._lock:
                self._held.subtract(numbers)
                self._held = +self._held
                self._evict()

    def _get(self, numbers: Sequence[int]) -> dict[int, bytes]:
        """Give pages; each is fetched by one thread, and others that want it wait for that."""
        found: dict[int, bytes] = {}
        mine: list[int] = []
        theirs: dict[int, Future[bytes]] = {}
        with self._lock:
            for number in numbers:
                if number in self._pages:
                    self._pages.move_to_end(number)
                    found[number] = self._pages[number]
                elif number in self._coming:
                    theirs[number] = self._coming[number]
                else:
                    mine.append(number)
                    self._coming[number] = Future()
        try:
            for first, last in _runs(mine):
                found |= self._bring(first, last)
        except BaseException as error:
            self._give_up(mine, error)
            raise
        return found | {number: future.result() for number, future in theirs.items()}

    def _bring(self, first: int, last: int) -> dict[int, bytes]:
        data = memoryview(self._fetch(first * PAGE, min((last + 1) * PAGE, self.size)))
        pages = {
            number: bytes(data[(number - first) * PAGE : (number - first + 1) * PAGE])
            for number in range(first, last + 1)
        }
        with self._lock:
            self._pages |= pages
            self._kept += len(data)
            for number, page in pages.items():
                self._coming.pop(number).set_result(page)
            self._evict()
        return pages

    def _give_up(self, numbers: Iterable[int], error: BaseException) -> None:
        # An interrupt is this thread's own; those who wait are told of a failure instead.
        told = error if isinstance(error, Exception) else RemoteError(f"{self.name}: interrupted")
        with self._lock:
            for number in numbers:
                if number in self._coming:
                    self._coming.pop(number).set_exception(told)

    def _evict(self) -> None:
        excess = self._kept - self._capacity
        if excess <= 0:
            return
        for number in [number for number in self._pages if not self._held[number]]:
            excess -= len(self._pages[number])
            self._kept -= len(self._pages.pop(number))
            if excess <= 0:
                return


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
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it has positions."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position, which may lie beyond the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"{self.pages.name}: negative position {base + offset}")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """Give the position."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read as many bytes as *buffer* takes and the file has."""
        data = self.pages.read(self._at, self._at + len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Give the first and last of each unbroken run of ascending *numbers*, none too long."""
    if not numbers:
        return
    first = numbers[0]
    for number, following in pairwise([*numbers, -1]):
        if following != number + 1 or (number + 1 - first) * PAGE >= LONGEST:
            yield first, number
            first = following
