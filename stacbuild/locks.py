"""File locks of the operating system, which admit one writer at a time and name their holder.

The operating system releases a lock when its process ends, even if it crashes.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from stacbuild import progress
from stacbuild.errors import ConflictError, LocalError, LockedError

_MAX_COMMAND_LENGTH = 200

# First bytes of a file that `_write_holder` writes.
_HOLDER_PREFIX = b'{"host": '


@contextmanager
def hold(path: Path, what: str, *, wait: float = 0) -> Iterator[None]:
    """Hold the lock of a file in the context.

    Parameters
    ----------
    path
        The lock file, which is never deleted. While the lock is held, a file beside it with the
        suffix ``.holder`` describes the holder.
    what
        What is locked, for messages.
    wait
        Seconds to wait for another holder; negative waits forever.

    Raises
    ------
    LockedError
        If another process still holds it after that time.
    LocalError
        If the lock file cannot be created.
    """
    holder = path.with_suffix(".holder")
    check_lock(path)
    lock = filelock.FileLock(path)
    try:
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            if wait == 0:
                raise
            progress.say(f"{what}: waiting for {_holder_of(holder)}")
            lock.acquire(timeout=wait)
    except filelock.Timeout:
        raise LockedError(
            f"{what}: {_holder_of(holder)} is writing it; wait for it to end, for example by --wait"
        ) from None
    except OSError as error:
        raise LocalError(f"{path}: cannot be locked: {error.strerror or error}") from error
    try:
        _write_holder(holder)
        yield
    finally:
        # Delete it before another process can take the lock and write its own.
        if _is_ours(holder):
            holder.unlink(missing_ok=True)
        lock.release()


def check_lock(path: Path) -> None:
    """Raise if the path of a lock is a foreign file, which locking would truncate.

    Raises
    ------
    ConflictError
        If it is not an empty file.
    """
    if not os.path.lexists(path):
        return
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > 0:
            raise ConflictError(
                f"{path}: is not the empty file that a lock is, so stacbuild did not write it; "
                "move it away"
            )
    except FileNotFoundError:
        return


def _is_ours(holder: Path) -> bool:
    """Return whether a holder file is ours, even if incomplete because its run died."""
    try:
        start = holder.read_bytes()[: len(_HOLDER_PREFIX)] if not holder.is_symlink() else None
    except OSError:
        return False
    return start is not None and _HOLDER_PREFIX.startswith(start)


def _write_holder(holder: Path) -> None:
    if os.path.lexists(holder) and not _is_ours(holder):
        # The content is only informative, so do not replace a foreign file.
        return
    command = [Path(sys.argv[0]).name, *sys.argv[1:]] if sys.argv else [sys.executable]
    content = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "command": shlex.join(command)[:_MAX_COMMAND_LENGTH],
        "since": f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S} UTC",
    }
    try:
        holder.write_text(json.dumps(content))
    except OSError as error:
        raise LocalError(f"{holder}: cannot be written: {error.strerror}") from error


def _holder_of(holder: Path) -> str:
    """Return a description of a lock's holder; its file may be missing or incomplete."""
    try:
        by = json.loads(holder.read_text())
        return (
            f"another run (pid {by['pid']} on {by['host']}, {by['command']!r}, since {by['since']})"
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another run"
