"""Harvesting of a folder: Zarr groups and GeoTIFFs, with their state to detect changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import zarr

from stacbuild.formats.zarr_chunks import CHUNKS, count_chunks
from stacbuild.profiles import Profiles
from stacbuild.sources.base import Wanted
from stacbuild.sources.file.files import listing_of
from stacbuild.sources.file.store import FileStore
from stacbuild.sources.matching import Listing
from stacbuild.sources.objects import Location, Objects, harvest_objects
from stacbuild.stac.catalog import Harvest
from stacbuild.stac.extensions import file_time

Json = dict[str, Any]


def harvest(store: FileStore, wanted: Wanted, profiles: Profiles) -> Iterator[Harvest]:
    """Harvest the wanted data ids of a folder, as `harvest_objects`."""
    return harvest_objects(_Files(store), wanted, profiles)


class _Files(Objects[FileStore]):
    def locate(self, path: str) -> Location:
        local = str(self.store.path(path))
        return Location(local, local)

    def listing(self) -> Listing:
        return listing_of(self.store)

    def local_path(self, location: Location) -> Path:
        return Path(location.read)

    def file_state(self, location: Location) -> Json:
        path = Path(location.read)
        return {"file:size": path.stat().st_size, "updated": file_time(path)}

    def group_state(self, location: Location, group: zarr.Group, names: Iterable[str]) -> Json:
        # On disk only: listing chunks on a server may take thousands of requests.
        chunks = count_chunks(group.store, names)
        return {CHUNKS: chunks, "updated": file_time(Path(location.read))}
