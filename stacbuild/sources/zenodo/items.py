"""Items of the files of a record, described in place or in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pystac
import requests

from stacbuild import progress
from stacbuild.formats.file_format import ARRAY_FILES, Format, format_of, without_suffix
from stacbuild.formats.geotiff import open_raster
from stacbuild.formats.geotiff_header import left_out
from stacbuild.formats.zarr_store import open_group, source_of
from stacbuild.profiles import DataProfile, Profiles
from stacbuild.sources.dating import Dated, group_dated, raster_dated, unread_dated
from stacbuild.sources.matching import File
from stacbuild.sources.several import Member, Note
from stacbuild.sources.zenodo.collection import archive_type, file_fields, media_type_of
from stacbuild.sources.zenodo.files import Part
from stacbuild.sources.zenodo.record import Record
from stacbuild.stac.catalog import DATA_ID, STORE, slug
from stacbuild.stac.extensions import declare_extensions, multihash_md5
from stacbuild.stac.item_time import UNDATED, time_fields
from stacbuild.stac.raster_item import item_times, raster_item
from stacbuild.stac.zarr_item import naming, period, zarr_item


@dataclass(frozen=True)
class Describer:
    """Makes the items of the files of one record.

    Parameters
    ----------
    session
        Has the access token of a restricted record.
    """

    store_key: str
    record: Record
    profiles: Profiles
    session: requests.Session

    def member(self, part: Part, path: str, data_id: str, file: File | None = None) -> Member:
        """Return the item of a file; *file* is its match if the data id is several files."""
        profile = self.profiles.of(self.store_key, data_id, path)
        name = _Name(path, data_id, profile, file)
        if part.is_packed:
            return self._in_archive(part, name)
        if format_of(path) in ARRAY_FILES:
            return self._arrays(part, name)
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
                store_key=self.store_key,
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

    def _arrays(self, part: Part, name: _Name) -> Member:
        """Return the item of a NetCDF or HDF5 file, or of a group of it."""
        href = str(part.local.path) if part.local else part.file.url
        inner = name.path.removeprefix(part.path).strip("/")
        opened = f"{href}/{inner}" if inner else href
        group = open_group(opened)
        with source_of(group, opened) as ds:
            with naming(ds, href):
                own = period(ds)
            by_pattern = name.file.period if name.file else None
            dated = group_dated(name.profile, own, name.path, by_pattern)
            item = zarr_item(
                group,
                ds,
                item_id=_item_id(name.path),
                data_id=name.data_id,
                store_key=self.store_key,
                href=href,
                profile=name.profile,
                datetime=dated.period,
                warn=progress.current().warn,
            )
        item.assets["data"].extra_fields |= _fields(part)
        declare_extensions(item)
        notes = (Note(dated.note, "times"),) if dated.note else ()
        return Member(self._linked(item), name.path, dated.where, notes)

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
                STORE: self.store_key,
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
                extra_fields=file_fields(part.file) | {"archive": [_packed(part)]},
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
        "archive": [_packed(part)],
    }
    return {
        "file:size": part.local.size,
        "file:checksum": multihash_md5(part.local.md5),
        "alternate": {"archive": packed},
    }


def _packed(part: Part) -> dict[str, Any]:
    return {"href": part.member, "type": media_type_of(part.path)}


def _item_id(data_id: str) -> str:
    if format_of(data_id) is Format.GEOTIFF:
        return slug(data_id.rpartition(".")[0])
    return slug(without_suffix(data_id))


def _title(title: str | None, data_id: str) -> str:
    return f"{title} ({data_id.partition('/')[0]})" if title else data_id
