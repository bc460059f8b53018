"""Checks beyond the schema: references resolve, identifiers are unique, modules parse.

They run on the data as read, whether or not these are valid otherwise, so that one run reports
every mistake.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stacbuild import indices
from stacbuild.config import shards
from stacbuild.config.code import CodeError, check_within, files_of, parse
from stacbuild.config.data_ids import check_patterns, joined
from stacbuild.config.datasets import CustomProcessing
from stacbuild.config.models import STORAGE, hint
from stacbuild.config.other_stores import INSTEAD
from stacbuild.config.reading import KeyPath, Problem
from stacbuild.config.regions import check_region, find_region, is_region
from stacbuild.config.scenes import SceneParams
from stacbuild.config.stores import MODELS, kinds_that
from stacbuild.config.types import stated_crs
from stacbuild.geo.crs_text import canonical_crs, spatial_dims

STORE_IDS = tuple(sorted(MODELS))
READABLE = kinds_that(lambda model: model.readable)
WRITABLE = kinds_that(lambda model: model.writable)
PRELOADABLE = kinds_that(lambda model: model.preloadable)
WITH_FILES = kinds_that(lambda model: model.has_files)
WITH_SCENES = kinds_that(lambda model: model.has_scenes)

_NO_FOLDER = "there is no folder that it is relative to: load a file, or pass base_dir"


def problems(data: dict[Any, Any], directory: Path | None) -> Iterator[Problem]:
    """Yield the problems of *data*, the mapping of a whole configuration.

    *directory* is the folder with the modules of custom processing; None if there is none.
    """
    stores = _identifiers(data, "data_stores")
    grids = _identifiers(data, "grid_mappings")
    datasets = _identifiers(data, "datasets")
    for section in ("datasets", "data_stores", "grid_mappings"):
        yield from _duplicates(data.get(section), (section,))
    yield from _stores(data, stores)
    followed: set[str] = set()
    for path, dataset in _entries(data.get("datasets"), ("datasets",)):
        yield from _duplicates(dataset.get("variables"), (*path, "variables"))
        yield from _grid(dataset, path, grids, datasets, followed)
        sources = [(path, dataset)]
        if "variables" in dataset:
            sources = _entries(dataset["variables"], (*path, "variables"))
            yield from _coordinates(sources, grids.get(str(dataset.get("grid_mapping"))))
        for where, source in sources:
            yield from _store_reference(source, where, stores, READABLE, "takes cubes only")
            yield from _data_id(source, where, stores)
            yield from _scenes(source, where, stores)
            yield from _custom(source.get("custom_processing"), where, directory)
        yield from _region(dataset.get("clip"), (*path, "clip"), directory)
    for path, grid in _entries(data.get("grid_mappings"), ("grid_mappings",)):
        yield from _region(grid.get("bbox"), (*path, "bbox"), directory)
    yield from shards.problems(data, _entries(data.get("grid_mappings"), ("grid_mappings",)))
    for path, preload in _entries(data.get("preload_datasets"), ("preload_datasets",)):
        reason = f"is read in place; only stores of kind {' and '.join(PRELOADABLE)} are preloaded"
        yield from _store_reference(preload, path, stores, PRELOADABLE, reason)


def _coordinates(
    variables: list[tuple[KeyPath, dict[Any, Any]]], grid: dict[Any, Any] | None
) -> Iterator[Problem]:
    """Yield problems of variables that are named like a coordinate of their cube."""
    taken = {"time", "spatial_ref"}
    if grid is not None:
        # The models report an invalid CRS.
        with suppress(ValueError, TypeError, AttributeError):
            taken |= set(spatial_dims(canonical_crs(stated_crs(grid.get("crs")))))
    for path, variable in variables:
        name = variable.get("identifier")
        if isinstance(name, str) and name in taken:
            yield Problem(
                (*path, "identifier"),
                f"{name!r} is the name of a coordinate of the cube; rename the variable",
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
        # Identifiers become file names, and some file systems ignore case.
        if name.lower() in first:
            other = (*path, first[name.lower()])
            dotted = ".".join(map(str, other))
            message = f"{name!r} is the identifier of {dotted} already"
            yield Problem((*where, "identifier"), message, other=other)
        else:
            first[name.lower()] = int(where[-1])


def _stores(data: dict[Any, Any], stores: dict[str, dict[Any, Any]]) -> Iterator[Problem]:
    listed = data.get("data_stores")
    if isinstance(listed, list | tuple) and listed and STORAGE not in stores:
        yield Problem(
            ("data_stores",),
            f"needs a store with the identifier {STORAGE!r}, which takes the cubes "
            f"(store_id {', '.join(WRITABLE)}), such as {{identifier: {STORAGE}, store_id: file, "
            "store_params: {root: cubes}}",
            on_key=True,
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
                yield Problem(at, f"{kind!r} is not a kind of store{hint(kind, STORE_IDS)}")
        elif store.get("identifier") == STORAGE and kind not in WRITABLE:
            where = ", ".join(WRITABLE)
            yield Problem(at, f"a store of kind {kind!r} cannot take cubes; these can: {where}")


def _grid(
    dataset: dict[Any, Any],
    path: KeyPath,
    grids: dict[str, dict[Any, Any]],
    datasets: dict[str, dict[Any, Any]],
    followed: set[str],
) -> Iterator[Problem]:
    """Yield the problem of a ``grid_mapping``; *followed* is that of `_circle`."""
    at = (*path, "grid_mapping")
    name = dataset.get("grid_mapping")
    if not isinstance(name, str) or name in grids:
        return
    if name not in datasets:
        yield Problem(at, f"there is no grid {name!r}{hint(name, {**grids, **datasets})}")
    elif circle := _circle(dataset, grids, datasets, followed):
        yield Problem(
            at, f"goes in a circle: {' -> '.join(circle)}; one of these has to name one of "
            f"grid_mappings: {', '.join(sorted(grids)) or 'none is defined'}",
        )  # fmt: skip


def _circle(
    dataset: dict[Any, Any],
    grids: dict[str, dict[Any, Any]],
    datasets: dict[str, dict[Any, Any]],
    followed: set[str],
) -> list[str]:
    """Return the datasets in a cycle of grid_mapping through *dataset*; empty if there is none.

    *followed* are datasets that are in no cycle. Those found here are added, so that each is
    followed once.
    """
    start = str(dataset.get("identifier"))
    path = {start: None}
    name = dataset.get("grid_mapping")
    while isinstance(name, str) and name in datasets and name not in grids:
        if name == start:
            return [*path, name]
        if name in followed:
            break
        if name in path:  # a cycle of other datasets, reported for each of those
            names = list(path)
            path = dict.fromkeys(names[: names.index(name)])
            break
        path[name] = None
        name = datasets[name].get("grid_mapping", "")
    if datasets.get(start) is not dataset:
        del path[start]  # another dataset of the same identifier
    followed.update(path)
    return []


def _store_reference(
    entry: dict[Any, Any],
    path: KeyPath,
    stores: dict[str, dict[Any, Any]],
    allowed: tuple[str, ...],
    reason: str,
) -> Iterator[Problem]:
    """Yield the problem of an unknown ``store``, or of one whose kind is not in *allowed*."""
    name = entry.get("store")
    if not isinstance(name, str):
        return
    at = (*path, "store")
    if name not in stores:
        yield Problem(at, f"there is no store {name!r}{hint(name, stores)}")
        return
    kind = stores[name].get("store_id")
    if kind in STORE_IDS and kind not in allowed:
        yield Problem(at, f"{name!r} is a store of kind {kind!r}, which {reason}")


def _scenes(
    entry: dict[Any, Any], path: KeyPath, stores: dict[str, dict[Any, Any]]
) -> Iterator[Problem]:
    """Yield a problem for each parameter of scenes beside a store that has none."""
    params, store = entry.get("open_params"), entry.get("store")
    kind = stores.get(store, {}).get("store_id") if isinstance(store, str) else None
    if not isinstance(params, dict) or kind not in STORE_IDS or kind in WITH_SCENES:
        return
    for key in SceneParams.model_fields:
        if key in params:
            reason = "the resolution is that of the grid mapping, or of the source itself"
            yield Problem(
                (*path, "open_params", key),
                f"is for scenes, in stores of kind {' and '.join(WITH_SCENES)}; "
                + (reason if key == "spatial_res" else "leave it out"),
                on_key=True,
            )


def _data_id(
    entry: dict[Any, Any], path: KeyPath, stores: dict[str, dict[Any, Any]]
) -> Iterator[Problem]:
    """Yield the problem of a list that the kind of store does not take, or of a wrong pattern."""
    data_id, store = entry.get("data_id"), entry.get("store")
    kind = stores.get(store, {}).get("store_id") if isinstance(store, str) else None
    if not isinstance(kind, str) or kind not in READABLE:
        return
    at = (*path, "data_id")
    if kind not in WITH_FILES:
        if isinstance(data_id, list | tuple):
            yield Problem(
                at,
                f"has to be one data id in a store of kind {kind!r}; these take a list: "
                f"{', '.join(WITH_FILES)}",
            )
        return
    try:
        text = joined(data_id)
        if isinstance(text, str):
            check_patterns(text)
    except ValueError as error:
        if isinstance(data_id, str) or "names" not in str(error):
            yield Problem(at, str(error))


def _custom(value: Any, path: KeyPath, directory: Path | None) -> Iterator[Problem]:
    if not isinstance(value, dict):
        return
    module, function = value.get("module_path"), value.get("function_name")
    yield from _depends_on(value.get("depends_on"), path, directory)
    if not isinstance(module, str) or not module.strip():
        return
    at = (*path, "custom_processing", "module_path")
    if module == indices.MODULE:
        if isinstance(function, str):
            try:
                indices.check(function)
            except indices.IndexFunctionError as error:
                yield Problem((*path, "custom_processing", "function_name"), str(error))
        return
    # Only code in the folder of the configuration is run: its user put it there.
    if Path(module).is_absolute() or ".." in Path(module).parts or module.startswith("~"):
        yield Problem(at, f"{module!r} has to be relative to the configuration, without '..'")
        return
    if directory is None:
        yield Problem(at, _NO_FOLDER)
        return
    try:
        processing = CustomProcessing.model_validate(
            {"module_path": module, "function_name": "any"},
            context={"directory": directory, "path": None, "known": {}},
        )
    except ValidationError:
        return  # reported by the models
    file = processing.file
    try:
        check_within(file, processing.directory)
        # Parsed, not imported: reading a configuration runs no code.
        tree = parse(file, processing.directory)
    except CodeError as error:
        yield Problem(at, str(error))
        return
    names, open_ended = _top_level(tree)
    if isinstance(function, str) and function not in names and not open_ended:
        yield Problem(
            (*path, "custom_processing", "function_name"),
            f"there is no function {function!r} in {file.name}{hint(function, names)}",
        )
    try:
        processing.modules()
    except CodeError as error:
        yield Problem(at, f"{file.name} imports a module that cannot be used: {error}")


def _depends_on(entries: Any, path: KeyPath, directory: Path | None) -> Iterator[Problem]:
    if not isinstance(entries, list | tuple) or directory is None:
        return  # reported by the models, or for module_path
    for i, entry in enumerate(entries):
        if not isinstance(entry, str) or not entry.strip() or not entry.isprintable():
            continue  # reported by the models
        try:
            files_of(entry, directory)
        except CodeError as error:
            yield Problem((*path, "custom_processing", "depends_on", i), str(error))


def _region(value: Any, path: KeyPath, directory: Path | None) -> Iterator[Problem]:
    if not is_region(value):
        return  # numbers, or reported by the models
    try:
        check_region(value)
        if directory is not None:
            find_region(value, directory)
    except CodeError as error:
        yield Problem(path, str(error))
    except ValueError:
        return  # reported by the models
    if directory is None:
        yield Problem(path, _NO_FOLDER)


def _top_level(tree: ast.Module) -> tuple[set[str], bool]:
    """Return the names that a module defines, and whether it may define others."""
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
            open_ended = True  # it may define a function on a condition
    return names, open_ended
