"""Harvesting of Zarr groups and GeoTIFFs in stores that have paths.

A store becomes one collection, and each data id (a path below the store's root) one item; a data id
of several files (`stacbuild.config.data_ids`) an item for each of them. Files
are described in place: of a Zarr group only metadata and coordinates are read, of a GeoTIFF only
its header.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

import pystac
import xarray as xr
import zarr

from stacbuild import progress
from stacbuild.config.data_ids import is_several, short
from stacbuild.config.store import Store
from stacbuild.errors import Failure, NotFoundError
from stacbuild.formats.array_store import VERSION, split_href
from stacbuild.formats.file_format import Format, format_of, format_of_file, refuse, without_suffix
from stacbuild.formats.gdal_file import version_of
from stacbuild.formats.geotiff import open_raster
from stacbuild.formats.geotiff_classes import class_notes, file_classes
from stacbuild.formats.geotiff_header import left_out
from stacbuild.formats.geotiff_sidecars import sidecar_notes
from stacbuild.formats.zarr_store import open_group, source_of
from stacbuild.net.hrefs import is_local
from stacbuild.profiles import CollectionProfile, Profiles, Provider
from stacbuild.sources.base import Wanted, collected, raise_collected
from stacbuild.sources.dating import group_dated, raster_dated
from stacbuild.sources.matching import File, Listing, match
from stacbuild.sources.several import Member, Note, combine, warn_of
from stacbuild.sources.stated import stated_fields, stated_links
from stacbuild.stac.catalog import STORE, Harvest, slug
from stacbuild.stac.checksums import SERVED
from stacbuild.stac.extensions import declare_extensions
from stacbuild.stac.item_time import UNDATED
from stacbuild.stac.raster_item import raster_item
from stacbuild.stac.zarr_item import naming, period, undecoded_times, zarr_item

Json = dict[str, Any]
S = TypeVar("S", bound=Store)

# Headers that are requested at the same time.
_THREADS = 8

_DOI = re.compile(r"\b10\.\d{4,9}/[^\s\"'<>,;]*[^\s\"'<>,;.)]")
# Common spellings of Creative Commons licences ("CC BY 4.0").
_CREATIVE_COMMONS = re.compile(
    r"CC[ -]?(BY(?:-(?:NC|SA|ND|NC-SA|NC-ND))?)[ -](\d\.\d)", re.IGNORECASE
)


@dataclass(frozen=True)
class Location:
    """Path or URL of a data id.

    Parameters
    ----------
    read
        Path or URL for `open_raster` and `open_group`.
    href
        Path or URL of the item's asset.
    options
        Arguments for s3fs, if it is read through that.
    group
        Path of a group in a file of arrays, which is not part of the other two.
    """

    read: str
    href: str
    options: Json | None = field(default=None, repr=False)
    group: str = ""

    @property
    def opened(self) -> str:
        """Path or URL for `open_group`."""
        return f"{self.read}/{self.group}" if self.group else self.read


class Objects(ABC, Generic[S]):
    """Differences between kinds of store with files and Zarr groups under paths."""

    def __init__(self, store: S) -> None:
        self.store = store

    @abstractmethod
    def locate(self, path: str) -> Location:
        """Return the location of a path below the store's root."""

    def listing(self) -> Listing | None:
        """Return the listing of the store; None if it has no data ids of several files."""
        return None

    def local_path(self, location: Location) -> Path | None:
        """Return the path of a raster whose sidecar files are read; None on servers."""
        del location
        return None

    def file_state(self, location: Location) -> Json:
        """Return fields of an asset by which changes of the file are detected."""
        del location
        return {}

    def group_state(self, location: Location, group: zarr.Group, names: Iterable[str]) -> Json:
        """Return fields of an asset by which changes of variables of a group are detected."""
        del location, group, names
        return {}

    def add_access(self, item: pystac.Item, location: Location) -> None:
        """Add alternate locations of its asset to an item."""


