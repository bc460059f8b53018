"""Final output and exit codes of commands."""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from stacbuild.errors import ConfigError, Failure, Failures, StacbuildError, prefixed
from stacbuild.safe_text import clean, clean_lines

if TYPE_CHECKING:
    from stacbuild.building import CubeResult
    from stacbuild.sources import HarvestResult


@dataclass
class Settings:
    """Options of the program, given before the name of the command."""

    debug: bool = False


def finish(
    ctx: click.Context, what: str, results: Sequence[CubeResult] | Sequence[HarvestResult]
) -> None:
    """Print the results of a run as a table, then its errors; exit with the code of the errors."""
    from stacbuild.cli.console import print_table
    from stacbuild.progress import duration

    # A failure is shown once, in full, below the table.
    rows = [(r.name, r.status, _message(r), duration(r.seconds)) for r in results]
    print_table((what, "Status", "Message", "Time"), rows)
    failures = [
        (r.name, r.error or StacbuildError(r.message)) for r in results if r.status == "FAILED"
    ]
    print_failures(failures, ctx.obj.debug)
    if failures:
        ctx.exit(Failures(failures).exit_code)


def _message(result: CubeResult | HarvestResult) -> str:
    if result.status == "FAILED":
        return "see below"
    # On a terminal, the path of a cube is there already, as a line of stdout.
    shown = sys.stdout.isatty() and result.message == getattr(result, "href", None)
    return "" if shown else result.message


def print_failures(failures: Sequence[Failure], debug: bool) -> None:
    """Print each failure once, with the names of all parts that failed because of it."""
    names: dict[str, list[str]] = {}
    errors: dict[str, StacbuildError] = {}
    for name, error in failures:
        names.setdefault(str(error), []).append(name)
        errors.setdefault(str(error), error)
    for text, error in errors.items():
        print_error(error, debug, ", ".join(dict.fromkeys(names[text])))


def print_error(error: StacbuildError, debug: bool, name: str = "") -> None:
    """Print an error in one line that starts with *name*; several problems in a line each."""
    if debug:
        click.echo(clean_lines("".join(traceback.format_exception(error))), err=True, nl=False)
    lines = [str(error)]
    if isinstance(error, ConfigError):
        lines = error.problems
    elif isinstance(error, Failures):
        lines = lines[0].splitlines()
    for line in lines:
        text = clean(prefixed(name, line) if name else line)
        for shown in _lines(f"error: {text}"):
            first = shown.startswith("error:")
            coloured = shown.replace("error:", marked("error:", "red"), 1) if first else shown
            click.echo(coloured, err=True)


def _lines(text: str) -> list[str]:
    """Return a message as lines of a terminal, broken between words; whole anywhere else."""
    if not sys.stderr.isatty():
        return [text]
    from stacbuild.cli.console import wrapped

    return wrapped(text, "", shutil.get_terminal_size().columns)


def marked(word: str, color: str) -> str:
    """Return a word in bold and colour; plain if the user set ``NO_COLOR`` (no-color.org).

    click removes the colour where the output is not a terminal.
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return word
    return click.style(word, fg=color, bold=True)
