"""A place for a cube before it is one, and what the kinds of places share."""

from __future__ import annotations

import datetime as dt
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zarr.abc.store import Store

from stacbuild.errors import LocalError
from stacbuild.machine import free_bytes
from stacbuild.sources.file.store import FileStore
from stacbuild.sources.memory.store import MemoryStore
from stacbuild.sources.s3.store import S3Store
from stacbuild.storage.formats import FORMS, Form
from stacbuild.storage.journal import Journal, new_token
from stacbuild.storage.ownership import Place

if TYPE_CHECKING:
    import pystac

# No space, no quota, and a limit on the size of files.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Staging:
    """A place to write a cube to.

    Parameters
    ----------
    store
        For the cube as one Zarr group: empty, or what the journal tells of; nobody looks at it.
    root
        The staged store that *store* is, or is a group of.
    href
        What clients open once `commit` has returned: a path or URL.
    whole
        Where all of the cube then is: *href*, or the store that it is a group of.
    commit
        Makes what was written visible under *href*, instead of an older cube. Its item is to be
        put into the catalog after it, in the same block.
    started
        When the first run that wrote to *store* began: the time to write into the cube.
    journal
        What is finished already; None where nothing outlives the process.
    catalogued
        Whether the cube outlives the process, so that a catalog may name it.
    s3_whole
        The ``s3://`` address of *whole*, if it is in a bucket.
    file
        What *commit* makes visible, if that is one file: it has to be written before.
    """

    store: Store
    root: Store
    href: str
    whole: str
    commit: Callable[[], None]
    started: dt.datetime
    journal: Journal | None = None
    catalogued: bool = True
    s3_whole: str | None = None
    file: Path | None = None


@dataclass(frozen=True)
class Output:
    """A cube to be: where, and which.

    Parameters
    ----------
    place
        Where it goes, and whose it is.
    fingerprint
        Of what it is made of. What a run with another one left is not gone on with.
    """

    place: Place
    fingerprint: str

    @property
    def storage(self) -> FileStore | S3Store | MemoryStore:
        """Where cubes go."""
        return self.place.storage

    @property
    def identifier(self) -> str:
        """Identifier of its dataset."""
        return self.place.identifier

    @property
    def form(self) -> Form:
        """Where its parts lie."""
        return FORMS[self.place.format_id]

    @property
    def name(self) -> str:
        """Where it goes, for messages."""
        if self.place.path is not None:
            return str(self.place.path)
        return f"{self.storage.key}/{self.identifier}"

    @property
    def journal(self) -> Path:
        """The file of its journal."""
        return self.place.journal

    @property
    def lock(self) -> Path:
        """The file of its lock."""
        return self.place.lock

    def item(self) -> pystac.Item | None:
        """Return the item that the catalog has of it now, or None."""
        return self.place.item()


def go_on(output: Output, found: Journal | None, is_free: Callable[[str], bool]) -> Journal:
    """Take up the journal that was found, or begin one.

    Parameters
    ----------
    is_free
        Whether nothing has a name of a token yet, so that all that will is ours.
    """
    if found is None or found.fingerprint != output.fingerprint:
        token = free_token(is_free)
        return Journal.start(output.journal, output.fingerprint, output.place.owner(), token)
    found.go_on()
    return found


def free_token(is_free: Callable[[str], bool]) -> str:
    """Return a token that nothing has in its name yet."""
    while not is_free(token := new_token()):
        pass
    return token


@contextmanager
def local_errors(path: Path) -> Iterator[None]:
    """Name the disk on which something could not be read or written."""
    try:
        yield
    except OSError as error:
        # Not those of a user's function, or of whatever else.
        if error.errno in _FULL:
            raise LocalError(
                f"{path}: cannot be written: {os.strerror(error.errno)}: "
                f"{size_text(free_bytes(path))} are free there; make room, then run the same "
                "command again to go on"
            ) from error
        if error.errno == errno.EIO or _is_below(error.filename, path.parent):
            raise LocalError(f"{path}: cannot be written: {error}") from error
        raise


def _is_below(name: object, folder: Path) -> bool:
    return isinstance(name, str | os.PathLike) and Path(name).is_relative_to(folder)


def size_text(count: float) -> str:
    """Return a number of bytes as a person reads it."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
