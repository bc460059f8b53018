"""A command ends with a table, a line for each error, and the exit code that these call for."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import click
import pytest

from stacbuild.cli.output import Settings, finish, marked, print_error
from stacbuild.errors import (
    AuthError,
    ConfigError,
    Failures,
    LocalError,
    RemoteError,
    StacbuildError,
)


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


def test_each_of_several_failures_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    failures = Failures([("item a", LocalError("no file")), ("item b", LocalError("cut off"))])
    assert ended(Result("cube", "FAILED", "", error=failures)) == 5
    lines = capsys.readouterr().err.splitlines()[-2:]
    assert lines == ["error: cube: item a: no file", "error: cube: item b: cut off"]


def test_a_failure_of_several_parts_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    down = [Result(name, "FAILED", "is down", error=RemoteError("is down")) for name in "abc"]
    assert ended(*down, Result("d", "FAILED", "no", error=RemoteError("no"))) == 3
    shown = capsys.readouterr().err
    assert shown.count("is down") == 1
    assert shown.endswith("error: a, b, c: is down\nerror: d: no\n")


@pytest.mark.parametrize(
    ("set_", "colored"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_are_left_out_on_request(
    set_: dict[str, str], colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in ({"TERM": "xterm"} | set_).items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in marked("error:", "red")) == colored


def test_errors_break_between_words_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("NO_COLOR", "1")
    path = "/a/path/that/is/longer/than/the/terminal.tif"
    error = StacbuildError(f"{path}: there is no such file; check the path")
    print_error(error, debug=False, name="dem")
    assert len(capsys.readouterr().err.splitlines()) == 1
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    print_error(error, debug=False, name="dem")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["error: dem:", f"  {path}:", "  there is no such file; check", "  the path"]
