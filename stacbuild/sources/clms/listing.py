"""Listing of the downloads of the Copernicus Land Monitoring Service, without credentials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stacbuild import progress
from stacbuild.errors import AuthError, NotFoundError
from stacbuild.net.http import session
from stacbuild.sources.clms.api import ClmsApi
from stacbuild.sources.clms.auth import Credentials
from stacbuild.sources.clms.harvest import canonical_data_id
from stacbuild.sources.clms.store import ClmsStore
from stacbuild.sources.listing_base import Entry, matches

Json = dict[str, Any]


def entries(store: ClmsStore, match: str | None) -> Iterator[Entry]:
    """Yield the files of all data sets that can be requested as GeoTIFF."""
    for record, file in _files(store):
        data_id = f"{record['id']}|{file['file']}"
        if matches(data_id, match) or matches(str(record["id"]), match):
            title = str(record.get("title") or "") or None
            yield Entry(data_id, str(file.get("format") or "file"), title=title)


def describe(store: ClmsStore, data_id: str) -> Json:
    """Return the search record's metadata of a file; its header is known once it is preloaded."""
    wanted = canonical_data_id(data_id)
    for record, file in _files(store):
        if f"{record['id']}|{file['file']}" == wanted:
            bboxes = (record.get("geographicBoundingBox") or {}).get("items") or [{}]
            bbox = [bboxes[0].get(side) for side in ("west", "south", "east", "north")]
            period = [record.get("temporalExtentStart"), record.get("temporalExtentEnd")]
            metadata = {
                "data_id": wanted,
                "title": record.get("title"),
                "type": file.get("format"),
                "area": file.get("area"),
                "version": file.get("version"),
                "bbox": [float(str(side)) for side in bbox] if None not in bbox else None,
                "times": [str(each) for each in period if each] or None,
                "note": "is requested and fetched by preload_datasets; then its header is known",
            }
            return {key: value for key, value in metadata.items() if value not in (None, "")}
    raise NotFoundError(
        f"{data_id}: the CLMS has no such file; stacbuild list clms --match "
        f"'{wanted.partition('|')[0]}' shows what there is"
    )


def _files(store: ClmsStore) -> Iterator[tuple[Json, Json]]:
    with session(progress.current().say) as http:
        for record in ClmsApi(store.api, http, _none).records():
            files = record.get("downloadable_files")
            items = files.get("items") if isinstance(files, dict) else None
            for file in items if isinstance(items, list) else ():
                if isinstance(file, dict) and isinstance(file.get("file"), str) and file["file"]:
                    yield record, file


def _none() -> Credentials:
    raise AuthError("the search of the CLMS asks for credentials, which it never did; try later")
