"""Ownership of outputs: what a build may replace, and what it must not touch.

A store or a file is only replaced if its fingerprint is that of this dataset's item in this
catalog. Between the rename of a cube and the writing of its item, the journal takes the role of the
item. Anything else at the path of a cube is a conflict: nothing is fetched or written, and
the message names what is there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacbuild.errors import ConfigError, ConflictError, LocalError
from stacbuild.locks import check_lock
from stacbuild.stac.extensions import CONFIGURATION
from stacbuild.storage.journal import Journal, new_token
from stacbuild.storage.on_disk import REMEDY

if TYPE_CHECKING:
    import pystac

    from stacbuild.storage.output import Output

_MOVE = "move it away, or use another folder for --catalog"


def check_format(output: Output) -> None:
    """Check that the storage supports the format, and its library is installed.

    Raises
    ------
    ConfigError
        If not; names the key.
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
        raise ConfigError(f"{where}: netcdf needs extra packages: pip install 'stacbuild[netcdf]'")


def check_output(output: Output, *, whole_tree: bool = False, locked: bool = False) -> None:
    """Check that an output is not occupied by something else than this dataset's cube.

    Parameters
    ----------
    whole_tree
        Check all files of the cube that is to be replaced, not only the first levels of folders.
    locked
        Whether the caller holds the lock of the cube.

    Raises
    ------
    ConflictError
        If it is; names what is there.
    """
    if (conflict := find_conflict(output, whole_tree=whole_tree, locked=locked)) is not None:
        raise ConflictError(conflict)


def find_conflict(output: Output, *, whole_tree: bool = False, locked: bool = False) -> str | None:
    """Return a message if something else occupies an output; otherwise None.

    It makes no requests: in a bucket each build has its own key.
    """
    conflict = _conflict_beside(output, locked=locked) if output.storage.persistent else None
    return conflict or output.storage.find_conflict(output, whole_tree=whole_tree)


def check_item(output: Output) -> None:
    """Check that the item in the catalog is of this dataset; `check_output` does so, too.

    Raises
    ------
    ConflictError
        If it is of another one.
    """
    if output.storage.persistent and (conflict := _in_catalog(output)) is not None:
        raise ConflictError(conflict)


def check_surroundings(output: Output, *, locked: bool = False) -> None:
    """Check that item, lock and journal are of this dataset; `check_output` does so, too.

    Raises
    ------
    ConflictError
        If one is not.
    """
    if (conflict := _conflict_beside(output, locked=locked)) is not None:
        raise ConflictError(conflict)


def _conflict_beside(output: Output, *, locked: bool) -> str | None:
    if (conflict := _in_catalog(output)) is not None:
        return conflict
    for path in (output.lock, output.journal):
        if path.is_symlink():
            return f"{path}: is a symbolic link, but a build needs a file of its own; {REMEDY}"
    if not locked:
        try:
            check_lock(output.lock)
        except LocalError as error:
            return str(error)
    journal = Journal.read(output.journal)
    if journal is None and os.path.lexists(output.journal):
        return f"{output.journal}: is not a journal of this version of stacbuild; {REMEDY}"
    if journal is not None and not is_own(output, journal.owner):
        return (
            f"{output.journal}: {_owner_text(journal.owner)} began a cube there and was "
            "interrupted; complete that run, or use another identifier or another storage root"
        )
    if journal is not None:
        folder = staging_folder(output, journal.token)
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            return f"{folder}: is not the folder that an earlier run wrote to; {REMEDY}"
    return None


def _in_catalog(output: Output) -> str | None:
    stranger = output.catalog.stranger(output.collection, output.identifier)
    if stranger is not None:
        return f"{stranger}; {_MOVE}"
    if output.catalog.is_of_sources(output.collection):
        return (
            f"{output.catalog.root / output.collection}: is the collection of a source, and this "
            "configuration has the same name; rename the configuration, or use another folder for "
            "--catalog"
        )
    item = output.item()
    if item is not None and output.is_of_another(item.properties.get(CONFIGURATION)):
        return (
            f"{output.catalog.item_path(output.collection, output.identifier)}: is of the "
            f"configuration {item.properties[CONFIGURATION]} (relative to the catalog), whose "
            f"collection has the name {output.collection!r} too; rename one of the two files, take "
            "another identifier, or use another folder for --catalog"
        )
    return None


def is_own(output: Output, owner: Mapping[str, Any]) -> bool:
    """Return whether the owner in a journal is that of an output; True if it is empty."""
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
    """Return the staging folder of a token."""
    return output.journal.with_name(f".{output.name}.zarr.{token}.staging")


def absence(output: Output, item: pystac.Item | None) -> str | None:
    """Return why a cube is missing or incomplete, by quick checks; otherwise None.

    Parameters
    ----------
    item
        The item of the cube in the catalog, if any.
    """
    if (absent := output.storage.absence(output, item)) is not None:
        return absent
    journal = Journal.read(output.journal)
    if journal is None or not journal.is_unfinished:
        return None
    by = "removed" if journal.removing else "made"
    return f"the run that {by} it was interrupted"


def resumable_bytes(output: Output) -> int:
    """Return the bytes that an interrupted run wrote to a local disk and a build resumes."""
    journal = Journal.read(output.journal)
    finished = journal.finished.values() if journal else ()
    return sum(max(size, 0) for regions in finished for size in regions.values())


def leftovers(output: Output) -> list[Path]:
    """Return the local leftovers of interrupted runs of a cube."""
    journal, left = Journal.read(output.journal), []
    if journal is not None:
        folder = staging_folder(output, journal.token)
        names = (folder.with_suffix(suffix) for suffix in (".old", ".gone", ".owner"))
        left = [path for path in (output.journal, folder, *names) if path.exists()]
    return [*left, *output.storage.lost_paths(output)]


def resume(
    output: Output, fingerprint: str, found: Journal | None, is_free: Callable[[str], bool]
) -> Journal:
    """Return the journal of an interrupted run if it has the same fingerprint, or a new one.

    Parameters
    ----------
    is_free
        Returns whether no file has a token in its name yet.
    """
    if found is None or found.fingerprint != fingerprint:
        return Journal.start(output.journal, fingerprint, output.owner(), unused_token(is_free))
    found.resume()
    return found


def unused_token(is_free: Callable[[str], bool]) -> str:
    """Return a token that no file has in its name yet."""
    while not is_free(token := new_token()):
        pass
    return token
