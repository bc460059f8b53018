"""Messages and progress. The library reports; only the CLI and the notebook interface draw.

The reporter is a context variable, so that it is no parameter of every function. A thread has its
own context: pass it `current()`.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Literal, Protocol

from stacbuild.safe_text import clean

_log = logging.getLogger("stacbuild")

Unit = Literal["bytes", "chunks", "shards", "items", "polls", "cubes"]


class Task(Protocol):
    """A running task, such as a download or a cube."""

    def advance(self, amount: float = 1) -> None:
        """Add *amount* units to the progress."""

    def update(
        self, *, done: float | None = None, total: float | None = None, note: str | None = None
    ) -> None:
        """Set the progress, the total, or a note shown beside it."""


class Reporter(Protocol):
    """Receiver of messages and progress. Implementations must be thread-safe."""

    def say(self, message: str) -> None:
        """Show one line of plain text to the user, without markup."""

    def warn(self, message: str) -> None:
        """Show one line that the user should see even when not watching."""

    def task(
        self, label: str, *, total: float | None = None, unit: Unit = "items"
    ) -> AbstractContextManager[Task]:
        """Start a task, which ends with the context; it failed if that raises."""


class SilentTask:
    """A task whose progress is ignored."""

    def advance(self, amount: float = 1) -> None:
        """Do nothing."""

    def update(
        self, *, done: float | None = None, total: float | None = None, note: str | None = None
    ) -> None:
        """Do nothing."""


class Silent:
    """A reporter that shows nothing."""

    def say(self, message: str) -> None:
        """Do nothing."""

    def warn(self, message: str) -> None:
        """Do nothing."""

    @contextmanager
    def task(
        self,
        label: str,  # noqa: ARG002 - part of the protocol
        *,
        total: float | None = None,  # noqa: ARG002
        unit: Unit = "items",  # noqa: ARG002
    ) -> Iterator[SilentTask]:
        """Yield a task whose progress is ignored."""
        yield SilentTask()


class Logged(Silent):
    """The default reporter of the library: messages go to the log ``stacbuild``."""

    def say(self, message: str) -> None:
        """Log a message at level INFO."""
        _log.info("%s", clean(message))

    def warn(self, message: str) -> None:
        """Log a message at level WARNING."""
        _log.warning("%s", clean(message))


_LOGGED = Logged()
_CURRENT: ContextVar[Reporter] = ContextVar("stacbuild_reporter")


@contextmanager
def reported_to(reporter: Reporter | None) -> Iterator[None]:
    """Use a reporter in the context; None keeps the current one."""
    token = _CURRENT.set(current() if reporter is None else reporter)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current() -> Reporter:
    """Return the current reporter."""
    return _CURRENT.get(_LOGGED)


def say(message: str) -> None:
    """Send one line of plain text to the current reporter."""
    current().say(message)


def warn(message: str) -> None:
    """Send one line that the user should notice to the current reporter."""
    current().warn(message)


def task(
    label: str, *, total: float | None = None, unit: Unit = "items"
) -> AbstractContextManager[Task]:
    """Start a task of the current reporter, which ends with the context."""
    return current().task(label, total=total, unit=unit)


def duration(seconds: float) -> str:
    """Return hours, minutes and seconds, for example ``0:24:48``."""
    return str(dt.timedelta(seconds=round(seconds)))
