"""Delivery of one file of a CLMS product, from the request to tiles on disk.

All files are in the folder of the product's file, so that an interrupted run can be resumed::

    task.json        the task that prepares the file, from the request to the end
    delivery.zip     the download (``delivery.zip.part`` until it is complete)
    tiles/           its content
    complete.json    written last: identity of the file, its tiles with size and checksum, all files

The two JSON files also record that the archive is being downloaded or the tiles are being replaced.
Without such a record, an archive or folder of these names is not ours.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from stacbuild import progress
from stacbuild.errors import AuthError, IntegrityError, NotFoundError, RemoteError
from stacbuild.formats.archive import extract
from stacbuild.net.download import download
from stacbuild.net.downloaded import check_file, check_folder
from stacbuild.net.http import public_url
from stacbuild.sources.clms.api import FAILED, FINISHED, UNDER_WAY, ClmsApi, TaskState
from stacbuild.sources.clms.auth import send
from stacbuild.stac.catalog import read_json, write_json

_ATTEMPTS = 3  # an expired link is requested once more from the same task, then from a new one
# Keys of the records: the archive is being downloaded, the tiles are being replaced; all files.
_FETCHING, _UNPACKING, _FILES = "fetching", "unpacking", "files"
_LONGEST_ASKED = 3600.0  # seconds of a single pause


@dataclass(frozen=True)
class Delivery:
    """A file that the CLMS delivers.

    Parameters
    ----------
    data_id
        ``<slug>|<file>``, for messages.
    dataset
        ``UID`` of the product's search record.
    file
        ``@id`` of the file in it.
    version
        Version of the file, if the record states one.
    folder
        Folder for its files.
    """

    data_id: str
    dataset: str
    file: str
    version: str | None
    folder: Path


@dataclass(frozen=True)
class Tile:
    """A GeoTIFF of a delivery: size in bytes, SHA-256 as hexadecimal digits."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class Polling:
    """Polling of a task, with growing pauses in seconds.

    Parameters
    ----------
    limit
        Total seconds after which a run stops waiting; the next run can go on.
    """

    first: float = 0.5
    factor: float = 1.5
    longest: float = 60.0
    limit: float = 24 * 3600.0
    sleep: Callable[[float], None] = time.sleep

    def pauses(self) -> Iterator[float]:
        """Yield the pauses, without end."""
        pause = self.first
        while True:
            yield min(pause, self.longest)
            pause = min(pause * self.factor, self.longest)


def present(delivery: Delivery) -> tuple[Tile, ...] | None:
    """Return the tiles on disk; None if they are incomplete or of another version."""
    marker = delivery.folder / "complete.json"
    if not marker.exists():
        return None
    content = read_json(marker)
    if content.get("source") != _source(delivery):
        return None
    tiles = tuple(
        Tile(delivery.folder / tile["path"], tile["size"], tile["sha256"])
        for tile in content["tiles"]
    )
    whole = all(tile.path.is_file() and tile.path.stat().st_size == tile.size for tile in tiles)
    return tiles if whole else None


def request(delivery: Delivery, api: ClmsApi) -> str:
    """Request the file, unless a task is known; return the id of its task."""
    path = _task_file(delivery)
    _check_mark(path)
    _check_mark(delivery.folder / "complete.json")
    if path.exists():
        known = read_json(path)
        if known.get("source") == _source(delivery) and isinstance(known.get("task"), str):
            return str(known["task"])
    task = api.request(delivery.dataset, delivery.file)
    if _is_fetching(delivery):
        # The archive of an earlier task is obsolete.
        (delivery.folder / "delivery.zip").unlink(missing_ok=True)
    write_json(path, {"source": _source(delivery), "task": task})
    progress.say(f"{delivery.data_id}: requested, task {task}")
    return task


def deliver(
    delivery: Delivery, api: ClmsApi, session: requests.Session, polling: Polling
) -> tuple[Tile, ...]:
    """Wait for the file, download it and extract its tiles.

    Raises
    ------
    RemoteError
        If the task is rejected, fails or is cancelled, the CLMS does not answer, or the limit of
        *polling* is exceeded.
    AuthError
        If the CLMS does not accept the credentials.
    IntegrityError
        If the delivery is damaged or has no GeoTIFF.
    """
    archive = delivery.folder / "delivery.zip"
    if not (archive.exists() and _is_fetching(delivery)):
        check_file(archive, is_ours=False)
        _download(delivery, archive, api, session, polling)
    tiles = _unpack(delivery, archive)
    archive.unlink()
    _task_file(delivery).unlink(missing_ok=True)
    return tiles


