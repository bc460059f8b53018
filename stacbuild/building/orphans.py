"""What interrupted runs left of datasets that are no longer in the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild.planning.resolve import collection_id
from stacbuild.sources.file.store import FileStore
from stacbuild.sources.s3.store import S3Store
from stacbuild.storage.journal import Journal
from stacbuild.storage.ownership import Place, is_own

if TYPE_CHECKING:
    from stacbuild.config import Config
    from stacbuild.stac.catalog import Catalog


def forgotten(config: Config, catalog: Catalog) -> Iterator[tuple[str, Path]]:
    """Yield datasets that the configuration has no more and that a run began, with its journal."""
    storage, names = config.storage, {each.identifier for each in config.datasets}
    if isinstance(storage, FileStore):
        folders = {(storage.root / name).parent for name in names} | {storage.root}
        pattern = ".*.zarr.journal"
    elif isinstance(storage, S3Store):
        folders, pattern = {catalog.root}, ".*.journal"
    else:
        return
    for folder in sorted(folders):
        for path in sorted(folder.glob(pattern)):
            journal = Journal.read(path)
            name = str(journal.owner.get("dataset")) if journal is not None else ""
            if journal is None or not journal.owner or name in names:
                continue
            place = Place(storage, name, catalog, collection_id(config), config.path)
            if path == place.journal and is_own(place, journal.owner):
                yield name, path
