"""State of one run of a harvest or a build, shared by all of its datasets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class Run:
    """The state of a run.

    Parameters
    ----------
    given_up
        Hosts, with ports, that did not respond after all retries; requests to them are not retried.
    tokens
        By the URL of a token: the token, and the time of `time.monotonic` until which it is used.
    lock
        For changes of *tokens*.
    """

    given_up: set[str] = field(default_factory=set)
    tokens: dict[str, Future[tuple[str, float]]] = field(default_factory=dict, repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)


_RUN: ContextVar[Run | None] = ContextVar("stacbuild_run", default=None)


@contextmanager
def one_run() -> Iterator[Run]:
    """Share one state in the context: that of an enclosing run, or a new one."""
    known = _RUN.get()
    if known is not None:
        yield known
        return
    token = _RUN.set(Run())
    try:
        yield current()
    finally:
        _RUN.reset(token)


def current() -> Run:
    """Return the state of the current run, or a new one outside of a run."""
    return _RUN.get() or Run()
