"""The output of a dataset, and the protocol of storages.

`Output` is one cube: its dataset, its catalog, its storage. `Storage` is the protocol of a folder
(`stacbuild.storage.folder`), a bucket (`stacbuild.storage.bucket`) and memory
(`stacbuild.storage.memory`); `stacbuild.storage.kinds` chooses one by the configuration. No other
module depends on the kind of a storage.
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
from stacbuild.storage.formats import FORMATS, Format, FormatId

if TYPE_CHECKING:
    import pystac
    from zarr.abc.store import Store

    from stacbuild.sources.file.store import FileStore
    from stacbuild.sources.memory.store import MemoryStore
    from stacbuild.sources.s3.store import S3Store
    from stacbuild.stac.catalog import Catalog
    from stacbuild.storage.journal import Journal

ATTRIBUTE = "stacbuild_fingerprint"
"""Attribute of a cube's group or file: the fingerprint of its item."""

COLLECTION = "stacbuild_collection"
"""Attribute of a cube's group or file: the collection of the item that names it."""


@dataclass(frozen=True)
class Staging:
    """A store to write a cube to before it is visible.

    Parameters
    ----------
    store
        For the cube as one Zarr group: empty, or with the finished chunks of the journal.
    root
        The staged store that *store* is, or is a group of.
    href
        Path or URL that clients open after the `commit`.
    whole
        Path or URL of the whole cube then: *href*, or the store that it is a group of.
    commit
        Publishes the staged store under *href*, replacing the previous cube. The item has to be
        put into the catalog after it, before the context is left.
    started
        Start of the first run that wrote to *store*, for the attributes of the cube.
    journal
        Finished regions; None if the storage does not outlive the process.
    s3_whole
        The ``s3://`` address of *whole*, if it is in a bucket.
    file
        The file that *commit* publishes, if the format is a file; to be written before.
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
    """The output of a dataset: where its cube goes, and which catalog it belongs to.

    Parameters
    ----------
    identifier
        Identifier of the dataset.
    catalog
        The catalog of its item.
    collection
        Id of the collection of its item.
    configuration
        File of the configuration; None if it was not read from a file.
    format_id
        See `stacbuild.storage.formats`.
    """

    storage: Storage
    identifier: str
    catalog: Catalog
    collection: str
    configuration: Path | None
    format_id: FormatId = "zarr"

    @property
    def name(self) -> str:
        """The last part of the identifier, which may contain folders."""
        return self.identifier.rpartition("/")[2]

    @property
    def format(self) -> Format:
        """The layout of its format."""
        return FORMATS[self.format_id]

    @property
    def path(self) -> Path | None:
        """Path of the whole cube in a folder; None in any other storage."""
        folder = self.storage.folder
        return None if folder is None else folder / f"{self.identifier}{self.format.ending}"

    @property
    def data_path(self) -> Path | None:
        """Path that clients open in a folder; None in any other storage."""
        return None if self.path is None else self.path / self.format.public

    @property
    def journal(self) -> Path:
        """Path of its journal."""
        return self.storage.hidden_path(self, "journal")

    @property
    def lock(self) -> Path:
        """Path of its lock."""
        return self.storage.hidden_path(self, "lock")

    def item(self) -> pystac.Item | None:
        """Return the item of the cube in the catalog, or None."""
        return self.catalog.get(self.collection, self.identifier)

    def remove_item(self) -> None:
        """Remove the item from the catalog, if there is one."""
        self.catalog.remove(self.collection, [cube_id(self.identifier)])

    @property
    def stated_configuration(self) -> str | None:
        """The value of `stacbuild.stac.extensions.CONFIGURATION` in its item."""
        if self.configuration is None:
            return None
        path = self.configuration.parent.resolve() / self.configuration.name
        return Path(os.path.relpath(path, self.catalog.root)).as_posix()

    def owner(self) -> dict[str, Any]:
        """Return the owner of the cube for its journal, without absolute paths."""
        catalog = os.path.relpath(self.catalog.root, self.journal.parent.resolve())
        return {
            "catalog": Path(catalog).as_posix(),
            "collection": self.collection,
            "configuration": self.stated_configuration,
            "dataset": self.identifier,
        }

    def is_of_another(self, configuration: object) -> bool:
        """Return whether a stated configuration is another one that still exists.

        A configuration that was moved or renamed still owns its cubes.
        """
        return (
            isinstance(configuration, str)
            and configuration != self.stated_configuration
            and (self.catalog.root / configuration).exists()
        )


class Storage(ABC):
    """A storage of cubes. The defaults are those of a storage that ends with the process."""

    store: FileStore | S3Store | MemoryStore
    """The store in the configuration."""

    persistent: ClassVar[bool] = True
    """Whether cubes outlive the process, so that a catalog can list them."""

    @property
    def key(self) -> str:
        """Its canonical address."""
        return self.store.key

    @property
    def folder(self) -> Path | None:
        """The local folder of the cubes; None for other storages."""
        return None

    def location(self, output: Output) -> str:
        """Return the path or URL of a cube for messages."""
        return f"{self.key}/{output.identifier}"

    def hidden_path(self, output: Output, suffix: str) -> Path:
        """Return the path of a cube's ``journal`` or ``lock``."""
        # In the catalog's folder, since only a folder has locks and files to append to, and a key
        # belongs to one catalog. The digest distinguishes names with the same slug.
        name = f"{self.key}-{output.identifier}"
        digest = hashlib.sha256(f"{self.key} {output.identifier}".encode()).hexdigest()[:8]
        return output.catalog.root / f".{slug(name)[:150]}-{digest}.{suffix}"

    def journals(self, catalog: Catalog, names: Iterable[str]) -> Iterator[Path]:
        """Yield the paths that may be journals of this storage.

        Parameters
        ----------
        names
            Identifiers of the configuration's datasets.
        """
        yield from ()

    def find_conflict(self, output: Output, *, whole_tree: bool) -> str | None:
        """Return a message if the path of a cube is occupied by something else; otherwise None.

        Parameters
        ----------
        whole_tree
            Check all files of the cube that is to be replaced.
        """
        return None

    def check_sources(self, output: Output, items: Iterable[pystac.Item]) -> None:
        """Check that a cube would not overwrite its own sources.

        Raises
        ------
        ConflictError
            If it would; names both.
        """

    @abstractmethod
    def absence(self, output: Output, item: pystac.Item | None) -> str | None:
        """Return why the cube of an item has to be rebuilt; None if it exists."""

    @abstractmethod
    def stage(self, output: Output, fingerprint: str) -> AbstractContextManager[Staging]:
        """Open a store for a cube whose lock is held, see `stacbuild.storage.staging.stage`."""

    def lost_paths(self, output: Output) -> list[Path]:
        """Return the leftovers of runs whose journal is missing."""
        return []

    def clear(self, output: Output) -> None:
        """Remove leftovers of earlier runs, but not the cube; its lock has to be held."""

    def removable(
        self, output: Output, item: pystac.Item | None, has_leftovers: bool
    ) -> tuple[str | None, tuple[str, ...]]:
        """Return the path or URL that `remove` would remove, and messages on what it would leave.

        Raises
        ------
        ConflictError
            If foreign files are in the cube, or another file or cube occupies its path.
        """
        return None, ()

    def remove(self, output: Output) -> None:
        """Remove a cube, its item, and leftovers of earlier runs; its lock has to be held."""

    @abstractmethod
    def find_cube(self, output: Output) -> tuple[str, dict[str, Any] | None] | None:
        """Return URL and s3fs options to open a cube with; None if it does not exist."""

    def address(self, asset: pystac.Asset) -> tuple[str, dict[str, Any] | None]:
        """Return URL and s3fs options to open an asset of a cube's item with."""
        return asset.href, None

    def foreign_objects(self, identifier: str, item: pystac.Item) -> list[str]:
        """Return the URLs of foreign objects below a cube.

        Raises
        ------
        RemoteError
            If it cannot be listed.
        """
        return []
