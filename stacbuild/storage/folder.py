"""Cubes in a folder: staged next to their final name, and renamed when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacbuild.errors import ConflictError
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.storage.foreign import check_foreign
from stacbuild.storage.formats import FORMATS, whole
from stacbuild.storage.journal import Journal
from stacbuild.storage.on_disk import (
    attribute_of,
    describe_foreign,
    find_foreign,
    is_at,
    is_cube,
)
from stacbuild.storage.output import ATTRIBUTE, Output, Staging, Storage
from stacbuild.storage.own_sources import check_folder
from stacbuild.storage.ownership import check_output, unused_token
from stacbuild.storage.site import Site
from stacbuild.storage.staging import local_errors

if TYPE_CHECKING:
    import pystac

    from stacbuild.sources.file.store import FileStore
    from stacbuild.stac.catalog import Catalog


@dataclass(frozen=True)
class Folder(Storage):
    """A local folder."""

    store: FileStore

    @property
    def folder(self) -> Path:
        """The folder of the cubes."""
        return self.store.root

    def location(self, output: Output) -> str:
        """Return the path of the cube."""
        return str(self._path(output))

    def hidden_path(self, output: Output, suffix: str) -> Path:
        """Return a path next to the cube, which does not depend on its format."""
        cube = self.folder / f"{output.identifier}.zarr"
        return cube.with_name(f".{cube.name}.{suffix}")

    def journals(self, catalog: Catalog, names: Iterable[str]) -> Iterator[Path]:
        """Yield the journals in the folders of these datasets."""
        folders = {(self.folder / name).parent for name in names} | {self.folder}
        for folder in sorted(folders):
            yield from sorted(folder.glob(".*.zarr.journal"))

    def find_conflict(self, output: Output, *, whole_tree: bool) -> str | None:
        """Return a message if the path is occupied by something that is not replaced."""
        return find_foreign(output, self._path(output), whole_tree)

    def check_sources(self, output: Output, items: Iterable[pystac.Item]) -> None:
        """Check that a cube does not overwrite its sources, and is not inside a Zarr store."""
        check_folder(self._path(output), items)

    def absence(self, output: Output, item: pystac.Item | None) -> str | None:
        """Return why the cube of an item has to be rebuilt."""
        if item is None:
            return "not in the catalog"
        path, data = Path(whole(item).href), item.assets["data"]
        if Path(data.href) != output.data_path:
            return "its location changed"
        if path.is_symlink():
            return "it is a symbolic link"
        if path.suffix == ".nc":
            # Reading its attributes would need a library that is slow to import.
            size = _size(path)
            if size not in (None, data.extra_fields.get("file:size")):
                return "the cube is not that of its item"
            found = None if size is None else item.properties.get(FINGERPRINT)
        else:
            found = attribute_of(path, ATTRIBUTE)
        if found is None:
            return "the cube is gone"
        if found != item.properties.get(FINGERPRINT):
            return "the cube is not that of its item"
        return None

    @contextmanager
    def stage(self, output: Output, fingerprint: str) -> Iterator[Staging]:
        """Open a store next to the cube; a commit renames it."""
        # Imported late, so that a run without work is fast.
        from zarr.storage import LocalStore

        final, site = self._path(output), Site(output)
        with local_errors(final):
            check_output(output, locked=True)
            journal = site.begin(fingerprint)
        done = False
        try:
            with local_errors(final):
                folder, staged = site.folder(journal), site.staged(journal)
                yield Staging(
                    LocalStore(folder / output.format.inner),
                    LocalStore(folder),
                    str(final / output.format.public),
                    str(final),
                    lambda: site.commit(journal),
                    journal.started,
                    journal,
                    file=None if staged == folder else staged,
                )
            done = True
        finally:
            if done:
                with local_errors(final):
                    site.finish(journal)
            else:
                site.leave(journal)

    def lost_paths(self, output: Output) -> list[Path]:
        """Return what runs of the cube left whose journal is gone."""
        return Site(output).lost_paths()

    def clear(self, output: Output) -> None:
        """Remove what earlier runs left beside the cube."""
        Site(output).clear()

    def removable(
        self, output: Output, item: pystac.Item | None, has_leftovers: bool
    ) -> tuple[str | None, tuple[str, ...]]:
        """Return the path of the cube if it is that of its item or of a run that died."""
        path = self._path(output) if item is None else self._named(output, item)
        if path is None:
            return None, (f"{whole(item).href}: is not in the storage",) if item else ()
        if not os.path.lexists(path):
            return None, ()
        journal = Journal.read(output.journal)
        found = journal.removing or journal.fingerprint if journal else None
        if journal is not None and journal.is_unfinished and is_cube(path, found):
            # A run died between its cube and its item; what it replaced is put back first.
            check_foreign(path)
            return str(path), ()
        if item is not None and is_cube(path, item.properties.get(FINGERPRINT)):
            check_foreign(path, item)
            return str(path), ()
        left = f"{path}: {describe_foreign(output, path, item)}"
        if item is not None or has_leftovers:
            return None, (left,)
        raise ConflictError(
            f"{left}; stacbuild removes only what it made for this dataset of this configuration: "
            "remove it with the configuration that it is of, or yourself"
        )

    def remove(self, output: Output) -> None:
        """Remove the cube if it is that of its item; a journal records the removal."""
        self.clear(output)
        item, site = output.item(), Site(output)
        path = self._named(output, item) if item is not None else None
        fingerprint = str(item.properties.get(FINGERPRINT)) if item is not None else ""
        if path is None or not is_cube(path, fingerprint):
            output.remove_item()
            return
        check_foreign(path, item)
        token = unused_token(site.is_free)
        journal = Journal.start(output.journal, fingerprint, output.owner(), token)
        site.write_owner(token)
        journal.remove_cube(fingerprint, path.name)
        output.remove_item()
        site.remove_cube(journal, path, fingerprint)
        site.remove_staged(journal)
        journal.remove()

    def find_cube(self, output: Output) -> tuple[str, dict[str, Any] | None] | None:
        """Return the path to open the cube at."""
        path = self._path(output) / output.format.public
        return (str(path), None) if path.exists() else None

    def _path(self, output: Output) -> Path:
        return self.folder / f"{output.identifier}{output.format.ending}"

    def _named(self, output: Output, item: pystac.Item) -> Path | None:
        """Return the path of the cube that an item names, in any format; None if elsewhere."""
        for ending in sorted({fmt.ending for fmt in FORMATS.values()}):
            path = self.folder / f"{output.identifier}{ending}"
            if is_at(item, path):
                return path
        return None


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
