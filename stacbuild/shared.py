"""Arrays that several threads compute together, instead of waiting for one of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray


class SharedArray:
    """An array that is filled in parts, each once, by the threads that need it.

    Parameters
    ----------
    array
        The array to fill.
    parts
        Functions that fill its parts; they do not overlap, and may run concurrently.
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
        """Memory in bytes."""
        return self._array.nbytes

    def get(self) -> NDArray[Any]:
        """Fill remaining parts, wait for the other threads, and return the array.

        Raises
        ------
        BaseException
            The error of the first part that failed, in every thread.
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
