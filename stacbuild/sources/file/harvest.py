"""Harvest a folder: Zarr groups and GeoTIFFs, with what shows later that they were written to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import rasterio
import zarr

from stacbuild.formats.geotiff_sidecars import told_beside
from stacbuild.formats.zarr_chunks import CHUNKS, count_chunks
from stacbuild.profiles import Profiles
from stacbuild.sources.base import Wanted
from stacbuild.sources.file.store import FileStore
from stacbuild.sources.objects import Objects, Place, harvest_objects
from stacbuild.stac.catalog import Harvest
from stacbuild.stac.extensions import file_time

Json = dict[str, Any]


def harvest(store: FileStore, wanted: Wanted, profiles: Profiles) -> Iterator[Harvest]:
    """Describe what is wanted of a folder, as `harvest_objects`."""
    return harvest_objects(_Files(store), wanted, profiles)


class _Files(Objects[FileStore]):
    def place(self, path: str) -> Place:
        local = str(self.store.path(path))
        return Place(local, local)

    def modified(self, address: str, options: Json | None) -> dt.datetime:
        del options
        return dt.datetime.fromtimestamp(int(Path(address).stat().st_mtime), dt.UTC)

    def sidecar_notes(self, place: Place, raster: rasterio.io.DatasetReader) -> list[str]:
        return told_beside(Path(place.read), raster)

    def file_state(self, place: Place) -> Json:
        path = Path(place.read)
        return {"file:size": path.stat().st_size, "updated": file_time(path)}

    def group_state(self, place: Place, group: zarr.Group, names: Iterable[str]) -> Json:
        # On disk only: to list what lies on a server may take thousands of requests.
        chunks = count_chunks(group.store, names)
        return {CHUNKS: chunks, "updated": file_time(Path(place.read))}
