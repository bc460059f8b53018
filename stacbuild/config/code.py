"""Dependencies of a user's function: modules that its file imports, and files that it reads.

Imports are found by parsing, so reading a configuration and planning run no code.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

# Not a user's module, even for a configuration in the folder of this project.
_THIS = __name__.partition(".")[0]
_WILDCARDS = frozenset("*?[")
# Calls that import a module by its name.
_CALLS = ("import_module", "__import__")


class CodeError(ValueError):
    """A dependency of a user's function cannot be read; the message names it and the reason."""


def folders_of(file: Path, directory: Path) -> tuple[Path, ...]:
    """Return the folders that a user's *file* imports from: its own, then the configuration's."""
    return tuple(dict.fromkeys((file.parent, directory)))


def module_in(folder: Path, name: str) -> Path | None:
    """Return the file of the package or module *name* (without dots) in *folder*, if any."""
    if name == _THIS:
        return None
    candidates = [folder / name / "__init__.py"]
    candidates += [folder / f"{name}{suffix}" for suffix in (*EXTENSION_SUFFIXES, ".py")]
    return next((each for each in candidates if each.is_file()), None)


def modules_of(file: Path, directory: Path) -> dict[str, Path]:
    """Return the modules in a user's folders that *file* imports, directly or indirectly.

    Parameters
    ----------
    file
        Absolute path of the Python file.
    directory
        The configuration's folder.

    Returns
    -------
    Absolute paths by the path relative to *directory*, without *file* itself. Imports within
    functions and conditions count; names computed at run time do not.

    Raises
    ------
    CodeError
        If a module is not valid Python, cannot be read, or is a link out of *directory*.
    """
    folders = folders_of(file, directory)
    found: dict[Path, None] = {file: None}
    for module in (waiting := [file]):
        if module.suffix != ".py":
            continue
        for imported in _imports(parse(module, directory), module, folders):
            if imported not in found:
                check_within(imported, directory)
                found[imported] = None
                waiting.append(imported)
    return {_relative(path, directory): path for path in found if path != file}


def parse(file: Path, directory: Path) -> ast.Module:
    """Parse a Python file in *directory*; raise CodeError if it cannot be read or parsed."""
    try:
        return ast.parse(file.read_bytes(), file.name)
    except FileNotFoundError as error:
        message = (
            f"there is no file {_relative(file, directory)!r} in the folder of the configuration"
        )
        raise CodeError(message) from error
    except OSError as error:
        message = f"{_relative(file, directory)!r} cannot be read: {error.strerror}"
        raise CodeError(message) from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        raise CodeError(f"{_relative(file, directory)}:{line} is not valid Python") from error


def _imports(tree: ast.Module, file: Path, folders: Sequence[Path]) -> Iterator[Path]:
    """Yield the files in *folders* that a module's code imports, packages' ``__init__`` too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(alias.name, folders)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            starts = _starts(node.level, file, folders)
            # What is imported from a package may be a module in it.
            for name in [base, *(f"{base}.{alias.name}".strip(".") for alias in node.names)]:
                yield from _files(name, starts)
        elif isinstance(node, ast.Call) and node.args and _name_of(node.func) in _CALLS:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                dots = len(first.value) - len(first.value.lstrip("."))
                yield from _files(first.value.lstrip("."), _starts(dots, file, folders))


def _starts(level: int, file: Path, folders: Sequence[Path]) -> Sequence[Path]:
    """Return the folders to search for a name with *level* leading dots."""
    if level == 0:
        return folders
    above = file.parents[level - 1 : level]
    # Nothing is imported from beyond the configuration's folder.
    return [each for each in above if each.is_relative_to(folders[-1])]


def _name_of(function: ast.expr) -> str | None:
    return getattr(function, "attr", None) or getattr(function, "id", None)


def _files(name: str, folders: Sequence[Path]) -> Iterator[Path]:
    """Yield the file of each step of a dotted name, such as ``a/__init__.py`` and ``a/b.py``."""
    for folder in folders:
        for step in filter(None, name.split(".")):
            file = module_in(folder, step)
            if file is not None:
                yield file
            folder = folder / step
            if not folder.is_dir():
                break


def files_of(entry: str, directory: Path) -> dict[str, Path]:
    """Return the files that an entry of ``depends_on`` stands for, by their path in *directory*.

    Parameters
    ----------
    entry
        A file, a folder (for every file below it) or a pattern such as ``regions/*.json``,
        relative to *directory*. Folders and patterns leave out hidden files and ``__pycache__``.
    directory
        The configuration's folder.

    Raises
    ------
    CodeError
        If nothing of that name exists, or it is outside of *directory*.
    """
    parts = Path(entry).parts
    if Path(entry).is_absolute() or ".." in parts or entry.startswith("~"):
        raise CodeError(f"{entry!r} has to be relative to the configuration, without '..'")
    if not parts or parts[0] == "**":
        raise CodeError(
            f"{entry!r} is the whole folder of the configuration, with its cubes and catalogs; "
            "name what the function reads"
        )
    try:
        files = [file for each in named(entry, directory) for file in _below(each, directory)]
    except OSError as error:
        raise CodeError(f"{entry!r} cannot be read: {error.strerror}") from error
    if not files:
        raise CodeError(f"there is no file in {entry!r}")
    return {_relative(file, directory): file for file in sorted(files)}


def named(entry: str, directory: Path) -> list[Path]:
    """Return the files and folders that an entry of ``depends_on`` names or matches.

    Raises
    ------
    CodeError
        If nothing of that name exists.
    """
    path = directory / entry
    if path.exists() or path.is_symlink():
        return [path]
    if not set(entry) & _WILDCARDS:
        raise CodeError(f"there is no {entry!r} in the folder of the configuration")
    return [
        each
        for each in directory.glob(entry)
        if not any(map(_is_hidden, each.relative_to(directory).parts))
    ]


def _below(path: Path, directory: Path) -> Iterator[Path]:
    check_within(path, directory)
    if path.is_file():
        yield path
    elif path.is_dir():
        for child in sorted(os.scandir(path), key=lambda each: each.name):
            if _is_hidden(child.name):
                continue
            if child.is_symlink() and child.is_dir():
                # It may link to a folder above itself.
                raise CodeError(
                    f"{_relative(Path(child.path), directory)!r} is a link to a folder; "
                    "name that folder instead"
                )
            yield from _below(Path(child.path), directory)
    elif path.exists():
        raise CodeError(f"{_relative(path, directory)!r} is neither a file nor a folder")
    else:
        raise CodeError(f"{_relative(path, directory)!r} is a link to nothing")


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__pycache__"


def check_within(path: Path, directory: Path) -> None:
    """Raise CodeError if *path* is a link out of *directory*."""
    try:
        within = path.resolve().is_relative_to(directory.resolve())
    except (OSError, RuntimeError) as error:  # a link to itself
        raise CodeError(f"{_relative(path, directory)!r} is a link to nothing") from error
    if not within:
        raise CodeError(
            f"{_relative(path, directory)!r} is a link out of the folder of the configuration"
        )


def _relative(path: Path, directory: Path) -> str:
    return path.relative_to(directory).as_posix()
