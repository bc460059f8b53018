"""What a cube is made of, as digests: equal ones mean that a build would give the same bytes.

The digests stand in the cube's item part by part (`INPUTS`), so that the reason of a rebuild can
be told, and all together as one (`FINGERPRINT`). They hold nothing of the machine: no path, no
endpoint, no credential.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pyproj

from stacbuild.config import GridMapping
from stacbuild.config.code import CodeError
from stacbuild.errors import LocalError

if TYPE_CHECKING:
    from pathlib import Path

    import pystac

    from stacbuild.config import Config, Dataset, SourceVariable
    from stacbuild.config.datasets import CustomProcessing
    from stacbuild.geo.grid import Grid
    from stacbuild.planning.sources import SourceCollection

DEPENDS_ON = "depends_on"
"""The part of `INPUTS` for files that custom functions are said to read."""

Inputs = dict[str, dict[str, str]]

ALGORITHM_VERSION = 1
"""Raised whenever the same configuration and sources would give other values or attributes."""

_ALGORITHM = "algorithm"
# Items of earlier versions have the versions of libraries here, all of them with algorithm 1.
_FIRST = {"stacbuild": "1"}

# What is recorded as provenance. dask is not here: it says when a block is computed, not what is in
# it. Wheels of rasterio bring their GDAL along, and to ask GDAL itself would cost half a second in
# every run that has nothing to do.
_SOFTWARE = ("stacbuild", "stackstac", "rasterio", "pyproj", "numpy", "xarray", "zarr", "numcodecs")

# Where something is and when it was written down is not what it is.
_NOT_CONTENT = ("file:", "storage:", "alternate", "archive", "stacbuild:chunks", "stacbuild:found")
_STAMPS = {"created", "updated", "version"}

# It reads a file each time, and four times a cube is asked.
_version = functools.cache(version)


def software() -> dict[str, str]:
    """Return the names and versions of the software that makes a cube now."""
    return {name: _version(name) for name in _SOFTWARE} | {"PROJ": pyproj.proj_version_str}


def inputs_of(
    dataset: Dataset,
    settings: Mapping[str, Any],
    sources: Iterable[pystac.Item],
    collections: Iterable[SourceCollection],
) -> Inputs:
    """Take the digests of all that a cube is made of.

    Parameters
    ----------
    settings
        From `settings_of`.
    sources
        The items that it is made of.
    collections
        Their collections, whose licences and citations become attributes of the cube.

    Returns
    -------
    ``configuration``: by the path of each key that bears on the output; ``sources``: what the
    files hold, by ``<collection>/<item>``; ``descriptions``: what items and collections say of
    them; ``code``: custom functions by ``<file>:<function>``, and the modules that these import by
    their path in the configuration's folder; ``depends_on``: the files that they are said to read,
    by that path (only if there are any); ``algorithm``: `ALGORITHM_VERSION`.

    Raises
    ------
    LocalError
        If a module of custom processing, or what it depends on, cannot be read.
    """
    customs = [each.custom_processing for each in dataset.variables if each.custom_processing]
    modules, declared = _files(customs)
    items = list(sources)
    rights = {each.id: asdict(each) for each in collections}
    named = {f"{item.collection_id}/{item.id}": item for item in items}
    return {
        "configuration": {key: _digest(value) for key, value in settings.items()},
        "sources": {name: _digest(_content(item)) for name, item in named.items()},
        "descriptions": {
            **{name: _digest(stated) for name, stated in rights.items()},
            **{
                name: _digest([_description(item), rights.get(name)])
                for name, item in named.items()
            },
        },
        "code": {
            _function(variable): _digest_of_file(variable.custom_processing.file)
            for variable in dataset.variables
            if variable.custom_processing
        }
        | {name: _digest_of_file(path) for name, path in modules.items()},
        **(
            {DEPENDS_ON: {name: _digest_of_file(path) for name, path in declared.items()}}
            if declared
            else {}
        ),
        _ALGORITHM: {"stacbuild": str(ALGORITHM_VERSION)},
    }


def _files(customs: Iterable[CustomProcessing]) -> tuple[dict[str, Path], dict[str, Path]]:
    """Return the modules that functions import, and the files that they are said to read."""
    modules: dict[str, Path] = {}
    declared: dict[str, Path] = {}
    for custom in customs:
        try:
            modules |= custom.modules()
            declared |= custom.dependencies()
        except CodeError as error:
            raise LocalError(f"{custom.file.name}:{custom.function_name}: {error}") from error
    # What is imported and declared is told once.
    return modules, {name: path for name, path in declared.items() if name not in modules}


def fingerprint(inputs: Inputs) -> str:
    """Return one SHA-256 over all digests, in hexadecimal digits."""
    return hashlib.sha256(_bytes(inputs)).hexdigest()


def changes(before: Mapping[str, Any], now: Inputs, grid_mapping: str) -> list[str]:
    """Return what is different, in the user's terms; an empty list if nothing is.

    Parameters
    ----------
    before
        The inputs that stand in the cube's item.
    grid_mapping
        Identifier of the grid now.
    """
    said = []
    for key, _, _ in _differences(before, now, "configuration"):
        path = key.replace("grid_mapping.", f"grid_mappings.{grid_mapping}.", 1)
        said.append(f"configuration: {path}")
    content = {key for key, _, _ in _differences(before, now, "sources")}
    for key, old, new in _differences(before, now, "sources"):
        if old is None:
            said.append(f"source {key}: new")
        else:
            said.append(f"source {key}: {'no longer used' if new is None else 'content changed'}")
    for key, old, new in _differences(before, now, "descriptions"):
        # What came or went was said above, and with new content often goes a new description.
        if old is not None and new is not None and key not in content:
            said.append(f"source {key}: description changed")
    said += [f"custom code changed: {key}" for key, _, _ in _differences(before, now, "code")]
    for key, old, new in _differences(before, now, DEPENDS_ON):
        what = "new" if old is None else "no longer there or declared" if new is None else "changed"
        said.append(f"depends_on: {key} {what}")
    for _, old, new in _differences({_ALGORITHM: _FIRST, **before}, now, _ALGORITHM):
        said.append(f"stacbuild computes cubes in another way: version {new}, not {old}")
    return said


def other_software(item: pystac.Item) -> list[str]:
    """Return which software made a cube in another version than would make it now.

    A cube stays up to date: what other versions compute otherwise raises `ALGORITHM_VERSION`.
    """
    made_with: Mapping[str, str] = item.properties.get("processing:software", {})
    return [
        f"{name} {made_with[name]}, now {number}"
        for name, number in software().items()
        if made_with.get(name, number) != number
    ]


def _differences(
    before: Mapping[str, Any], now: Inputs, part: str
) -> Iterator[tuple[str, str | None, str | None]]:
    old, new = before.get(part, {}), now.get(part, {})
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def settings_of(config: Config, dataset: Dataset, grid: Grid, *, boxed: bool) -> dict[str, Any]:
    """Return the keys of the configuration that bear on a cube, with their values.

    Parameters
    ----------
    grid
        Of the cube.
    boxed
        Whether the grid is a part of the configured one.
    """
    return dict(_settings(config, dataset, grid, boxed))


def _settings(
    config: Config, dataset: Dataset, grid: Grid, boxed: bool
) -> Iterator[tuple[str, Any]]:
    top = f"datasets.{dataset.identifier}"
    # Of a single dataset that is all; of one of several sources what they share.
    shared = {"identifier", "grid_mapping", "format_id", "variables"}
    own = set(type(dataset).model_fields) - shared - _of_a_source(dataset.variables[0])
    yield from _leaves(top, dataset.model_dump(mode="json", include=own, exclude_none=True))
    for variable in dataset.variables:
        path = f"{top}.variables.{variable.identifier}" if variable.identifier else top
        # By its address, as its name and its cache may change.
        yield f"{path}.store", config.store(variable.store).key
        if variable.custom_processing:
            yield f"{path}.custom_processing", _function(variable)
        rest = variable.model_dump(
            mode="json",
            exclude={"identifier", "store", "custom_processing"},
            exclude_none=True,
        )
        yield from _leaves(path, rest)
    if dataset.format_id != "zarr":
        yield f"{top}.format_id", dataset.format_id
    mapping = config.grid_of(dataset)
    if isinstance(mapping, GridMapping):
        yield "grid_mapping.crs", grid.epsg
        yield "grid_mapping.spatial_res", mapping.spatial_res
        yield "grid_mapping.bbox", mapping.bbox
        yield "grid_mapping.tile_size", mapping.tile_size
    else:
        yield "grid of the source", [grid.epsg, *grid.transform[:6], *grid.shape]
    yield "general.zarr_format", config.general.zarr_format
    if boxed:
        yield "bbox", grid.bounds


def _of_a_source(variable: SourceVariable) -> set[str]:
    return set(type(variable).model_fields)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(f"{path}.{key}", part)
    else:
        yield path, value


def _function(variable: SourceVariable) -> str:
    custom = variable.custom_processing
    assert custom is not None  # noqa: S101 - asked before
    return f"{custom.file.name}:{custom.function_name}"


def _content(item: pystac.Item) -> dict[str, Any]:
    """Return what identifies the bytes of a source: a checksum, or else all that is known."""
    fields = item.assets["data"].extra_fields
    if checksum := fields.get("file:checksum"):
        return {"file:checksum": checksum}
    known = {key: fields.get(key) for key in ("file:size", "updated", "stacbuild:chunks")}
    return known | {
        key: item.properties.get(key) for key in ("stacbuild:store", "stacbuild:data_id", "version")
    }


def _description(item: pystac.Item) -> dict[str, Any]:
    asset = item.assets["data"]
    return {
        "properties": _lasting(item.properties),
        "title": asset.title,
        "description": asset.description,
        "asset": _lasting(asset.extra_fields),
    }


def _lasting(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in fields.items()
        if key not in _STAMPS and not key.startswith(_NOT_CONTENT)
    }


def _digest_of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:_LENGTH]
    except OSError as error:
        raise LocalError(f"{path}: cannot be read: {error.strerror}") from error


def _digest(value: Any) -> str:
    return hashlib.sha256(_bytes(value)).hexdigest()[:_LENGTH]


def _bytes(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


# Of SHA-256's 64: what changed is told by 16 as well, and items stay readable.
_LENGTH = 16
