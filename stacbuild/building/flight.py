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


class LandedError(Exception):
    """The flight was ended by another region's failure."""


class Flight:
    """Runs functions concurrently, while the tasks that they wait for are fewer than *tasks*.

    As a context manager, it waits for all of them at its end. The first failure ends the others at
    their next finished task (`check`), and is raised; an interrupt does not wait.

    Parameters
    ----------
    tasks
        Most tasks in flight, unless a single function has more.
    """

    def __init__(self, tasks: int) -> None:
        self._most = tasks
        self._tasks = 0
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._ended = False
        # Each function has at least one task.
        self._threads = ThreadPoolExecutor(max(1, tasks), thread_name_prefix="region")

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
                self._wait(0)
        except BaseException:
            interrupted = True
            raise
        finally:
            self._ended = True
            self._threads.shutdown(wait=not interrupted, cancel_futures=True)
        if error is None and self._error is not None:
            raise self._error

    def submit(self, function: Callable[[], None], tasks: int) -> None:
        """Run a function that waits for so many tasks, once there is room for them.

        If the flight is for no tasks, run it in the calling thread.

        Raises
        ------
        BaseException
            What an earlier function raised.
        """
        if not self._most:
            function()
            return
        self._wait(max(0, self._most - tasks))
        if self._error is not None:
            raise self._error
        with self._changed:
            self._tasks += tasks
        context = contextvars.copy_context()

        def run() -> None:
            try:
                context.run(function)
            except BaseException as error:  # noqa: BLE001 - raised by `submit` and at the end
                self._fail(error)
            finally:
                with self._changed:
                    self._tasks -= tasks
                    self._changed.notify_all()

        self._threads.submit(run)

    def check(self) -> None:
        """Raise `LandedError` if the flight has ended."""
        if self._ended:
            raise LandedError

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            if self._error is None and not isinstance(error, LandedError):
                self._error = error
            self._ended = True

    def _wait(self, tasks: int) -> None:
        """Wait until at most so many tasks are in flight, or for all of them after a failure."""
        with self._changed:
            # In short turns, so that an interrupt is noticed on every platform.
            while self._tasks > (0 if self._ended else tasks):
                self._changed.wait(0.5)
