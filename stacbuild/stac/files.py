"""Files of a catalog: read, written at once or not at all, and known as ours.

What stacbuild writes names itself: items and collections by the store that they are of, pictures by
a text in them, temporary files by their name. Nothing else is written over or removed.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stacbuild.errors import IntegrityError, LocalError

Json = dict[str, Any]

STORE = "stacbuild:store"
CATALOG_ID = "stacbuild"

THUMBNAIL = "thumbnail.png"
"""Name of the picture beside the file of an item or a collection."""

# What a PNG of ours begins with, see `stacbuild.pictures.thumbnail.encode`.
_PICTURE_MARK = b"tEXtSoftware\x00stacbuild"
_TEMPORARY = "stacbuild.tmp"
# Who writes a temporary file. Version 0.1 did not name the machine.
_WRITER = re.compile(r"((?P<machine>[0-9a-f]{8})-)?(?P<pid>\d+)\.")
# Seconds after which nobody still writes it.
_FORGOTTEN = 7 * 24 * 3600


def write_json(path: Path, content: Json) -> bool:
    """Write *content* to *path* by atomic replace; return whether its bytes changed."""
    data = (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    return write_bytes(path, data)


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
            # Still there if the disk is full.
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise LocalError(f"{path}: cannot be written: {error.strerror}") from error
    return True


def read_json(path: Path) -> Json:
    """Read a STAC file."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise LocalError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path}: is not JSON ({error}); remove it, then harvest") from error
    if not isinstance(content, dict):
        raise IntegrityError(f"{path}: is not a STAC object; remove it, then harvest")
    return content


def save(path: Path, content: Json) -> bool:
    """Write a file of the catalog, whose lock is held; remove what a dead run left beside it."""
    sweep(path)
    return write_json(path, content)


def save_picture(path: Path, png: bytes) -> bool:
    """Write the picture beside a file of the catalog, in the same way."""
    picture = path.with_name(THUMBNAIL)
    sweep(picture)
    return write_bytes(picture, png)


def sweep(path: Path) -> None:
    """Remove what a run that died was writing beside a path whose lock is held."""
    for left, _ in _beside(path):
        _remove(left)


def temporary(path: Path, more: str = "") -> Path:
    """Return where this process writes what is to have a path, which is known as ours there.

    Parameters
    ----------
    more
        Tells names apart that one process writes to for the same path.
    """
    return path.with_name(f".{path.name}.{_machine()}-{os.getpid()}.{more}{_TEMPORARY}")


def sweep_dead(path: Path) -> None:
    """Remove what processes that are no more were writing beside a path, a file or a folder.

    Processes of another machine, or container, cannot be asked whether they still run: what they
    write on a shared disk stays until nothing was written to it for a week.
    """
    for left, (machine, pid) in _beside(path):
        if not _is_running(pid) if machine == _machine() else _idle(left) > _FORGOTTEN:
            _remove(left)


def _machine() -> str:
    """Return 8 hexadecimal digits that tell apart machines, and containers of one."""
    with contextlib.suppress(OSError):
        # Linux: within a container, numbers of processes mean others.
        return _digest(socket.gethostname(), str(Path("/proc/self/ns/pid").readlink()))
    return _digest(socket.gethostname())


def _digest(*texts: str) -> str:
    return hashlib.sha256(" ".join(texts).encode()).hexdigest()[:8]


def _beside(path: Path) -> Iterator[tuple[Path, tuple[str, int]]]:
    """Yield the temporary files and folders of a path, with the machine and process of each."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.{_TEMPORARY}"):
        writer = _WRITER.match(left.name.removeprefix(f".{path.name}."))
        if writer is not None and not left.is_symlink():
            yield left, (writer["machine"] or "", int(writer["pid"]))


def _idle(left: Path) -> float:
    """Return the seconds since anything was written to a file, or anywhere in a folder."""
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
        # Of another user.
        return True
    return True


def stranger(path: Path, kind: str, identifier: str) -> str | None:
    """Return what lies at the place of a file of ours and is none; None if nothing is in the way.

    Parameters
    ----------
    kind
        Type of the STAC object: ``Catalog``, ``Collection`` or ``Feature``.
    identifier
        Its id.
    """
    if path.parent.is_symlink():
        return f"{path.parent}: is a symbolic link, which stacbuild did not make"
    if not os.path.lexists(path):
        return None
    if path.is_symlink() or not path.is_file():
        return f"{path}: is no file that stacbuild wrote"
    try:
        content = read_json(path)
    except (IntegrityError, LocalError):
        return f"{path}: is a file that stacbuild did not write, or is damaged"
    said = content.get("properties") if kind == "Feature" else content
    marked = kind == "Catalog" or (isinstance(said, dict) and STORE in said)
    if content.get("type") == kind and content.get("id") == identifier and marked:
        return None
    return f"{path}: is a file that stacbuild did not write"


def strange_picture(path: Path) -> str | None:
    """Return what lies at the place of the picture beside a file of ours and is none.

    Parameters
    ----------
    path
        File of the item or the collection.
    """
    picture = path.with_name(THUMBNAIL)
    if not os.path.lexists(picture):
        return None
    if is_own_picture(picture):
        return None
    if not picture.is_symlink() and picture.is_file():
        try:
            # Pictures of older versions bear no mark.
            if path.exists() and "thumbnail" in read_json(path).get("assets", {}):
                return None
        except (IntegrityError, LocalError):
            pass
    return f"{picture}: is a file that stacbuild did not write"


def is_own_picture(path: Path) -> bool:
    """Return whether a file is a picture that says it was drawn by stacbuild."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return _PICTURE_MARK in file.read(200)


def remove_item_files(path: Path) -> None:
    """Remove the file of an item, its picture, and their folder unless something else is in it."""
    ours = strange_picture(path) is None
    sweep(path)
    path.unlink(missing_ok=True)
    if ours:
        sweep(path.with_name(THUMBNAIL))
        path.with_name(THUMBNAIL).unlink(missing_ok=True)
    remove_empty(path.parent)


def remove_empty(folder: Path) -> None:
    """Remove a folder, unless it holds something or is not there."""
    with contextlib.suppress(OSError):
        folder.rmdir()
