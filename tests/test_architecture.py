"""ARCHITECTURE.md names every module, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def _told() -> set[str]:
    """Return the modules in the picture of the package, as paths below it."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    block = text.partition("\nstacbuild/\n")[2].partition("```")[0]
    told, folder = set(), ""
    for line in block.splitlines():
        indent, name = len(line) - len(line.lstrip()), line.split()[0]
        if name.endswith("/"):
            folder = name
        if name.endswith(".py"):
            told.add(f"{folder if indent > 2 else ''}{name}")
    return told


def test_every_module_is_told_and_every_one_told_is_there() -> None:
    package = ROOT / "stacbuild"
    there = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    # Told in one line: a module a command, a kind, a part of the interface.
    whole = re.compile(r"(cli|looking|multistore)/|(fetch|pictures|web)/__init__.py|py.typed")
    assert {name for name in there if not whole.match(name)} == _told()
