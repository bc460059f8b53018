"""Where a cube goes, and what every kind of storage answers for itself.

`Output` is one cube: its dataset, its catalog, its storage. `Storage` is the protocol of a folder
(`stacbuild.storage.folder`), a bucket (`stacbuild.storage.bucket`) and memory
(`stacbuild.storage.memory`); `stacbuild.storage.kinds` chooses one by the configuration. Nothing
else asks of which kind a storage is.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from stacbuild.stac.catalog import cube_id, slug
from stacbuild.storage.formats import FORMS, Form, FormatId

if TYPE_CHECKING:
    import pystac
    from zarr.abc.store import Store

    from stacbuild.sources.file.store import FileStore
    from stacbuild.sources.memory.store import MemoryStore
    from stacbuild.sources.s3.store import S3Store
    from stacbuild.stac.catalog import Catalog
    from stacbuild.storage.journal import Journal

ATTRIBUTE = "stacbuild_fingerprint"
"""Attribute of a cube's group or file: its item's fingerprint, so that they know each other."""

COLLECTION = "stacbuild_collection"
"""Attribute of a cube's group or file: the collection of the item that names it."""

CONFIGURATION = "stacbuild:configuration"
"""Property of a cube's item: path of its configuration, relative to the catalog's folder."""


@dataclass(frozen=True)
class Staging:
    """A store to write a cube to before it is visible.

    Parameters
    ----------
    store
        For the cube as one Zarr group: empty, or with what the journal lists; nobody reads it yet.
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
    s3_whole: str | None = None
    file: Path | None = None


@dataclass(frozen=True)
class Output:
    """Where a cube goes, and whose it is.

    Parameters
    ----------
    identifier
        Of its dataset.
    catalog
        The catalog that its item goes to.
    collection
        Id of the collection that its item goes to.
    configuration
        File of the configuration; None if it never was one.
    format_id
        Its format, see `stacbuild.storage.formats`.
    """

    storage: Storage
    identifier: str
    catalog: Catalog
    collection: str
    configuration: Path | None
    format_id: FormatId = "zarr"

    @property
    def name(self) -> str:
        """The last part of the identifier, which may begin with folders."""
        return self.identifier.rpartition("/")[2]

    @property
    def form(self) -> Form:
        """Where the parts of its format lie."""
        return FORMS[self.format_id]

    @property
    def path(self) -> Path | None:
        """The whole cube, in a folder; None in any other storage."""
        folder = self.storage.folder
        return None if folder is None else folder / f"{self.identifier}{self.form.ending}"

    @property
    def data_path(self) -> Path | None:
        """What clients open of the cube, in a folder; None in any other storage."""
        return None if self.path is None else self.path / self.form.public

    @property
    def journal(self) -> Path:
        """The file of its journal."""
        return self.storage.hidden_path(self, "journal")

    @property
    def lock(self) -> Path:
        """The file of its lock."""
        return self.storage.hidden_path(self, "lock")

    def item(self) -> pystac.Item | None:
        """Return the item that the catalog has of the cube now, or None."""
        return self.catalog.get(self.collection, self.identifier)

    def remove_item(self) -> None:
        """Remove the item from the catalog, if there is one."""
        self.catalog.remove(self.collection, [cube_id(self.identifier)])

    @property
    def stated_configuration(self) -> str | None:
        """What its item states as `CONFIGURATION`."""
        if self.configuration is None:
            return None
        path = self.configuration.parent.resolve() / self.configuration.name
        return Path(os.path.relpath(path, self.catalog.root)).as_posix()

    def owner(self) -> dict[str, Any]:
        """Return whose cube it is, as its journal states it: no path of the machine."""
        catalog = os.path.relpath(self.catalog.root, self.journal.parent.resolve())
        return {
            "catalog": Path(catalog).as_posix(),
            "collection": self.collection,
            "configuration": self.stated_configuration,
            "dataset": self.identifier,
        }

    def is_of_another(self, configuration: object) -> bool:
        """Return whether a stated configuration is another one, which still is there.

        One that was moved or renamed finds its cubes again.
        """
        return (
            isinstance(configuration, str)
            and configuration != self.stated_configuration
            and (self.catalog.root / configuration).exists()
        )


class Storage(ABC):
    """What cubes are written to. The defaults are right where nothing outlives the process."""

    store: FileStore | S3Store | MemoryStore
    """Its entry in the configuration."""

    persistent: ClassVar[bool] = True
    """Whether cubes outlive the process: a catalog names them, and other processes write them."""

    @property
    def key(self) -> str:
        """Its canonical address."""
        return self.store.key

    @property
    def folder(self) -> Path | None:
        """The folder of this machine that cubes lie in; None if it is none."""
        return None

    def location(self, output: Output) -> str:
        """Return where a cube goes, for messages."""
        return f"{self.key}/{output.identifier}"

    def hidden_path(self, output: Output, suffix: str) -> Path:
        """Return a file that goes with a cube and is no part of it: ``journal`` or ``lock``."""
        # Only a folder has locks, and files that can be appended to. The catalog is where the
        # cube becomes one, and no other catalog's cubes have its keys. Different names can have
        # one slug.
        name = f"{self.key}-{output.identifier}"
        digest = hashlib.sha256(f"{self.key} {output.identifier}".encode()).hexdigest()[:8]
        return output.catalog.root / f".{slug(name)[:150]}-{digest}.{suffix}"

    def journals(self, catalog: Catalog, names: Iterable[str]) -> Iterator[Path]:
        """Yield the files that may be journals of this storage.

        Parameters
        ----------
        names
            Identifiers of the configuration's datasets.
        """
        yield from ()

    def find_conflict(self, output: Output, *, whole_tree: bool) -> str | None:
        """Return what lies where a cube goes and is not replaced; None if nothing does.

        Parameters
        ----------
        whole_tree
            Whether to list all files of the cube that is to be replaced.
        """
        return None

    def check_sources(self, output: Output, items: Iterable[pystac.Item]) -> None:
        """Refuse a cube that is or holds what these items of its sources lead to.

        Raises
        ------
        ConflictError
            Naming both, and what to do.
        """

    @abstractmethod
    def absence(self, output: Output, item: pystac.Item | None) -> str | None:
        """Return why the cube of an item has to be built again; None if it is there."""

    @abstractmethod
    def stage(self, output: Output, fingerprint: str) -> AbstractContextManager[Staging]:
        """Open a store for a cube whose lock is held, see `stacbuild.storage.staging.stage`."""

    def lost_paths(self, output: Output) -> list[Path]:
        """Return what runs of a cube left whose journal is gone."""
        return []

    def clear(self, output: Output) -> None:
        """Remove what earlier runs left of a cube whose lock is held, but not the cube itself."""

    def removable(
        self, output: Output, item: pystac.Item | None, has_leftovers: bool
    ) -> tuple[str | None, tuple[str, ...]]:
        """Return the path or URL of the cube that `remove` would remove, and what it would leave.

        Raises
        ------
        ConflictError
            If somebody else's files are in the cube, or nothing is of this dataset and something
            else lies in its place.
        """
        return None, ()

    def remove(self, output: Output) -> None:
        """Remove a cube whose lock is held, its item, and what earlier runs left of it."""

    @abstractmethod
    def find_cube(self, output: Output) -> tuple[str, dict[str, Any] | None] | None:
        """Return the address and the s3fs options to open a cube with; None if it is not there."""

    def address(self, asset: pystac.Asset) -> tuple[str, dict[str, Any] | None]:
        """Return the address and the s3fs options to open an asset of a cube's item with."""
        return asset.href, None

    def strangers(self, identifier: str, item: pystac.Item) -> list[str]:
        """Return the URLs of what is below a cube that is no local path, and is no part of it.

        Raises
        ------
        RemoteError
            If it cannot be listed.
        """
        return []
