"""Whose a path is: what a build may replace, and what it may not touch.

A store or a file is replaced only if it is the cube that this catalog's item of this configuration
and dataset names: the fingerprint in its attributes is that of the item. Between the rename of a
cube and its item, the journal vouches for it in the same way. Whatever else lies where a build
would write is a conflict: nothing is fetched, nothing is written, and the user is told what lies
there.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacbuild.errors import ConflictError, IntegrityError, LocalError
from stacbuild.locks import check_lock
from stacbuild.sources.file.store import FileStore
from stacbuild.sources.memory.store import MemoryStore
from stacbuild.sources.s3.store import S3Store
from stacbuild.stac.catalog import cube_id
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.storage.formats import FORMS, FormatId, whole
from stacbuild.storage.journal import Journal, hidden_path
from stacbuild.storage.strangers import Parts, strangers, stray_message

if TYPE_CHECKING:
    import pystac

    from stacbuild.stac.catalog import Catalog

ATTRIBUTE = "stacbuild_fingerprint"
"""Attribute of a cube's group or file: its item's fingerprint, so that they know each other."""

COLLECTION = "stacbuild_collection"
"""Attribute of a cube's group or file: the collection of the item that names it."""

CONFIGURATION = "stacbuild:configuration"
"""Property of a cube's item: path of its configuration, relative to the catalog's folder."""

_GROUP = ("zarr.json", ".zgroup", ".zattrs")
_MOVE = "move it away, or give --catalog another folder"
_REMEDY = (
    "stacbuild replaces only what it made: take another identifier or another storage root, or "
    "move it away"
)


@dataclass(frozen=True)
class Place:
    """Where a cube goes, and whose it is.

    Parameters
    ----------
    identifier
        Of its dataset.
    catalog
        The catalog that its item goes to.
    collection
        Id of the collection that its item goes to.
    configuration
        File of the configuration; None if it never was one.
    format_id
        Its format, see `stacbuild.storage.formats`.
    """

    storage: FileStore | S3Store | MemoryStore
    identifier: str
    catalog: Catalog
    collection: str
    configuration: Path | None
    format_id: FormatId = "zarr"

    @property
    def name(self) -> str:
        """The last part of the identifier, which may begin with folders."""
        return self.identifier.rpartition("/")[2]

    @property
    def path(self) -> Path | None:
        """The whole cube, in a folder; None in any other storage."""
        if not isinstance(self.storage, FileStore):
            return None
        return self.storage.root / f"{self.identifier}{FORMS[self.format_id].ending}"

    @property
    def data_path(self) -> Path | None:
        """What clients open of the cube, in a folder; None in any other storage."""
        return None if self.path is None else self.path / FORMS[self.format_id].public

    @property
    def journal(self) -> Path:
        """The file of its journal."""
        return self.hidden("journal")

    @property
    def lock(self) -> Path:
        """The file of its lock."""
        return self.hidden("lock")

    def hidden(self, suffix: str) -> Path:
        """Return a file that goes with the cube and is no part of it."""
        return hidden_path(self.storage, self.identifier, self.catalog.root, suffix)

    def item(self) -> pystac.Item | None:
        """Return the item that the catalog has of the cube now, or None."""
        return self.catalog.get(self.collection, self.identifier)

    @property
    def stated_configuration(self) -> str | None:
        """What its item says of the configuration, see `CONFIGURATION`."""
        if self.configuration is None:
            return None
        path = self.configuration.parent.resolve() / self.configuration.name
        return Path(os.path.relpath(path, self.catalog.root)).as_posix()

    def owner(self) -> dict[str, Any]:
        """Return what its journal says of whose cube it is: no path of the machine."""
        catalog = os.path.relpath(self.catalog.root, self.journal.parent.resolve())
        return {
            "catalog": Path(catalog).as_posix(),
            "collection": self.collection,
            "configuration": self.stated_configuration,
            "dataset": self.identifier,
        }

    def is_of_another(self, configuration: object) -> bool:
        """Return whether a stated configuration is another one, which still is there.

        One that was moved or renamed finds its cubes again.
        """
        return (
            isinstance(configuration, str)
            and configuration != self.stated_configuration
            and (self.catalog.root / configuration).exists()
        )


