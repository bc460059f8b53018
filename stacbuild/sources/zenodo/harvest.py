"""Harvesting of Zenodo records: files in place, archives listed or downloaded and unpacked.

A data id is the name of a file with gridded data in the record, or ``<archive
without suffix>/<member>``, whether the members are in a folder of that name or at the archive's
root. That of NetCDF and HDF5 may go on into a group. A data id of several files
(`stacbuild.config.data_ids`) is a pattern or a list of such paths.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import pystac
import requests
from pydantic import SecretStr
from requests.auth import AuthBase

from stacbuild import progress
from stacbuild.config.data_ids import entries, is_several, short
from stacbuild.errors import Failure, NotFoundError
from stacbuild.formats import archive
from stacbuild.formats.file_format import apart
from stacbuild.net import http
from stacbuild.profiles import Profiles
from stacbuild.sources.base import Wanted, collected, raise_collected
from stacbuild.sources.matching import match
from stacbuild.sources.several import Member, combine, mark, warn_of
from stacbuild.sources.zenodo.cache import Cache
from stacbuild.sources.zenodo.collection import (
    FORMATS,
    is_array_file,
    is_data,
    is_geotiff,
    record_collection,
)
from stacbuild.sources.zenodo.files import Contents, NotListedError, Part
from stacbuild.sources.zenodo.items import Describer
from stacbuild.sources.zenodo.record import Record, RecordFile, fetch_record
from stacbuild.sources.zenodo.store import ZenodoStore
from stacbuild.stac.catalog import Harvest


def harvest(store: ZenodoStore, wanted: Wanted, profiles: Profiles) -> Iterator[Harvest]:
    """Harvest the wanted data ids of a record, and download those to preload.

    Files in the cache are used if the record has not changed since, even if they are not to be
    preloaded this time.

    Yields
    ------
    Harvest
        One: the record as a collection, with an item for each wanted file and for each GeoTIFF
        of a wanted archive. The items of several files are undated if nothing states their time;
        single GeoTIFFs have at least the date of publication.

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
        describer = Describer(store.key, record, profiles, session)
        work = _Work(store, record, contents, describer)
        plan: dict[RecordFile, list[tuple[str, bool]]] = {}
        several: dict[str, None] = {}
        keys = {file.key for file in record.files}
        for data_ids, preload in ((wanted.data_ids, False), (wanted.preload, True)):
            for data_id in data_ids:
                if is_several(data_id) and data_id not in keys:
                    several[data_id] = None
                    continue
                with collected(failures, data_id):
                    plan.setdefault(_file_of(record, data_id), []).append((data_id, preload))
        items: list[pystac.Item] = []
        for file, requested in plan.items():
            preload = any(now for _, now in requested)
            names = [data_id for data_id, _ in requested]
            with collected(failures, file.key):
                used = [data_id for data_id, now in requested if not now]
                if preload:
                    contents.fetch(file, force=wanted.force)
                found, missing = work.items(file, names, used)
                items += found
                failures += missing
        for data_id in several:
            with collected(failures, short(data_id)):
                items += work.items_of_several(data_id, wanted)
    profile = profiles.collection(store.key, record.id)
    yield Harvest(record_collection(record, profile, store.key), tuple(items))
    # Report each failure once: a data id to preload is wanted twice.
    raise_collected(list({str(error): (name, error) for name, error in failures}.values()))


@dataclass(frozen=True)
class _Work:
    """Items of the files of one record."""

    store: ZenodoStore
    record: Record
    contents: Contents
    describer: Describer

    def items(
        self, file: RecordFile, data_ids: Sequence[str], used: Sequence[str]
    ) -> tuple[list[pystac.Item], list[Failure]]:
        """Return the items of one file of the record, and the *data_ids* that are missing.

        Items of all GeoTIFFs in it, and of the other files, or groups in them, that are *used*.
        """
        try:
            parts = self.contents.parts(file)
        except NotListedError as error:
            progress.say(str(error))
            return [], []
        found = {name: parts[name] for name in sorted(parts) if is_geotiff(name)}
        others = {name: part for name in data_ids if (part := _other_file(name, parts))}
        found |= {name: others[name] for name in used if name in others}
        members = [self.describer.member(part, name, name) for name, part in found.items()]
        for member in members:
            for note in member.notes:
                progress.warn(f"{member.file}: {note.text}")
        return [member.item for member in members], self._missing(file, data_ids, found | others)

    def items_of_several(self, data_id: str, wanted: Wanted) -> list[pystac.Item]:
        """Return the items of a pattern or a list; none if archives have to be preloaded first."""
        preload = data_id in wanted.preload
        listing = self.contents.listing()
        while True:
            try:
                matched = match(data_id, listing)
                break
            except NotListedError as error:
                if not preload:
                    progress.say(str(error))
                    return []
                self.contents.fetch(error.file, force=wanted.force)
            except NotFoundError as error:
                raise NotFoundError(f"{error}{self.contents.hint(entries(data_id))}") from error
        for line in matched.notes:
            progress.warn(line)
        for path in (file.path for file in matched.files):
            part = self.contents.part(path)
            if part is None or not is_data(apart(path)[0]):
                raise NotFoundError(
                    f"zenodo {self.record.id}: {path} is not of a format that is read of a record "
                    f"({FORMATS})"
                )
            if preload and (part.is_packed or not wanted.in_place):
                self.contents.fetch(part.file, force=wanted.force)
        members: list[Member] = []
        packed = False
        label = f"{self.store.identifier}: describe {short(data_id)}"
        with progress.task(label, total=len(matched.files)) as task:
            for file in matched.files:
                # Again, as it may be in the cache by now.
                if part := self.contents.part(file.path):
                    members.append(self.describer.member(part, file.path, data_id, file))
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
            if folder is None and not is_data(data_id):
                raise NotFoundError(
                    f"zenodo {record.id}: {data_id} is neither an archive nor of a format that is "
                    f"read ({FORMATS})"
                )
            return file
        if is_array_file(file.key) and data_id.startswith(f"{file.key}/"):
            return file
        if folder is not None and data_id.startswith(f"{folder}/"):
            return file
    if not record.files:
        raise NotFoundError(
            f"zenodo {record.id}: the record shows no files (access: {record.access})"
        )
    hint = _hint(data_id, [file.key for file in record.files])
    raise NotFoundError(f"zenodo {record.id}: there is no {data_id!r} in the record; {hint}")


def _other_file(data_id: str, parts: Mapping[str, Part]) -> Part | None:
    """Return the file of a data id that is no GeoTIFF; the data id may go on into a group."""
    if data_id in parts and is_data(data_id):
        return parts[data_id]
    names = data_id.split("/")
    paths = ("/".join(names[: count + 1]) for count in range(len(names)))
    return next((parts[path] for path in paths if path in parts and is_array_file(path)), None)


def _hint(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    return f"it has: {', '.join(sorted(known)[:5])}" if known else "it has no file that is read"
