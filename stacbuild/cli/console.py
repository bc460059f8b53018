"""Output of the command line on stderr: progress, messages, the final table.

On a terminal this is a live display, otherwise plain lines. External text (a title, a file name, an
error) is stripped of control characters and never interpreted as markup.
"""

from __future__ import annotations

import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn
from rich.progress import Task as BarTask
from rich.table import Column, Table
from rich.text import Text

from stacbuild.progress import Reporter, Unit, duration
from stacbuild.safe_text import clean

if TYPE_CHECKING:
    from stacbuild.planning import CubePlan

Clock = Callable[[], float]

# Columns of a terminal in which progress is shown with longer labels and bars.
_WIDE = 100
# Longest name that widens the column of names.
_NAMES = 60
_STYLES = {"COMPLETED": "green", "FAILED": "bold red"}


class _Watched:
    """A task that counts its progress and formats it for display."""

    def __init__(
        self, label: str, total: float | None, unit: Unit, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self.label = clean(label)
        self.total = total
        self.unit = unit
        self.done = 0.0
        self._from_before = 0.0
        self._note = ""
        self._clock = clock
        self._changed = changed
        self._lock = threading.Lock()
        self.started = clock()

    def advance(self, amount: float = 1) -> None:
        with self._lock:
            self.done += amount
        self._changed()

    def update(
        self, *, done: float | None = None, total: float | None = None, note: str | None = None
    ) -> None:
        with self._lock:
            if done is not None:
                # Bytes that an earlier run downloaded do not count towards the speed.
                if self.done == 0:
                    self._from_before = done
                self.done = done
            if total is not None:
                self.total = total
            if note is not None:
                self._note = clean(note)
        self._changed()

    @property
    def seconds(self) -> float:
        return self._clock() - self.started

    def _amount(self, number: float) -> str:
        return decimal(int(number)) if self.unit == "bytes" else f"{number:g}"

    def finished(self) -> str:
        """Return the amount and duration of a finished task."""
        unit = "" if self.unit == "bytes" else f" {self.unit}"
        if self.done == 1:
            unit = unit.removesuffix("s")
        amount = f"{self._amount(self.done)}{unit} in " if self.done else ""
        return f"{amount}{duration(self.seconds)}"

    def describe(self, width: int | None = None) -> str:
        """Return progress, total, speed and remaining time.

        Parameters
        ----------
        width
            Leave out the speed, and then the remaining time, of a text with more characters.
        """
        with self._lock:
            done, total, note, before = self.done, self.total, self._note, self._from_before
        unit = "" if self.unit == "bytes" else f" {self.unit}"
        parts, optional = [], []
        if total:
            share = f"{done / total:.0%}"
            parts.append(f"{self._amount(done)} of {self._amount(total)}{unit} ({share})")
        elif done:
            parts.append(f"{self._amount(done)}{unit}")
        seconds = self.seconds
        rate = (done - before) / seconds if seconds > 0 else 0
        if rate > 0 and self.unit != "polls":
            speed = f"{decimal(int(rate))}/s" if self.unit == "bytes" else f"{rate:.3g}{unit}/s"
            parts.append(speed)
            optional.append(speed)
            if total and total > done:
                parts.append(f"{duration((total - done) / rate)} left")
                optional.append(parts[-1])
        if note:
            parts.append(note)
        for part in optional:
            if width is not None and len(", ".join(parts)) > width:
                parts.remove(part)
        return ", ".join(parts) or duration(seconds)


class PlainReporter:
    """Write a line when a task starts, every few seconds while it runs, and when it ends.

    Parameters
    ----------
    stream
        Output stream, by default stderr.
    every
        Minimum number of seconds between two lines of one task.
    clock
        Monotonic clock, in seconds.
    """

    def __init__(
        self, stream: TextIO | None = None, *, every: float = 5.0, clock: Clock = time.monotonic
    ) -> None:
        self._stream = stream or sys.stderr
        self._every = every
        self._clock = clock
        self._lock = threading.Lock()

    def _write(self, line: str) -> None:
        with self._lock:
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def say(self, message: str) -> None:
        """Write one line."""
        self._write(clean(message))

    def warn(self, message: str) -> None:
        """Write one line that starts with ``warning:``."""
        self._write(f"warning: {clean(message)}")

    @contextmanager
    def task(
        self, label: str, *, total: float | None = None, unit: Unit = "items"
    ) -> Iterator[_Watched]:
        """Start a task and report its end; the reason of a failure is reported elsewhere."""
        last = self._clock()
        lock = threading.Lock()

        def changed() -> None:
            nonlocal last
            with lock:
                now = self._clock()
                if now - last < self._every:
                    return
                last = now
            self._write(f"{watched.label}: {watched.describe()}")

        watched = _Watched(label, total, unit, self._clock, changed)
        self._write(f"{watched.label}: begins")
        try:
            yield watched
        except BaseException:
            self._write(f"{watched.label}: stopped after {duration(watched.seconds)}")
            raise
        self._write(f"{watched.label}: done, {watched.finished()}")


class _Described(ProgressColumn):
    """Column with the progress of a task next to its bar, as much of it as there is room for."""

    def __init__(self, room: Callable[[], int]) -> None:
        self._room = room
        super().__init__(_line(1))

    def render(self, task: BarTask) -> Text:
        watched: _Watched = task.fields["watched"]
        return Text(watched.describe(self._room()), style="progress.remaining")


def _line(ratio: int | None = None, width: int | None = None) -> Column:
    return Column(no_wrap=True, overflow="ellipsis", ratio=ratio, max_width=width)


class TerminalReporter:
    """A live display of running tasks below the finished ones.

    Parameters
    ----------
    console
        The terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        wide = console.width >= _WIDE
        self._bar = 24 if wide else 12
        self._label = 40 if wide else 24
        self._progress = Progress(
            SpinnerColumn(table_column=Column(width=1)),
            TextColumn("{task.description}", markup=False, table_column=_line(width=self._label)),
            BarColumn(bar_width=self._bar, table_column=Column(width=self._bar)),
            _Described(self._room),
            console=console,
            transient=True,
            expand=True,
        )

    def _room(self) -> int:
        """Return the number of characters beside spinner, labels and bars."""
        labels = [cell_len(task.description) for task in self._progress.tasks]
        return self._console.width - 4 - self._bar - min(max(labels, default=0), self._label)

    def __enter__(self) -> TerminalReporter:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def say(self, message: str) -> None:
        """Print one line above the display."""
        self._print(message)

    def warn(self, message: str) -> None:
        """Print one coloured line above the display."""
        self._print(f"warning: {message}", "yellow")

    def _print(self, message: str, style: str = "") -> None:
        # Between words only, so that a long path can be copied.
        for line in wrapped(message, "", self._console.width):
            self._console.print(Text(line, style=style), soft_wrap=True)

    @contextmanager
    def task(
        self, label: str, *, total: float | None = None, unit: Unit = "items"
    ) -> Iterator[_Watched]:
        """Start a task, shown as a bar until it ends."""

        def changed() -> None:
            # A thread may still report progress after the task has ended.
            with suppress(KeyError):
                self._progress.update(bar, completed=watched.done, total=watched.total)

        watched = _Watched(label, total, unit, time.monotonic, changed)
        bar = self._progress.add_task(watched.label, total=total, watched=watched)
        try:
            yield watched
        except BaseException:
            self.say(f"{watched.label}: stopped after {duration(watched.seconds)}")
            raise
        else:
            self.say(f"{watched.label}: done, {watched.finished()}")
        finally:
            self._progress.remove_task(bar)


def open_reporter(live: bool | None = None) -> AbstractContextManager[Reporter]:
    """Return a reporter to stderr: a live display on a terminal, plain lines elsewhere.

    Parameters
    ----------
    live
        False for plain lines even on a terminal (``general.visualize`` of the configuration).
    """
    console = Console(stderr=True)
    if live is not False and console.is_terminal and not console.is_dumb_terminal:
        return TerminalReporter(console)
    return nullcontext(PlainReporter())


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stderr; in ASCII and without a limit of width if it is not a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        console = Console(stderr=True, width=10_000)
    table = Table(box=box.ROUNDED if console.is_terminal else box.ASCII2)
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(cell), style=_STYLES.get(cell, "")) for cell in row))
    console.print(table)


def size_text(size: int | None) -> str:
    """Return a size in bytes, kB, MB, ... (powers of 1000); ``-`` if it is unknown."""
    return "-" if size is None else decimal(size)


def aligned(rows: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """Yield lines of names, right-aligned sizes, and types, never wrapped.

    Names that are longer than most of a terminal's line do not widen the column.
    """
    cells = [(clean(name), clean(size), clean(kind)) for name, size, kind in rows]
    name_width = max(
        (cell_len(name) for name, _, _ in cells if cell_len(name) <= _NAMES), default=0
    )
    size_width = max((len(size) for _, size, _ in cells), default=0)
    for name, size, kind in cells:
        padding = " " * (name_width - cell_len(name))
        yield f"{name}{padding}  {size:>{size_width}}  {kind}".rstrip()


def plan_lines(plans: Sequence[CubePlan]) -> Iterator[str]:
    """Yield the lines of a plan, at most 80 columns wide unless a single word is wider."""
    for each in plans:
        # A failure is reported with the other errors.
        why = "" if each.action == "fails" else each.reason
        yield from _wrapped(f"{each.name}: {each.action}" + (f": {why}" if why else ""), "")
        if each.action == "conflict":
            continue
        if each.action == "up to date":
            yield from _wrapped(f"{each.href}", "  ")
            if each.made_with:
                yield from _wrapped(f"made with {'; '.join(each.made_with)}", "  ")
            continue
        if each.grid is not None:
            rows, cols = each.grid.shape
            yield from _wrapped(f"{rows} x {cols} pixels, {each.grid.crs}", "  ")
            if each.grid.note:
                yield from _wrapped(each.grid.note, "  ")
        expected = each.expected
        for variable in expected.variables if expected else ():
            dims = zip(variable.dims, variable.shape, strict=True)
            shape = " x ".join(f"{length} {dim}" for dim, length in dims)
            parts = f"chunks {' x '.join(map(str, variable.chunking.chunks))}"
            if variable.chunking.shards:
                parts += f", shards {' x '.join(map(str, variable.chunking.shards))}"
            yield from _wrapped(f"{variable.name}: {variable.dtype}, {shape}, {parts}", "  ")
        if each.harvest:
            count = "1 source" if len(each.harvest) == 1 else f"{len(each.harvest)} sources"
            yield f"  {count} to harvest first (stacbuild cube does it):"
            for source in each.harvest:
                yield from _wrapped(source, "    ")
            if expected and expected.variables:
                # The items are from before the files changed.
                yield "  sizes are those of the last harvest, and may change"
        if each.code:
            yield from _wrapped(f"custom code: {', '.join(each.code)}", "  ")
        if expected:
            costs = [
                f"{decimal(count)} {what}"
                for count, what in (
                    (expected.fetch, "to fetch"),
                    (expected.write, "to write"),
                    (expected.memory, "of memory"),
                )
                if count is not None
            ] or ["size and memory unknown until it is harvested"]
            free = f"; {decimal(expected.free)} free on disk" if expected.free is not None else ""
            about = "about " if expected.write is not None else ""
            yield from _wrapped(f"{about}{', '.join(costs)}{free}", "  ")


def wrapped(text: str, indent: str, width: int) -> list[str]:
    """Return the lines of a text without control characters, broken between words only."""
    return textwrap.wrap(
        clean(text),
        width,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _wrapped(text: str, indent: str) -> list[str]:
    return wrapped(text, indent, _COLUMNS)


_COLUMNS = 80
