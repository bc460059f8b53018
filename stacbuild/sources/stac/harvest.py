"""Harvesting of a foreign STAC catalog: a STAC API, or a static one at a URL or in a folder.

A data id is a query (`stacbuild.sources.stac.query`). Matching items become items of our catalog,
with a collection for each of theirs. Each is described from the header of its file: projection
fields are missing, old or wrong in many catalogs, and the position of pixels has to be right.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pystac

from stacbuild import progress
from stacbuild.errors import Failure, LocalError, StacbuildError
from stacbuild.formats.geotiff import RasterFile
from stacbuild.formats.geotiff_classes import class_notes, file_classes
from stacbuild.formats.geotiff_header import left_out, signature
from stacbuild.formats.geotiff_netcdf import netcdf_tags
from stacbuild.formats.geotiff_sidecars import sidecar_notes
from stacbuild.formats.zarr_chunks import CHUNKS, count_chunks
from stacbuild.formats.zarr_crs import states_crs
from stacbuild.formats.zarr_store import open_group, source_of
from stacbuild.geo.bbox import BBox
from stacbuild.net.http import public_url
from stacbuild.profiles import CollectionProfile, DataProfile, Profiles
from stacbuild.safe_text import clean
from stacbuild.sources.base import Wanted, collected, raise_collected
from stacbuild.sources.stac.asset import (
    Data,
    Json,
    data_of,
    file_fields,
    outer_links,
    profile_of,
    rights_of,
    stated_crs,
    text,
    time_notes,
    time_of,
    without_times,
)
from stacbuild.sources.stac.found import Found
from stacbuild.sources.stac.product import (
    READ_ALL,
    pattern_of,
    product_of,
    spread,
    stated_grid,
)
from stacbuild.sources.stac.projection import is_around, position_notes
from stacbuild.sources.stac.query import parse
from stacbuild.sources.stac.reader import Reader
from stacbuild.sources.stac.search import find
from stacbuild.sources.stac.state import FOUND, state_of
from stacbuild.sources.stac.store import StacStore
from stacbuild.sources.stac.values import complete_raster, complete_zarr
from stacbuild.stac.catalog import STORE, Harvest, slug, with_digest
from stacbuild.stac.extensions import declare_extensions, file_time
from stacbuild.stac.raster_item import Names, raster_item, stated_item
from stacbuild.stac.zarr_item import naming, period, zarr_item

_THREADS = 8
_LONGEST_COLLECTION = 120


@dataclass(frozen=True)
class _Described:
    item: pystac.Item
    found: Found
    notes: tuple[str, ...]
    header: str | None = None


@dataclass(frozen=True)
class _Job:
    """A foreign item to describe: id and data id of ours, its asset, and what profiles state."""

    item_id: str
    data_id: str
    found: Found
    data: Data
    profile: DataProfile


def harvest(store: StacStore, wanted: Wanted, profiles: Profiles) -> Iterator[Harvest]:
    """Harvest the items that the wanted data ids match.

    Several items of a data id are tiles, maybe of several times; they are combined when loaded.

    Yields
    ------
    Harvest
        One for each collection of that catalog.

    Raises
    ------
    NotFoundError, AuthError, RemoteError, LocalError, IntegrityError, StacbuildError
        For a single data id that could not be described, after the others were harvested.
    Failures
        For several.
    """
    described: dict[tuple[str, str], list[_Described]] = {}
    failures: list[Failure] = []
    stated = CollectionProfile()
    with Reader(store, wanted.folders) as reader:
        for data_id in dict.fromkeys((*wanted.data_ids, *wanted.preload)):
            with collected(failures, data_id):
                for each in _describe_all(reader, data_id, profiles):
                    key = each.found.collection_location, str(each.found.collection.get("id"))
                    described.setdefault(key, []).append(each)
                stated = profiles.collection(store.key, data_id)
        for group in described.values():
            yield Harvest(_collection(reader, group, stated), tuple(each.item for each in group))
    raise_collected(failures)


def _describe_all(reader: Reader, data_id: str, profiles: Profiles) -> list[_Described]:
    query = parse(data_id)
    founds = find(reader, query)
    counts = Counter(found.id for found in founds)
    label = f"{reader.store.identifier}: describe"
    with progress.task(label, total=len(founds)) as task, ThreadPoolExecutor(_THREADS) as pool:

        def job(found: Found) -> _Job:
            where = _beside(reader.root, found.location) if counts[found.id] > 1 else ""
            data = data_of(reader, found, query.asset)
            known = profiles.of(reader.store.key, data_id)
            return _Job(_item_id(found, data_id, where), data_id, found, data, known)

        def one(job: _Job) -> _Described:
            described = _describe(reader, job)
            task.advance()
            return described

        jobs = [job(found) for found in founds]
        # Headers of products first, since they decide which others are read.
        known: dict[int, _Described] = {}
        for numbers in _products(reader, jobs):
            some = [numbers[place] for place in spread(len(numbers))]
            known |= zip(some, pool.map(one, [jobs[number] for number in some]), strict=True)
            samples = [(jobs[n].found, jobs[n].data, known[n].item, known[n].header) for n in some]
            pattern = pattern_of(samples)
            if pattern is None:
                continue
            for number in numbers:
                taken = None
                if number not in known:
                    taken = _take(reader, jobs[number], pattern, known[some[0]].notes)
                if taken is not None:
                    known[number] = taken
                    task.advance()
        rest = [number for number in range(len(jobs)) if number not in known]
        known |= zip(rest, pool.map(one, [jobs[number] for number in rest]), strict=True)
    described = [known[number] for number in range(len(jobs))]
    _warn(described)
    if reader.store.folder:
        state = state_of(founds)
        for each in described:
            each.item.properties[FOUND] = state
    _check_combinable(data_id, [each.item for each in described])
    return described


def _products(reader: Reader, jobs: Sequence[_Job]) -> Iterator[list[int]]:
    """Yield the numbers of items of products, of which not all headers have to be read."""
    if len(jobs) <= READ_ALL or reader.store.store_params.read_headers:
        return
    found: dict[str, list[int]] = {}
    for number, job in enumerate(jobs):
        product = product_of(job.found, job.data)
        if product is not None:
            found.setdefault(product, []).append(number)
    yield from (numbers for numbers in found.values() if len(numbers) > READ_ALL)


def _check_combinable(data_id: str, items: Sequence[pystac.Item]) -> None:
    """Refuse several Zarr stores: only rasters are combined, as tiles and along time."""
    if len(items) == 1:
        return
    if any("cube:variables" in item.properties for item in items):
        names = ", ".join(item.properties["title"] for item in items[:3])
        raise StacbuildError(
            f"{data_id}: matches {len(items)} Zarr stores ({names}{', ...' if items[3:] else ''}); "
            "name one of them: collection/item"
        )


def _describe(reader: Reader, job: _Job) -> _Described:
    """Return an item by the header of its file."""
    store, found, data, known = reader.store, job.found, job.data, job.profile
    profile = profile_of(found, data, known)
    identity: Json = {
        "item_id": job.item_id,
        "data_id": job.data_id,
        "store_key": store.key,
        "href": data.href,
    }
    options = store.storage_options if data.s3 else None
    item_crs = stated_crs(found, data)
    header = None
    if data.kind == "raster":
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
    else:
        group = open_group(data.opened, options)
        with source_of(group, data.opened, options) as ds:
            if item_crs is not None and not states_crs(ds):
                ds.attrs["crs"] = item_crs.to_wkt()
            with naming(ds, data.href):
                own = period(ds)
            if own is not None:
                profile = without_times(profile)
            warnings: list[str] = []
            item = zarr_item(
                group,
                ds,
                **identity,
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
                    state[CHUNKS] = count_chunks(group.store, map(str, ds.data_vars))
                item.assets["data"].extra_fields |= state
    notes += position_notes(item, found, data, item_crs)
    return _Described(_complete(reader, item, job), found, tuple(notes), header)


def _take(
    reader: Reader, job: _Job, pattern: pystac.Asset, notes: Sequence[str]
) -> _Described | None:
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
    return _Described(_complete(reader, item, job), found, tuple(notes))


def _complete(reader: Reader, item: pystac.Item, job: _Job) -> pystac.Item:
    """Add, in place, what only the foreign item has: S3, licence, providers and links."""
    found, data = job.found, job.data
    if data.s3:
        asset = item.assets["data"]
        asset.extra_fields["alternate"] = {"s3": {"href": data.s3, "alternate:name": "S3"}}
        asset.extra_fields["alternate:name"] = "HTTPS"
    item.properties |= rights_of(found)
    item.add_link(_via(found.location, "application/geo+json", f"Item {found.id}"))
    for rel, href in outer_links(reader, found.location, found.content):
        item.add_link(pystac.Link(rel, href))
    declare_extensions(item)
    return item


def _item_id(found: Found, data_id: str, where: str) -> str:
    """Return an id that is unique among data ids, as several queries may match the same item.

    *where* distinguishes items of the same id.
    """
    digest = hashlib.sha256(f"{found.id}{where}\n{data_id}".encode()).hexdigest()[:8]
    return f"{slug(found.id)[:100]}-{digest}"


def _beside(root: str, location: str) -> str:
    """Return the location of an item relative to its catalog."""
    return f"\n{posixpath.relpath(location, posixpath.dirname(root))}"


def _via(location: str, media_type: str, title: str | None = None) -> pystac.Link:
    """Return a link to a document of theirs, without its query, which may be a signature."""
    href = public_url(location) if "://" in location else location
    return pystac.Link("via", href, media_type, title)


def _collection_id(store_key: str, name: str) -> str:
    """Return an id that is unique among the collections of that catalog."""
    short = slug(f"{store_key}-{name}")
    lossy = slug(name) != name or len(short) > _LONGEST_COLLECTION
    return with_digest(short[:_LONGEST_COLLECTION], name) if lossy else short


def _warn(described: Sequence[_Described]) -> None:
    """Warn of each note once, with the number of items that it is about."""
    items_of: dict[str, list[str]] = {}
    for each in described:
        for note in each.notes:
            items_of.setdefault(note, []).append(each.found.id)
    for note, ids in items_of.items():
        more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
        progress.warn(f"{clean(ids[0])[:100]}{more}: {note}")


def _collection(
    reader: Reader, described: Sequence[_Described], stated: CollectionProfile
) -> pystac.Collection:
    """Return our collection for theirs; *stated*, a profile, overrides its metadata."""
    found = described[0].found
    content = found.collection
    name = str(content.get("id"))
    rights = rights_of(Found({"properties": {}}, "", content, ""))
    known = stated.model_dump(mode="json", exclude_none=True)
    rights |= {key: known[key] for key in ("license", "providers") if key in known}
    rights |= {f"sci:{key}": known[key] for key in ("doi", "citation") if key in known}
    keywords = content.get("keywords")
    collection = pystac.Collection(
        id=_collection_id(reader.store.key, name),
        title=known.get("title") or text(content.get("title"), 300) or text(name),
        description=known.get("description")
        or text(content.get("description"))
        or f"Items of {public_url(reader.root) if '://' in reader.root else name}.",
        license=rights.pop("license", "other"),
        keywords=[word for each in keywords[:50] if (word := text(each, 100))]
        if isinstance(keywords, list)
        else None,
        providers=[pystac.Provider.from_dict(each) for each in rights.pop("providers", [])],
        extent=pystac.Extent.from_items([each.item for each in described]),
        extra_fields={STORE: reader.store.key, **rights},
    )
    collection.add_link(_via(found.collection_location, "application/json"))
    for rel, href in outer_links(reader, found.collection_location, content):
        collection.add_link(pystac.Link(rel, href))
    declare_extensions(collection)
    return collection
