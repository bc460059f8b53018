"""Where cubes go: staged beside their final name, visible only when whole."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
import fsspec
from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore

from stacbuild.config import FileStore, MemoryStore, S3Store
from stacbuild.errors import LocalError, LockedError, RemoteError


@dataclass(frozen=True)
class Staging:
    """A place to write a cube to.

    Parameters
    ----------
    store
        Empty; nobody looks at it.
    href
        Where the cube is once `commit` has returned: a path or URL.
    commit
        Makes what was written visible under *href*, instead of an older cube.
    catalogued
        Whether the cube outlives the process, so that a catalog may name it.
    """

    store: Store
    href: str
    commit: Callable[[], None]
    catalogued: bool = True
    s3_href: str | None = None


@contextmanager
def stage(storage: FileStore | S3Store | MemoryStore, identifier: str) -> Iterator[Staging]:
    """Open a place for the cube *identifier*; what was not committed is removed at the end.

    Raises
    ------
    LockedError
        If another run writes the same cube.
    LocalError, RemoteError
        If the place cannot be written.
    """
    if isinstance(storage, FileStore):
        with _stage_file(storage.root, f"{identifier}.zarr") as staging:
            yield staging
    elif isinstance(storage, S3Store):
        with _stage_s3(storage, identifier) as staging:
            yield staging
    else:
        with _stage_memory(storage, f"{identifier}.zarr") as staging:
            yield staging


@contextmanager
def _stage_file(root: Path, name: str) -> Iterator[Staging]:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalError(f"{root}: cannot be made: {error.strerror}") from error
    lock = filelock.FileLock(root / f".{name}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise LockedError(f"{root / name}: another run is writing it; wait for it to end") from None
    staged, old = root / f".{name}.staging", root / f".{name}.old"

    def commit() -> None:
        # Two renames: between them there is no cube, but never half a one.
        if (root / name).exists():
            (root / name).rename(old)
        staged.rename(root / name)
        shutil.rmtree(old, ignore_errors=True)

    try:
        # Left by a run that died; the lock says that nobody writes there now.
        shutil.rmtree(staged, ignore_errors=True)
        if old.exists() and not (root / name).exists():
            old.rename(root / name)
        yield Staging(LocalStore(staged), str(root / name), commit)
    except OSError as error:
        raise LocalError(f"{root / name}: cannot be written: {error}") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        lock.release()


@contextmanager
def _stage_s3(storage: S3Store, identifier: str) -> Iterator[Staging]:
    # Here and below imported when used: cubes on disk need no S3.
    import s3fs
    from botocore.exceptions import BotoCoreError

    # An object store cannot rename: each build has a key of its own, and the item names it.
    name = f"{identifier}-{secrets.token_hex(4)}.zarr"
    path = f"{storage.root}/{name}"
    fs = s3fs.S3FileSystem(**storage.storage_options, asynchronous=True, skip_instance_cache=True)
    committed = False

    def commit() -> None:
        nonlocal committed
        committed = True

    try:
        yield Staging(
            FsspecStore(fs, path=path), storage.https_url(name), commit, s3_href=f"s3://{path}"
        )
    except (OSError, BotoCoreError) as error:
        raise RemoteError(f"{storage.s3_url(name)}: cannot be written: {error}") from error
    finally:
        if not committed:
            # No item names it, so what cannot be removed is litter and not a cube.
            remove_s3(storage, name)


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


@contextmanager
def _stage_memory(storage: MemoryStore, name: str) -> Iterator[Staging]:
    fs = fsspec.filesystem("memory")
    final, staged = f"/{storage.root}/{name}", f"/{storage.root}/.{name}.{os.getpid()}.staging"

    def commit() -> None:
        if fs.exists(final):
            fs.rm(final, recursive=True)
        fs.mv(staged, final, recursive=True)

    store = FsspecStore.from_url(f"memory:/{staged}")
    try:
        yield Staging(store, f"memory:/{final}", commit, catalogued=False)
    finally:
        if fs.exists(staged):
            fs.rm(staged, recursive=True)
