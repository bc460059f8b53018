"""What is finished of a cube that is being written: a file beside its staged store.

One JSON object a line. The first says what is built and since when; then a line for each region
(whole tasks, one or many) that is written and synced; and one when the commit begins::

    {"version": 1, "fingerprint": "…", "started": "2025-01-31T12:00:00+00:00", "token": "8c5f01aa"}
    {"variable": "agb", "region": [[0, 2], [0, 4000], [0, 4000]], "bytes": 1234567}
    {"commit": true, "replaces": null, "replaced": null, "name": "biomass.zarr"}
    {"done": true}

The last one says that the item is in the catalog, so that only older things are left to remove.
A cube that is being removed has a journal too, ``{"remove": "<fingerprint>", "name": "…"}``.

Each line is on disk before anything relies on it. A last line that was torn by the end of its
run never counted.
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

# Hexadecimal digits of a token.
_TOKEN = 8

Region = tuple[tuple[int, int], ...]
"""First and one after the last index in each dimension of a variable."""


@dataclass
class Journal:
    """The journal of one cube in one storage.

    Parameters
    ----------
    path
        Its file.
    fingerprint
        Of what is built.
    started
        When the first of the runs that it tells of began, in whole seconds. A run that goes on
        writes this time too, so that it gives the bytes of an unbroken one.
    token
        Part of the name of the staged store, which no other journal's has.
    finished
        Regions that are whole, by variable, with the bytes of their chunks (-1 if not known).
    committing
        Whether the run began to make the cube visible.
    replaces
        Name of the cube that it takes the place of, where that has a name of its own.
    name
        Name of the cube, where one of another format would have another.
    folder
        The staged store, if it is on this machine.
    owner
        Whose cube it is, see `stacbuild.storage.output.Output.owner`; empty if it does not say.
    replaced
        Fingerprint of the cube that it takes the place of.
    done
        Whether the item is in the catalog, and only what it replaced is left to remove.
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
    def is_half_way(self) -> bool:
        """Whether a run died between the cube and its item, in a commit or in a removal."""
        return (self.committing or bool(self.removing)) and not self.done

    @classmethod
    def read(cls, path: Path) -> Journal | None:
        """Read a journal; None if there is none, or none that can be understood."""
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
            # What follows the last newline is a torn line, or nothing.
            for line in lines[1:-1]:
                journal._take(json.loads(line))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
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
        """Begin a journal, instead of one of ours that there may be."""
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        journal = cls(path, fingerprint, now, token or new_token(), owner=owner or {})
        journal._write_all()
        return journal

    def go_on(self) -> None:
        """Drop a torn last line, so that others can be added."""
        self._write_all()

    def forget(self) -> None:
        """Take nothing as finished any more."""
        self.finished = {}
        self._write_all()

    def drop(self, variable: str, region: Region) -> None:
        """Take a region as not finished, for this run."""
        self.finished[variable].pop(region)

    def add(self, variable: str, region: Region, keys: Sequence[str]) -> None:
        """Record a region as finished, after its chunks have been brought to disk.

        Parameters
        ----------
        keys
            Of its chunks, below the root of the store.
        """
        size = self.sync(keys)
        self._append({"variable": variable, "region": region, "bytes": size})

    def commit(self, replaces: str | None = None, replaced: str | None = None) -> None:
        """Record that the cube is now made visible.

        Parameters
        ----------
        replaces
            Name of the cube that it takes the place of, where that is another.
        replaced
            Fingerprint of the cube that it takes the place of.
        """
        if not self.committing:
            self._append(self._commit_line(replaces, replaced))

    def finish(self) -> None:
        """Record that the item is in the catalog."""
        if not self.done:
            self._append({"done": True})

    def remove_cube(self, fingerprint: str, name: str) -> None:
        """Record that the cube of this name and fingerprint is now removed."""
        self._append({"remove": fingerprint, "name": name})

    def sync(self, keys: Iterable[str]) -> int:
        """Bring some keys of the staged store to disk; return their bytes, -1 if elsewhere."""
        if self.folder is None:
            # An object store says that an object is there when it is safe.
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
        """Remove the files that a run or a worker was writing in the staged store when it died."""
        if self.folder is not None:
            sweep_partial(self.folder)

    def remove(self) -> None:
        """Remove the file: there is nothing to go on with."""
        sweep(self.path)
        self.path.unlink(missing_ok=True)

    def _take(self, line: dict[str, Any]) -> None:
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
        self._take(line)

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
            # A commit that was taken back still tells which cube was put back.
            last.append(
                self._commit_line(self.replaces, self.replaced) | {"commit": self.committing}
            )
        sweep(self.path)
        beside = temporary(self.path)
        with beside.open("wb") as file:
            file.writelines(map(_encoded, [head, *regions, *last]))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)
        sync_folder(self.path.parent)


def new_token() -> str:
    """Return a random token."""
    return secrets.token_hex(_TOKEN // 2)


def is_token(text: str) -> bool:
    """Return whether a text could be the token of a journal."""
    return re.fullmatch(rf"[0-9a-f]{{{_TOKEN}}}", text) is not None


def sweep_partial(folder: Path) -> None:
    """Remove the files that zarr was writing in a store: it writes beside and renames."""
    for path in folder.rglob("*.partial"):
        path.unlink()


def sync_file(path: Path) -> int:
    """Bring a file to disk; return its size in bytes."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size


def sync_folder(path: Path) -> None:
    """Bring to disk which names are in a folder."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def sync_tree(path: Path) -> None:
    """Bring to disk all that is in a folder and below."""
    for folder, _, names in os.walk(path):
        for name in names:
            sync_file(Path(folder, name))
        sync_folder(Path(folder))


def _encoded(line: object) -> bytes:
    return json.dumps(line).encode() + b"\n"
