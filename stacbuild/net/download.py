"""Downloads that resume, also in a later process, and get their name only when complete.

Bytes go to ``<name>.part``, and their origin (URL, ETag, size) to ``<name>.part.json`` beside it. A
later try or run requests the rest by ``Range`` with ``If-Range``, and starts over if the server
ignores the range or the file has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import requests
from filelock import FileLock, Timeout
from urllib3.exceptions import HTTPError

from stacbuild.errors import IntegrityError, LocalError, LockedError, RemoteError
from stacbuild.locks import check_lock
from stacbuild.machine import check_space
from stacbuild.net.downloaded import check_file
from stacbuild.net.http import (
    content_range,
    public_url,
    refuse_page,
    status_error,
    tell_of,
)
from stacbuild.net.http import reason as why
from stacbuild.net.speed import Patience, Speed
from stacbuild.progress import SilentTask, Task

_BLOCK = 1 << 20
_SPARE = 64 << 20
# Bytes after which the space on the disk is checked again: a body may have no end.
_CHECKED = 256 << 20

# First bytes of a sidecar.
_BEGINS = b'{"url": '


@dataclass(frozen=True)
class _Origin:
    """Origin of the bytes of a part file: the content of its sidecar."""

    url: str
    etag: str | None
    modified: str | None
    size: int | None

    @property
    def validator(self) -> str | None:
        """Value for ``If-Range``: a strong ETag, else the time of the last change."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


class _Cut(Exception):  # noqa: N818 - an event, not an error: the next try resumes there
    """A body ended early, stalled or was too slow."""


class _TooLongError(Exception):
    """A body goes on after its end."""


