"""Description of one asset of a foreign item as an item of ours with the asset ``data``.

By the header of its file, or, for most files of a product, by what its item states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pystac

from stacbuild.errors import LocalError
from stacbuild.formats.geotiff import RasterFile
from stacbuild.formats.geotiff_classes import class_notes, file_classes
from stacbuild.formats.geotiff_header import left_out, signature
from stacbuild.formats.geotiff_netcdf import netcdf_tags
from stacbuild.formats.geotiff_sidecars import sidecar_notes
from stacbuild.geo.bbox import BBox
from stacbuild.net.http import public_url
from stacbuild.profiles import DataProfile
from stacbuild.sources.stac.asset import (
    Data,
    Json,
    file_fields,
    outer_links,
    profile_of,
    rights_of,
    stated_crs,
    time_notes,
    time_of,
    without_times,
)
from stacbuild.sources.stac.found import Found
from stacbuild.sources.stac.product import stated_grid
from stacbuild.sources.stac.projection import is_around, position_notes
from stacbuild.sources.stac.reader import Reader
from stacbuild.sources.stac.scene_properties import scene_properties
from stacbuild.sources.stac.values import complete_raster, complete_zarr
from stacbuild.stac.extensions import declare_extensions, file_time
from stacbuild.stac.raster_item import Names, raster_item, stated_item


@dataclass(frozen=True)
class Described:
    """An item of ours, the foreign one, notes on what is not used, and its header's signature."""

    item: pystac.Item
    found: Found
    notes: tuple[str, ...]
    header: str | None = None


@dataclass(frozen=True)
class Job:
    """An asset to describe: id and data id of our item, the foreign one, and its profile.

    ``name`` is the key of the asset in our item if it is a scene, else None.
    """

    item_id: str
    data_id: str
    found: Found
    data: Data
    profile: DataProfile
    name: str | None = None


def describe(reader: Reader, job: Job) -> Described:
    """Return an item by the header of its file."""
    if job.data.kind == "zarr":
        return _describe_arrays(reader, job)
    store, found, data, known = reader.store, job.found, job.data, job.profile
    profile = profile_of(found, data, known)
    identity: Json = {
        "item_id": job.item_id,
        "data_id": job.data_id,
        "store_key": store.key,
        "href": data.href,
    }
    options = store.options_of(data.s3 is not None)
    item_crs = stated_crs(found, data)
    file = RasterFile(data.read, session=reader.session, storage_options=options)
    with file.open() as raster:
        times = netcdf_tags(raster).times
        if times and known.start_datetime is None:
            profile = without_times(profile)
        beside = None if "://" in data.read else Path(file.href)
        classes = file_classes(raster, beside)
        item = raster_item(
            raster, **identity, profile=profile, datetime=time_of(found), classes=classes
        )
        notes = complete_raster(item, raster, found, data, known)
        notes += left_out(raster, profile) + class_notes(classes, profile)
        if known.start_datetime is None and known.years is None:
            notes += time_notes(times, found)
        if beside is not None:
            notes += sidecar_notes(beside, raster)
        header = None if times else signature(raster)
    fields = {"file:size": file.size, **file_fields(data)}
    if "://" not in data.read:
        fields["updated"] = file_time(Path(file.href))
    item.assets["data"].extra_fields |= fields
    notes += position_notes(item, found, data, item_crs)
    return Described(_complete(reader, item, job), found, tuple(notes), header)


def _describe_arrays(reader: Reader, job: Job) -> Described:
    """Return an item by the metadata and coordinates of a Zarr group, or of a file of arrays."""
    # Imported late: rasters need neither Zarr nor xarray, whose imports take longer than all else.
    from stacbuild.formats.zarr_chunks import CHUNKS, count_chunks
    from stacbuild.formats.zarr_crs import states_crs
    from stacbuild.stac.zarr_item import naming, period, zarr_item

    found, known = job.found, job.profile
    options = reader.store.options_of(job.data.s3 is not None)
    with reader.nodes.open(job.data.opened, options) as (node, ds):
        if node.array is not None:
            job = replace(job, data=job.data.above)
        data = job.data
        profile = profile_of(found, data, known)
        item_crs = stated_crs(found, data)
        if item_crs is not None and not states_crs(ds):
            ds.attrs["crs"] = item_crs.to_wkt()
        with naming(ds, data.href):
            own = period(ds)
        if own is not None:
            profile = without_times(profile)
        warnings: list[str] = []
        item = zarr_item(
            node.group,
            ds,
            item_id=job.item_id,
            data_id=job.data_id,
            store_key=reader.store.key,
            href=data.href,
            profile=profile,
            datetime=time_of(found),
            warn=warnings.append,
        )
        notes = [*warnings, *complete_zarr(item, ds, found, data, known)]
        if "://" not in data.read:
            path = Path(data.read)
            state: Json = {"updated": file_time(path)}
            if path.is_file():  # NetCDF, or a zip archive
                state["file:size"] = path.stat().st_size
            else:
                state[CHUNKS] = count_chunks(node.group.store, map(str, ds.data_vars))
            item.assets["data"].extra_fields |= state
    notes += position_notes(item, found, data, item_crs)
    return Described(_complete(reader, item, job), found, tuple(notes))


def take(reader: Reader, job: Job, pattern: pystac.Asset, notes: Sequence[str]) -> Described | None:
    """Return an item as another catalog states it, whose file is not opened.

    *pattern* and *notes* are those of the first file of the product. None if the grid that it
    states is not where its bbox is: its file might then never be opened, and be missing unnoticed.
    """
    found, data = job.found, job.data
    grid = stated_grid(found, data)
    assert grid is not None  # noqa: S101 - or it would be of no product
    names = Names(job.item_id, job.data_id, reader.store.key, data.href)
    item = stated_item(names, grid, profile_of(found, data, job.profile), time_of(found), pattern)
    if not is_around(cast(BBox, tuple(item.bbox or ())), found.content.get("bbox")):
        return None
    fields = file_fields(data)
    if "://" not in data.read:
        path = Path(data.read)
        if not path.is_file():
            raise LocalError(f"{path}: there is no such file")
        fields |= {"updated": file_time(path), "file:size": path.stat().st_size}
    elif isinstance(size := data.content.get("file:size"), int) and size > 0:
        fields["file:size"] = size
    item.assets["data"].extra_fields |= fields
    return Described(_complete(reader, item, job), found, tuple(notes))


def _complete(reader: Reader, item: pystac.Item, job: Job) -> pystac.Item:
    """Add, in place, what only the foreign item has: S3, licence, providers and links."""
    found, data = job.found, job.data
    if data.s3:
        asset = item.assets["data"]
        asset.extra_fields["alternate"] = {"s3": {"href": data.s3, "alternate:name": "S3"}}
        asset.extra_fields["alternate:name"] = "HTTPS"
    item.properties |= rights_of(found) | scene_properties(found)
    item.add_link(via(found.location, "application/geo+json", f"Item {found.id}"))
    for rel, href in outer_links(reader, found.location, found.content):
        item.add_link(pystac.Link(rel, href))
    declare_extensions(item)
    return item


def via(location: str, media_type: str, title: str | None = None) -> pystac.Link:
    """Return a link to a document of theirs, without its query, which may be a signature."""
    href = public_url(location) if "://" in location else location
    return pystac.Link("via", href, media_type, title)
