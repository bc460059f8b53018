"""Find the cube that a user names: by path, URL, item or identifier."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pystac

from stacbuild.errors import ConfigError, MissingError
from stacbuild.stac.catalog import Catalog, cube_id
from stacbuild.stac.extensions import CONFIGURATION

_STORE_MARKS = ("zarr.json", ".zgroup", ".zmetadata")
_SUFFIX = re.compile(r"\.(zarr\.zip|zarr|zip|nc|levels)$", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """A cube: a short name for files about it, and the absolute path or URL of its data."""

    name: str
    href: str


def find_cube(text: str, catalog: Path, configuration: Path | None = None) -> Found:
    """Return the Zarr store or netCDF file that *text* names.

    Parameters
    ----------
    text
        Path (absolute, or relative to the current folder) or URL of a Zarr store or netCDF file;
        path of an item's JSON; or NAME or COLLECTION/NAME of a cube in the catalog.
    catalog
        Folder of the catalog.
    configuration
        The one whose cube is meant if cubes of several configurations have the name.

    Raises
    ------
    MissingError
        If it is none of these, or the item has no asset ``data``.
    ConfigError
        If several cubes have the name.
    IntegrityError
        If the JSON file is not a STAC item.
    """
    if text.lower().startswith("file://"):
        text = unquote(urlsplit(text).path)
    if "://" in text:
        return Found(_name_of(text), text)
    path = Path(text)
    is_store = any((path / mark).is_file() for mark in _STORE_MARKS)
    if path.suffix == ".json" and path.is_file() and path.name != "zarr.json":
        item = Catalog(path.parent).read_item(path.absolute())
        if "data" in item.assets:
            return Found(item.id, _data_of(item))
        raise MissingError(f"{path}: this item has no asset 'data'")
    items = [] if is_store else [item for item in Catalog(catalog).items() if _is_drawable(item)]
    # A folder may have the name of a cube.
    if named := [item for item in items if _is_named(item, text)]:
        return Found(text.replace("/", "-"), _data_of(_only(named, text, catalog, configuration)))
    if is_store or path.is_dir() or path.is_file():
        return Found(_name_of(str(path.absolute())), str(path.absolute()))
    names = _names([item for item in items if _is_cube(item)])
    there = (
        f"; its cubes are {', '.join(names)}"
        if names
        else ", which has no cubes; build one with stacbuild cube, or name another catalog with "
        "--catalog"
    )
    raise MissingError(
        f"{text}: is no Zarr store, no file of an item, and no cube of {catalog}{there}"
    )


def _is_drawable(item: pystac.Item) -> bool:
    return "data" in item.assets and "cube:variables" in item.properties


def _is_cube(item: pystac.Item) -> bool:
    """Return whether an item is of a cube that stacbuild built, not of a source."""
    return "processing:expression" in item.properties


def _is_named(item: pystac.Item, text: str) -> bool:
    """Return whether *text* is NAME or COLLECTION/NAME of an item."""
    collection, _, name = text.partition("/")
    return item.id == cube_id(text) or (
        collection == item.collection_id and bool(name) and item.id == cube_id(name)
    )


def _only(
    named: list[pystac.Item], text: str, catalog: Path, configuration: Path | None
) -> pystac.Item:
    """Return the item that is meant, if configurations have cubes (or sources) of one name."""
    found = [item for item in named if _is_cube(item)] or named
    if len(found) > 1 and configuration:
        stated = Path(os.path.relpath(configuration.resolve(), catalog.resolve())).as_posix()
        found = [item for item in found if item.properties.get(CONFIGURATION) == stated] or found
    if len(found) > 1:
        raise ConfigError(
            f"{text}: is ambiguous in {catalog}; name one of {', '.join(_full_names(found))}"
        )
    return found[0]


def _full_names(items: list[pystac.Item]) -> list[str]:
    return sorted(f"{item.collection_id}/{item.id}" for item in items)


def _names(items: list[pystac.Item]) -> list[str]:
    """Return the names by which items can be found: with their collection where it is needed."""
    ids = Counter(item.id for item in items)
    unique = {item.id for item in items if ids[item.id] == 1}
    return sorted(unique) + _full_names([item for item in items if item.id not in unique])


def _data_of(item: pystac.Item) -> str:
    """Return the href of a cube; of a pyramid, that of all its levels."""
    return item.assets["multiscales" if "multiscales" in item.assets else "data"].href


def _name_of(href: str) -> str:
    """Return the last part of a path or URL without suffix; of a level, that of its pyramid."""
    parts = [part for part in urlsplit(href).path.split("/") if part]
    if len(parts) > 1 and parts[-1].isdigit() and _SUFFIX.search(parts[-2]):
        parts.pop()
    return _SUFFIX.sub("", unquote(parts[-1])) if parts else "cube"
