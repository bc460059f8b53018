"""Requests in flight: several ranges at a time, and a limit for each host."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait

MOST = 32
"""Most requests for ranges in flight to one host, by all processes of a build."""

_share = MOST
_lock = threading.Lock()
_slots: dict[str, threading.BoundedSemaphore] = {}
_threads: ThreadPoolExecutor | None = None


def slot(host: str) -> threading.BoundedSemaphore:
    """Return the semaphore that is held during a request to a host, as ``name:port``."""
    with _lock:
        if host not in _slots:
            _slots[host] = threading.BoundedSemaphore(_share)
        return _slots[host]


def share(processes: int) -> None:
    """Limit this process, one of so many that fetch at the same time, to its share, at least 1."""
    global _share
    with _lock:
        if _share != (each := max(1, MOST // processes)):
            _share = each
            # Requests in flight release the semaphores that they hold.
            _slots.clear()


def together(requests: Iterable[Callable[[], None]]) -> None:
    """Call functions at the same time, each of which waits for a host; return when all are done.

    Raises
    ------
    Exception
        That of a function that failed. Those that had not begun are not called.
    """
    first, *others = requests
    futures = [_pool().submit(each) for each in others]
    try:
        first()
        for future in futures:
            future.result()
    except BaseException as error:
        for future in futures:
            future.cancel()
        # After an interrupt, do not wait for a slow server.
        if isinstance(error, Exception):
            wait(futures)
        raise


def _pool() -> ThreadPoolExecutor:
    global _threads
    with _lock:
        if _threads is None:
            _threads = ThreadPoolExecutor(MOST, thread_name_prefix="fetch")
        return _threads


def _forget() -> None:
    """Start anew in a forked process, which has none of the threads."""
    global _threads, _lock
    _lock, _threads = threading.Lock(), None
    _slots.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
