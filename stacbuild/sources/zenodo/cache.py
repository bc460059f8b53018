"""The cache of a Zenodo record: files downloaded once, unpacked once, and verified.

Beside each file or folder of a record is ``<key>.stacbuild.json``, written last: the record's md5,
and the files that were made from it. Without it a file is downloaded again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from stacbuild import progress
from stacbuild.errors import IntegrityError
from stacbuild.formats import archive
from stacbuild.net.download import download
from stacbuild.net.downloaded import check_file, check_folder
from stacbuild.sources.zenodo.record import RecordFile
from stacbuild.stac.catalog import write_json


@dataclass(frozen=True)
class LocalFile:
    """A cached file: path in the archive (or key in the record), local path, bytes, hex md5."""

    name: str
    path: Path
    size: int
    md5: str


class Cache:
    """The folder of one record.

    Parameters
    ----------
    folder
        Absolute; created by the first download.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def find(self, file: RecordFile) -> list[LocalFile] | None:
        """Return the cached files of *file*; None if they are incomplete or outdated."""
        try:
            known = json.loads(self._marker(file).read_text(encoding="utf-8"))
            cached = [
                LocalFile(name, self.folder / entry["path"], entry["size"], entry["md5"])
                for name, entry in known["files"].items()
            ]
            same = (known["md5"], known["size"]) == (file.md5, file.size)
            whole = all(local.path.stat().st_size == local.size for local in cached)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return cached if same and whole else None

    def fetch(self, file: RecordFile, session: requests.Session, *, force: bool) -> list[LocalFile]:
        """Download *file*, verify its md5, and unpack it if it is an archive.

        An archive is deleted after unpacking. One that an earlier run downloaded and did not
        unpack is used unless *force*.

        Raises
        ------
        RemoteError, IntegrityError, LocalError, LockedError
            As `stacbuild.net.download.download` and `stacbuild.formats.archive.extract`.
        ConflictError
            If another file exists that was not downloaded and is not the record's.
        """
        target, known = self._path(file.key), self._known(file)
        folder = archive.stem(file.key)
        into = None if folder is None else self._path(folder)
        is_whole = _is_whole(target, file)
        check_file(target, is_ours=is_whole or target in known)
        if into is not None and not is_whole:
            check_folder(into, known)
        if force or not is_whole:
            with progress.task(file.key, total=file.size, unit="bytes") as task:
                download(file.url, target, size=file.size, md5=file.md5, session=session, task=task)
        if into is None:
            files = [(file.key, target)]
        else:
            progress.say(f"{file.key}: unpacking")
            # Members of the right size may be from a run that was killed after unpacking.
            same = {
                into / member.name
                for member in archive.members(target)
                if _has_size(into / member.name, member.size)
            }
            check_folder(into, known | same)
            files = [
                (path.relative_to(into).as_posix(), path) for path in archive.extract(target, into)
            ]
        found = [LocalFile(name, path, path.stat().st_size, _md5(path)) for name, path in files]
        self._write_marker(file, found)
        if into is not None:
            target.unlink()
        return found

    def _write_marker(self, file: RecordFile, found: list[LocalFile]) -> None:
        files: dict[str, Any] = {
            local.name: {
                "path": local.path.relative_to(self.folder).as_posix(),
                "size": local.size,
                "md5": local.md5,
            }
            for local in found
        }
        state = {"url": file.url, "md5": file.md5, "size": file.size, "files": files}
        write_json(self._marker(file), state)

    def _known(self, file: RecordFile) -> set[Path]:
        """Return the files that an earlier run recorded, of any version."""
        try:
            known = json.loads(self._marker(file).read_text(encoding="utf-8"))
            return {self.folder / entry["path"] for entry in known["files"].values()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return set()

    def _marker(self, file: RecordFile) -> Path:
        return self._path(f"{file.key}.stacbuild.json")

    def _path(self, key: str) -> Path:
        """Return the path of *key*, which the server chose, within this folder."""
        path = (self.folder / key).resolve()
        if self.folder not in path.parents:
            raise IntegrityError(f"{key!r}: refused, such a file would leave {self.folder}")
        return path


def _is_whole(path: Path, file: RecordFile) -> bool:
    """Return whether an earlier run completed the download, but not the rest."""
    return _has_size(path, file.size) and file.md5 in (None, _md5(path))


def _has_size(path: Path, size: int | None) -> bool:
    return path.is_file() and path.stat().st_size == size


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
