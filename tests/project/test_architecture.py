"""Rooms import downwards only, modules say what they hold, functions take few arguments."""

from __future__ import annotations

import ast
import re

import grimp
import pytest

from tests.support.paths import ROOT


def test_architecture_is_short_and_modules_say_what_they_hold() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) <= 250
    for path in (ROOT / "stacbuild").rglob("*.py"):
        said = ast.get_docstring(ast.parse(path.read_text())) or ""
        first = said.partition("\n")[0]
        assert first.endswith((".", "?")), f"{path}: {first!r} is no sentence"


def _rooms() -> list[str]:
    """Return the rooms of the table, the highest first."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    table = text.partition("\n## The rooms\n")[2].partition("\n## ")[0]
    return re.findall(r"(?m)^\| `(\w+)` \|", table)


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    # Imports for the type checker count, too: they are what a reader has to know.
    return grimp.build_graph("stacbuild", cache_dir=None, exclude_type_checking_imports=False)


def test_rooms_import_downwards_only(graph: grimp.ImportGraph) -> None:
    rooms = _rooms()
    packages = {path.parent.name for path in (ROOT / "stacbuild").glob("*/__init__.py")}
    assert set(rooms) == packages | {"base"}

    def height(module: str) -> int:
        room = module.split(".")[1]
        return len(rooms) - rooms.index(room if room in rooms else "base")

    up = {
        f"{module} -> {imported}"
        for module in graph.modules - {"stacbuild"}
        for imported in graph.find_modules_directly_imported_by(module) - {"stacbuild"}
        if height(imported) > height(module)
    }
    assert up == set()


def test_no_module_imports_itself_by_way_of_others(graph: grimp.ImportGraph) -> None:
    left = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    # Whoever imports nothing that is left is in no cycle.
    while done := {name for name, imported in left.items() if not imported & left.keys()}:
        left = {name: imported for name, imported in left.items() if name not in done}
    assert left == {}


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
        if path.parent.name in ("cli", "api"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                if len([each for each in given if each.arg not in ("self", "cls")]) > 5:
                    more.add(node.name)
    assert more == _MORE_ARGUMENTS


def test_no_test_module_imports_another() -> None:
    tests = ROOT / "tests"
    modules = {path.relative_to(ROOT) for path in tests.rglob("*.py")}
    names = {".".join(path.with_suffix("").parts) for path in modules if path.match("test_*.py")}
    assert len(names) > 100
    imported = set()
    for path in modules:
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.Import):
                found = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found = {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
            else:
                continue
            imported |= {f"{path} -> {name}" for name in found & names}
    assert imported == set()
