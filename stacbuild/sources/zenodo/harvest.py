"""Harvesting of Zenodo records: GeoTIFFs in place, archives listed or downloaded and unpacked.

A data id is the name of a GeoTIFF in the record, or ``<archive without suffix>/<member>``, whether
the members are in a folder of that name or at the archive's root.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import pystac
import requests
from pydantic import SecretStr
from rasterio.io import DatasetReader
from requests.auth import AuthBase

from stacbuild import progress
from stacbuild.errors import Failure, NotFoundError
from stacbuild.formats import archive
from stacbuild.formats.geotiff import open_raster
from stacbuild.formats.geotiff_header import left_out
from stacbuild.net import http
from stacbuild.net.ranges import RangeFile
from stacbuild.profiles import Profiles
from stacbuild.sources.base import Wanted, collected, raise_collected
from stacbuild.sources.zenodo.cache import Cache, LocalFile
from stacbuild.sources.zenodo.collection import (
    archive_type,
    file_fields,
    is_geotiff,
    record_collection,
)
from stacbuild.sources.zenodo.record import Record, RecordFile, fetch_record
from stacbuild.sources.zenodo.store import ZenodoStore
from stacbuild.stac.catalog import DATA_ID, STORE, Harvest, slug
from stacbuild.stac.extensions import declare_extensions, multihash_md5
from stacbuild.stac.raster_item import MEDIA_TYPE, item_times, raster_item


def harvest(store: ZenodoStore, wanted: Wanted, profiles: Profiles) -> Iterator[Harvest]:
    """Harvest the wanted data ids of a record, and download those to preload.

    Files in the cache are used if the record has not changed since, even if they are not to be
    preloaded this time.

    Yields
    ------
    Harvest
        One: the record as a collection, with an item for each wanted GeoTIFF and for each GeoTIFF
        of a wanted archive.

    Raises
    ------
    NotFoundError
        There is no such record, file or member.
    RemoteError, IntegrityError, LocalError
        A file cannot be fetched or described.
    Failures
        For several. All are raised at the end, after the others were harvested.
    """
    failures: list[Failure] = []
    with http.session(progress.current().say, kind="zenodo") as session:
        session.auth = Token(store.api, store.access_token)
        record = fetch_record(session, store.api, store.record)
        if record.newer:
            progress.warn(
                f"zenodo {record.id}: there is a newer version of this record, see {record.newer}"
            )
        work = _Work(store, record, profiles, session, Cache(store.cache / record.id))
        plan: dict[RecordFile, list[tuple[str, bool]]] = {}
        for data_ids, preload in ((wanted.data_ids, False), (wanted.preload, True)):
            for data_id in data_ids:
                with collected(failures, data_id):
                    plan.setdefault(_file_of(record, data_id), []).append((data_id, preload))
        items: list[pystac.Item] = []
        for file, requested in plan.items():
            preload = any(now for _, now in requested)
            names = [data_id for data_id, _ in requested]
            with collected(failures, file.key):
                found, missing = work.items(file, names, preload, preload and wanted.force)
                items += found
                failures += missing
    profile = profiles.collection(store.key, record.id)
    yield Harvest(record_collection(record, profile, store.key), tuple(items))
    # Report each failure once: a data id to preload is wanted twice.
    raise_collected(list({str(error): (name, error) for name, error in failures}.values()))


@dataclass(frozen=True)
class _Work:
    """Items of the files of one record."""

    store: ZenodoStore
    record: Record
    profiles: Profiles
    session: requests.Session
    cache: Cache

    def items(
        self, file: RecordFile, data_ids: Sequence[str], preload: bool, force: bool
    ) -> tuple[list[pystac.Item], list[Failure]]:
        """Return the items of one file of the record, and the *data_ids* that are missing."""
        folder = archive.stem(file.key)
        local = self.cache.find(file)
        if preload and (local is None or force):
            local = self.cache.fetch(file, self.session, force=force)
        if folder is None:
            return [self._geotiff(file, local[0] if local else None)], []
        if local is not None:
            unpacked = {
                _data_id(folder, part.name): part for part in local if is_geotiff(part.name)
            }
            items = [self._unpacked(file, name, unpacked[name]) for name in sorted(unpacked)]
            return items, self._missing(file, data_ids, unpacked)
        if not file.key.lower().endswith(".zip"):
            # Only a zip has a table of contents that can be read without the rest.
            progress.say(f"{file.key}: its members are known once it is preloaded")
            return [], []
        listed = self._listed(file, folder)
        items = [self._in_archive(file, name, listed[name]) for name in sorted(listed)]
        return items, self._missing(file, data_ids, listed)

    def _missing(
        self, file: RecordFile, data_ids: Sequence[str], found: Collection[str]
    ) -> list[Failure]:
        record = f"zenodo {self.record.id}"
        return [
            (data_id, NotFoundError(f"{record}: {file.key} has no {data_id!r}; {hint}"))
            for data_id in data_ids
            if data_id not in found and data_id != file.key
            for hint in [_hint(data_id, found)]
        ]

    def _geotiff(self, file: RecordFile, local: LocalFile | None) -> pystac.Item:
        href = str(local.path) if local else file.url
        alternate = {"alternate": {"remote": {"href": file.url, "title": "Zenodo"}}}
        with open_raster(href, session=self.session, size=file.size) as dataset:
            item = raster_item(
                dataset,
                item_id=_item_id(file.key),
                data_id=file.key,
                store_key=self.store.key,
                href=href,
                profile=self.profiles.of(self.store.key, file.key),
                datetime=self.record.published,
                asset_fields=file_fields(file) | (alternate if local else {}),
            )
            self._warn(dataset, file.key)
        return self._linked(item)

    def _warn(self, dataset: DatasetReader, data_id: str) -> None:
        profile = self.profiles.of(self.store.key, data_id)
        for line in left_out(dataset, profile):
            progress.warn(f"{data_id}: {line}")

    def _unpacked(self, file: RecordFile, data_id: str, local: LocalFile) -> pystac.Item:
        profile = self.profiles.of(self.store.key, data_id)
        alternate = {
            "href": file.url,
            "title": file.key,
            "type": archive_type(file.key),
            "archive": [{"href": local.name, "type": MEDIA_TYPE}],
        }
        with open_raster(local.path) as dataset:
            item = raster_item(
                dataset,
                item_id=_item_id(data_id),
                data_id=data_id,
                store_key=self.store.key,
                href=str(local.path),
                profile=profile,
                datetime=self.record.published,
                asset_fields={
                    "file:size": local.size,
                    "file:checksum": multihash_md5(local.md5),
                    "alternate": {"archive": alternate},
                },
            )
            self._warn(dataset, data_id)
        item.properties["title"] = _title(profile.title, data_id)
        return self._linked(item)

    def _in_archive(self, file: RecordFile, data_id: str, member: str) -> pystac.Item:
        """Return the item of a member of a remote archive, without metadata of its pixels."""
        profile = self.profiles.of(self.store.key, data_id)
        times = item_times(profile, self.record.published)
        item = pystac.Item(
            id=_item_id(data_id),
            geometry=None,
            bbox=None,
            datetime=times["datetime"],
            start_datetime=times.get("start_datetime"),
            end_datetime=times.get("end_datetime"),
            properties={
                "title": _title(profile.title, data_id),
                STORE: self.store.key,
                DATA_ID: data_id,
                **({"description": profile.description} if profile.description else {}),
            },
        )
        item.add_asset(
            "data",
            pystac.Asset(
                href=file.url,
                title=profile.title or data_id,
                media_type=archive_type(file.key),
                roles=["data"],
                extra_fields=file_fields(file)
                | {"archive": [{"href": member, "type": MEDIA_TYPE}]},
            ),
        )
        declare_extensions(item)
        return self._linked(item)

    def _listed(self, file: RecordFile, folder: str) -> dict[str, str]:
        """Return the GeoTIFFs in a remote zip: data id → path of the member."""
        with RangeFile(file.url, self.session, file.size) as remote:
            names = [member.name for member in archive.members(remote, file.url)]
        return {_data_id(folder, name): name for name in names if is_geotiff(name)}

    def _linked(self, item: pystac.Item) -> pystac.Item:
        item.add_link(pystac.Link("about", self.record.page, "text/html", "Record on Zenodo"))
        if self.record.doi:
            doi = f"https://doi.org/{self.record.doi}"
            item.add_link(pystac.Link("cite-as", doi, "text/html", self.record.doi))
        return item


class Token(AuthBase):
    """Sends the access token to the API's own host only."""

    def __init__(self, api: str, token: SecretStr | None) -> None:
        self._host = urlsplit(api)[:2]
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header to a request that is about to be sent."""
        if self._token is not None and urlsplit(request.url or "")[:2] == self._host:
            request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        return request


def _file_of(record: Record, data_id: str) -> RecordFile:
    """Return the file of the record that *data_id* names, or the archive that it is in."""
    for file in record.files:
        folder = archive.stem(file.key)
        if file.key == data_id:
            if folder is None and not is_geotiff(data_id):
                raise NotFoundError(
                    f"zenodo {record.id}: {data_id} is neither a GeoTIFF nor an archive"
                )
            return file
        if folder is not None and data_id.startswith(f"{folder}/"):
            return file
    if not record.files:
        raise NotFoundError(
            f"zenodo {record.id}: the record shows no files (access: {record.access})"
        )
    hint = _hint(data_id, [file.key for file in record.files])
    raise NotFoundError(f"zenodo {record.id}: there is no {data_id!r} in the record; {hint}")


def _hint(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    return f"it has: {', '.join(sorted(known)[:5])}" if known else "it has no GeoTIFF"


def _data_id(folder: str, member: str) -> str:
    return f"{folder}/{member.removeprefix(f'{folder}/')}"


def _item_id(data_id: str) -> str:
    return slug(data_id.rpartition(".")[0])


def _title(title: str | None, data_id: str) -> str:
    return f"{title} ({data_id.partition('/')[0]})" if title else data_id
