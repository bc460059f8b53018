"""What one run of a harvest or a build remembers, whichever dataset is at work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class Run:
    """What is known since a run began.

    Parameters
    ----------
    given_up
        Hosts, with their ports, that did not answer after all tries.
    told
        What was warned of, and need not be again.
    """

    given_up: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)


_RUN: ContextVar[Run | None] = ContextVar("stacbuild_run", default=None)


@contextmanager
def one_run() -> Iterator[Run]:
    """Take all in the block for one run, or for a part of the run that it is in."""
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
    """Return the run of this context; outside of any, one that nothing else sees."""
    return _RUN.get() or Run()


def is_first(what: str) -> bool:
    """Return whether this is the first time in the run that something is to be warned of."""
    told = current().told
    if what in told:
        return False
    told.add(what)
    return True
