"""What a schema cannot say: that every name leads somewhere and is there once.

These look at the data as read, right or wrong in other respects, so that one run reports
everything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stacbuild.config.code import CodeError, files_of
from stacbuild.config.datasets import CustomProcessing
from stacbuild.config.models import STORAGE, hint
from stacbuild.config.other_stores import INSTEAD
from stacbuild.config.reading import KeyPath, Problem
from stacbuild.config.stores import MODELS, kinds_that

STORE_IDS = tuple(sorted(MODELS))
WRITABLE = kinds_that(lambda model: model.writable)
PRELOADABLE = kinds_that(lambda model: model.preloadable)


def problems(data: dict[Any, Any], directory: Path | None) -> Iterator[Problem]:
    """Yield what is wrong between the parts of *data*, the mapping of a whole configuration.

    *directory* is the folder that modules of custom processing are in; None if there is none.
    """
    stores = _identifiers(data, "data_stores")
    grids = _identifiers(data, "grid_mappings")
    datasets = _identifiers(data, "datasets")
    for section in ("datasets", "data_stores", "grid_mappings"):
        yield from _duplicates(data.get(section), (section,))
    yield from _stores(data, stores)
    for path, dataset in _entries(data.get("datasets"), ("datasets",)):
        yield from _duplicates(dataset.get("variables"), (*path, "variables"))
        yield from _grid(dataset, path, grids, datasets)
        sources = [(path, dataset)]
        if "variables" in dataset:
            sources = _entries(dataset["variables"], (*path, "variables"))
            yield from _coordinates(sources, grids.get(str(dataset.get("grid_mapping"))))
        for where, source in sources:
            yield from _source(source, where, stores)
            yield from _custom(source.get("custom_processing"), where, directory)
    for path, preload in _entries(data.get("preload_datasets"), ("preload_datasets",)):
        yield from _preload(preload, path, stores)


def _coordinates(
    variables: list[tuple[KeyPath, dict[Any, Any]]], grid: dict[Any, Any] | None
) -> Iterator[Problem]:
    """Yield variables with the name of a coordinate of their cube."""
    taken = {"time", "spatial_ref"}
    if grid is not None:
        # Imported when used: it takes a while.
        from pyproj import CRS

        # A wrong CRS is told elsewhere.
        with suppress(ValueError, TypeError, RuntimeError):
            taken |= {"lat", "lon"} if CRS(grid.get("crs")).is_geographic else {"x", "y"}
    for path, variable in variables:
        name = variable.get("identifier")
        if isinstance(name, str) and name in taken:
            yield Problem(
                (*path, "identifier"),
                f"{name!r} is the name of a coordinate of the cube; name the variable otherwise",
            )


def _entries(data: Any, path: KeyPath) -> list[tuple[KeyPath, dict[Any, Any]]]:
    if not isinstance(data, list | tuple):
        return []
    return [((*path, i), entry) for i, entry in enumerate(data) if isinstance(entry, dict)]


def _identifiers(data: dict[Any, Any], section: str) -> dict[str, dict[Any, Any]]:
    entries = [entry for _, entry in _entries(data.get(section), ())]
    return {e["identifier"]: e for e in reversed(entries) if isinstance(e.get("identifier"), str)}


def _duplicates(data: Any, path: KeyPath) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for where, entry in _entries(data, path):
        name = entry.get("identifier")
        if not isinstance(name, str):
            continue
        # Names become files, and some file systems take Senf and senf for one.
        if name.lower() in first:
            other = ".".join(str(part) for part in (*path, first[name.lower()]))
            yield Problem((*where, "identifier"), f"{name!r} is the identifier of {other} already")
        else:
            first[name.lower()] = int(where[-1])


def _stores(data: dict[Any, Any], stores: dict[str, dict[Any, Any]]) -> Iterator[Problem]:
    listed = data.get("data_stores")
    if isinstance(listed, list | tuple) and listed and STORAGE not in stores:
        yield Problem(
            ("data_stores",),
            f"needs a store with the identifier {STORAGE!r}, which takes the cubes "
            f"(store_id {', '.join(WRITABLE)})",
        )
    for path, store in _entries(listed, ("data_stores",)):
        kind = store.get("store_id")
        if not isinstance(kind, str):
            continue
        at = (*path, "store_id")
        if kind not in STORE_IDS:
            if kind in INSTEAD:
                yield Problem(at, f"{kind!r} is not supported; {INSTEAD[kind]}")
            else:
                yield Problem(at, f"{kind!r} is no kind of store{hint(kind, STORE_IDS)}")
        elif store.get("identifier") == STORAGE and kind not in WRITABLE:
            where = ", ".join(WRITABLE)
            yield Problem(at, f"a store of kind {kind!r} cannot take cubes; these can: {where}")


def _grid(
    dataset: dict[Any, Any],
    path: KeyPath,
    grids: dict[str, dict[Any, Any]],
    datasets: dict[str, dict[Any, Any]],
) -> Iterator[Problem]:
    at = (*path, "grid_mapping")
    name = dataset.get("grid_mapping")
    if not isinstance(name, str) or name in grids:
        return
    if name not in datasets:
        yield Problem(at, f"there is no grid {name!r}{hint(name, {**grids, **datasets})}")
    elif circle := _circle(dataset, name, grids, datasets):
        yield Problem(
            at, f"goes in a circle: {' -> '.join(circle)}; one of these has to name one of "
            f"grid_mappings: {', '.join(sorted(grids)) or 'none is defined'}",
        )  # fmt: skip


def _circle(
    dataset: dict[Any, Any],
    name: str,
    grids: dict[str, dict[Any, Any]],
    datasets: dict[str, dict[Any, Any]],
) -> list[str]:
    """Return the datasets that lead from *dataset* back to itself, each by its grid_mapping."""
    start = str(dataset.get("identifier"))
    followed = [start]
    while isinstance(name, str) and name in datasets and name not in grids:
        followed.append(name)
        if name == start:
            return followed
        if name in followed[:-1]:
            return []  # a circle of others, who are told
        name = datasets[name].get("grid_mapping", "")
    return []


def _source(
    source: dict[Any, Any], path: KeyPath, stores: dict[str, dict[Any, Any]]
) -> Iterator[Problem]:
    name = source.get("store")
    if not isinstance(name, str):
        return
    at = (*path, "store")
    if name not in stores:
        yield Problem(at, f"there is no store {name!r}{hint(name, stores)}")
        return
    kind = stores[name].get("store_id")
    if kind in STORE_IDS and not MODELS[kind].readable:
        yield Problem(at, f"{name!r} is a store of kind {kind!r}, which takes cubes only")


def _preload(
    preload: dict[Any, Any], path: KeyPath, stores: dict[str, dict[Any, Any]]
) -> Iterator[Problem]:
    name = preload.get("store")
    if not isinstance(name, str):
        return
    at = (*path, "store")
    if name not in stores:
        yield Problem(at, f"there is no store {name!r}{hint(name, stores)}")
        return
    kind = stores[name].get("store_id")
    if kind in STORE_IDS and kind not in PRELOADABLE:
        yield Problem(
            at, f"{name!r} is a store of kind {kind!r}, which is read in place; only stores of "
            f"kind {' and '.join(PRELOADABLE)} are preloaded",
        )  # fmt: skip


def _custom(value: Any, path: KeyPath, directory: Path | None) -> Iterator[Problem]:
    if not isinstance(value, dict):
        return
    module, function = value.get("module_path"), value.get("function_name")
    yield from _depends_on(value.get("depends_on"), path, directory)
    if not isinstance(module, str) or not module.strip():
        return
    at = (*path, "custom_processing", "module_path")
    # Code is run only from beside the configuration, where its user put it.
    if Path(module).is_absolute() or ".." in Path(module).parts or module.startswith("~"):
        yield Problem(at, f"{module!r} has to be relative to the configuration, without '..'")
        return
    if directory is None:
        message = "there is no folder that it is relative to: read a file, or give base_dir"
        yield Problem(at, message)
        return
    try:
        processing = CustomProcessing.model_validate(
            {"module_path": module, "function_name": "any"},
            context={"directory": directory, "path": None, "known": {}},
        )
    except ValidationError:
        return  # the models say it
    file = processing.file
    if not file.resolve().is_relative_to(directory.resolve()):
        yield Problem(at, f"{file.name!r} is a link out of the folder of the configuration")
        return
    try:
        # Parsed, not imported: reading a configuration runs no code.
        tree = ast.parse(file.read_bytes(), file.name)
    except FileNotFoundError:
        yield Problem(at, f"there is no file {file.name!r} in the folder of the configuration")
    except OSError as error:
        yield Problem(at, f"{file.name!r} cannot be read: {error.strerror}")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        yield Problem(at, f"{file.name}:{line} is not valid Python")
    else:
        names, open_ended = _top_level(tree)
        if isinstance(function, str) and function not in names and not open_ended:
            yield Problem(
                (*path, "custom_processing", "function_name"),
                f"there is no function {function!r} in {file.name}{hint(function, names)}",
            )
        try:
            processing.modules()
        except CodeError as error:
            yield Problem(at, f"{file.name} imports what cannot be used: {error}")


def _depends_on(entries: Any, path: KeyPath, directory: Path | None) -> Iterator[Problem]:
    if not isinstance(entries, list | tuple) or directory is None:
        return  # the models, or what is said of module_path
    for i, entry in enumerate(entries):
        if not isinstance(entry, str) or not entry.strip() or not entry.isprintable():
            continue  # the models say it
        try:
            files_of(entry, directory)
        except CodeError as error:
            yield Problem((*path, "custom_processing", "depends_on", i), str(error))


def _top_level(tree: ast.Module) -> tuple[set[str], bool]:
    """Return the names a module defines, and whether it may define others (``import *``)."""
    names: set[str] = set()
    open_ended = False
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
            open_ended |= any(alias.name == "*" for alias in node.names)
        elif isinstance(node, ast.If | ast.Try):
            # A function defined on a condition: only running it could tell.
            open_ended = True
    return names, open_ended
