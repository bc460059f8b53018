"""The reference of the library, from the public names' source and docstrings."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import stacbuild
from stacbuild import errors, progress
from stacbuild.config import config_schema
from stacbuild.multistore.stores import DataStore, Stores
from stacbuild.sources import listing as looking

_HEAD = """\
# Reference: the library

Written by `scripts/docs` from the docstrings. Nothing is kept between calls: several may run at
once in threads of one process. What fails raises an [error](#errors) whose one line says what to
do.
"""

_WIDTH = 100

_FUNCTIONS = (
    "load_config",
    "list_data",
    "describe",
    "harvest",
    "plan",
    "load",
    "build",
    "generate",
    "open_cube",
    "open_catalog",
    "validate",
    "export",
    "remove",
)
_RESULTS = (
    "Entry",
    "HarvestResult",
    "CubePlan",
    "CubeResult",
    "Check",
    "Found",
    "Removal",
    "Config",
)

SECTIONS: dict[str, tuple[str, list[Any]]] = {
    "Functions": (
        "From `stacbuild`. With examples: [use stacbuild from Python](../howto/python.md).",
        [getattr(stacbuild, name) for name in _FUNCTIONS],
    ),
    "What they return": ("From `stacbuild`:", [getattr(stacbuild, name) for name in _RESULTS]),
    "In a notebook": (
        "From `stacbuild`; its `stores` lead to the others:",
        [stacbuild.MultiSourceDataStore, Stores, DataStore],
    ),
    "Before there is a configuration": (
        "From `stacbuild.sources.listing`:",
        [
            looking.describe_data,
            looking.first_configuration,
            looking.sources,
            looking.write_configuration,
            looking.SourceKind,
            looking.Choice,
        ],
    ),
    "The schema": ("From `stacbuild.config`:", [config_schema]),
    "Progress": (
        "`Reporter` from `stacbuild` too, both from `stacbuild.progress`:",
        [progress.Reporter, progress.Task],
    ),
}


def page() -> str:
    """Return the page as Markdown."""
    lines = [_HEAD]
    for heading, (intro, members) in SECTIONS.items():
        lines += [f"## {heading}", ""]
        if intro:
            lines += [intro, ""]
        for member in members:
            lines += [*_member(member), ""]
    lines += _errors()
    return "\n".join(lines).rstrip() + "\n"


def _member(member: Any) -> Iterator[str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(member))).body[0]
    yield f"### {member.__name__}"
    yield ""
    yield "```python"
    if isinstance(tree, ast.FunctionDef):
        yield signature(tree)
    else:
        assert isinstance(tree, ast.ClassDef)
        yield f"class {tree.name}:"
        parts = [node for node in tree.body if _is_public(node)]
        before = ""
        for part in map(_declared, parts):
            # A line between what it holds and what it does, as ruff has it.
            if part.startswith(("def", "@")) and before and not before.startswith(("def", "@")):
                yield ""
            yield textwrap.indent(part, "    ")
            before = part
        if not parts:
            yield "    ..."
    yield "```"
    yield ""
    yield from docstring(inspect.getdoc(member) or "")
    if isinstance(tree, ast.ClassDef):
        methods = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        for method in methods:
            if _is_public(method) and ast.get_docstring(method):
                yield ""
                yield f"**`{method.name}`**"
                yield ""
                yield from docstring(ast.get_docstring(method) or "")


def _is_public(node: ast.AST) -> bool:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return not node.target.id.startswith("_")
    return isinstance(node, ast.FunctionDef) and (
        node.name == "__getitem__" or (not node.name.startswith("_") and node.name not in _HIDDEN)
    )


# pydantic's own.
_HIDDEN = {"model_post_init"}


def _declared(node: ast.AST) -> str:
    if isinstance(node, ast.FunctionDef):
        decorators = {ast.unparse(each) for each in node.decorator_list}
        if "property" in decorators and node.returns:
            return f"{node.name}: {_unparse(node.returns)}"
        static = "@staticmethod\n" if "staticmethod" in decorators else ""
        return static + signature(node, indent=4)
    assert isinstance(node, ast.AnnAssign)
    kind = node.annotation
    if isinstance(kind, ast.Subscript) and ast.unparse(kind.value) == "Annotated":
        # What else it is annotated with is for pydantic.
        assert isinstance(kind.slice, ast.Tuple)
        kind = kind.slice.elts[0]
    return f"{_unparse(node.target)}: {_unparse(kind)}"


def signature(node: ast.FunctionDef, indent: int = 0) -> str:
    """Return a function's first line as ruff would format it."""
    returns = f" -> {_unparse(node.returns)}" if node.returns else ""
    whole = f"def {node.name}({_unparse(node.args)}){returns}: ..."
    if len(whole) + indent <= _WIDTH:
        return whole
    # One parameter a line; what is nested in brackets stays together.
    parameters = re.split(r", (?![^\[(]*[\])])", _unparse(node.args))
    listed = "".join(f"    {each},\n" for each in parameters)
    return f"def {node.name}(\n{listed}){returns}: ..."


def _unparse(node: ast.AST) -> str:
    # Texts are in double quotes here, and there are spaces around the default of what is annotated.
    text = ast.unparse(node).replace("'", '"')
    return re.sub(r"(: [^=,]*(?:\[[^\]]*\])?[^=,]*)=", r"\1 = ", text)


def docstring(text: str) -> Iterator[str]:
    """Yield a numpy docstring as Markdown."""
    lines = text.splitlines()
    in_list = False
    i = 0
    while i < len(lines):
        line = lines[i]
        if i + 1 < len(lines) and line and set(lines[i + 1]) == {"-"}:
            yield f"*{line}*"
            yield ""
            in_list = line in {"Parameters", "Raises"}
            i += 2
            continue
        if in_list and line and not line.startswith(" "):
            body = []
            while i + 1 < len(lines) and (lines[i + 1].startswith(" ") or not lines[i + 1]):
                # An empty line ends the section, unless more of the entry follows it.
                if not lines[i + 1] and not (i + 2 < len(lines) and lines[i + 2].startswith(" ")):
                    break
                i += 1
                body.append(lines[i].strip())
            names = ", ".join(f"`{name.strip()}`" for name in line.split(","))
            yield f"- {names}: {' '.join(body)}".replace("``", "`")
        else:
            yield line.strip().replace("``", "`")
        i += 1


def _errors() -> Iterator[str]:
    yield "## Errors"
    yield ""
    yield "From `stacbuild`; all are a `StacbuildError`. Commands end with their exit code."
    yield ""
    yield "| class | exit code | |"
    yield "|---|---|---|"
    for name, each in vars(errors).items():
        if isinstance(each, type) and issubclass(each, errors.StacbuildError):
            first = (each.__doc__ or "").strip().splitlines()[0]
            code = "of its parts, else 1" if each is errors.Failures else each.exit_code
            yield f"| `{name}` | {code} | {first} |"
