"""Identify what is at a path in a folder of cubes: which cube, or something else."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild.errors import IntegrityError, LocalError
from stacbuild.stac.catalog import cube_id
from stacbuild.stac.extensions import CONFIGURATION, FINGERPRINT
from stacbuild.storage.foreign import Parts, foreign_message, foreign_paths
from stacbuild.storage.formats import whole
from stacbuild.storage.journal import Journal
from stacbuild.storage.output import ATTRIBUTE, COLLECTION

if TYPE_CHECKING:
    import pystac

    from stacbuild.stac.catalog import Catalog
    from stacbuild.storage.output import Output

REMEDY = (
    "stacbuild replaces only what it made: take another identifier or another storage root, or "
    "move it away"
)

_GROUP = ("zarr.json", ".zgroup", ".zattrs")


def find_foreign(output: Output, path: Path, whole_tree: bool) -> str | None:
    """Return a message if a path is occupied by something that is not replaced; otherwise None."""
    item, journal = output.item(), Journal.read(output.journal)
    if not os.path.lexists(path):
        return None
    if path.is_symlink():
        return f"{path}: is a symbolic link; {REMEDY}"
    found = fingerprint_of(path)
    if found and found in _expected(path, item, journal):
        is_named = item is not None and item.properties.get(FINGERPRINT) == found
        # Without an item, as after an interrupted commit or removal, use the cube's own metadata.
        parts = Parts.of_item(item) if item and is_named else Parts.of_cube(path)
        stray = next(foreign_paths(path, parts, whole_tree=whole_tree), None)
        return None if stray is None else foreign_message([stray])
    return f"{path}: {_what(output, path, found, item)}; {REMEDY}"


def describe_foreign(output: Output, path: Path, item: pystac.Item | None = None) -> str:
    """Return a message on what is at a path instead of the cube of an item."""
    if path.is_symlink():
        return "is a symbolic link"
    return _what(output, path, fingerprint_of(path), item)


def is_at(item: pystac.Item, path: Path) -> bool:
    """Return whether the cube of an item is at a path, after resolving links of folders."""
    href = Path(whole(item).href)
    return href.name == path.name and (
        href.parent == path.parent or href.parent.resolve() == path.parent.resolve()
    )


def _expected(path: Path, item: pystac.Item | None, journal: Journal | None) -> set[str]:
    """Return the fingerprints of the cubes that item and journal expect at a path."""
    found = set()
    if item is not None and is_at(item, path):
        found.add(item.properties.get(FINGERPRINT))
    if journal is not None:
        if path.name in (journal.name, journal.replaces):
            found |= {journal.replaced, journal.removing}
        if journal.committing and journal.name == path.name:
            found.add(journal.fingerprint)
    return {each for each in found if each}


def is_cube(path: Path, fingerprint: str | None) -> bool:
    """Return whether a path is a cube with a fingerprint, and not a link to it."""
    return bool(fingerprint) and not path.is_symlink() and fingerprint_of(path) == fingerprint


def fingerprint_of(path: Path) -> str | None:
    """Return the fingerprint of a cube, as `attribute_of`."""
    return attribute_of(path, ATTRIBUTE)


def attribute_of(path: Path, name: str) -> str | None:
    """Return an attribute of a Zarr group or netCDF file; None if the path does not exist.

    An empty string if the path exists, but has no such attribute.
    """
    if path.is_file():
        return _attribute_of_file(path, name)

    def read(key: str) -> bytes:
        try:
            return (path / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise
        except OSError:
            # The path exists.
            return b""

    return group_attribute(read, name)


def group_attribute(read: Callable[[str], bytes], name: str) -> str | None:
    """Return an attribute of a Zarr group in any storage, as `attribute_of`.

    Parameters
    ----------
    read
        Reads a key below the group; raises `FileNotFoundError` or `NotADirectoryError` if it does
        not exist.
    """
    for metadata, inside in (("zarr.json", "attributes"), (".zattrs", None)):
        try:
            content = json.loads(read(metadata))
            return str((content[inside] if inside else content).get(name, ""))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            return ""
    return None


def _attribute_of_file(path: Path, name: str) -> str:
    # Imported late: it is slow to import, and most cubes are folders.
    try:
        import h5py  # type: ignore[import-untyped]
    except ImportError:
        return ""
    try:
        with h5py.File(path, "r") as file:
            value = file.attrs.get(name, "")
    except (OSError, KeyError, ValueError, RuntimeError):
        return ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _what(output: Output, path: Path, found: str | None, item: pystac.Item | None) -> str:
    """Return a message on what is at a path."""
    if not found:
        if path.is_file():
            return "is a file that stacbuild did not write"
        if any((path / name).exists() for name in _GROUP):
            return "is a Zarr store that stacbuild did not write"
        if any(path.iterdir()) if path.is_dir() else True:
            return "is a folder that stacbuild did not write"
        return "is an empty folder that stacbuild did not make"
    for other in _cubes(output.catalog):
        if is_at(other, path) and other.id != cube_id(output.identifier):
            return f"is the cube {other.id!r} of collection {other.collection_id!r}"
        if is_at(other, path) and other.collection_id != output.collection:
            by = other.properties.get(CONFIGURATION)
            more = f" (configuration {by}, relative to the catalog)" if by else ""
            return f"is the cube of collection {other.collection_id!r}{more}"
    owner = attribute_of(path, COLLECTION)
    of = f" of collection {owner!r}" if owner else ""
    if item is None:
        return f"is a cube that stacbuild made{of}, but no item in {output.catalog.path} names it"
    return f"is a cube that stacbuild made{of}, but not the one that its item names"


def _cubes(catalog: Catalog) -> Iterator[pystac.Item]:
    with contextlib.suppress(LocalError, IntegrityError):
        for item in catalog.cubes():
            if "data" in item.assets:
                yield item