def check_place(place: Place, *, whole_tree: bool = False, locked: bool = False) -> None:
    """Refuse to write where something lies that is not the cube of this configuration.

    Parameters
    ----------
    whole_tree
        Whether to look at all files of the cube that is to be replaced, or only at the first
        levels of its folders.
    locked
        Whether the caller holds the lock of the cube.

    Raises
    ------
    ConflictError
        Naming what lies there, and what to do.
    """
    said = find_conflict(place, whole_tree=whole_tree, locked=locked)
    if said is not None:
        raise ConflictError(said)


def find_conflict(place: Place, *, whole_tree: bool = False, locked: bool = False) -> str | None:
    """Return what is in the way of a cube, for a user to read; None if nothing is.

    Nothing on a server is asked for: in a bucket each build has a key of its own.
    """
    storage = place.storage
    if isinstance(storage, MemoryStore):
        return _in_memory(place, storage)
    said = _beside(place, locked=locked)
    if said is not None or place.path is None:
        return said
    return _in_folder(place, place.path, whole_tree)


def check_item(place: Place) -> None:
    """Refuse to write an item where the catalog has another one.

    Raises
    ------
    ConflictError
        As `check_place`, which looks at this too.
    """
    if not isinstance(place.storage, MemoryStore) and (said := _in_catalog(place)) is not None:
        raise ConflictError(said)


def check_beside(place: Place, *, locked: bool = False) -> None:
    """Refuse to go on where item, lock or journal are somebody else's, wherever the cube is.

    Raises
    ------
    ConflictError
        As `check_place`, which looks at this too.
    """
    if (said := _beside(place, locked=locked)) is not None:
        raise ConflictError(said)


def _beside(place: Place, *, locked: bool) -> str | None:
    if (said := _in_catalog(place)) is not None:
        return said
    for path in (place.lock, place.journal):
        if path.is_symlink():
            return f"{path}: is a symbolic link, where a build has a file of its own; {_REMEDY}"
    if not locked:
        try:
            check_lock(place.lock)
        except LocalError as error:
            return str(error)
    journal = Journal.read(place.journal)
    if journal is None and os.path.lexists(place.journal):
        return f"{place.journal}: is no journal of this version of stacbuild; {_REMEDY}"
    if journal is not None and not is_own(place, journal.owner):
        return (
            f"{place.journal}: {_owner_text(journal.owner)} began a cube there and did not end; "
            "run that to its end, or take another identifier or another storage root"
        )
    if journal is not None:
        folder = staging_folder(place, journal.token)
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            return f"{folder}: is not the folder that an earlier run wrote to; {_REMEDY}"
    return None


def _in_catalog(place: Place) -> str | None:
    said = place.catalog.stranger(place.collection, place.identifier)
    if said is not None:
        return f"{said}; {_MOVE}"
    item = place.item()
    if item is not None and place.is_of_another(item.properties.get(CONFIGURATION)):
        return (
            f"{place.catalog.item_path(place.collection, place.identifier)}: is of the "
            f"configuration {item.properties[CONFIGURATION]} (relative to the catalog), whose "
            f"collection has the name {place.collection!r} too; rename one of the two files, take "
            "another identifier, or give --catalog another folder"
        )
    return None


def is_own(place: Place, owner: Mapping[str, Any]) -> bool:
    """Return whether an owner that a journal states is this cube's; True if it states none."""
    own = place.owner()
    if not owner:
        return True
    same = all(owner.get(key) == own[key] for key in ("catalog", "collection", "dataset"))
    return same and not place.is_of_another(owner.get("configuration"))


def _owner_text(owner: Any) -> str:
    by = owner.get("configuration")
    more = f" ({by}, relative to its catalog)" if by else ""
    return f"the collection {owner.get('collection')!r}{more}"


