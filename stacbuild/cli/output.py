"""Final output and exit codes of commands."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from stacbuild.errors import ConfigError, Failures, StacbuildError, prefixed
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

    rows = [(r.name, r.status, r.message, duration(r.seconds)) for r in results]
    print_table((what, "Status", "Message", "Time"), rows)
    failures = [
        (r.name, r.error or StacbuildError(r.message)) for r in results if r.status == "FAILED"
    ]
    for name, error in failures:
        print_error(error, ctx.obj.debug, name)
    if failures:
        ctx.exit(Failures(failures).exit_code)


def print_error(error: StacbuildError, debug: bool, name: str = "") -> None:
    """Print an error in one line that starts with *name*; a `ConfigError` in a line per problem."""
    if debug:
        click.echo(clean_lines("".join(traceback.format_exception(error))), err=True, nl=False)
    lines = error.problems if isinstance(error, ConfigError) else [str(error)]
    for line in lines:
        click.echo(f"error: {clean(prefixed(name, line) if name else line)}", err=True)
