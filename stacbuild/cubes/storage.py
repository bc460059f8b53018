"""Where cubes go: staged beside their final name, visible only when whole.

The order of a commit: lock, staged, verified, renamed, item, collection, catalog. The item is the
commit point. A journal (`stacbuild.cubes.journal`) tells a later run how far a run came that died,
in the staged store or between any two of these steps.
"""

from __future__ import annotations

import datetime as dt
import errno
import glob
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore

from stacbuild.config import FileStore, MemoryStore, S3Store
from stacbuild.cubes.estimate import free_bytes
from stacbuild.cubes.fingerprint import FINGERPRINT
from stacbuild.cubes.journal import Journal, hidden_path, sync_folder
from stacbuild.errors import LocalError, RemoteError, StacbuildError
from stacbuild.locks import hold
from stacbuild.progress import Reporter, Silent

if TYPE_CHECKING:
    import pystac

# No space, no quota, and a limit on the size of files.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Staging:
    """A place to write a cube to.

    Parameters
    ----------
    store
        Empty, or what the journal tells of; nobody looks at it.
    href
        Where the cube is once `commit` has returned: a path or URL.
    commit
        Makes what was written visible under *href*, instead of an older cube. Its item is to be
        put into the catalog after it, in the same block.
    started
        When the first run that wrote to *store* began: the time to write into the cube.
    journal
        What is finished already; None where nothing outlives the process.
    catalogued
        Whether the cube outlives the process, so that a catalog may name it.
    """

    store: Store
    href: str
    commit: Callable[[], None]
    started: dt.datetime
    journal: Journal | None = None
    catalogued: bool = True
    s3_href: str | None = None


@dataclass(frozen=True)
class Output:
    """A cube to be: where, and which.

    Parameters
    ----------
    identifier
        Of its dataset.
    fingerprint
        Of what it is made of. What a run with another one left is not gone on with.
    catalog
        Folder of the catalog that its item goes to.
    item
        Gives the item that the catalog has of it now, or None.
    """

    storage: FileStore | S3Store | MemoryStore
    identifier: str
    fingerprint: str
    catalog: Path
    item: Callable[[], pystac.Item | None]

    @property
    def name(self) -> str:
        """Where it goes, for messages."""
        if isinstance(self.storage, FileStore):
            return str(self.storage.root / f"{self.identifier}.zarr")
        return f"{self.storage.key}/{self.identifier}"

    @property
    def journal(self) -> Path:
        """The file of its journal."""
        return self._hidden("journal")

    @property
    def lock(self) -> Path:
        """The file of its lock."""
        return self._hidden("lock")

    def _hidden(self, suffix: str) -> Path:
        return hidden_path(self.storage, self.identifier, self.catalog, suffix)


@contextmanager
def stage(
    output: Output,
    *,
    needed: int = 0,
    wait: bool = False,
    reporter: Reporter | None = None,
) -> Iterator[Staging]:
    """Open a place for a cube; leave it after its item is in the catalog.

    What was not committed is kept for the next run if any region is finished, and removed if not.

    Parameters
    ----------
    needed
        Bytes that the cube will take on this machine's disk, as far as can be told.
    wait
        Whether to wait for another run that writes the same cube.

    Raises
    ------
    LockedError
        If another run writes the same cube.
    LocalError, RemoteError
        If the place cannot be written, or has not *needed* bytes left.
    """
    reporter = Silent() if reporter is None else reporter
    if isinstance(output.storage, MemoryStore):
        with _stage_memory(output.storage, f"{output.identifier}.zarr") as staging:
            yield staging
        return
    with _local_errors(output.lock.parent):
        output.lock.parent.mkdir(parents=True, exist_ok=True)
    with hold(output.lock, output.name, wait=-1 if wait else 0, reporter=reporter):
        if isinstance(output.storage, FileStore):
            with _stage_file(output, output.storage.root, needed, reporter) as staging:
                yield staging
        else:
            with _stage_s3(output, output.storage, reporter) as staging:
                yield staging


