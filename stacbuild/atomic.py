"""Write files by atomic replace, with temporary files whose names identify the writer."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from stacbuild.errors import LocalError

_TEMPORARY = "stacbuild.tmp"
# The writer in the name of a temporary file; version 0.1 wrote no machine.
_WRITER = re.compile(r"((?P<machine>[0-9a-f]{8})-)?(?P<pid>\d+)\.")
# Seconds after which a temporary file is considered abandoned.
_ABANDONED_AFTER = 7 * 24 * 3600


def write_bytes(path: Path, data: bytes) -> bool:
    """Write a file by atomic replace; return whether its bytes changed."""
    try:
        if path.exists() and path.read_bytes() == data:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_dead(path)
        beside = temporary(path)
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            # The temporary file is left over if writing failed, for example on a full disk.
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise LocalError(f"{path}: cannot be written: {error.strerror}") from error
    return True


def sweep(path: Path) -> None:
    """Remove temporary files of dead runs next to a path whose lock is held."""
    for left, _ in _temporaries(path):
        _remove(left)


def temporary(path: Path, more: str = "") -> Path:
    """Return the temporary path of this process for a path.

    Parameters
    ----------
    more
        Distinguishes several temporary files of one process for the same path.
    """
    return path.with_name(f".{path.name}.{_machine()}-{os.getpid()}.{more}{_TEMPORARY}")


def sweep_dead(path: Path) -> None:
    """Remove temporary files and folders of dead processes next to a path.

    It is unknown whether a process of another machine or container still runs. Its files on a
    shared disk are removed only after a week without modification.
    """
    for left, (machine, pid) in _temporaries(path):
        if not _is_running(pid) if machine == _machine() else _idle(left) > _ABANDONED_AFTER:
            _remove(left)


def _machine() -> str:
    """Return 8 hexadecimal digits that identify the machine and container."""
    with contextlib.suppress(OSError):
        # Linux: a container has its own process ids.
        return _digest(socket.gethostname(), str(Path("/proc/self/ns/pid").readlink()))
    return _digest(socket.gethostname())


def _digest(*texts: str) -> str:
    return hashlib.sha256(" ".join(texts).encode()).hexdigest()[:8]


def _temporaries(path: Path) -> Iterator[tuple[Path, tuple[str, int]]]:
    """Yield the temporary files and folders of a path, with the machine and process of each."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.{_TEMPORARY}"):
        writer = _WRITER.match(left.name.removeprefix(f".{path.name}."))
        if writer is not None and not left.is_symlink():
            yield left, (writer["machine"] or "", int(writer["pid"]))


def _idle(left: Path) -> float:
    """Return the seconds since a file, or any file in a folder, was modified."""
    times = [time.time()]
    with contextlib.suppress(OSError):
        inside = left.rglob("*") if left.is_dir() else ()
        times = [each.lstat().st_mtime for each in (left, *inside)]
    return time.time() - max(times)


def _remove(left: Path) -> None:
    if left.is_dir():
        shutil.rmtree(left, ignore_errors=True)
    else:
        left.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        # The process exists, but belongs to another user.
        return True
    return True
