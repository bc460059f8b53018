"""The Tab key in a shell: what the how-to says is typed into one that really runs."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.cli import command
from tests.support.paths import ROOT

HOWTO = ROOT / "docs" / "howto" / "shell-completion.md"
BASH = shutil.which("bash")
PROMPT = "ready> "


def said(shell: str) -> str:
    """Return the line of the how-to that this shell is told with."""
    (line,) = re.findall(rf'^eval "\$\(.*{shell}_source stacbuild\)"', HOWTO.read_text(), re.M)
    return str(line)


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, end: int) -> None:
        self._end = end
        self._seen = ""

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def wait_for(self, text: str) -> str:
        """Read until *text* was shown; return what was before it since the last time."""
        until = time.monotonic() + 30
        while text not in self._seen:
            ready, _, _ = select.select([self._end], [], [], max(0, until - time.monotonic()))
            assert ready, f"{text!r} was not shown, but: {self._seen!r}"
            self._seen += os.read(self._end, 4096).decode(errors="replace")
        before, _, self._seen = self._seen.partition(text)
        return before


@contextmanager
def bash(directory: Path) -> Iterator[Terminal]:
    """Run bash as a user does, without anybody's settings, until the end of the block."""
    ours, theirs = pty.openpty()
    environment = {
        "HOME": str(directory),
        "INPUTRC": os.devnull,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PS1": PROMPT,
        "TERM": "dumb",
    }
    process = subprocess.Popen(
        [str(BASH), "--norc", "--noprofile", "-i"],
        stdin=theirs, stdout=theirs, stderr=theirs,
        cwd=directory, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        terminal = Terminal(ours)
        terminal.wait_for(PROMPT)
        yield terminal
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.skipif(BASH is None, reason="there is no bash here")
def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    with bash(tmp_path) as terminal:
        terminal.type(said("bash") + "\n")
        terminal.wait_for(PROMPT)
        for typed, rest in [
            ("stacbuild ha", "stacbuild harvest "),
            ("stacbuild config sc", "stacbuild config schema "),
            ("stacbuild cube --sch", "stacbuild cube --scheduler "),
        ]:
            terminal.type(typed + "\t")
            terminal.wait_for(rest)
            # Ctrl-U empties the line; a signal might be lost to what still completes.
            terminal.type("\x15")


@pytest.mark.parametrize(
    ("shell", "sign"),
    [("bash", "complete -o"), ("zsh", "#compdef stacbuild"), ("fish", "complete")],
)
def test_each_shell_has_its_text(shell: str, sign: str) -> None:
    done = subprocess.run(
        command(),
        env={**os.environ, "_STACBUILD_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sign in done.stdout
    assert done.stderr == ""
    assert f"_STACBUILD_COMPLETE={shell}_source stacbuild" in HOWTO.read_text()


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_zsh_takes_its_text(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = f"autoload -Uz compinit && compinit -u && {said('zsh')} && print $_comps[stacbuild]"
    done = subprocess.run(
        ["zsh", "-f", "-c", script],
        env={"HOME": str(tmp_path), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "_stacbuild_completion\n", done.stderr
