"""Harvest object stores: Zarr groups and GeoTIFFs on S3, under a URL or in a local folder.

A store becomes one collection, and each data id (a path below the store's root) one item. Files
are described where they are: of a Zarr group only metadata and coordinates are read, of a GeoTIFF
only its header.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pystac
import s3fs
import xarray as xr
import zarr

from stacbuild import progress
from stacbuild.config.stores import FileStore, HttpsStore, S3Store
from stacbuild.errors import Failures, NotFoundError, StacbuildError, failure_of
from stacbuild.formats.geotiff import open_raster
from stacbuild.formats.geotiff_header import left_out
from stacbuild.formats.geotiff_sidecars import told_beside
from stacbuild.formats.zarr_chunks import CHUNKS, count_chunks
from stacbuild.formats.zarr_errors import read_error
from stacbuild.formats.zarr_store import open_group, source_of
from stacbuild.formats.zarr_values import naming
from stacbuild.net.http import session
from stacbuild.profiles import CollectionProfile, Profiles, Provider
from stacbuild.runs import is_first
from stacbuild.sources.base import Wanted
from stacbuild.sources.stated import stated_fields, stated_links
from stacbuild.stac.catalog import STORE, Harvest, slug
from stacbuild.stac.extensions import declare_extensions, file_time
from stacbuild.stac.raster_item import raster_item, says_time
from stacbuild.stac.zarr_item import period, zarr_item

Json = dict[str, Any]
ObjectStore = S3Store | FileStore | HttpsStore

_DOI = re.compile(r"\b10\.\d{4,9}/[^\s\"'<>,;]*[^\s\"'<>,;.)]")
# Creative Commons as people write it ("CC BY 4.0") to its SPDX id.
_CREATIVE_COMMONS = re.compile(
    r"CC[ -]?(BY(?:-(?:NC|SA|ND|NC-SA|NC-ND))?)[ -](\d\.\d)", re.IGNORECASE
)
_SCHEME = "s3"


def harvest(store: ObjectStore, wanted: Wanted, profiles: Profiles) -> Iterator[Harvest]:
    """Describe what is wanted of *store*.

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
    with progress.task(f"{store.identifier}: describe", total=len(data_ids)) as task:
        for data_id in data_ids:
            try:
                described.append(_describe(store, data_id, profiles))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this data id's
                failures.append((data_id, failure_of(error, data_id)))
            task.advance()
    if described:
        items = tuple(one.item for one in described)
        yield Harvest(_collection(store, [one.facts for one in described], items), items)
    if len(failures) == 1:
        raise failures[0][1]
    if failures:
        raise Failures(failures)


@dataclass(frozen=True)
class _Described:
    item: pystac.Item
    facts: CollectionProfile


@dataclass(frozen=True)
class _Place:
    """Where a data id is read, and how the catalog names it."""

    read: str
    href: str
    options: Json | None = field(default=None, repr=False)

    @classmethod
    def of(cls, store: ObjectStore, data_id: str) -> _Place:
        path = data_id.strip("/")
        if ".." in path.split("/") or "://" in path:
            raise NotFoundError(f"{data_id}: has to be a path below the root of {store.key}")
        match store:
            case S3Store():
                return cls(store.s3_url(path), store.https_url(path), store.storage_options)
            case FileStore():
                local = str(store.root / path)
                return cls(local, local)
            case HttpsStore():
                url = f"{store.root}/{quote(path)}"
                return cls(url, url)


def _describe(store: ObjectStore, data_id: str, profiles: Profiles) -> _Described:
    place = _Place.of(store, data_id)
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
            when = None if says_time(raster, profile) else _modified(place, "", store)
            item = raster_item(raster, **identity, datetime=when)
            told = left_out(raster, profile)
            if isinstance(store, FileStore):
                told += told_beside(Path(place.read), raster)
            for line in told:
                progress.warn(f"{data_id}: {line}")
        if isinstance(store, FileStore):
            path = Path(place.read)
            state: Json = {"file:size": path.stat().st_size, "updated": file_time(path)}
            item.assets["data"].extra_fields |= state
    else:
        group = open_group(place.read, place.options)
        with source_of(group, place.read, place.options) as ds:
            facts = _merge(_facts_of(ds), stated)
            zipped = place.read.lower().endswith(".zip")
            metadata = "" if zipped else _metadata(group)
            with naming(place.href):
                dated = period(ds, profile)
            when = None if dated else _modified(place, metadata, store)
            item = zarr_item(group, ds, **identity, datetime=when, warn=progress.current().warn)
            if version := ds.attrs.get("version"):
                item.properties["version"] = str(version)
            if isinstance(store, FileStore) and zipped:
                path = Path(place.read)
                state = {"file:size": path.stat().st_size, "updated": file_time(path)}
                item.assets["data"].extra_fields |= state
            elif isinstance(store, FileStore):
                # On disk only: to list what lies on a server may take thousands of requests.
                chunks = count_chunks(group.store, map(str, ds.data_vars))
                state = {CHUNKS: chunks, "updated": file_time(Path(place.read))}
                item.assets["data"].extra_fields |= state
    item.properties |= stated_fields(facts)
    if isinstance(store, S3Store):
        _add_storage(item, store, place)
    for link in stated_links(facts):
        item.add_link(link)
    declare_extensions(item)
    return _Described(item, facts)


def _metadata(group: zarr.Group) -> str:
    return "/zarr.json" if group.metadata.zarr_format == 3 else "/.zgroup"


def _modified(place: _Place, suffix: str, store: ObjectStore) -> dt.datetime | None:
    """When the file was last changed: the last resort for a dataset without any time."""
    address = place.read + suffix
    try:
        if place.read.startswith("s3://"):
            found = s3fs.S3FileSystem(**(place.options or {}), use_listings_cache=False)
            when: dt.datetime | None = found.modified(address)
        elif Path(place.read).is_absolute():
            when = dt.datetime.fromtimestamp(int(Path(address).stat().st_mtime), dt.UTC)
        else:
            with session(progress.current().say) as http:
                told = http.head(address, allow_redirects=True).headers.get("Last-Modified")
            when = parsedate_to_datetime(told) if told else None
    except Exception as error:
        raise read_error(error, place.read, place.options) from error
    if when is not None and is_first(f"{store.key}: undated"):
        progress.warn(
            f"{place.read}: says nothing of its time, so it is dated by when it was last changed, "
            f"as is all in {store.key} that says none; state start_datetime in a profile"
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


def _add_storage(item: pystac.Item, store: S3Store, place: _Place) -> None:
    """Add the s3:// address and where it holds (storage 2.0.0, alternate-assets 1.2.0)."""
    endpoint = store.endpoint_url or "https://s3.amazonaws.com"
    scheme = {"type": "custom-s3", "platform": endpoint, "bucket": store.root.partition("/")[0]}
    region = (place.options or {}).get("client_kwargs", {}).get("region_name")
    item.properties["storage:schemes"] = {
        _SCHEME: scheme | ({"region": region} if region else {}),
    }
    item.assets["data"].extra_fields |= {
        "alternate:name": urlsplit(place.href).scheme.upper(),
        "storage:refs": [_SCHEME],
        "alternate": {
            "s3": {"href": place.read, "alternate:name": "S3", "storage:refs": [_SCHEME]}
        },
    }


def _collection(
    store: ObjectStore, facts: Sequence[CollectionProfile], items: Sequence[pystac.Item]
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
