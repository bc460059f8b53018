"""Harvest Zarr groups and GeoTIFFs under paths, on whatever kind of store that has them.

A store becomes one collection, and each data id (a path below the store's root) one item. Files
are described where they are: of a Zarr group only metadata and coordinates are read, of a GeoTIFF
only its header.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import pystac
import rasterio
import xarray as xr
import zarr

from stacbuild import progress
from stacbuild.config.store import Store
from stacbuild.errors import Failures, NotFoundError, StacbuildError, failure_of
from stacbuild.formats.geotiff import open_raster
from stacbuild.formats.geotiff_header import left_out
from stacbuild.formats.zarr_errors import read_error
from stacbuild.formats.zarr_store import open_group, source_of
from stacbuild.profiles import CollectionProfile, Profiles, Provider
from stacbuild.runs import is_first
from stacbuild.sources.base import Wanted
from stacbuild.sources.stated import stated_fields, stated_links
from stacbuild.stac.catalog import STORE, Harvest, slug
from stacbuild.stac.extensions import declare_extensions
from stacbuild.stac.raster_item import raster_item, says_time
from stacbuild.stac.zarr_item import naming, period, zarr_item

Json = dict[str, Any]
S = TypeVar("S", bound=Store)

_DOI = re.compile(r"\b10\.\d{4,9}/[^\s\"'<>,;]*[^\s\"'<>,;.)]")
# Creative Commons as people write it ("CC BY 4.0") to its SPDX id.
_CREATIVE_COMMONS = re.compile(
    r"CC[ -]?(BY(?:-(?:NC|SA|ND|NC-SA|NC-ND))?)[ -](\d\.\d)", re.IGNORECASE
)


@dataclass(frozen=True)
class Place:
    """Where a data id is read, and how the catalog names it.

    Parameters
    ----------
    read
        Path or URL, for `open_raster` and `open_group`.
    href
        Path or URL of the item's asset.
    options
        Arguments for s3fs, if it is read through that.
    """

    read: str
    href: str
    options: Json | None = field(default=None, repr=False)


class Objects(Generic[S]):
    """What differs between kinds of store that hold files and Zarr groups under paths."""

    def __init__(self, store: S) -> None:
        self.store = store

    def place(self, path: str) -> Place:
        """Return where the object of a path below the store's root is."""
        raise NotImplementedError

    def modified(self, address: str, options: Json | None) -> dt.datetime | None:
        """Return when an object was last changed, if that is known; let errors through."""
        raise NotImplementedError

    def sidecar_notes(self, place: Place, raster: rasterio.io.DatasetReader) -> list[str]:
        """Return what is worth a warning in files beside a GeoTIFF."""
        del place, raster
        return []

    def file_state(self, place: Place) -> Json:
        """Return fields of an asset that show later whether the file was written to."""
        del place
        return {}

    def group_state(self, place: Place, group: zarr.Group, names: Iterable[str]) -> Json:
        """Return the same of a Zarr group with variables of these names."""
        del place, group, names
        return {}

    def add_access(self, item: pystac.Item, place: Place) -> None:
        """Add to an item how else its asset can be read."""


def harvest_objects(objects: Objects[S], wanted: Wanted, profiles: Profiles) -> Iterator[Harvest]:
    """Describe what is wanted of a store.

    Data ids that are to be preloaded are only described: they are read in place.

    Yields
    ------
    Harvest
        The store's collection with the items that could be described; nothing if there are none.

    Raises
    ------
    NotFoundError, AuthError, RemoteError, LocalError, IntegrityError, StacbuildError
        For a single data id that could not be described, after the others were given.
    Failures
        For several.
    """
    described: list[_Described] = []
    failures: list[tuple[str, StacbuildError]] = []
    data_ids = tuple(dict.fromkeys((*wanted.data_ids, *wanted.preload)))
    with progress.task(f"{objects.store.identifier}: describe", total=len(data_ids)) as task:
        for data_id in data_ids:
            try:
                described.append(_describe(objects, data_id, profiles))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this data id's
                failures.append((data_id, failure_of(error, data_id)))
            task.advance()
    if described:
        items = tuple(one.item for one in described)
        yield Harvest(_collection(objects.store, [one.facts for one in described], items), items)
    if len(failures) == 1:
        raise failures[0][1]
    if failures:
        raise Failures(failures)


