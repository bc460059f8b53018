"""Several regions of a cube in flight: one is fetched or decoded while another is written.

A region of a single-band variable is a single task, and a task waits for its own requests. So
regions are computed at the same time, in order, as many as it takes to keep all workers busy. Each
has a thread that only waits for its tasks; the tasks run on the workers of the cube.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

# Most regions in flight; each has a thread.
_THREADS = 1024


class LandedError(Exception):
    """The flight was ended by another region's failure."""


class Flight:
    """Runs functions concurrently, while the tasks that they wait for are fewer than *tasks*.

    As a context manager, it waits for all of them at its end. The first failure ends the others at
    their next finished task (`check`), and is raised; an interrupt does not wait.

    Parameters
    ----------
    tasks
        Returns the most tasks in flight, unless a single function has more; 0 to run functions in
        the calling thread. Workers may join a cluster meanwhile, so it is asked again.
    forget
        Called with the group number of the oldest function in flight whenever functions of older
        groups have ended.
    """

    def __init__(
        self, tasks: Callable[[], int], forget: Callable[[int], None] = lambda _: None
    ) -> None:
        self._most = tasks
        self._forget = forget
        self._changed = threading.Condition()
        # Tasks and group of each function in flight.
        self._flying: dict[object, tuple[int, int]] = {}
        self._group = 0
        self._error: BaseException | None = None
        self._ended = False
        # Threads are started when there is no idle one.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="region")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is not None:
            self._ended = True
        interrupted = error is not None and not isinstance(error, Exception)
        try:
            if not interrupted:
                self._wait(None)
        except BaseException:
            interrupted = True
            raise
        finally:
            self._ended = True
            self._threads.shutdown(wait=not interrupted, cancel_futures=True)
        if error is None and self._error is not None:
            raise self._error

    def begin(self, group: int) -> None:
        """Begin a group of functions, which share something; its number is not smaller."""
        with self._changed:
            self._group = group
        self._forget(self._oldest())

    def submit(self, function: Callable[[], None], tasks: int) -> None:
        """Run a function of the group that waits for so many tasks, once there is room for them.

        Raises
        ------
        BaseException
            What an earlier function raised.
        """
        if not self._most():
            function()
            return
        self._wait(tasks)
        if self._error is not None:
            raise self._error
        key, context = object(), contextvars.copy_context()
        with self._changed:
            self._flying[key] = (tasks, self._group)

        def run() -> None:
            try:
                context.run(function)
            except BaseException as error:  # noqa: BLE001 - raised by `submit` and at the end
                self._fail(error)
            finally:
                self._land(key)

        self._threads.submit(run)

    def check(self) -> None:
        """Raise `LandedError` if the flight has ended."""
        if self._ended:
            raise LandedError

    def _land(self, key: object) -> None:
        with self._changed:
            _, group = self._flying.pop(key)
            self._changed.notify_all()
        if group < (oldest := self._oldest()):
            self._forget(oldest)

    def _oldest(self) -> int:
        with self._changed:
            return min((group for _, group in self._flying.values()), default=self._group)

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            if self._error is None and not isinstance(error, LandedError):
                self._error = error
            self._ended = True

    def _wait(self, tasks: int | None) -> None:
        """Wait until there is room for so many tasks; for all to end if None or after a failure."""
        with self._changed:
            # In short turns, so that an interrupt is noticed on every platform.
            while self._flying and (tasks is None or self._ended or not self._has_room(tasks)):
                self._changed.wait(0.5)

    def _has_room(self, tasks: int) -> bool:
        flying = sum(each for each, _ in self._flying.values())
        return flying + tasks <= self._most() and len(self._flying) < _THREADS