def harvest_objects(objects: Objects[S], wanted: Wanted, profiles: Profiles) -> Iterator[Harvest]:
    """Harvest the wanted data ids of a store.

    Data ids to preload are only described, as they are read in place.

    Yields
    ------
    Harvest
        The store's collection with the items that could be described; nothing if there are none.

    Raises
    ------
    NotFoundError, AuthError, RemoteError, LocalError, IntegrityError, StacbuildError
        For a single data id that could not be described, after the others were harvested.
    Failures
        For several.
    """
    described: list[_Described] = []
    failures: list[Failure] = []
    data_ids = tuple(dict.fromkeys((*wanted.data_ids, *wanted.preload)))
    with progress.task(f"{objects.store.identifier}: describe", total=len(data_ids)) as task:
        for data_id in data_ids:
            with collected(failures, short(data_id)):
                described += _describe_all(objects, data_id, profiles)
            task.advance()
    if described:
        items = tuple(each.item for each in described)
        metadata = [each.metadata for each in described]
        yield Harvest(_collection(objects.store, metadata, items), items)
    raise_collected(failures)


@dataclass(frozen=True)
class _Described:
    """An item, the metadata for its collection, what states its time, and warnings."""

    item: pystac.Item
    metadata: CollectionProfile
    dated_by: str
    notes: tuple[Note, ...]


def _describe_all(objects: Objects[S], data_id: str, profiles: Profiles) -> list[_Described]:
    """Return the items of a data id, after warning of what their files lack."""
    listing = objects.listing() if is_several(data_id) else None
    if listing is None:
        only = _describe(objects, data_id, None, profiles)
        warn_of((data_id, note) for note in only.notes)
        return [only]
    matched = match(data_id, listing)
    for line in matched.notes:
        progress.warn(line)
    label = f"{objects.store.identifier}: describe {short(data_id)}"
    failures: list[Failure] = []
    found: list[_Described] = []
    # Local headers are read too fast for threads to help.
    threads = 1 if listing.checked else _THREADS
    with (
        progress.task(label, total=len(matched.files)) as task,
        ThreadPoolExecutor(threads) as pool,
    ):

        def describe(file: File) -> _Described:
            described = _describe(objects, data_id, file, profiles)
            task.advance()
            return described

        # In copies of the context, which knows who reports progress.
        running = [pool.submit(copy_context().run, describe, file) for file in matched.files]
        for file, each in zip(matched.files, running, strict=True):
            with collected(failures, file.path):
                found.append(each.result())
    if failures:
        more = f"; and {len(failures) - 1} more of its files" if len(failures) > 1 else ""
        error = failures[0][1]
        raise type(error)(f"{short(data_id)}: {error}{more}") from error
    warn_of(
        (file.path, note)
        for file, each in zip(matched.files, found, strict=True)
        for note in each.notes
    )
    combine(
        data_id,
        [
            Member(each.item, file.path, each.dated_by)
            for file, each in zip(matched.files, found, strict=True)
        ],
    )
    return found


def _describe(
    objects: Objects[S], data_id: str, file: File | None, profiles: Profiles
) -> _Described:
    """Return the item of a data id, or of one of its files."""
    store = objects.store
    name = file.path if file else data_id
    path = name.strip("/")
    if ".." in path.split("/") or "://" in path:
        raise NotFoundError(f"{name}: has to be a path below the root of {store.key}")
    location = _file_and_group(objects.locate(path))
    profile = profiles.of(store.key, data_id, name)
    stated = profiles.collection(store.key, data_id)
    identity: Json = {
        "item_id": slug(without_suffix(name)),
        "data_id": data_id,
        "store_key": store.key,
        "href": location.href,
        "profile": profile,
    }
    kind = format_of_file(Path(location.read)) if is_local(location.read) else format_of(path)
    refuse(name, kind)
    notes: list[Note] = []
    if kind.is_raster:
        metadata = stated
        with open_raster(location.read, storage_options=location.options) as raster:
            dated = raster_dated(raster, profile, name, file.period if file else None)
            beside = objects.local_path(location)
            classes = file_classes(raster, beside)
            item = raster_item(raster, **identity, period=dated.period or UNDATED, classes=classes)
            lines = left_out(raster, profile) + class_notes(classes, profile)
            lines += sidecar_notes(beside, raster) if beside else []
            state = objects.file_state(location) | _served(version_of(raster))
    else:
        group = open_group(location.opened, location.options)
        with source_of(group, location.opened, location.options) as ds:
            metadata = CollectionProfile.model_validate(
                _attributes(ds).model_dump(exclude_none=True) | stated.model_dump(exclude_none=True)
            )
            with naming(ds, location.href):
                own = period(ds)
            dated = group_dated(profile, own, name, file.period if file else None)
            lines = undecoded_times(ds)
            item = zarr_item(
                group, ds, **identity, datetime=dated.period, warn=progress.current().warn
            )
            if version := ds.attrs.get("version"):
                item.properties["version"] = str(version)
            if kind is not Format.ZARR and kind.is_read:
                state = objects.file_state(location) | _served(ds.encoding[VERSION])
            else:
                state = objects.group_state(location, group, map(str, ds.data_vars))
    notes += map(Note, lines)
    if dated.note:
        notes.append(Note(dated.note, "times"))
    item.assets["data"].extra_fields |= state
    item.properties |= stated_fields(metadata)
    objects.add_access(item, location)
    for link in stated_links(metadata):
        item.add_link(link)
    declare_extensions(item)
    return _Described(item, metadata, dated.where, tuple(notes))


