"""A bounded cache of values that several chunks need: index maps and decoded windows."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar


class Sized(Protocol):
    """A value with a size in bytes."""

    @property
    def nbytes(self) -> int: ...  # noqa: D102


T = TypeVar("T", bound=Sized | None)


class Cache:
    """A thread-safe LRU cache of values by key, each computed once.

    Threads that request the same key at the same time wait for the one that computes it. A failure
    is raised in all of them and not cached.

    Parameters
    ----------
    max_bytes
        Limit of all cached values together. A single larger value is returned, but not cached.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._sizes: dict[Hashable, int] = {}
        self._left: dict[Hashable, int] = {}
        self._last: dict[Hashable, int] = {}
        self._uses = 0
        self._held = 0

    @property
    def uses(self) -> int:
        """Number of requests so far."""
        return self._uses

    @property
    def nbytes(self) -> int:
        """Memory of the cached values in bytes."""
        with self._lock:
            return self._held

    def get(self, key: Hashable, make: Callable[[], T], *, uses: int | None = None) -> T:
        """Return the value of *key*, computed by *make* if it is not cached.

        Parameters
        ----------
        uses
            Total number of requests, after which the value is dropped; None if unknown.
        """
        with self._lock:
            future = self._values.get(key)
            mine = future is None
            if future is None:
                future = self._values[key] = Future()
                if uses is not None:
                    self._left[key] = uses
            else:
                self._values.move_to_end(key)
            self._uses += 1
            self._last[key] = self._uses
            if key in self._left:
                self._left[key] -= 1
                if not self._left[key]:
                    self._forget(key)
        if not mine:
            return future.result()  # type: ignore[no-any-return]
        try:
            value = make()
        except BaseException as error:
            self.drop(key)
            future.set_exception(error)
            raise
        future.set_result(value)
        with self._lock:
            if self._values.get(key) is future:  # not cleared in the meantime
                self._sizes[key] = 0 if value is None else value.nbytes
                self._held += self._sizes[key]
                self._shrink()
        return value

    def drop(self, key: Hashable) -> None:
        """Drop one value, if it is cached."""
        with self._lock:
            self._forget(key)

    def clear(self, before: int | None = None) -> None:
        """Drop all values, or those that were last requested *before*, as counted by `uses`."""
        with self._lock:
            for key in list(self._values):
                if before is None or self._last[key] <= before:
                    self._forget(key)

    def _forget(self, key: Hashable) -> None:
        self._held -= self._sizes.get(key, 0)
        for each in (self._values, self._sizes, self._left, self._last):
            each.pop(key, None)

    def _shrink(self) -> None:
        if self._held <= self.max_bytes:
            return
        for key in [key for key in self._values if key in self._sizes]:
            self._forget(key)
            if self._held <= self.max_bytes:
                return