def _download(
    delivery: Delivery, archive: Path, api: ClmsApi, session: requests.Session, polling: Polling
) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        if attempt == _ATTEMPTS:
            progress.warn(f"{delivery.data_id}: the download link has expired; requesting it again")
            _forget(delivery)
        try:
            state = _wait(delivery, request(delivery, api), api, polling)
        except NotFoundError:
            _forget(delivery)
            if attempt == _ATTEMPTS:
                raise
            progress.warn(f"{delivery.data_id}: the CLMS has dropped the task; requesting it again")
            continue
        url = str(state.url)
        # Recorded first: from now on a file of this name is ours.
        write_json(_task_file(delivery), read_json(_task_file(delivery)) | {_FETCHING: True})
        try:
            with progress.task(delivery.data_id, total=state.size, unit="bytes") as watched:
                download(url, archive, size=state.size, session=session, task=watched)
        except (RemoteError, AuthError) as error:
            if attempt == _ATTEMPTS or not _is_refused(url, session):
                # The link works for anyone, so it must not appear in a log.
                text = str(error).replace(public_url(url), f"{delivery.data_id}: its download")
                raise type(error)(text) from None
        else:
            return


def _is_refused(url: str, session: requests.Session) -> bool:
    """Return whether a link has expired, in contrast to a failure of the server."""
    with send(session, "GET", url, headers={"Range": "bytes=0-0"}, stream=True) as response:
        if response.ok:
            # For example a login page.
            return "html" in response.headers.get("Content-Type", "").lower()
        return 400 <= response.status_code < 500 and response.status_code != 429


def _wait(delivery: Delivery, task: str, api: ClmsApi, polling: Polling) -> TaskState:
    label = f"{delivery.data_id}: task {task}"
    waited = 0.0
    with progress.task(label, unit="polls") as watched:
        for pause in polling.pauses():
            state = api.status(task)
            watched.advance(1)
            watched.update(note=state.status)
            if state.status == FINISHED and state.url:
                return state
            if state.status in FAILED:
                _forget(delivery)
                raise RemoteError(f"{label}: the status at the CLMS is {state.status}; run again")
            if state.status not in UNDER_WAY:
                lacks = "without a DownloadURL" if state.status == FINISHED else "which is unknown"
                raise RemoteError(f"{label}: the status at the CLMS is {state.status!r}, {lacks}")
            seconds = max(pause, state.retry_after or 0)
            waited += seconds
            if seconds > _LONGEST_ASKED or waited > polling.limit:
                # Neither wait for days nor for as long as a server may ask for.
                raise RemoteError(
                    f"{label}: still {state.status} at the CLMS, and the next wait would end after "
                    f"{waited / 3600:.0f} h; run again later, the task is kept"
                )
            polling.sleep(seconds)
    raise AssertionError  # the pauses do not end


def _unpack(delivery: Delivery, archive: Path) -> tuple[Tile, ...]:
    marker, folder = delivery.folder / "complete.json", delivery.folder / "tiles"
    known = read_json(marker) if marker.exists() else {"tiles": []}
    if folder.exists() and not known.get(_UNPACKING):
        # Records of older versions list the tiles only.
        names = known.get(_FILES) or [tile["path"] for tile in known["tiles"]]
        check_folder(folder, {delivery.folder / name for name in names})
    # The old content counts as incomplete while it is replaced.
    write_json(marker, known | {"source": None, _UNPACKING: True})
    try:
        files = extract(archive, folder, nested=True)
        tiles = tuple(_tile(path) for path in files if path.suffix.lower() in (".tif", ".tiff"))
        if not tiles:
            raise IntegrityError(f"{delivery.data_id}: the delivery holds no GeoTIFF")
    except IntegrityError:
        # The next run has to download it again.
        archive.unlink()
        raise
    content = [
        {
            "path": tile.path.relative_to(delivery.folder).as_posix(),
            "size": tile.size,
            "sha256": tile.sha256,
        }
        for tile in tiles
    ]
    names = [path.relative_to(delivery.folder).as_posix() for path in files]
    write_json(marker, {"source": _source(delivery), "tiles": content, _FILES: names})
    return tiles


def _tile(path: Path) -> Tile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Tile(path, path.stat().st_size, digest)


def _source(delivery: Delivery) -> dict[str, str | None]:
    return {"dataset": delivery.dataset, "file": delivery.file, "version": delivery.version}


def _check_mark(path: Path) -> None:
    """Refuse to replace a file that has the name of a record and is none."""
    try:
        check_file(path, is_ours=path.is_file() and "source" in read_json(path))
    except IntegrityError:
        check_file(path, is_ours=False)


def _is_fetching(delivery: Delivery) -> bool:
    path = _task_file(delivery)
    return path.exists() and bool(read_json(path).get(_FETCHING))


def _task_file(delivery: Delivery) -> Path:
    return delivery.folder / "task.json"


def _forget(delivery: Delivery) -> None:
    _task_file(delivery).unlink(missing_ok=True)
