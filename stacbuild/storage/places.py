"""Where cubes go: staged beside their final name, visible only when whole.

The order of a commit: lock, staged, verified, renamed, item, collection, catalog. The item is the
commit point. A journal (`stacbuild.storage.journal`) tells a later run how far a run came that
died, in the staged store or between any two of these steps.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager

import fsspec
from zarr.storage import FsspecStore

from stacbuild.locks import hold
from stacbuild.sources.file.store import FileStore
from stacbuild.sources.memory.store import MemoryStore
from stacbuild.stac.catalog import slug
from stacbuild.storage.ownership import check_place
from stacbuild.storage.stage_file import stage_file
from stacbuild.storage.staging import Output, Staging, local_errors


@contextmanager
def stage(output: Output, *, needed: int = 0, wait: bool = False) -> Iterator[Staging]:
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
    ConflictError
        If something lies there that is not the cube of this configuration and dataset.
    LockedError
        If another run writes the same cube.
    LocalError, RemoteError
        If the place cannot be written, or has not *needed* bytes left.
    """
    if isinstance(output.storage, MemoryStore):
        with _stage_memory(output.storage, output) as staging:
            yield staging
        return
    with local_errors(output.lock.parent):
        output.lock.parent.mkdir(parents=True, exist_ok=True)
    with hold(output.lock, output.name, wait=-1 if wait else 0):
        if isinstance(output.storage, FileStore):
            with stage_file(output, output.storage.root, needed) as staging:
                yield staging
        else:
            # Imported when used: cubes on disk need no S3.
            from stacbuild.storage.stage_s3 import stage_s3

            with stage_s3(output, output.storage) as staging:
                yield staging


@contextmanager
def _stage_memory(storage: MemoryStore, output: Output) -> Iterator[Staging]:
    fs = fsspec.filesystem("memory")
    name, form = f"{output.identifier}{output.form.ending}", output.form
    final, staged = (
        f"/{storage.root}/{name}",
        f"/{storage.root}/.{slug(name)}.{os.getpid()}.staging",
    )

    check_place(output.place)

    def commit() -> None:
        check_place(output.place)
        if fs.exists(final):
            fs.rm(final, recursive=True)
        fs.mv(staged, final, recursive=True)

    store = FsspecStore.from_url(f"memory:/{staged}/{form.inner}".rstrip("/"))
    root = FsspecStore.from_url(f"memory:/{staged}")
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    try:
        href = f"memory:/{final}/{form.public}".rstrip("/")
        yield Staging(store, root, href, f"memory:/{final}", commit, now, catalogued=False)
    finally:
        if fs.exists(staged):
            fs.rm(staged, recursive=True)


__all__ = ["Output", "Staging", "stage"]
