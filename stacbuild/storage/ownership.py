"""Whose a place is: what a build may replace, and what it may not touch.

A store or a file is replaced only if it is the cube that this catalog's item of this configuration
and dataset names: the fingerprint in its attributes is that of the item. Between the rename of a
cube and its item, the journal vouches for it in the same way. Whatever else lies where a build
would write is a conflict: nothing is fetched, nothing is written, and the user is told what lies
there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacbuild.errors import ConfigError, ConflictError, LocalError
from stacbuild.locks import check_lock
from stacbuild.storage.journal import Journal, new_token
from stacbuild.storage.on_disk import REMEDY
from stacbuild.storage.output import CONFIGURATION

if TYPE_CHECKING:
    import pystac

    from stacbuild.storage.output import Output

_MOVE = "move it away, or give --catalog another folder"


def check_format(output: Output) -> None:
    """Refuse a format that cannot be written to a storage, or on this machine.

    Raises
    ------
    ConfigError
        Naming the key, and what to do.
    """
    if output.format_id != "netcdf":
        return
    where = f"datasets.{output.identifier}.format_id"
    if output.storage.folder is None:
        raise ConfigError(
            f"{where}: netcdf can be written to a folder only, and the storage is of kind "
            f"{output.storage.store.store_id!r}; take zarr or levels, or a storage of kind 'file'"
        )
    if find_spec("h5netcdf") is None or find_spec("h5py") is None:
        raise ConfigError(f"{where}: netcdf needs more: pip install 'stacbuild[netcdf]'")


def check_output(output: Output, *, whole_tree: bool = False, locked: bool = False) -> None:
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
    said = find_conflict(output, whole_tree=whole_tree, locked=locked)
    if said is not None:
        raise ConflictError(said)


def find_conflict(output: Output, *, whole_tree: bool = False, locked: bool = False) -> str | None:
    """Return what is in the way of a cube, for a user to read; None if nothing is.

    Nothing on a server is asked for: in a bucket each build has a key of its own.
    """
    said = _beside(output, locked=locked) if output.storage.persistent else None
    return said or output.storage.find_conflict(output, whole_tree=whole_tree)


def check_item(output: Output) -> None:
    """Refuse to write an item where the catalog has another one.

    Raises
    ------
    ConflictError
        As `check_place`, which looks at this too.
    """
    if output.storage.persistent and (said := _in_catalog(output)) is not None:
        raise ConflictError(said)


def check_beside(output: Output, *, locked: bool = False) -> None:
    """Refuse to go on where item, lock or journal are somebody else's, wherever the cube is.

    Raises
    ------
    ConflictError
        As `check_place`, which looks at this too.
    """
    if (said := _beside(output, locked=locked)) is not None:
        raise ConflictError(said)


def _beside(output: Output, *, locked: bool) -> str | None:
    if (said := _in_catalog(output)) is not None:
        return said
    for path in (output.lock, output.journal):
        if path.is_symlink():
            return f"{path}: is a symbolic link, where a build has a file of its own; {REMEDY}"
    if not locked:
        try:
            check_lock(output.lock)
        except LocalError as error:
            return str(error)
    journal = Journal.read(output.journal)
    if journal is None and os.path.lexists(output.journal):
        return f"{output.journal}: is no journal of this version of stacbuild; {REMEDY}"
    if journal is not None and not is_own(output, journal.owner):
        return (
            f"{output.journal}: {_owner_text(journal.owner)} began a cube there and did not end; "
            "run that to its end, or take another identifier or another storage root"
        )
    if journal is not None:
        folder = staging_folder(output, journal.token)
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            return f"{folder}: is not the folder that an earlier run wrote to; {REMEDY}"
    return None


def _in_catalog(output: Output) -> str | None:
    said = output.catalog.stranger(output.collection, output.identifier)
    if said is not None:
        return f"{said}; {_MOVE}"
    item = output.item()
    if item is not None and output.is_of_another(item.properties.get(CONFIGURATION)):
        return (
            f"{output.catalog.item_path(output.collection, output.identifier)}: is of the "
            f"configuration {item.properties[CONFIGURATION]} (relative to the catalog), whose "
            f"collection has the name {output.collection!r} too; rename one of the two files, take "
            "another identifier, or give --catalog another folder"
        )
    return None


def is_own(output: Output, owner: Mapping[str, Any]) -> bool:
    """Return whether an owner that a journal states is this cube's; True if it states none."""
    own = output.owner()
    if not owner:
        return True
    same = all(owner.get(key) == own[key] for key in ("catalog", "collection", "dataset"))
    return same and not output.is_of_another(owner.get("configuration"))


def _owner_text(owner: Any) -> str:
    by = owner.get("configuration")
    more = f" ({by}, relative to its catalog)" if by else ""
    return f"the collection {owner.get('collection')!r}{more}"


def staging_folder(output: Output, token: str) -> Path:
    """Return the folder that the runs of a journal write to."""
    return output.journal.with_name(f".{output.name}.zarr.{token}.staging")


def absence(output: Output, item: pystac.Item | None) -> str | None:
    """Return why a cube has to be built again, whatever it is made of; None if it does not.

    Parameters
    ----------
    item
        What the catalog has of it; only quick checks compare it with the storage.
    """
    if (said := output.storage.absence(output, item)) is not None:
        return said
    journal = Journal.read(output.journal)
    if journal is None or not journal.is_half_way:
        return None
    by = "removed" if journal.removing else "made"
    return f"the run that {by} it did not end"


def written_before(output: Output) -> int:
    """Return the bytes on this machine that an earlier run wrote of a cube, to be gone on with."""
    journal = Journal.read(output.journal)
    finished = journal.finished.values() if journal else ()
    return sum(max(size, 0) for regions in finished for size in regions.values())


def leftovers(output: Output) -> list[Path]:
    """Return what interrupted runs of a cube left on this machine."""
    journal, left = Journal.read(output.journal), []
    if journal is not None:
        folder = staging_folder(output, journal.token)
        names = (folder.with_suffix(suffix) for suffix in (".old", ".gone", ".owner"))
        left = [path for path in (output.journal, folder, *names) if path.exists()]
    return [*left, *output.storage.lost_paths(output)]


def go_on(
    output: Output, fingerprint: str, found: Journal | None, is_free: Callable[[str], bool]
) -> Journal:
    """Take up the journal that was found if it is of the same build, or start one.

    Parameters
    ----------
    is_free
        Whether nothing has a name with a token yet, so that all that will is ours.
    """
    if found is None or found.fingerprint != fingerprint:
        return Journal.start(output.journal, fingerprint, output.owner(), free_token(is_free))
    found.go_on()
    return found


def free_token(is_free: Callable[[str], bool]) -> str:
    """Return a token that nothing has in its name yet."""
    while not is_free(token := new_token()):
        pass
    return token