def download(
    url: str,
    target: Path,
    *,
    size: int | None = None,
    md5: str | None = None,
    session: requests.Session,
    task: Task | None = None,
    headers: Mapping[str, str] | None = None,
    patience: Patience = Patience(),  # noqa: B008 - frozen
) -> Path:
    """Download *url* to the file *target*, replacing it once the download is complete.

    Parameters
    ----------
    size, md5
        Expected number of bytes, and hex digest.
    session
        From `stacbuild.net.http.session`: it retries 429 and 5xx, and its *tell* gets a line for
        each interrupted body, too.
    task
        Progress: bytes done, the total, and the reason for waiting.
    headers
        Sent with each request, for example ``Authorization``.

    Raises
    ------
    NotFoundError, AuthError, RemoteError
        The server does not deliver the file, or not within *patience*.
    IntegrityError
        Size or md5 are wrong, twice; no file of the final name is left.
    LocalError
        No space, no permission.
    LockedError
        Another process is downloading the same file.
    ConflictError
        A file of somebody else has the name of the part file, its sidecar or the lock.
    """
    part = target.with_name(f"{target.name}.part")
    wanted = _Wanted(
        url, part, size, md5, session, task or SilentTask(), dict(headers or {}), patience
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(f".{target.name}.lock")
        check_lock(lock)
        with FileLock(lock, blocking=False):
            wrong = ""
            check_file(part, is_ours=_is_ours(_sidecar(part)))
            check_file(_sidecar(part), is_ours=_is_ours(_sidecar(part)))
            for _ in range(2):
                _fetch(wanted)
                wrong = _difference(part, size, md5)
                if not wrong:
                    part.replace(target)
                    _sidecar(part).unlink(missing_ok=True)
                    return target
                tell_of(session)(f"{public_url(url)}: {wrong}; fetching it again")
                _discard(part)
            raise IntegrityError(f"{public_url(url)}: {wrong}, twice; nothing was kept")
    except Timeout as error:
        raise LockedError(f"{target}: another run is downloading this file") from error
    except OSError as error:
        raise LocalError(f"{target}: cannot be written: {error.strerror or error}") from error


@dataclass(frozen=True)
class _Wanted:
    """Arguments of `download`; *part* is the part file."""

    url: str
    part: Path
    size: int | None
    md5: str | None
    session: requests.Session
    task: Task
    headers: dict[str, str]
    patience: Patience


def _fetch(wanted: _Wanted) -> None:
    """Complete the part file, over as many connections as that takes."""
    url, part, task, patience = wanted.url, wanted.part, wanted.task, wanted.patience
    failures = furthest = 0
    tell = tell_of(wanted.session)
    while True:
        origin = _known(part, url, wanted.size)
        # Bytes that can be validated neither now nor at the end are not resumed.
        if origin is None or not (origin.validator or wanted.md5):
            _discard(part)
        before = part.stat().st_size if part.exists() else 0
        furthest = max(furthest, before)
        try:
            _attempt(wanted, origin if before else None)
        except _Cut as cut:
            # After starting over, catching up is not progress.
            gained = (part.stat().st_size if part.exists() else 0) - furthest
            failures = 1 if gained >= patience.worth else failures + 1
            if failures >= patience.tries:
                raise RemoteError(
                    f"{public_url(url)}: {cut}, after {failures} tries; run again to resume"
                ) from cut
            wait = patience.pause * 2 ** (failures - 1)
            tell(f"{public_url(url)}: {cut}; resuming in {wait:.0f} s")
            task.update(note=f"{cut}; resuming in {wait:.0f} s")
            time.sleep(wait)
            task.update(note="")
        else:
            return


def _attempt(wanted: _Wanted, origin: _Origin | None) -> None:
    """Request the missing bytes and write them; raise `_Cut` if the body is incomplete."""
    url, part, size = wanted.url, wanted.part, wanted.size
    have = part.stat().st_size if origin else 0
    asked = wanted.headers | {"Accept-Encoding": "identity"}
    if origin and have:
        if have == origin.size:
            return
        asked["Range"] = f"bytes={have}-"
        if origin.validator:
            asked["If-Range"] = origin.validator
    try:
        timeout = (10, wanted.patience.seconds)
        response = wanted.session.get(url, headers=asked, stream=True, timeout=timeout)
    except requests.RequestException as error:
        raise RemoteError(f"{public_url(url)}: {why(error)}") from error
    with closing(response):
        if response.status_code == 416:
            # The part file is not the beginning of the server's present file.
            _discard(part)
            raise _Cut("the file has changed")
        if not response.ok:
            raise status_error(response)
        page = url.lower().endswith((".html", ".html/content"))
        if not page:
            refuse_page(response, "a file")
        start, total = _extent(response)
        if size and total and total != size:
            raise IntegrityError(
                f"{public_url(url)}: the server has {total} bytes, but {size} are expected; "
                "nothing was fetched"
            )
        if start != have or (start and _changed(response, origin, total)):
            if response.status_code == 206:
                _discard(part)
                raise _Cut("the file has changed")
            start = 0
        needed = (total or size or 0) - start
        check_space(part.parent, needed, f"for {part.name.removesuffix('.part')}", spare=_SPARE)
        _write_sidecar(part, _origin(url, response, total))
        wanted.task.update(done=start, total=total or size)
        try:
            _write_body(wanted, response, start, total or size, page=page)
        except RemoteError:
            _discard(part)
            raise
        except _TooLongError:
            _discard(part)
            raise IntegrityError(
                f"{public_url(url)}: the server sends more than {total or size} bytes; nothing was "
                "kept"
            ) from None


def _write_body(
    wanted: _Wanted, response: requests.Response, start: int, total: int | None, *, page: bool
) -> None:
    done = start
    unchecked = start + _CHECKED
    name = wanted.part.name.removesuffix(".part")
    speed = Speed(wanted.patience, start)
    with wanted.part.open("r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        while True:
            try:
                block = response.raw.read1(_BLOCK, decode_content=False)
            except (HTTPError, OSError) as error:
                raise _Cut(f"the connection broke at {done} bytes") from error
            if not block:
                break
            if done == 0 and not page:
                refuse_page(response, "a file", block)
            file.write(block)
            done += len(block)
            if total is not None and done > total:
                raise _TooLongError
            if done >= unchecked:
                check_space(wanted.part.parent, 0, f"for {name}", spare=_SPARE)
                unchecked = done + _CHECKED
            wanted.task.update(done=done)
            if (slow := speed.too_slow(done)) is not None:
                raise _Cut(f"only {slow / 1000:.1f} kB/s")
        # The bytes must reach the disk before the final name does.
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done < total:
        raise _Cut(f"the body ended at {done} of {total} bytes")


def _extent(response: requests.Response) -> tuple[int, int | None]:
    """Return the offset of the body and the length of the whole file, if known."""
    if response.status_code == 206:
        if (found := content_range(response)) is None:
            raise RemoteError(f"{public_url(response.url)}: the range has no valid Content-Range")
        return found
    length = response.headers.get("Content-Length")
    return 0, int(length) if length and length.isdigit() else None


def _origin(url: str, response: requests.Response, total: int | None) -> _Origin:
    header = response.headers
    return _Origin(public_url(url), header.get("ETag"), header.get("Last-Modified"), total)


def _changed(response: requests.Response, origin: _Origin | None, total: int | None) -> bool:
    etag = response.headers.get("ETag")
    return origin is not None and (
        bool(etag and origin.etag and etag != origin.etag)
        or bool(total and origin.size and total != origin.size)
    )


def _sidecar(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _is_ours(sidecar: Path) -> bool:
    """Return whether a sidecar was written here, maybe in part by a run that was killed."""
    try:
        start = sidecar.read_bytes()[: len(_BEGINS)]
    except OSError:
        return False
    return not sidecar.is_symlink() and _BEGINS.startswith(start)


def _write_sidecar(part: Path, origin: _Origin) -> None:
    _sidecar(part).write_text(json.dumps(asdict(origin)), encoding="utf-8")


def _known(part: Path, url: str, size: int | None) -> _Origin | None:
    """Read the origin of *part*; None if it cannot be the beginning of the requested file."""
    try:
        content: Any = json.loads(_sidecar(part).read_text(encoding="utf-8"))
        origin = _Origin(**content)
        length = part.stat().st_size
    except (OSError, ValueError, TypeError):
        return None
    whole = origin.size or size
    fits = origin.url == public_url(url) and (not size or origin.size in (None, size))
    return origin if fits and (not whole or length <= whole) else None


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _sidecar(part).unlink(missing_ok=True)


def _difference(part: Path, size: int | None, md5: str | None) -> str:
    """Return how a file differs from the expected one; empty if it does not."""
    length = part.stat().st_size
    if size is not None and length != size:
        return f"has {length} bytes instead of {size}"
    if md5 is not None:
        with part.open("rb") as file:
            found = hashlib.file_digest(
                file, lambda: hashlib.md5(usedforsecurity=False)
            ).hexdigest()
        if found != md5.lower():
            return f"has md5 {found} instead of {md5.lower()}"
    return ""
