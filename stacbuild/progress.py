"""What a long job tells whoever watches. The library reports; only the CLI and notebook draw.

Who is told is a context variable, so that no function has to hand a reporter on. A thread has a
context of its own: what it is to call takes `current` with it.
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

Unit = Literal["bytes", "chunks", "items", "polls"]


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
        """Open a task; it ends when the context is left, as failed if by an exception."""


class SilentTask:
    """A task nobody watches."""

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
        """Yield a task nobody watches."""
        yield SilentTask()


class Logged(Silent):
    """The default reporter of the library: messages go to the log ``stacbuild``."""

    def say(self, message: str) -> None:
        """Log a message, at the level INFO."""
        _log.info("%s", clean(message))

    def warn(self, message: str) -> None:
        """Log a message, at the level WARNING."""
        _log.warning("%s", clean(message))


_LOGGED = Logged()
_CURRENT: ContextVar[Reporter] = ContextVar("stacbuild_reporter")


@contextmanager
def reported_to(reporter: Reporter | None) -> Iterator[None]:
    """Let a reporter be told what is reported within; None leaves who is told."""
    token = _CURRENT.set(current() if reporter is None else reporter)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current() -> Reporter:
    """Return who is told."""
    return _CURRENT.get(_LOGGED)


def say(message: str) -> None:
    """Send one line of plain text to who is told."""
    current().say(message)


def warn(message: str) -> None:
    """Send one line that the user should see even when not watching."""
    current().warn(message)


def task(
    label: str, *, total: float | None = None, unit: Unit = "items"
) -> AbstractContextManager[Task]:
    """Open a task; it ends when the context is left, as failed if by an exception."""
    return current().task(label, total=total, unit=unit)


def duration(seconds: float) -> str:
    """Return hours, minutes and seconds, for example ``0:24:48``."""
    return str(dt.timedelta(seconds=round(seconds)))
