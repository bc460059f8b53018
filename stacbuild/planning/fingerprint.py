"""Digests of everything that a cube is made of: if they are equal, a build gives the same bytes.

The cube's item has them one by one (`INPUTS`), so that a plan can name the reason of a rebuild, and
combined (`FINGERPRINT`). They depend on no path of the machine, endpoint or credential.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pyproj

from stacbuild import indices
from stacbuild.config import GridMapping
from stacbuild.config.code import CodeError
from stacbuild.config.datasets import RASTER_NAME
from stacbuild.errors import LocalError
from stacbuild.planning.regions import extent_of
from stacbuild.stac.extensions import VARIABLE
from stacbuild.stac.scenes import ASSET, asset_of, by_item, order_by_change

if TYPE_CHECKING:
    from pathlib import Path

    import pystac

    from stacbuild.config import Config, Dataset
    from stacbuild.config.datasets import CustomProcessing
    from stacbuild.geo.grid import Grid
    from stacbuild.planning.sources import SourceCollection

DEPENDS_ON = "depends_on"
"""The part of `INPUTS` for files that custom functions are declared to read."""

REGION = "clip"
"""The part of `INPUTS` for the vector file that a cube is clipped to."""

Inputs = dict[str, dict[str, str]]

ALGORITHM_VERSION = 1
"""Raised whenever the same configuration and sources would give other values or attributes."""

_ALGORITHM = "algorithm"
_DEFAULT_NAME = "default name"
_COMMON_TITLE = "common title"
# Items of earlier versions record versions of libraries instead; all of them used algorithm 1.
_FIRST = {"stacbuild": "1"}

# Recorded as provenance. dask is left out: it schedules blocks, but does not affect their values.
# So is GDAL, which comes with the wheels of rasterio: importing it would cost half a second in
# every run without work.
_SOFTWARE = ("stacbuild", "stackstac", "rasterio", "pyproj", "numpy", "xarray", "zarr", "numcodecs")

# Location, time of access, and circumstances of the acquisition do not affect the content.
_NOT_CONTENT = (
    "file:",
    "storage:",
    "alternate",
    "archive",
    "stacbuild:chunks",
    "stacbuild:scaling",  # a reason for values that are fields themselves
    "eo:",
    "sat:",
    "view:",
    "stacbuild:checksum",
    "stacbuild:found",
    "stacbuild:served",
    "stacbuild:unread",
)
_TIMESTAMPS = {"created", "updated", "version"}

# Cached, since it reads a file, and is called four times per cube.
_version = functools.cache(version)


def software() -> dict[str, str]:
    """Return the names and installed versions of the software that makes a cube."""
    return {name: _version(name) for name in _SOFTWARE} | {"PROJ": pyproj.proj_version_str}


def inputs_of(
    dataset: Dataset,
    settings: Mapping[str, Any],
    sources: Iterable[pystac.Item],
    collections: Iterable[SourceCollection],
) -> Inputs:
    """Return the digests of everything that a cube is made of.

    Parameters
    ----------
    settings
        From `settings_of`.
    sources
        The source items.
    collections
        Their collections, whose licences and citations become attributes of the cube.

    Returns
    -------
    ``configuration``: by the path of each key that affects the cube; ``sources``: the content of
    files, by ``<collection>/<item>``; ``descriptions``: the metadata of items and collections;
    ``code``: custom functions by ``<file>:<function>``, and the modules that they import by their
    path in the configuration's folder; ``depends_on``: files that they are declared to read, by
    that path (only if there are any); ``algorithm``: `ALGORITHM_VERSION`.

    Raises
    ------
    LocalError
        If a file of custom processing cannot be read.
    """
    sources = list(sources)
    customs = [each.custom_processing for each in dataset.variables if each.custom_processing]
    modules, declared = _files(customs)
    rights = {each.id: asdict(each) for each in collections}
    of_item = by_item(sources)
    names = {key: f"{each[0].collection_id}/{each[0].id}" for key, each in of_item.items()}
    named = {names[key]: each for key, each in of_item.items()}
    ordered = {names[key]: [place] for key, place in order_by_change(sources).items()}
    functions = {each.label: each.file for each in customs if not each.is_index}
    formulas = {
        each.label: _digest(indices.definition(each.function_name))
        for each in customs
        if each.is_index
    }
    inputs = {
        "configuration": {key: _digest(value) for key, value in settings.items()},
        "sources": {name: _digest(_of_item(_content, items)) for name, items in named.items()},
        "descriptions": {
            **{name: _digest(stated) for name, stated in rights.items()},
            **{
                name: _digest(
                    [_of_item(_description, items), rights.get(name), *ordered.get(name, ())]
                )
                for name, items in named.items()
            },
        },
        "code": formulas
        | {name: _digest_of_file(path) for name, path in (functions | modules).items()},
    }
    if declared:
        inputs[DEPENDS_ON] = {name: _digest_of_file(path) for name, path in declared.items()}
    return inputs | {
        _ALGORITHM: {"stacbuild": str(ALGORITHM_VERSION), **_later_rules(dataset, sources)}
    }


def _later_rules(dataset: Dataset, sources: Sequence[pystac.Item]) -> dict[str, str]:
    """Return rules that are younger than `ALGORITHM_VERSION`, if they affect this cube.

    Cubes that they do not affect stay up to date.
    """
    rules = {}
    rasters = [item for item in sources if "cube:variables" not in item.properties]
    nameless = [item for item in rasters if not _names_variables(item)]
    for variable in dataset.variables:
        name = variable.cube_name(RASTER_NAME)
        is_default = variable.identifier is None and name != RASTER_NAME
        if is_default and nameless and not variable.open_params.band_as_variable:
            rules[_DEFAULT_NAME] = name
    titles: dict[str, set[Any]] = {}
    for item in rasters:
        asset = item.assets["data"]
        stated = (asset.title or item.properties.get("title"), asset.description)
        titles.setdefault(item.properties["stacbuild:data_id"], set()).add(stated)
    if any(len(each) > 1 for each in titles.values()):
        rules[_COMMON_TITLE] = "1"
    return rules


def _names_variables(item: pystac.Item) -> bool:
    fields = item.assets["data"].extra_fields
    return VARIABLE in fields or any(VARIABLE in band for band in fields.get("bands", ()))


def _files(customs: Iterable[CustomProcessing]) -> tuple[dict[str, Path], dict[str, Path]]:
    """Return the modules that functions import, and the files that they are declared to read."""
    modules: dict[str, Path] = {}
    declared: dict[str, Path] = {}
    for custom in customs:
        try:
            modules |= custom.modules()
            declared |= custom.dependencies()
        except CodeError as error:
            raise LocalError(f"{custom.label}: {error}") from error
    # A file that is both imported and declared counts as a module.
    return modules, {name: path for name, path in declared.items() if name not in modules}


def fingerprint(inputs: Inputs) -> str:
    """Return one SHA-256 over all digests, in hexadecimal."""
    return hashlib.sha256(_bytes(inputs)).hexdigest()


def changes(previous: Mapping[str, Any], now: Inputs, grid_mapping: str) -> list[str]:
    """Return the differences between inputs as messages; an empty list if there are none.

    Parameters
    ----------
    previous
        The inputs in the cube's item.
    grid_mapping
        Identifier of the grid now.
    """
    messages = []
    for key, _, _ in _differences(previous, now, "configuration"):
        path = key.replace("grid_mapping.", f"grid_mappings.{grid_mapping}.", 1)
        messages.append(f"configuration: {path}")
    content = list(_differences(previous, now, "sources"))
    for key, old, new in content:
        what = "new" if old is None else "no longer used" if new is None else "content changed"
        messages.append(f"source {key}: {what}")
    reported = {key for key, _, _ in content}
    for key, old, new in _differences(previous, now, "descriptions"):
        # New and removed sources are reported above; new content often has a new description.
        if old is not None and new is not None and key not in reported:
            messages.append(f"source {key}: description changed")
    for key, _, _ in _differences(previous, now, "code"):
        messages.append(f"custom code changed: {key}")
    for key, old, new in _differences(previous, now, DEPENDS_ON):
        what = "new" if old is None else "missing or not declared" if new is None else "changed"
        messages.append(f"depends_on: {key} {what}")
    for key, old, new in _differences(previous, now, REGION):
        # A file of another name is a change of the configuration, reported above.
        if old is not None and new is not None:
            messages.append(f"clip: {key}: content changed")
    for key, old, new in _differences({_ALGORITHM: _FIRST, **previous}, now, _ALGORITHM):
        if key == _DEFAULT_NAME:
            messages.append(f"its variable is named {new or RASTER_NAME}, not {old or RASTER_NAME}")
        elif key == _COMMON_TITLE:
            messages.append("its long_name is what all files share, not that of the first")
        else:
            messages.append(f"stacbuild computes cubes in another way: version {new}, not {old}")
    return messages


def other_software(item: pystac.Item) -> list[str]:
    """Return the software of a cube whose installed version is another one now.

    The cube stays up to date: versions that change results raise `ALGORITHM_VERSION`.
    """
    made_with: Mapping[str, str] = item.properties.get("processing:software", {})
    return [
        f"{name} {made_with[name]}, now {number}"
        for name, number in software().items()
        if made_with.get(name, number) != number
    ]


def _differences(
    previous: Mapping[str, Any], now: Inputs, part: str
) -> Iterator[tuple[str, str | None, str | None]]:
    old, new = previous.get(part, {}), now.get(part, {})
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def settings_of(config: Config, dataset: Dataset, grid: Grid, *, clipped: bool) -> dict[str, Any]:
    """Return the keys of the configuration that affect a cube, with their values.

    Parameters
    ----------
    grid
        The grid of the cube.
    clipped
        Whether it is a part of the configured grid.
    """
    return dict(_settings(config, dataset, grid, clipped))


def _settings(
    config: Config, dataset: Dataset, grid: Grid, clipped: bool
) -> Iterator[tuple[str, Any]]:
    top = f"datasets.{dataset.identifier}"
    # Keys of the dataset itself; those of its variables follow.
    shared = {"identifier", "grid_mapping", "format_id", "variables"}
    own = set(type(dataset).model_fields) - shared - set(type(dataset.variables[0]).model_fields)
    yield from _leaves(top, dataset.model_dump(mode="json", include=own, exclude_none=True))
    for variable in dataset.variables:
        path = f"{top}.variables.{variable.identifier}" if variable.identifier else top
        # The address, since the store's name and cache do not affect the cube.
        yield f"{path}.store", config.store(variable.store).key
        if variable.custom_processing:
            yield f"{path}.custom_processing", variable.custom_processing.label
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
        yield "grid_mapping.crs", grid.epsg or grid.crs
        yield "grid_mapping.spatial_res", mapping.spatial_res
        yield "grid_mapping.bbox", extent_of(config, mapping)
        yield "grid_mapping.tile_size", mapping.tile_size
    else:
        yield "grid of the source", [grid.epsg or grid.crs, *grid.transform, *grid.shape]
    yield "general.zarr_format", config.general.zarr_format
    if shards := config.shards_of(dataset):
        # Wherever the configuration has it. Cubes without shards stay up to date.
        yield "shards", shards
    if clipped:
        yield "bbox", grid.bounds


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(f"{path}.{key}", part)
    else:
        yield path, value


def _of_item(part: Callable[[pystac.Item], Any], items: Sequence[pystac.Item]) -> Any:
    """Return a part of an item; if it is a scene, that of each of its views by asset."""
    if all(ASSET not in item.properties for item in items):
        return part(items[0])
    return {asset_of(item): part(item) for item in items}


def _content(item: pystac.Item) -> dict[str, Any]:
    """Return what identifies the bytes of a source: a checksum, or everything that is known."""
    fields = item.assets["data"].extra_fields
    if checksum := fields.get("file:checksum"):
        return {"file:checksum": checksum}
    known = {key: fields.get(key) for key in ("file:size", "updated", "stacbuild:chunks")}
    return known | {
        key: item.properties.get(key) for key in ("stacbuild:store", "stacbuild:data_id", "version")
    }


def _description(item: pystac.Item) -> dict[str, Any]:
    asset = item.assets["data"]
    properties = _lasting(item.properties)
    if variables := properties.get("cube:variables"):
        # Shards do not affect the values; items of earlier versions do not state them.
        properties["cube:variables"] = {
            name: {key: value for key, value in stated.items() if key != "shards"}
            for name, stated in variables.items()
        }
    return {
        "properties": properties,
        "title": asset.title,
        "description": asset.description,
        "asset": _lasting(asset.extra_fields),
    }


def _lasting(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in fields.items()
        if key not in _TIMESTAMPS and not key.startswith(_NOT_CONTENT)
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


# Of SHA-256's 64 digits: enough to detect changes, and items stay readable.
_LENGTH = 16
