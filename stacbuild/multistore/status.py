"""A live status table in a notebook; printed text elsewhere."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from stacbuild.multistore.tables import Table, in_notebook
from stacbuild.progress import Unit
from stacbuild.safe_text import clean

_HEADS = ("Dataset identifier", "Status", "Message", "Exception")
# Minimum seconds between updates, since a notebook redraws the table for each.
_UPDATE_INTERVAL = 0.5


class StatusTable:
    """A row per dataset or data id; also the `Reporter` of the work on the current rows.

    Parameters
    ----------
    names
        The rows, in order.
    live
        False does not show it before `close`. Otherwise a notebook shows it at once and updates it
        in place.
    """

    def __init__(self, names: Sequence[str], *, live: bool | None = None) -> None:
        self._rows = {name: ["WAITING", "-", "-"] for name in names}
        self._current: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self._drawn = 0.0
        self._handle: Any = None
        self.fetched = False
        if in_notebook() and live is not False:
            display: Any = importlib.import_module("IPython.display").display
            self._handle = display(self.table(), display_id=True)

    def table(self) -> Table:
        """Return the rows as a table."""
        with self._lock:
            return Table(_HEADS, [(name, *cells) for name, cells in self._rows.items()])

    def begin(self, *names: str) -> None:
        """Make rows the current ones, which receive all further reports."""
        self._current, self.fetched = names, False
        for name in names:
            self.set(name, "STARTED", "-")

    def set(self, name: str, status: str, message: str, exception: str = "-") -> None:
        """Change a row."""
        with self._lock:
            self._rows[name] = [status, message, exception]
        self._draw(at_once=True)

    def note(self, message: str) -> None:
        """Show a message in the current rows."""
        with self._lock:
            for name in self._current:
                self._rows[name][1] = message
        self._draw()

    def close(self) -> None:
        """Show the final table, or print it to stdout outside of a notebook."""
        if self._handle is None:
            sys.stdout.write(f"{self.table()!r}\n")
        else:
            self._draw(at_once=True)

    def _draw(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if self._handle is None or (not at_once and now - self._drawn < _UPDATE_INTERVAL):
            return
        self._drawn = now
        self._handle.update(self.table())

    def say(self, message: str) -> None:
        """Show a message in the current rows."""
        self.note(message)

    def warn(self, message: str) -> None:
        """Write a warning to stderr, since the table shows only the latest message."""
        sys.stderr.write(f"warning: {clean(message)}\n")

    @contextmanager
    def task(
        self, label: str, *, total: float | None = None, unit: Unit = "items"
    ) -> Iterator[_RowTask]:
        """Show the progress of a task in the current rows."""
        if unit in ("bytes", "polls"):
            self.fetched = True
        yield _RowTask(self, label, total)


class _RowTask:
    def __init__(self, status: StatusTable, label: str, total: float | None) -> None:
        self._status, self._label, self._total = status, label, total
        self._done, self._note = 0.0, ""
        self._lock = threading.Lock()
        self._show()

    def advance(self, amount: float = 1) -> None:
        with self._lock:
            self._done += amount
        self._show()

    def update(
        self, *, done: float | None = None, total: float | None = None, note: str | None = None
    ) -> None:
        with self._lock:
            self._done = self._done if done is None else done
            self._total = self._total if total is None else total
            self._note = self._note if note is None else note
        self._show()

    def _show(self) -> None:
        share = f": {min(self._done / self._total, 1):.0%}" if self._total else ""
        note = f" ({self._note})" if self._note else ""
        self._status.note(f"{self._label}{share}{note}")