# --- a folder ------------------------------------------------------------------------------------


@contextmanager
def _stage_file(output: Output, root: Path, needed: int, reporter: Reporter) -> Iterator[Staging]:
    name = f"{output.identifier}.zarr"
    final, old = root / name, root / f".{name}.old"

    def staged(journal: Journal) -> Path:
        return root / f".{name}.{journal.token}.staging"

    def commit() -> None:
        journal.commit()
        # Two renames: between them there is no cube, but never half a one.
        if final.exists():
            final.rename(old)
        staged(journal).rename(final)
        sync_folder(root)

    def undo(journal: Journal) -> None:
        """Take a commit back whose item did not come to be."""
        if journal.committing and final.exists() and not staged(journal).exists():
            final.rename(staged(journal))
        journal.committing = False
        restore()

    def restore() -> None:
        if old.exists() and not final.exists():
            old.rename(final)
        shutil.rmtree(old, ignore_errors=True)

    def is_public(journal: Journal) -> bool:
        try:
            item = output.item()
        except StacbuildError:
            # What cannot be read names nothing.
            item = None
        return (
            journal.committing
            and final.exists()
            and not staged(journal).exists()
            and item is not None
            and item.properties.get(FINGERPRINT) == journal.fingerprint
        )

    with _local_errors(final):
        found = Journal.read(output.journal)
        if found is None:
            restore()
        elif found.fingerprint == output.fingerprint or not is_public(found):
            undo(found)
        else:
            # Only its end was missing. An old cube without a journal is never put back.
            found.remove()
            shutil.rmtree(old, ignore_errors=True)
        journal = _go_on(output, found)
        folder = staged(journal)
        for path in root.glob(f".{glob.escape(name)}.*.staging"):
            if path != folder:
                shutil.rmtree(path, ignore_errors=True)
        journal.folder = folder
        journal.sweep()
        _say_going_on(name, journal, reporter)
    done = False
    try:
        with _local_errors(final):
            _check_space(final, needed, journal)
            yield Staging(LocalStore(folder), str(final), commit, journal.started, journal)
        done = True
    finally:
        if done:
            # In this order: what is half removed must not be put back.
            journal.remove()
            shutil.rmtree(old, ignore_errors=True)
        elif not is_public(journal):
            undo(journal)
            if not any(journal.finished.values()):
                shutil.rmtree(folder, ignore_errors=True)
                journal.remove()


def _check_space(final: Path, needed: int, journal: Journal) -> None:
    left = needed - sum(sum(regions.values()) for regions in journal.finished.values())
    free = free_bytes(final)
    if left > free:
        raise LocalError(
            f"{final}: needs about {_size(left)}, and {_size(free)} are free in {final.parent}; "
            "make room, move the storage, or take a smaller grid"
        )


@contextmanager
def _local_errors(path: Path) -> Iterator[None]:
    """Say of which disk it was that something could not be read or written."""
    try:
        yield
    except OSError as error:
        # Not those of a user's function, or of whatever else.
        if error.errno in _FULL:
            raise LocalError(
                f"{path}: cannot be written: {os.strerror(error.errno)}: "
                f"{_size(free_bytes(path))} are free there; make room, then run the same command "
                "again to go on"
            ) from error
        if error.errno == errno.EIO or _is_below(error.filename, path.parent):
            raise LocalError(f"{path}: cannot be written: {error}") from error
        raise


def _is_below(name: object, folder: Path) -> bool:
    return isinstance(name, str | os.PathLike) and Path(name).is_relative_to(folder)


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


# --- a bucket ------------------------------------------------------------------------------------


