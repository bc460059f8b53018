"""Files of a Zenodo record on this machine: fetched once, unpacked once, known to be whole.

Beside each file or folder of a record stands ``<key>.stacbuild.json``, written last: whose bytes
these are (the record's md5) and which files came of it. What it does not vouch for is fetched anew.
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
    """A file here: its path in the archive (or key in the record), where it is, bytes, hex md5."""

    name: str
    path: Path
    size: int
    md5: str


class Cache:
    """The folder of one record.

    Parameters
    ----------
    folder
        Absolute; made when something is fetched.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def find(self, file: RecordFile) -> list[LocalFile] | None:
        """Return what is here of *file*, if all of it is, and as the record has it now."""
        try:
            known = json.loads(self._marker(file).read_text(encoding="utf-8"))
            held = [
                LocalFile(name, self.folder / entry["path"], entry["size"], entry["md5"])
                for name, entry in known["files"].items()
            ]
            same = (known["md5"], known["size"]) == (file.md5, file.size)
            whole = all(local.path.stat().st_size == local.size for local in held)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return held if same and whole else None

    def fetch(self, file: RecordFile, session: requests.Session, *, force: bool) -> list[LocalFile]:
        """Download *file*, check its md5 and unpack it if it is an archive.

        An archive itself is not kept: what was unpacked is. One that an earlier run fetched, but
        did not get to unpack, is used unless *force*.

        Raises
        ------
        RemoteError, IntegrityError, LocalError, LockedError
            As `stacbuild.net.download.download` and `stacbuild.formats.archive.extract`.
        ConflictError
            If a file lies there that was not fetched and is not the record's.
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
            held = [(file.key, target)]
        else:
            progress.say(f"{file.key}: unpacking")
            # A run that died after it had unpacked them did not get to vouch for them.
            same = {
                into / member.name
                for member in archive.members(target)
                if _has_size(into / member.name, member.size)
            }
            check_folder(into, known | same)
            held = [
                (path.relative_to(into).as_posix(), path) for path in archive.extract(target, into)
            ]
        found = [LocalFile(name, path, path.stat().st_size, _md5(path)) for name, path in held]
        self._vouch(file, found)
        if into is not None:
            target.unlink()
        return found

    def _vouch(self, file: RecordFile, found: list[LocalFile]) -> None:
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
        """Return the files that an earlier run vouched for, whichever version they are of."""
        try:
            known = json.loads(self._marker(file).read_text(encoding="utf-8"))
            return {self.folder / entry["path"] for entry in known["files"].values()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return set()

    def _marker(self, file: RecordFile) -> Path:
        return self._path(f"{file.key}.stacbuild.json")

    def _path(self, key: str) -> Path:
        """Return the place of *key*, which the server chose, within this folder."""
        path = (self.folder / key).resolve()
        if self.folder not in path.parents:
            raise IntegrityError(f"{key!r}: refused, such a file would leave {self.folder}")
        return path


def _is_whole(path: Path, file: RecordFile) -> bool:
    """Return whether an earlier run got as far as the download, but not to the end."""
    return _has_size(path, file.size) and file.md5 in (None, _md5(path))


def _has_size(path: Path, size: int | None) -> bool:
    return path.is_file() and path.stat().st_size == size


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
