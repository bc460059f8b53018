"""Harvesting of Zenodo records: GeoTIFFs in place, archives listed or downloaded and unpacked.

A data id is the name of a GeoTIFF in the record, or ``<archive without suffix>/<member>``, whether
the members are in a folder of that name or at the archive's root. A data id of several files
(`stacbuild.config.data_ids`) is a pattern or a list of such paths.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pystac
import requests
from pydantic import SecretStr
from requests.auth import AuthBase

from stacbuild import progress
from stacbuild.config.data_ids import is_several, short
from stacbuild.errors import Failure, NotFoundError
from stacbuild.formats import archive
from stacbuild.formats.geotiff import open_raster
from stacbuild.formats.geotiff_header import left_out
from stacbuild.net import http
from stacbuild.profiles import DataProfile, Profiles
from stacbuild.sources.base import Wanted, collected, raise_collected
from stacbuild.sources.dating import Dated, raster_dated, unread_dated
from stacbuild.sources.matching import File, match
from stacbuild.sources.several import Member, Note, combine, mark, warn_of
from stacbuild.sources.zenodo.cache import Cache
from stacbuild.sources.zenodo.collection import (
    archive_type,
    file_fields,
    is_geotiff,
    record_collection,
)
from stacbuild.sources.zenodo.files import Contents, NotListedError, Part
from stacbuild.sources.zenodo.record import Record, RecordFile, fetch_record
from stacbuild.sources.zenodo.store import ZenodoStore
from stacbuild.stac.catalog import DATA_ID, STORE, Harvest, slug
from stacbuild.stac.extensions import declare_extensions, multihash_md5
from stacbuild.stac.item_time import UNDATED, time_fields
from stacbuild.stac.raster_item import MEDIA_TYPE, item_times, raster_item


def harvest(store: ZenodoStore, wanted: Wanted, profiles: Profiles) -> Iterator[Harvest]:
    """Harvest the wanted data ids of a record, and download those to preload.

    Files in the cache are used if the record has not changed since, even if they are not to be
    preloaded this time.

    Yields
    ------
    Harvest
        One: the record as a collection, with an item for each wanted GeoTIFF and for each GeoTIFF
        of a wanted archive. The items of several files are undated if nothing states their time;
        others have at least the date of publication.

    Raises
    ------
    NotFoundError
        There is no such record, file or member, or a pattern matches none.
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
        contents = Contents(record, session, Cache(store.cache / record.id))
        work = _Work(store, record, profiles, session, contents)
        plan: dict[RecordFile, list[tuple[str, bool]]] = {}
        several: dict[str, bool] = {}
        keys = {file.key for file in record.files}
        for data_ids, preload in ((wanted.data_ids, False), (wanted.preload, True)):
            for data_id in data_ids:
                if is_several(data_id) and data_id not in keys:
                    several[data_id] = preload
                    continue
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
        for data_id, preload in several.items():
            with collected(failures, short(data_id)):
                items += work.items_of_several(data_id, preload, preload and wanted.force)
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
    contents: Contents

    def items(
        self, file: RecordFile, data_ids: Sequence[str], preload: bool, force: bool
    ) -> tuple[list[pystac.Item], list[Failure]]:
        """Return the items of one file of the record, and the *data_ids* that are missing."""
        if preload:
            self.contents.fetch(file, force=force)
        try:
            parts = self.contents.parts(file)
        except NotListedError as error:
            progress.say(str(error))
            return [], []
        found = {name: parts[name] for name in sorted(parts) if is_geotiff(name)}
        members = [self._member(part, name, name, None) for name, part in found.items()]
        for member in members:
            for note in member.notes:
                progress.warn(f"{member.file}: {note.text}")
        return [member.item for member in members], self._missing(file, data_ids, found)

    def items_of_several(self, data_id: str, preload: bool, force: bool) -> list[pystac.Item]:
        """Return the items of a pattern or a list; none if archives have to be preloaded first."""
        listing = self.contents.listing()
        while True:
            try:
                matched = match(data_id, listing)
                break
            except NotListedError as error:
                if not preload:
                    progress.say(str(error))
                    return []
                self.contents.fetch(error.file, force=force)
        for line in matched.notes:
            progress.warn(line)
        for path in (file.path for file in matched.files):
            part = self.contents.part(path)
            if part is None or not is_geotiff(path):
                raise NotFoundError(
                    f"zenodo {self.record.id}: {path} is no GeoTIFF, which is what is read of a "
                    "record and its archives"
                )
            if preload:
                self.contents.fetch(part.file, force=force)
        members: list[Member] = []
        packed = False
        label = f"{self.store.identifier}: describe {short(data_id)}"
        with progress.task(label, total=len(matched.files)) as task:
            for file in matched.files:
                # Again, as it may be in the cache by now.
                if part := self.contents.part(file.path):
                    members.append(self._member(part, file.path, data_id, file))
                    packed |= part.is_packed
                task.advance()
        warn_of((member.file, note) for member in members for note in member.notes)
        if packed:
            mark(data_id, members)
        else:
            combine(data_id, members)
        return [member.item for member in members]

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

    def _member(self, part: Part, path: str, data_id: str, file: File | None) -> Member:
        """Return the item of a file; *file* is its match if the data id is several files."""
        profile = self.profiles.of(self.store.key, data_id, path)
        name = _Name(path, data_id, profile, file)
        if part.is_packed:
            return self._in_archive(part, name)
        if part.local is None:
            href, size = part.file.url, part.file.size
        else:
            href, size = str(part.local.path), part.local.size
        with open_raster(href, session=self.session, size=size) as dataset:
            dated = raster_dated(dataset, profile, path, file.period) if file else None
            item = raster_item(
                dataset,
                item_id=_item_id(path),
                data_id=data_id,
                store_key=self.store.key,
                href=href,
                profile=profile,
                datetime=self.record.published,
                period=(dated.period or UNDATED) if dated else None,
                title=path,
                asset_fields=_fields(part),
            )
            notes = [Note(line) for line in left_out(dataset, profile)]
        if dated and dated.note:
            notes.append(Note(dated.note, "times"))
        if part.member is not None:
            item.properties["title"] = _title(profile.title, path)
        where = dated.where if dated else ""
        return Member(self._linked(item), path, where, tuple(notes))

    def _in_archive(self, part: Part, name: _Name) -> Member:
        """Return the item of a member of a remote archive, without metadata of its pixels."""
        profile, times = name.profile, item_times(name.profile, self.record.published)
        dated = unread_dated(profile, name.path, name.file.period) if name.file else Dated()
        item = pystac.Item(
            id=_item_id(name.path),
            geometry=None,
            bbox=None,
            datetime=times["datetime"],
            start_datetime=times.get("start_datetime"),
            end_datetime=times.get("end_datetime"),
            properties={
                "title": _title(profile.title, name.path),
                STORE: self.store.key,
                DATA_ID: name.data_id,
                **({"description": profile.description} if profile.description else {}),
            },
        )
        if name.file:
            item.properties |= time_fields(dated.period)
            item.datetime = dated.period.start if dated.period else None
        item.add_asset(
            "data",
            pystac.Asset(
                href=part.file.url,
                title=profile.title or name.path,
                media_type=archive_type(part.file.key),
                roles=["data"],
                extra_fields=file_fields(part.file)
                | {"archive": [{"href": part.member, "type": MEDIA_TYPE}]},
            ),
        )
        declare_extensions(item)
        return Member(self._linked(item), name.path, dated.where)

    def _linked(self, item: pystac.Item) -> pystac.Item:
        item.add_link(pystac.Link("about", self.record.page, "text/html", "Record on Zenodo"))
        if self.record.doi:
            doi = f"https://doi.org/{self.record.doi}"
            item.add_link(pystac.Link("cite-as", doi, "text/html", self.record.doi))
        return item


@dataclass(frozen=True)
class _Name:
    """Path and data id of a file with its profile; *file* if the data id is several files."""

    path: str
    data_id: str
    profile: DataProfile
    file: File | None


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


def _fields(part: Part) -> dict[str, Any]:
    """Return size and checksum of the asset of a file that can be read, and where it is from."""
    if part.local is None:
        return file_fields(part.file)
    if part.member is None:
        remote = {"href": part.file.url, "title": "Zenodo"}
        return file_fields(part.file) | {"alternate": {"remote": remote}}
    packed = {
        "href": part.file.url,
        "title": part.file.key,
        "type": archive_type(part.file.key),
        "archive": [{"href": part.member, "type": MEDIA_TYPE}],
    }
    return {
        "file:size": part.local.size,
        "file:checksum": multihash_md5(part.local.md5),
        "alternate": {"archive": packed},
    }


def _item_id(data_id: str) -> str:
    return slug(data_id.rpartition(".")[0])


def _title(title: str | None, data_id: str) -> str:
    return f"{title} ({data_id.partition('/')[0]})" if title else data_id
