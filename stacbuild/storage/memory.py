"""Cubes in the memory of this process, for experiments; no catalog lists them."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from stacbuild.stac.catalog import slug
from stacbuild.storage.on_disk import REMEDY, group_attribute
from stacbuild.storage.output import ATTRIBUTE, COLLECTION, Output, Staging, Storage
from stacbuild.storage.ownership import check_output

if TYPE_CHECKING:
    import fsspec
    import pystac

    from stacbuild.sources.memory.store import MemoryStore


@dataclass(frozen=True)
class Memory(Storage):
    """A folder of fsspec's in-memory file system."""

    store: MemoryStore

    persistent: ClassVar[bool] = False

    def location(self, output: Output) -> str:
        """Return the URL of the cube."""
        return f"memory:/{self._path(output)}"

    def find_conflict(self, output: Output, *, whole_tree: bool) -> str | None:
        """Return a message if the path is occupied by another cube."""
        fs, path = _filesystem(), self._path(output)
        if not fs.exists(path):
            return None

        def attribute(name: str) -> str | None:
            return group_attribute(lambda key: bytes(fs.cat_file(f"{path}/{key}")), name)

        if attribute(ATTRIBUTE) and attribute(COLLECTION) == output.collection:
            return None
        return f"memory:/{path}: is not a cube of collection {output.collection!r}; {REMEDY}"

    def absence(self, output: Output, item: pystac.Item | None) -> str | None:
        """Return that cubes end with the process."""
        return "in memory only"

    @contextmanager
    def stage(self, output: Output, fingerprint: str) -> Iterator[Staging]:
        """Open a store next to the cube; a commit moves it."""
        from zarr.storage import FsspecStore

        check_output(output)
        fs, final = _filesystem(), self._path(output)
        name = f"{output.identifier}{output.format.ending}"
        staged = f"/{self.store.root}/.{slug(name)}.{os.getpid()}.staging"

        def commit() -> None:
            check_output(output)
            if fs.exists(final):
                fs.rm(final, recursive=True)
            fs.mv(staged, final, recursive=True)

        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        try:
            yield Staging(
                FsspecStore.from_url(f"memory:/{staged}/{output.format.inner}".rstrip("/")),
                FsspecStore.from_url(f"memory:/{staged}"),
                f"memory:/{final}/{output.format.public}".rstrip("/"),
                f"memory:/{final}",
                commit,
                now,
            )
        finally:
            if fs.exists(staged):
                fs.rm(staged, recursive=True)

    def find_cube(self, output: Output) -> tuple[str, dict[str, Any] | None] | None:
        """Return the URL to open the cube at."""
        path = f"{self._path(output)}/{output.format.public}".rstrip("/")
        return (f"memory:/{path}", None) if _filesystem().exists(path) else None

    def _path(self, output: Output) -> str:
        return f"/{self.store.root}/{output.identifier}{output.format.ending}"


def _filesystem() -> fsspec.AbstractFileSystem:
    import fsspec

    return fsspec.filesystem("memory")