def _in_folder(place: Place, path: Path, whole_tree: bool) -> str | None:
    item, journal = place.item(), Journal.read(place.journal)
    if not os.path.lexists(path):
        return None
    if path.is_symlink():
        return f"{path}: is a symbolic link; {_REMEDY}"
    borne = fingerprint_of(path)
    if borne and borne in _vouched(path, item, journal):
        is_named = item is not None and item.properties.get(FINGERPRINT) == borne
        # Where a run died before its item, or after it was removed, the cube says it itself.
        parts = Parts.of_item(item) if item and is_named else Parts.of_cube(path)
        stray = next(strangers(path, parts, whole_tree=whole_tree), None)
        return None if stray is None else stray_message([stray])
    return f"{path}: {_what(place, path, borne, item)}; {_REMEDY}"


def describe_foreign(place: Place, path: Path, item: pystac.Item | None = None) -> str:
    """Return what lies at a path that is not the cube of an item, for a user to read."""
    if path.is_symlink():
        return "is a symbolic link"
    return _what(place, path, fingerprint_of(path), item)


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


def staging_folder(place: Place, token: str) -> Path:
    """Return the folder that the runs of a journal write to."""
    return place.journal.with_name(f".{place.name}.zarr.{token}.staging")


def fingerprint_of(path: Path) -> str | None:
    """Return the fingerprint in the attributes of a cube; empty or None if it has none."""
    return attribute_of(path, ATTRIBUTE)


def attribute_of(path: Path, name: str) -> str | None:
    """Return an attribute of a Zarr group or netCDF file; None if there is no such thing.

    It is the empty text if there is something, and it has no such attribute.
    """
    if path.is_file():
        return _attribute_of_file(path, name)
    for metadata, inside in (("zarr.json", "attributes"), (".zattrs", None)):
        try:
            content = json.loads((path / metadata).read_bytes())
            return str((content[inside] if inside else content).get(name, ""))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (ValueError, KeyError, AttributeError, TypeError, OSError, RecursionError):
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


def _what(place: Place, path: Path, borne: str | None, item: pystac.Item | None) -> str:
    """Return what lies at a path, for a user to read."""
    if not borne:
        if path.is_file():
            return "is a file that stacbuild did not write"
        if any((path / name).exists() for name in _GROUP):
            return "is a Zarr store that stacbuild did not write"
        if any(path.iterdir()) if path.is_dir() else True:
            return "is a folder that stacbuild did not write"
        return "is an empty folder that stacbuild did not make"
    for other in _cubes(place.catalog):
        if is_at(other, path) and other.id != cube_id(place.identifier):
            return f"is the cube {other.id!r} of collection {other.collection_id!r}"
        if is_at(other, path) and other.collection_id != place.collection:
            by = other.properties.get(CONFIGURATION)
            more = f" (configuration {by}, relative to the catalog)" if by else ""
            return f"is the cube of collection {other.collection_id!r}{more}"
    owner = attribute_of(path, COLLECTION)
    of = f" of collection {owner!r}" if owner else ""
    if item is None:
        return (
            f"is a cube that stacbuild made{of}, yet {place.catalog.path} has no item that names it"
        )
    return f"is a cube that stacbuild made{of}, yet not the one that its item names"


def _cubes(catalog: Catalog) -> Iterator[pystac.Item]:
    with contextlib.suppress(LocalError, IntegrityError):
        for item in catalog.items():
            if FINGERPRINT in item.properties and "data" in item.assets:
                yield item


def _in_memory(place: Place, storage: MemoryStore) -> str | None:
    import fsspec

    fs = fsspec.filesystem("memory")
    path = f"/{storage.root}/{place.identifier}{FORMS[place.format_id].ending}"
    if not fs.exists(path):
        return None
    for metadata, inside in (("zarr.json", "attributes"), (".zattrs", None)):
        if fs.isfile(f"{path}/{metadata}"):
            with contextlib.suppress(ValueError, KeyError, AttributeError, TypeError):
                content = json.loads(fs.cat_file(f"{path}/{metadata}"))
                attrs = content[inside] if inside else content
                if attrs.get(ATTRIBUTE) and attrs.get(COLLECTION) == place.collection:
                    return None
    return f"memory:/{path}: holds what is no cube of collection {place.collection!r}; {_REMEDY}"
