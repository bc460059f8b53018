"""The journal of a cube that is being written: a file next to its staged store.

One JSON object per line. The first one has fingerprint and start; then follow a line for each
region (one or more whole tasks) that is written and synced, and one when the commit begins::

    {"version": 1, "fingerprint": "…", "started": "2025-01-31T12:00:00+00:00", "token": "8c5f01aa"}
    {"variable": "agb", "region": [[0, 2], [0, 4000], [0, 4000]], "bytes": 1234567}
    {"commit": true, "replaces": null, "replaced": null, "name": "biomass.zarr"}
    {"done": true}

The last one records that the item is in the catalog, so that only the previous cube is left to
remove. A cube that is being removed has a journal, too:
``{"remove": "<fingerprint>", "name": "…"}``.

Each line is synced to disk before anything relies on it. An incomplete last line of a run that died
is ignored.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stacbuild.atomic import sweep, temporary

_VERSION = 1

# Number of hexadecimal digits of a token.
_TOKEN = 8

Region = tuple[tuple[int, int], ...]
"""First and one after the last index in each dimension of a variable."""


@dataclass
class Journal:
    """The journal of one cube in one storage.

    Parameters
    ----------
    fingerprint
        Fingerprint of the job.
    started
        Start of the first run, in whole seconds. A run that resumes writes this time too, so that
        its bytes are those of an uninterrupted run.
    token
        Unique part of the name of the staged store.
    finished
        Finished regions by variable, with the bytes of their chunks (-1 if unknown).
    committing
        Whether the commit began.
    replaces
        Name of the previous cube, if it has another name.
    name
        Name of the cube, if it depends on the format.
    folder
        The staged store, if it is in a local folder.
    owner
        See `stacbuild.storage.output.Output.owner`; empty if it is not recorded.
    replaced
        Fingerprint of the previous cube.
    done
        Whether the item is in the catalog, so that only the previous cube is left to remove.
    removing
        Fingerprint of the cube that is being removed.
    """

    path: Path
    fingerprint: str
    started: dt.datetime
    token: str
    finished: dict[str, dict[Region, int]] = field(default_factory=dict)
    committing: bool = False
    replaces: str | None = None
    name: str | None = None
    folder: Path | None = None
    owner: Mapping[str, Any] = field(default_factory=dict)
    replaced: str | None = None
    done: bool = False
    removing: str | None = None

    @property
    def is_unfinished(self) -> bool:
        """Whether a commit or a removal was interrupted."""
        return (self.committing or bool(self.removing)) and not self.done

    @classmethod
    def read(cls, path: Path) -> Journal | None:
        """Read a journal; None if it does not exist or cannot be read."""
        try:
            lines = path.read_bytes().split(b"\n")
            head = json.loads(lines[0])
            if head["version"] != _VERSION:
                return None
            started = dt.datetime.fromisoformat(head["started"])
            token, owner = str(head["token"]), dict(head.get("owner", {}))
            if not is_token(token):
                return None
            journal = cls(path, str(head["fingerprint"]), started, token, owner=owner)
            # What follows the last newline is empty or an incomplete line.
            for line in lines[1:-1]:
                journal._apply(json.loads(line))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        return journal

    @classmethod
    def start(
        cls,
        path: Path,
        fingerprint: str,
        owner: Mapping[str, Any] | None = None,
        token: str | None = None,
    ) -> Journal:
        """Start a journal, replacing the previous one."""
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        journal = cls(path, fingerprint, now, token or new_token(), owner=owner or {})
        journal._write_all()
        return journal

    def resume(self) -> None:
        """Rewrite the file without an incomplete last line."""
        self._write_all()

    def forget(self) -> None:
        """Drop all finished regions."""
        self.finished = {}
        self._write_all()

    def drop(self, variable: str, region: Region) -> None:
        """Drop a finished region, for this run."""
        self.finished[variable].pop(region)

    def add(self, variable: str, region: Region, keys: Sequence[str]) -> None:
        """Record a region as finished, after syncing its chunks to disk.

        Parameters
        ----------
        keys
            Store keys of its chunks.
        """
        size = self.sync(keys)
        self._append({"variable": variable, "region": region, "bytes": size})

    def commit(self, replaces: str | None = None, replaced: str | None = None) -> None:
        """Record that the commit begins.

        Parameters
        ----------
        replaces
            Name of the previous cube, if it has another name.
        replaced
            Fingerprint of the previous cube.
        """
        if not self.committing:
            self._append(self._commit_line(replaces, replaced))

    def finish(self) -> None:
        """Record that the item is in the catalog."""
        if not self.done:
            self._append({"done": True})

    def remove_cube(self, fingerprint: str, name: str) -> None:
        """Record that the removal of a cube begins."""
        self._append({"remove": fingerprint, "name": name})

    def sync(self, keys: Iterable[str]) -> int:
        """Sync keys of the staged store to disk; return their bytes, -1 in a bucket."""
        if self.folder is None:
            # An object store confirms a request after the object is stored.
            return -1
        files = [self.folder / key for key in keys]
        size = sum(sync_file(file) for file in files)
        above = {
            folder
            for parent in {file.parent for file in files}
            for folder in (parent, *parent.parents)
            if folder.is_relative_to(self.folder)
        }
        for folder in above:
            sync_folder(folder)
        return size

    def sweep(self) -> None:
        """Remove partial files of interrupted runs and workers from the staged store."""
        if self.folder is not None:
            sweep_partial(self.folder)

    def remove(self) -> None:
        """Remove the file."""
        sweep(self.path)
        self.path.unlink(missing_ok=True)

    def _apply(self, line: dict[str, Any]) -> None:
        if "commit" in line:
            self.committing = bool(line["commit"])
            self.replaces, self.replaced = line["replaces"], line.get("replaced")
            self.name = line.get("name")
        elif "done" in line:
            self.done = True
        elif "remove" in line:
            self.removing, self.name = str(line["remove"]), str(line["name"])
        else:
            region = tuple((int(start), int(stop)) for start, stop in line["region"])
            self.finished.setdefault(line["variable"], {})[region] = int(line["bytes"])

    def _append(self, line: dict[str, Any]) -> None:
        with self.path.open("ab") as file:
            file.write(_encoded(line))
            file.flush()
            os.fsync(file.fileno())
        self._apply(line)

    def _commit_line(self, replaces: str | None, replaced: str | None) -> dict[str, Any]:
        return {"commit": True, "replaces": replaces, "replaced": replaced, "name": self.name}

    def _write_all(self) -> None:
        head = {
            "version": _VERSION,
            "fingerprint": self.fingerprint,
            "started": self.started.isoformat(),
            "token": self.token,
            "owner": dict(self.owner),
        }
        regions = [
            {"variable": variable, "region": region, "bytes": size}
            for variable, found in self.finished.items()
            for region, size in found.items()
        ]
        last = []
        if self.committing or self.replaced:
            # A commit that was rolled back still records the cube that was restored.
            last.append(
                self._commit_line(self.replaces, self.replaced) | {"commit": self.committing}
            )
        sweep(self.path)
        partial = temporary(self.path)
        with partial.open("wb") as file:
            file.writelines(map(_encoded, [head, *regions, *last]))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)
        sync_folder(self.path.parent)


def new_token() -> str:
    """Return a random token."""
    return secrets.token_hex(_TOKEN // 2)


def is_token(text: str) -> bool:
    """Return whether a string has the form of a token."""
    return re.fullmatch(rf"[0-9a-f]{{{_TOKEN}}}", text) is not None


def sweep_partial(folder: Path) -> None:
    """Remove the partial files of zarr, which writes files and renames them."""
    for path in folder.rglob(f"*.{'[0-9a-f]' * 32}.partial"):
        # A variable may have such a name, too; its folder is not one of them.
        if not path.is_dir():
            path.unlink()


def sync_file(path: Path) -> int:
    """Sync a file to disk; return its size in bytes."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size


def sync_folder(path: Path) -> None:
    """Sync the list of files of a folder to disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def sync_tree(path: Path) -> None:
    """Sync a folder with all its files and folders to disk."""
    for folder, _, names in os.walk(path):
        for name in names:
            sync_file(Path(folder, name))
        sync_folder(Path(folder))


def _encoded(line: object) -> bytes:
    return json.dumps(line).encode() + b"\n"