@dataclass(frozen=True)
class _Described:
    item: pystac.Item
    facts: CollectionProfile


def _describe(objects: Objects[S], data_id: str, profiles: Profiles) -> _Described:
    store = objects.store
    path = data_id.strip("/")
    if ".." in path.split("/") or "://" in path:
        raise NotFoundError(f"{data_id}: has to be a path below the root of {store.key}")
    place = objects.place(path)
    profile = profiles.of(store.key, data_id)
    stated = profiles.collection(store.key, data_id)
    identity: Json = {
        "item_id": slug(re.sub(r"\.(zarr|tiff?)/?$", "", data_id, flags=re.IGNORECASE)),
        "data_id": data_id,
        "store_key": store.key,
        "href": place.href,
        "profile": profile,
    }
    if data_id.lower().endswith((".tif", ".tiff")):
        facts = stated
        with open_raster(place.read, storage_options=place.options) as raster:
            when = None if says_time(raster, profile) else _modified(objects, place)
            item = raster_item(raster, **identity, datetime=when)
            for line in (*left_out(raster, profile), *objects.sidecar_notes(place, raster)):
                progress.warn(f"{data_id}: {line}")
        state = objects.file_state(place)
    else:
        group = open_group(place.read, place.options)
        with source_of(group, place.read, place.options) as ds:
            facts = _merge(_facts_of(ds), stated)
            zipped = place.read.lower().endswith(".zip")
            metadata = "" if zipped else _metadata(group)
            with naming(ds, place.href):
                is_dated = period(ds, profile) is not None
            when = None if is_dated else _modified(objects, place, metadata)
            item = zarr_item(group, ds, **identity, datetime=when, warn=progress.current().warn)
            if version := ds.attrs.get("version"):
                item.properties["version"] = str(version)
            if zipped:
                state = objects.file_state(place)
            else:
                state = objects.group_state(place, group, map(str, ds.data_vars))
    item.assets["data"].extra_fields |= state
    item.properties |= stated_fields(facts)
    objects.add_access(item, place)
    for link in stated_links(facts):
        item.add_link(link)
    declare_extensions(item)
    return _Described(item, facts)


def _metadata(group: zarr.Group) -> str:
    return "/zarr.json" if group.metadata.zarr_format == 3 else "/.zgroup"


def _modified(objects: Objects[S], place: Place, suffix: str = "") -> dt.datetime | None:
    """Return when a file was last changed: the last resort for a dataset without any time."""
    try:
        when = objects.modified(place.read + suffix, place.options)
    except Exception as error:
        raise read_error(error, place.read, place.options) from error
    key = objects.store.key
    if when is not None and is_first(f"{key}: undated"):
        progress.warn(
            f"{place.read}: says nothing of its time, so it is dated by when it was last changed, "
            f"as is all in {key} that says none; state start_datetime in a profile"
        )
    return when


def _facts_of(ds: xr.Dataset) -> CollectionProfile:
    """Read the attributes of CF 1.11 (2.6.2) and ACDD 1.3 that tell what a dataset is."""
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


def _merge(known: CollectionProfile, stated: CollectionProfile) -> CollectionProfile:
    return CollectionProfile.model_validate(
        known.model_dump(exclude_none=True) | stated.model_dump(exclude_none=True)
    )


def _collection(
    store: Store, facts: Sequence[CollectionProfile], items: Sequence[pystac.Item]
) -> pystac.Collection:
    """Describe the store; what only some of its datasets state stays with their items."""
    common = {
        key: value
        for key, value in facts[0].model_dump(exclude_none=True).items()
        if all(other.model_dump().get(key) == value for other in facts[1:])
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
    """Return what all items state."""
    first, *others = (item.properties.get(key) for item in items)
    return first if first and all(other == first for other in others) else otherwise
