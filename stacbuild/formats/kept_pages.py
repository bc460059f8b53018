"""Bytes of remote HDF5 files that HDF5 itself reads, kept between runs: headers, and chunk indices.

A harvest and each build would otherwise request them again, one small range after another. They are
in the user's cache folder, by URL and ETag, in files that a checksum guards: what is damaged, or of
another version, is fetched again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import struct
from pathlib import Path

from stacbuild.atomic import write_bytes
from stacbuild.errors import LocalError
from stacbuild.machine import user_cache
from stacbuild.net.pages import AHEAD, PAGE, Pages

# Bytes kept of one file; and of all, of which the least recently used are removed.
_MOST, _MOST_TOGETHER = 16 << 20, 256 << 20
_MAGIC = b"stacbuild pages 2\n"
# Most bytes of a file for what is not data: the list of ranges.
_MOST_HEAD = 1 << 20


def restore(pages: Pages, identity: str) -> int:
    """Put the kept bytes of a file into its pages; return the number of pages.

    Parameters
    ----------
    identity
        From `stacbuild.formats.file_bytes.FileBytes.identity`; nothing is kept if it is empty.
    """
    path = _path(identity)
    if path is None:
        return 0
    try:
        runs, data = _unpacked(_own_bytes(path), identity)
        _check_runs(runs, len(data), pages.size)
    except (OSError, ValueError, TypeError, OverflowError, RecursionError, struct.error):
        return 0
    at = 0
    for start, stop in runs:
        pages.put(start, data[at : at + stop - start])
        at += stop - start
    return len(pages.held())


def keep(pages: Pages, identity: str, known: int) -> int:
    """Keep the bytes that were fetched, if there are more than the *known* pages.

    Returns
    -------
    The number of pages, as `restore` does.
    """
    path = _path(identity)
    numbers = pages.held()
    # The first bytes come with the request that asks for the version.
    if path is None or len(numbers) <= known or numbers[-1] < AHEAD // PAGE:
        return known
    runs = pages.spans(numbers)
    if sum(stop - start for start, stop in runs) > _MOST:
        return known
    data = b"".join(pages.read(start, stop) for start, stop in runs)
    head = json.dumps(runs).encode()
    body = struct.pack("<I", len(head)) + head + data
    # A cache that cannot be written is none.
    with contextlib.suppress(LocalError, OSError):
        write_bytes(path, _start(identity, body) + body)
        # Now and then, since the folder may have thousands of files.
        if path.name < "1":
            _bound(path.parent)
    return len(numbers)


def _path(identity: str) -> Path | None:
    """Return the path of the kept bytes of a file; None if none may be kept."""
    if not identity:
        return None
    # The digest does not reveal the URL, which may be signed.
    digest = hashlib.sha256(identity.encode()).hexdigest()
    try:
        return user_cache() / "hdf5" / digest[:32]
    except RuntimeError:
        return None


def _own_bytes(path: Path) -> bytes:
    """Return the content of a file that only this user can have written, and mark it as used.

    Raises
    ------
    ValueError
        If it is a pipe or the like, or too large; or if others can have written it, as in a cache
        folder that several users share.
    """
    # A pipe would be waited for without end.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(handle, "rb") as file:  # noqa: PTH123
        state = os.fstat(handle)
        if (
            not stat.S_ISREG(state.st_mode)
            or state.st_size > _MOST + _MOST_HEAD
            or state.st_uid != os.geteuid()
            or state.st_mode & stat.S_IWOTH
        ):
            msg = "not our own"
            raise ValueError(msg)
        content = file.read()
    os.utime(path)
    return content


def _start(identity: str, body: bytes) -> bytes:
    """Return what the file begins with, which is of no other file of the same content."""
    return _MAGIC + hashlib.sha256(identity.encode() + b"\n" + body).digest()


def _unpacked(content: bytes, identity: str) -> tuple[list[tuple[int, int]], bytes]:
    body = content[len(_MAGIC) + 32 :]
    if content[: len(_MAGIC) + 32] != _start(identity, body):
        msg = "damaged"
        raise ValueError(msg)
    [length] = struct.unpack_from("<I", body)
    runs = [(int(start), int(stop)) for start, stop in json.loads(body[4 : 4 + length])]
    return runs, body[4 + length :]


def _check_runs(runs: list[tuple[int, int]], length: int, size: int) -> None:
    """Raise a ValueError unless ranges are pages of a file, in order, with all their bytes."""
    at = 0
    for start, stop in runs:
        if start % PAGE or not at <= start < stop <= size or (stop % PAGE and stop != size):
            msg = "ranges of another file"
            raise ValueError(msg)
        at = stop
    if sum(stop - start for start, stop in runs) != length:
        msg = "not all bytes"
        raise ValueError(msg)


def _bound(folder: Path) -> None:
    """Remove the least recently used files beyond the limit."""
    # Links to nothing, and what another process removes meanwhile, are left out.
    files = []
    for each in folder.iterdir():
        with contextlib.suppress(OSError):
            files.append((each.lstat(), each))
    total = 0
    for state, path in sorted(files, key=lambda each: each[0].st_mtime, reverse=True):
        if not stat.S_ISREG(state.st_mode):
            continue
        total += state.st_size
        if total > _MOST_TOGETHER:
            path.unlink(missing_ok=True)