@contextmanager
def _stage_s3(output: Output, storage: S3Store, reporter: Reporter) -> Iterator[Staging]:
    # Here and below imported when used: cubes on disk need no S3.
    import s3fs
    from botocore.exceptions import BotoCoreError

    # An object store cannot rename: each build has a key of its own, and the item names it.
    def key(journal: Journal) -> str:
        return f"{output.identifier}-{journal.token}.zarr"

    def public() -> str | None:
        item = output.item()
        href = item.assets["data"].href if item else ""
        named = href.rpartition("/")[2] if href.startswith(storage.https_url("")) else ""
        # What it names is removed once it is replaced, and an item may be edited: ours only.
        ours = re.fullmatch(rf"{re.escape(output.identifier)}-[0-9a-f]+\.zarr", named)
        return named if ours else None

    found = Journal.read(output.journal)
    if found is not None and found.fingerprint != output.fingerprint:
        # What another configuration left. The item may name it, if only the end was missing.
        left = found.replaces if public() == key(found) else key(found)
        if left:
            remove_s3(storage, left)
    with _local_errors(output.journal):
        journal = _go_on(output, found)
    name = key(journal)
    path = f"{storage.root}/{name}"
    fs = s3fs.S3FileSystem(**storage.storage_options, asynchronous=True, skip_instance_cache=True)
    _say_going_on(name, journal, reporter)

    def commit() -> None:
        before = public()
        journal.commit(before if before != name else None)

    done = False
    try:
        yield Staging(
            FsspecStore(fs, path=path),
            storage.https_url(name),
            commit,
            journal.started,
            journal,
            s3_href=f"s3://{path}",
        )
        done = True
    except (OSError, BotoCoreError) as error:
        raise RemoteError(f"{storage.s3_url(name)}: cannot be written: {error}") from error
    finally:
        if done:
            if journal.replaces and not remove_s3(storage, journal.replaces):
                old = storage.https_url(journal.replaces)
                reporter.warn(f"{old}: the cube of before could not be removed; remove it yourself")
            journal.remove()
        elif not any(journal.finished.values()) and public() != name:
            # No item names it, so what cannot be removed is litter and not a cube.
            remove_s3(storage, name)
            journal.remove()


def remove_s3(storage: S3Store, name: str) -> bool:
    """Remove what is under *name* in an S3 store; tell whether nothing is left there.

    Not an error of its own: credentials that may write but not delete are common.
    """
    import s3fs
    from botocore.exceptions import BotoCoreError

    fs = s3fs.S3FileSystem(**storage.storage_options)
    try:
        if fs.exists(f"{storage.root}/{name}"):
            fs.rm(f"{storage.root}/{name}", recursive=True)
    except (OSError, BotoCoreError):
        return False
    return True


def _go_on(output: Output, found: Journal | None) -> Journal:
    """Take up the journal that was found, or begin one."""
    if found is None or found.fingerprint != output.fingerprint:
        return Journal.start(output.journal, output.fingerprint)
    found.go_on()
    return found


def _say_going_on(name: str, journal: Journal, reporter: Reporter) -> None:
    regions = sum(map(len, journal.finished.values()))
    if regions:
        since = f"{journal.started:%Y-%m-%d %H:%M} UTC"
        reporter.say(f"{name}: going on with what was begun {since}; {regions} regions are there")


# --- memory --------------------------------------------------------------------------------------


@contextmanager
def _stage_memory(storage: MemoryStore, name: str) -> Iterator[Staging]:
    fs = fsspec.filesystem("memory")
    final, staged = f"/{storage.root}/{name}", f"/{storage.root}/.{name}.{os.getpid()}.staging"

    def commit() -> None:
        if fs.exists(final):
            fs.rm(final, recursive=True)
        fs.mv(staged, final, recursive=True)

    store = FsspecStore.from_url(f"memory:/{staged}")
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    try:
        yield Staging(store, f"memory:/{final}", commit, now, catalogued=False)
    finally:
        if fs.exists(staged):
            fs.rm(staged, recursive=True)
