"""Read and write files of a catalog, and recognise those that stacbuild wrote.

stacbuild's items and collections have the field `STORE`, its pictures a text chunk, and its
temporary files special names. No other files are overwritten or removed.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacbuild.atomic import sweep, write_bytes
from stacbuild.errors import IntegrityError, LocalError
from stacbuild.json_numbers import parse_int
from stacbuild.stac.malformed import malformed

if TYPE_CHECKING:
    import pystac

Json = dict[str, Any]

STORE = "stacbuild:store"
CATALOG_ID = "stacbuild"

THUMBNAIL = "thumbnail.png"
"""Name of the thumbnail in the folder of an item or a collection."""

THUMBNAIL_ASSET = {
    "href": f"./{THUMBNAIL}",
    "type": "image/png",
    "title": "Thumbnail",
    "roles": ["thumbnail"],
}

_THREADS = 8

# Text chunk near the start of stacbuild's PNGs, see `stacbuild.pictures.thumbnail.encode`.
_PICTURE_MARK = b"tEXtSoftware\x00stacbuild"


def begins_with(path: Path, start: bytes) -> bool:
    """Return whether a regular file, not a link to one, begins with these bytes."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(start)) == start
    except OSError:
        return False


def store_kind(item: pystac.Item) -> str:
    """Return the kind of store that an item comes from; empty if the item does not state it."""
    return str(item.properties.get(STORE, "")).partition(":")[0]


def is_remote(items: Iterable[pystac.Item]) -> bool:
    """Return whether any asset is read over a network."""
    return any("://" in asset.href for item in items for asset in item.assets.values())


def write_json(path: Path, content: Json) -> bool:
    """Write *content* to *path* by atomic replace; return whether its bytes changed."""
    return write_bytes(path, _encoded(content))


def has_content(path: Path, content: Json) -> bool:
    """Return whether a file has exactly the bytes that `write_json` would write."""
    try:
        return path.read_bytes() == _encoded(content)
    except OSError:
        return False


def _encoded(content: Json) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> Json:
    """Read a STAC file that stacbuild wrote.

    Raises
    ------
    LocalError, IntegrityError
        If it cannot be read, is not a JSON object, or its links, assets or properties are
        malformed.
    """
    return parse_json(path, read_bytes(path))


def parse_json(path: Path, data: bytes) -> Json:
    """Parse the bytes of a STAC file that stacbuild wrote; errors as `read_json`."""
    content = _parse_object(path, data)
    if (why := malformed(content)) is not None:
        raise IntegrityError(f"{path}: {why}; remove it, then harvest")
    return content


def read_object(path: Path) -> Json:
    """Read a JSON object, which may be malformed as STAC; errors as `read_json`."""
    return _parse_object(path, read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """Read a file of a catalog.

    Raises
    ------
    LocalError
        If it cannot be read.
    """
    try:
        # A pipe would be waited for without end.
        if path.exists() and not path.is_file():
            raise LocalError(f"{path}: is not a file; remove it, then harvest")
        return path.read_bytes()
    except OSError as error:
        raise LocalError(
            f"{path}: cannot be read: {error.strerror}; check the disk and the permissions"
        ) from error


def _parse_object(path: Path, data: bytes) -> Json:
    try:
        content = json.loads(data, parse_int=parse_int)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path}: is not JSON ({error}); remove it, then harvest") from error
    if not isinstance(content, dict):
        raise IntegrityError(f"{path}: is not a STAC object; remove it, then harvest")
    return content


def save(path: Path, content: Json) -> bool:
    """Write a catalog file, and remove temporary files of dead runs; requires the lock."""
    sweep(path)
    return write_json(path, content)


def save_all(contents: Mapping[Path, Json]) -> bool:
    """Write several catalog files as `save`; return whether the bytes of any changed.

    Each is synced before it is renamed, since links to it follow: after a power failure a linked
    item would otherwise be empty. Most of the time is spent waiting for the disk, which syncs
    several files at once.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        return any(list(pool.map(save, contents, contents.values())))


def save_picture(path: Path, png: bytes) -> bool:
    """Write the thumbnail of an item or a collection, given the path of its JSON; see `save`."""
    picture = path.with_name(THUMBNAIL)
    sweep(picture)
    return write_bytes(picture, png)


def stranger(path: Path, kind: str, identifier: str) -> str | None:
    """Return a message if a path is occupied by a foreign file; otherwise None.

    Parameters
    ----------
    kind
        Type of the STAC object: ``Catalog``, ``Collection`` or ``Feature``.
    identifier
        Its id.

    Raises
    ------
    LocalError
        If the file cannot be read, so that its origin is unknown.
    """
    if path.parent.is_symlink():
        return f"{path.parent}: is a symbolic link, which stacbuild did not make"
    if not os.path.lexists(path):
        return None
    if path.is_symlink() or not path.is_file():
        return f"{path}: is not a file that stacbuild wrote"
    try:
        content = read_json(path)
    except IntegrityError:
        return f"{path}: is a file that stacbuild did not write, or is damaged"
    fields = content.get("properties") if kind == "Feature" else content
    marked = kind == "Catalog" or (isinstance(fields, dict) and STORE in fields)
    if content.get("type") == kind and content.get("id") == identifier and marked:
        return None
    return f"{path}: is a file that stacbuild did not write"


def strange_picture(path: Path) -> str | None:
    """Return a message if the path of a thumbnail is occupied by a foreign file; otherwise None.

    Parameters
    ----------
    path
        File of the item or the collection.
    """
    picture = path.with_name(THUMBNAIL)
    if not os.path.lexists(picture):
        return None
    if is_own_picture(picture):
        return None
    if not picture.is_symlink() and picture.is_file():
        try:
            # Pictures written by older versions have no mark.
            if path.exists() and "thumbnail" in read_json(path).get("assets", {}):
                return None
        except (IntegrityError, LocalError):
            pass
    return f"{picture}: is a file that stacbuild did not write"


def is_own_picture(path: Path) -> bool:
    """Return whether a file is a picture with the mark of stacbuild."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return _PICTURE_MARK in file.read(200)


def remove_item_files(path: Path) -> None:
    """Remove the file of an item, its thumbnail, and their folder if it becomes empty."""
    ours = strange_picture(path) is None
    sweep(path)
    path.unlink(missing_ok=True)
    if ours:
        sweep(path.with_name(THUMBNAIL))
        path.with_name(THUMBNAIL).unlink(missing_ok=True)
    remove_empty(path.parent)


def remove_empty(folder: Path) -> None:
    """Remove a folder, if it exists and is empty."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def is_of_cubes(collection: Path) -> bool:
    """Return whether a collection has cubes that stacbuild made, rather than sources."""
    try:
        providers = read_json(collection).get("providers")
    except (IntegrityError, LocalError):
        return False
    return isinstance(providers, list) and any(
        isinstance(each, dict) and each.get("name") == "stacbuild" for each in providers
    )
