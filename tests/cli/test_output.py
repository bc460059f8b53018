"""A command ends with a table, a line for each error, and the exit code that these call for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click
import pytest

from stacbuild.cli.output import Settings, finish, print_error
from stacbuild.errors import AuthError, ConfigError, RemoteError, StacbuildError


@dataclass
class Result:
    name: str
    status: str = "COMPLETED"
    message: str = "done"
    seconds: float = 61
    error: StacbuildError | None = None


def ended(*results: Any) -> int:
    context = click.Context(click.Command("cube"), obj=Settings())
    try:
        finish(context, "Dataset", results)
    except click.exceptions.Exit as end:
        return end.exit_code
    return 0


def test_all_well_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(Result("senf")) == 0
    shown = "".join(capsys.readouterr())
    assert "senf" in shown
    assert "0:01:01" in shown
    assert "error" not in shown


def test_failures_are_lines_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    down = Result("a", "FAILED", "down", error=RemoteError("down\x1b[1m"))
    assert ended(Result("b"), down) == 3
    assert "error: a: down\\x1b[1m\n" in capsys.readouterr().err
    assert ended(down, Result("c", "FAILED", "no", error=AuthError("no"))) == 1


def test_mistakes_are_a_line_each_and_a_traceback_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_error(ConfigError(["one", "two"]), debug=False)
    assert capsys.readouterr().err == "error: one\nerror: two\n"
    print_error(RemoteError("forest: down"), debug=False, name="forest")
    assert capsys.readouterr().err == "error: forest: down\n"
    print_error(RemoteError("down"), debug=True)
    assert "RemoteError: down" in capsys.readouterr().err