def _served(version: str) -> Json:
    return {SERVED: version} if version else {}


def _file_and_group(location: Location) -> Location:
    """Return a location with the group in a file of arrays apart."""
    at = split_href(location.read)
    if at is None or not at[1]:
        return location
    file, group = at
    href = location.href.rstrip("/")
    # The group may be quoted in a URL.
    for _ in group.split("/"):
        href = href.rpartition("/")[0]
    return replace(location, read=file, href=href, group=unquote(group) if "://" in file else group)


def _attributes(ds: xr.Dataset) -> CollectionProfile:
    """Return the metadata in attributes of CF 1.11 (2.6.2) and ACDD 1.3."""
    attrs = {key: " ".join(str(value).split()) for key, value in ds.attrs.items()}
    texts = (attrs[key] for key in ("doi", "DOI", "id", "references") if key in attrs)
    doi = next((found.group() for text in texts if (found := _DOI.search(text))), None)
    keywords = [word.strip() for word in attrs.get("keywords", "").split(",") if word.strip()]
    institution = attrs.get("institution")
    return CollectionProfile(
        title=attrs.get("title") or attrs.get("product_name"),
        description=attrs.get("summary") or attrs.get("description"),
        license=_license(attrs.get("license")),
        doi=doi,
        keywords=tuple(keywords) or None,
        providers=(Provider(name=institution, roles=("producer",)),) if institution else None,
    )


def _license(text: str | None) -> str | None:
    if not text:
        return None
    if found := _CREATIVE_COMMONS.search(text):
        return f"CC-{found[1].upper()}-{found[2]}"
    return "other"


def _collection(
    store: Store, metadata: Sequence[CollectionProfile], items: Sequence[pystac.Item]
) -> pystac.Collection:
    """Return the collection of the store, with the metadata that all its items share."""
    common = {
        key: value
        for key, value in metadata[0].model_dump(exclude_none=True).items()
        if all(other.model_dump().get(key) == value for other in metadata[1:])
    }
    shared = CollectionProfile.model_validate(common)
    name = store.key.partition(":")[2]
    fields = stated_fields(shared)
    collection = pystac.Collection(
        id=slug(store.key),
        title=shared.title or name,
        description=shared.description or f"Zarr groups and GeoTIFFs of {name}.",
        license=fields.pop("license", _common(items, "license", "other")),
        keywords=fields.pop("keywords", None),
        providers=[
            pystac.Provider.from_dict(entry)
            for entry in fields.pop("providers", _common(items, "providers", []))
        ],
        extent=pystac.Extent.from_items(items),
        extra_fields={STORE: store.key, **fields},
    )
    for link in stated_links(shared):
        collection.add_link(link)
    declare_extensions(collection)
    return collection


def _common(items: Sequence[pystac.Item], key: str, otherwise: Any) -> Any:
    """Return the value of a property if all items have it."""
    first, *others = (item.properties.get(key) for item in items)
    return first if first and all(other == first for other in others) else otherwise
