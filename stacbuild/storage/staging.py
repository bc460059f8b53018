"""Where cubes are written: staged beside their final name, visible only when whole.

The order of a commit: lock, staged, verified, renamed, item, collection, catalog. The item is the
commit point. A journal (`stacbuild.storage.journal`) tells a later run how far a run came that
died, in the staged store or between any two of these steps.
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

# No space, no quota, and a limit on the size of files.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def stage(output: Output, fingerprint: str, *, wait: bool = False) -> Iterator[Staging]:
    """Open a store for a cube; leave it after its item is in the catalog.

    What was not committed is kept for the next run if any region is finished, and removed if not.

    Parameters
    ----------
    fingerprint
        Of what it is made of. What a run with another one left is not gone on with.
    wait
        Whether to wait for another run that writes the same cube.

    Raises
    ------
    ConflictError
        If something lies there that is not the cube of this configuration and dataset.
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
        # Not those of a user's function, or of whatever else.
        if error.errno in _FULL:
            raise LocalError(
                f"{path}: cannot be written: {os.strerror(error.errno)}: "
                f"{decimal(free_bytes(path))} are free there; make room, then run the same "
                "command again to go on"
            ) from error
        if error.errno == errno.EIO or _is_below(error.filename, path.parent):
            raise LocalError(f"{path}: cannot be written: {error}") from error
        raise


def _is_below(name: object, folder: Path) -> bool:
    return isinstance(name, str | os.PathLike) and Path(name).is_relative_to(folder)
