"""ARCHITECTURE.md names every module, and none that is not there; functions take few arguments."""

from __future__ import annotations

import ast
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
    whole = re.compile(r"(cli|multistore)/|py.typed")
    assert {name for name in there if not whole.match(name)} == _told()


# Of functions that take more: options by keyword only, and what overrides a library's.
_MORE_ARGUMENTS = {
    "build",
    "download",
    "raster_item",
    "remove",
    "validate",
    "zarr_item",
    "increment",
}


def test_functions_take_at_most_five_arguments() -> None:
    package = ROOT / "stacbuild"
    more = set()
    for path in package.rglob("*.py"):
        # The commands, and the public functions that they call.
        if path.parent.name == "cli" or path == package / "api.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                if len([each for each in given if each.arg not in ("self", "cls")]) > 5:
                    more.add(node.name)
    assert more == _MORE_ARGUMENTS
