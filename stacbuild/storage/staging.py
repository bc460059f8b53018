"""Stage cubes next to their final name, and publish them when they are complete.

The order is: lock, stage, verify, rename, write item, collection and catalog. The item is the
commit point. A journal (`stacbuild.storage.journal`) records how far a run came, in the staged
store and between any two of these steps.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.filesize import decimal

from stacbuild.errors import LocalError
from stacbuild.locks import hold
from stacbuild.machine import free_bytes
from stacbuild.storage.output import Output, Staging

# No space, quota exceeded, or file too large.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def stage(output: Output, fingerprint: str, *, wait: bool = False) -> Iterator[Staging]:
    """Open a store for a cube; the context is left after its item is in the catalog.

    If the cube is not committed, finished regions are kept for the next run.

    Parameters
    ----------
    fingerprint
        Fingerprint of the job. Leftovers of a run with another one are not resumed.
    wait
        Wait for another run that is writing the same cube, instead of failing.

    Raises
    ------
    ConflictError
        If the path is occupied by something else than the cube of this dataset.
    LockedError
        If another run writes the same cube.
    LocalError, RemoteError
        If the storage cannot be written to.
    """
    if not output.storage.persistent:
        with output.storage.stage(output, fingerprint) as staging:
            yield staging
        return
    with local_errors(output.lock.parent):
        output.lock.parent.mkdir(parents=True, exist_ok=True)
    with (
        hold(output.lock, output.storage.location(output), wait=-1 if wait else 0),
        output.storage.stage(output, fingerprint) as staging,
    ):
        yield staging


@contextmanager
def local_errors(path: Path) -> Iterator[None]:
    """Name the disk on which something could not be read or written."""
    try:
        yield
    except OSError as error:
        # Only errors of this disk, not those of a user's function.
        if error.errno in _FULL:
            raise LocalError(
                f"{path}: cannot be written: {os.strerror(error.errno)}: "
                f"{decimal(free_bytes(path))} are free there; free some space, then run the "
                "same command again to resume"
            ) from error
        if error.errno == errno.EIO or _is_below(error.filename, path.parent):
            raise LocalError(f"{path}: cannot be written: {error}") from error
        raise


def _is_below(name: object, folder: Path) -> bool:
    return isinstance(name, str | os.PathLike) and Path(name).is_relative_to(folder)
