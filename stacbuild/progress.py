"""What a long job tells whoever watches. The library reports; only the CLI and notebook draw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol

Unit = Literal["bytes", "chunks", "items", "polls"]


class Task(Protocol):
    """One thing under way, for example a download or a cube."""

    def advance(self, amount: float = 1) -> None:
        """Add *amount* units to what is done."""

    def update(
        self, *, done: float | None = None, total: float | None = None, note: str | None = None
    ) -> None:
        """Set what is done, the total, or a note shown beside it."""


class Reporter(Protocol):
    """Takes messages and progress. Implementations must be safe to call from threads."""

    def say(self, message: str) -> None:
        """Take one line of plain text for the user, without markup."""

    def warn(self, message: str) -> None:
        """Take one line that the user should see even when not watching."""

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
    """The default reporter of the library: says nothing."""

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
