"""Work that several threads need done: they share it out instead of waiting for one of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray


class SharedArray:
    """An array that is filled in parts, each part once, by whichever threads need the array.

    Parameters
    ----------
    array
        To be filled.
    parts
        Each fills a part of it; they do not overlap, and may run at the same time.
    """

    def __init__(self, array: NDArray[Any], parts: Sequence[Callable[[], None]]) -> None:
        self._array = array
        self._todo = deque(parts)
        self._left = len(parts)
        self._lock = threading.Lock()
        self._finished = threading.Event()
        self._error: BaseException | None = None
        if not parts:
            self._finished.set()

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self._array.nbytes

    def get(self) -> NDArray[Any]:
        """Help to fill the array, wait for the other helpers, and give it.

        Raises
        ------
        BaseException
            What the first part to fail raised; in every thread that asks.
        """
        while (part := self._next()) is not None:
            try:
                part()
            except BaseException as error:
                self._fail(error)
                raise
            with self._lock:
                self._left -= 1
                if not self._left:
                    self._finished.set()
        self._finished.wait()
        if self._error is not None:
            raise self._error
        return self._array

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            return self._todo.popleft() if self._todo else None

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._todo.clear()
            self._error = self._error or error
            self._finished.set()
