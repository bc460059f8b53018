"""Find the cube that a user names: by path, URL, item or identifier."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pystac

from stacbuild.errors import MissingError
from stacbuild.stac.catalog import Catalog, cube_id

_STORE_MARKS = ("zarr.json", ".zgroup", ".zmetadata")
_SUFFIX = re.compile(r"\.(zarr\.zip|zarr|zip|nc|levels)$", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """A cube: a short name for files about it, and the absolute path or URL of its data."""

    name: str
    href: str


def find_cube(text: str, catalog: Path) -> Found:
    """Return the Zarr store or netCDF file that *text* names.

    Parameters
    ----------
    text
        Path (absolute, or relative to the current folder) or URL of a Zarr store or netCDF file;
        path of an item's JSON; or name of a cube in the catalog.
    catalog
        Folder of the catalog.

    Raises
    ------
    MissingError
        If it is none of these, or the item has no asset ``data``.
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
    if not is_store:
        # A folder may have the name of a cube.
        names = []
        for item in Catalog(catalog).items():
            if "data" in item.assets and "cube:variables" in item.properties:
                if item.id == cube_id(text):
                    return Found(text.replace("/", "-"), _data_of(item))
                names.append(item.properties.get("title") or item.id)
    if is_store or path.is_dir() or path.is_file():
        return Found(_name_of(str(path.absolute())), str(path.absolute()))
    there = f"; the catalog has {', '.join(sorted(names))}" if names else ""
    raise MissingError(
        f"{text}: is no Zarr store, no file of an item, and no cube of {catalog}{there}"
    )


def _data_of(item: pystac.Item) -> str:
    """Return the href of a cube; of a pyramid, that of all its levels."""
    return item.assets["multiscales" if "multiscales" in item.assets else "data"].href


def _name_of(href: str) -> str:
    """Return the last part of a path or URL without suffix; of a level, that of its pyramid."""
    parts = [part for part in urlsplit(href).path.split("/") if part]
    if len(parts) > 1 and parts[-1].isdigit() and _SUFFIX.search(parts[-2]):
        parts.pop()
    return _SUFFIX.sub("", unquote(parts[-1])) if parts else "cube"
