"""What lies at a path in a folder of cubes: a cube, and whose, or something else."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild.errors import IntegrityError, LocalError
from stacbuild.stac.catalog import cube_id
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.storage.formats import whole
from stacbuild.storage.journal import Journal
from stacbuild.storage.output import ATTRIBUTE, COLLECTION, CONFIGURATION
from stacbuild.storage.strangers import Parts, strangers, stray_message

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
    """Return what lies where a cube goes and is not replaced, and what to do; None if nothing."""
    item, journal = output.item(), Journal.read(output.journal)
    if not os.path.lexists(path):
        return None
    if path.is_symlink():
        return f"{path}: is a symbolic link; {REMEDY}"
    borne = fingerprint_of(path)
    if borne and borne in _vouched(path, item, journal):
        is_named = item is not None and item.properties.get(FINGERPRINT) == borne
        # Where a run died before its item, or after it was removed, the cube says it itself.
        parts = Parts.of_item(item) if item and is_named else Parts.of_cube(path)
        stray = next(strangers(path, parts, whole_tree=whole_tree), None)
        return None if stray is None else stray_message([stray])
    return f"{path}: {_what(output, path, borne, item)}; {REMEDY}"


def describe_foreign(output: Output, path: Path, item: pystac.Item | None = None) -> str:
    """Return what lies at a path that is not the cube of an item, for a user to read."""
    if path.is_symlink():
        return "is a symbolic link"
    return _what(output, path, fingerprint_of(path), item)


def is_at(item: pystac.Item, path: Path) -> bool:
    """Return whether the cube of an item has a path, whichever links of folders lead there."""
    href = Path(whole(item).href)
    return href.name == path.name and (
        href.parent == path.parent or href.parent.resolve() == path.parent.resolve()
    )


def _vouched(path: Path, item: pystac.Item | None, journal: Journal | None) -> set[str]:
    """Return the fingerprints of the cubes that may lie at a path."""
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
    """Return whether a path is the cube of a fingerprint, and no link to it."""
    return bool(fingerprint) and not path.is_symlink() and fingerprint_of(path) == fingerprint


def fingerprint_of(path: Path) -> str | None:
    """Return the fingerprint in the attributes of a cube; empty or None if it has none."""
    return attribute_of(path, ATTRIBUTE)


def attribute_of(path: Path, name: str) -> str | None:
    """Return an attribute of a Zarr group or netCDF file; None if there is no such thing.

    It is the empty text if there is something, and it has no such attribute.
    """
    if path.is_file():
        return _attribute_of_file(path, name)

    def read(key: str) -> bytes:
        try:
            return (path / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise
        except OSError:
            # Something is there.
            return b""

    return group_attribute(read, name)


def group_attribute(read: Callable[[str], bytes], name: str) -> str | None:
    """Return an attribute of a Zarr group as `attribute_of` does, wherever it is.

    Parameters
    ----------
    read
        Reads a key below the group; raises `FileNotFoundError` or `NotADirectoryError` if it is
        not there.
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
    # Imported when used: it takes a while, and most cubes are folders.
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


def _what(output: Output, path: Path, borne: str | None, item: pystac.Item | None) -> str:
    """Return what lies at a path, for a user to read."""
    if not borne:
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
        for item in catalog.items():
            if FINGERPRINT in item.properties and "data" in item.assets:
                yield item
