"""Stand-in for the API of Zenodo: records in both JSON shapes, file listings, contents by range."""

from __future__ import annotations

import hashlib
import json
import mimetypes
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.standins.server import LoopbackServer, Request, Response, html

Json = dict[str, Any]
RDM = "application/vnd.inveniordm.v1+json"
# Sums of larger files are not computed (25 GB take a minute), but stated; see ``checksum``.
_LARGEST_SUM = 1 << 30


@dataclass(frozen=True)
class Record:
    """A published record: metadata, and its files by key."""

    id: str
    title: str
    files: Mapping[str, Path] = field(default_factory=dict)
    description: str = ""
    creators: tuple[Mapping[str, str], ...] = ({"name": "Doe, Jane"},)
    license: str | None = "cc-by-4.0"
    license_title: str = "Creative Commons Attribution 4.0 International"
    license_url: str = "https://creativecommons.org/licenses/by/4.0/legalcode"
    publication_date: str = "2024-01-01"
    updated: str = "2024-01-02T03:04:05.678901+00:00"
    version: str | None = None
    keywords: tuple[str, ...] = ()
    access_right: str = "open"
    concept: str | None = None  # id of all versions together; else the number below
    newer: str | None = None  # id of the newest version, if it is not this one
    checksums: Mapping[str, str] = field(default_factory=dict)  # key → hex md5, stated as it is

    @property
    def conceptrecid(self) -> str:
        return self.concept or str(int(self.id) - 1)

    def checksum(self, key: str) -> str:
        """Hex md5 of a file as the record states it.

        Of files above 1 GiB it is the md5 of name and size: stable, and no reader that describes
        a file in place can tell the difference.
        """
        if key in self.checksums:
            return self.checksums[key]
        path = self.files[key]
        size = path.stat().st_size
        if size > _LARGEST_SUM:
            return hashlib.md5(f"{key}:{size}".encode(), usedforsecurity=False).hexdigest()
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def disturbance_atlas(files: Mapping[str, Path]) -> Record:
    """Record 13333034, the European Forest Disturbance Atlas."""
    return Record(
        id="13333034",
        title="European Forest Disturbance Atlas",
        files=files,
        description=(
            "<p>The <strong>European Forest Disturbance Atlas</strong> maps annual forest "
            "disturbances across 38 European countries from 1985 to 2023 at a spatial resolution "
            "of 30&nbsp;m, based on the Landsat archive.</p>\n<p>Files are organised by country; "
            "annual layers hold one band a year:</p><ul><li>annual disturbances</li>"
            "<li>disturbance agent (1 wind/bark beetle, 2 fire, 3 harvest)</li></ul>"
            '<p>Paper: <a href="https://doi.org/10.5194/essd-17-2373-2025">'
            "Viana-Soto &amp; Senf, 2025</a></p>"
        ),
        creators=(
            {
                "name": "Viana-Soto, Alba",
                "affiliation": "Technical University of Munich",
            },
            {"name": "Senf, Cornelius", "affiliation": "Technical University of Munich"},
        ),
        publication_date="2024-08-16",
        updated="2025-06-13T09:21:44.120394+00:00",
        version="2.1.1",
        keywords=("forest disturbance", "Landsat", "Europe"),
    )


def canopy_map(files: Mapping[str, Path]) -> Record:
    """Record 8154445, the canopy height and biomass map for Europe.

    Its machine-readable licence says less than its text: that difference is the point.
    """
    return Record(
        id="8154445",
        title="Canopy height and biomass map for Europe",
        files=files,
        description=(
            "<p>Maps of canopy cover, canopy height and aboveground biomass for Europe at "
            "30&nbsp;m, derived from PlanetScope images of 2019.</p><p>The data are for "
            "<em>non-commercial research</em> use only.</p>"
        ),
        creators=(
            {"name": "Liu, Siyu", "affiliation": "University of Copenhagen"},
            {"name": "Brandt, Martin", "affiliation": "University of Copenhagen"},
        ),
        publication_date="2023-07-17",
        updated="2023-09-15T14:26:51.306275+00:00",
        version="v0.1",
    )


class ZenodoServer(LoopbackServer):
    """Serves records under ``api`` (``http://127.0.0.1:PORT/api``).

    Parameters
    ----------
    records
        The records; more can be put into the attribute ``records`` (id → record) at any time.
    redirect
        Contents answer 302 to the second port, as a store behind the API would.
    limit
        So many requests within ``per_seconds`` are answered, the others get 429.
    retry_after
        Seconds for the header ``Retry-After`` of a 429; ``None``: the header is left out.
    """

    def __init__(
        self,
        *records: Record,
        redirect: bool = False,
        limit: int | None = None,
        per_seconds: float = 60,
        retry_after: int | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(port)
        self.api = f"{self.url}/api"
        self.records = {record.id: record for record in records}
        self._initial = dict(self.records), redirect, limit, per_seconds, retry_after
        self.redirect = redirect
        self.limit, self.per_seconds, self.retry_after = limit, per_seconds, retry_after
        self._times: list[float] = []
        self._sums: dict[tuple[str, str, int, int], str] = {}

    def restore(self) -> None:
        """Go back to the start: no log or faults, the first records and settings."""
        self.reset()
        records, self.redirect, self.limit, self.per_seconds, self.retry_after = self._initial
        self.records = dict(records)
        self._times.clear()

    # --- answers ---

    def respond(self, request: Request) -> Response:
        if self._limited():
            headers = {"X-RateLimit-Limit": str(self.limit), "X-RateLimit-Remaining": "0"}
            if self.retry_after is not None:
                headers["Retry-After"] = str(self.retry_after)
            message = {"status": 429, "message": f"{self.limit} per {self.per_seconds} seconds"}
            return _json(message, 429, headers)
        parts = request.path.strip("/").split("/")
        if parts[0] == "storage" and request.second_port:
            return self._content(parts[1], "/".join(parts[2:]))
        if parts[:2] != ["api", "records"] or len(parts) < 3 or request.second_port:
            return html(404, "Page not found", "The page you are looking for could not be found.")
        if request.method == "POST":
            return _json({"status": 405, "message": "Method not allowed."}, 405)
        record = self.records.get(parts[2])
        if record is None:
            text = "The persistent identifier does not exist."
            return _json({"status": 404, "message": text}, 404)
        rdm = RDM in request.headers.get("accept", "")
        match parts[3:]:
            case []:
                return self._record(record, rdm)
            case ["versions", "latest"]:
                return self._record(self.records.get(record.newer or "", record), rdm)
            case ["files"]:
                return _json(self._listing(record))
            case ["files", *key, "content"] if key:
                name = "/".join(key)
                if self.redirect and name in record.files:
                    target = f"{self.second_url}/storage/{record.id}/{quote(name)}"
                    return Response(302, headers={"Location": target})
                return self._content(record.id, name)
            case ["files", *key] if "/".join(key) in record.files:
                return _json(self._entry(record, "/".join(key)))
        return html(404, "Page not found", "The page you are looking for could not be found.")

    def _record(self, record: Record, rdm: bool) -> Response:
        if rdm:
            return _json(self._rdm(record), headers={"Content-Type": RDM})
        return _json(self._legacy(record))

    def _limited(self) -> bool:
        if self.limit is None:
            return False
        with self.lock:
            now = time.monotonic()
            self._times = [then for then in self._times if now - then < self.per_seconds]
            if len(self._times) >= self.limit:
                return True
            self._times.append(now)
        return False

    def _content(self, record_id: str, key: str) -> Response:
        record = self.records.get(record_id)
        if record is None or key not in record.files:
            return html(404, "Page not found", "The page you are looking for could not be found.")
        return Response(
            200,
            record.files[key],
            {
                "Content-Type": "application/octet-stream",
                "Content-Disposition": f"attachment; filename*=UTF-8''{quote(key, safe='')}",
                "ETag": f'"{self._checksum(record, key)}"',
            },
        )

    def _checksum(self, record: Record, key: str) -> str:
        status = record.files[key].stat()
        known = (record.id, key, status.st_size, status.st_mtime_ns)
        if key in record.checksums:
            return record.checksums[key]
        with self.lock:
            if known not in self._sums:
                self._sums[known] = record.checksum(key)
            return self._sums[known]

    # --- JSON ---

    def _links(self, record: Record) -> Json:
        me, page = f"{self.api}/records/{record.id}", f"{self.url}/records/{record.id}"
        doi = f"10.5281/zenodo.{record.id}"
        return {
            "self": me,
            "self_html": page,
            "doi": f"https://doi.org/{doi}",
            "self_doi": f"{self.url}/doi/{doi}",
            "parent": f"{self.api}/records/{record.conceptrecid}",
            "parent_html": f"{self.url}/records/{record.conceptrecid}",
            "files": f"{me}/files",
            "archive": f"{me}/files-archive",
            "latest": f"{me}/versions/latest",
            "latest_html": f"{page}/latest",
            "versions": f"{me}/versions",
        }

    def _legacy(self, record: Record) -> Json:
        doi, concept = f"10.5281/zenodo.{record.id}", f"10.5281/zenodo.{record.conceptrecid}"
        metadata: Json = {
            "title": record.title,
            "doi": doi,
            "publication_date": record.publication_date,
            "description": record.description,
            "access_right": record.access_right,
            "creators": [dict(creator) for creator in record.creators],
            "resource_type": {"title": "Dataset", "type": "dataset"},
            "relations": {
                "version": [
                    {
                        "index": 0,
                        "is_last": record.newer is None,
                        "parent": {"pid_type": "recid", "pid_value": record.conceptrecid},
                    }
                ]
            },
        }
        if record.license is not None:
            metadata["license"] = {"id": record.license}
        if record.keywords:
            metadata["keywords"] = list(record.keywords)
        if record.version is not None:
            metadata["version"] = record.version
        return {
            "created": record.updated,
            "modified": record.updated,
            "id": int(record.id),
            "conceptrecid": record.conceptrecid,
            "doi": doi,
            "conceptdoi": concept,
            "doi_url": f"https://doi.org/{doi}",
            "metadata": metadata,
            "title": record.title,
            "links": self._links(record),
            "updated": record.updated,
            "recid": record.id,
            "revision": 5,
            "files": [
                {
                    "id": _uuid(record, key),
                    "key": key,
                    "size": path.stat().st_size,
                    "checksum": f"md5:{self._checksum(record, key)}",
                    "links": {"self": self._content_url(record, key)},
                }
                for key, path in record.files.items()
            ],
            "owners": [{"id": 1}],
            "status": "published",
            "stats": {"downloads": 95, "views": 158},
            "state": "done",
            "submitted": True,
        }

    def _rdm(self, record: Record) -> Json:
        metadata: Json = {
            "resource_type": {"id": "dataset", "title": {"en": "Dataset"}},
            "creators": [_person_or_org(creator) for creator in record.creators],
            "title": record.title,
            "publication_date": record.publication_date,
            "description": record.description,
            "subjects": [{"subject": keyword} for keyword in record.keywords],
            "publisher": "Zenodo",
        }
        if record.license is not None:
            metadata["rights"] = [
                {
                    "id": record.license,
                    "title": {"en": record.license_title},
                    "props": {"url": record.license_url, "scheme": "spdx"},
                }
            ]
        if record.version is not None:
            metadata["version"] = record.version
        entries = {key: self._entry(record, key) for key in record.files}
        return {
            "created": record.updated,
            "updated": record.updated,
            "id": record.id,
            "links": self._links(record),
            "parent": {
                "id": record.conceptrecid,
                "pids": {"doi": {"identifier": f"10.5281/zenodo.{record.conceptrecid}"}},
            },
            "versions": {"is_latest": record.newer is None, "index": 1, "is_latest_draft": True},
            "pids": {
                "doi": {
                    "identifier": f"10.5281/zenodo.{record.id}",
                    "provider": "datacite",
                    "client": "datacite",
                },
                "oai": {"identifier": f"oai:zenodo.org:{record.id}", "provider": "oai"},
            },
            "access": {
                "record": "public",
                "files": "public" if record.access_right == "open" else "restricted",
                "status": record.access_right,
            },
            "metadata": metadata,
            "files": {
                "enabled": True,
                "count": len(entries),
                "total_bytes": sum(entry["size"] for entry in entries.values()),
                "order": [],
                "entries": entries,
            },
            "is_published": True,
            "is_draft": False,
            "status": "published",
            "revision_id": 5,
        }

    def _content_url(self, record: Record, key: str) -> str:
        return f"{self.api}/records/{record.id}/files/{quote(key)}/content"

    def _entry(self, record: Record, key: str) -> Json:
        content = self._content_url(record, key)
        return {
            "created": record.updated,
            "updated": record.updated,
            "mimetype": mimetypes.guess_type(key)[0] or "application/octet-stream",
            "version_id": _uuid(record, key),
            "file_id": _uuid(record, f"{key}#file"),
            "bucket_id": _uuid(record, ""),
            "metadata": None,
            "access": {"hidden": False},
            "links": {"self": content.removesuffix("/content"), "content": content},
            "key": key,
            "transfer": {"type": "L"},
            "status": "completed",
            "checksum": f"md5:{self._checksum(record, key)}",
            "size": record.files[key].stat().st_size,
            "storage_class": "L",
        }

    def _listing(self, record: Record) -> Json:
        me = f"{self.api}/records/{record.id}"
        return {
            "enabled": True,
            "links": {"self": f"{me}/files", "archive": f"{me}/files-archive"},
            "entries": [self._entry(record, key) for key in record.files],
            "default_preview": None,
            "order": [],
        }


def _uuid(record: Record, key: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{record.id}/{key}"))


def _person_or_org(creator: Mapping[str, str]) -> Json:
    family, _, given = creator["name"].partition(", ")
    person: Json = {"type": "personal", "name": creator["name"]}
    person |= {"family_name": family, "given_name": given}
    if "orcid" in creator:
        person["identifiers"] = [{"identifier": creator["orcid"], "scheme": "orcid"}]
    found: Json = {"person_or_org": person}
    if "affiliation" in creator:
        found["affiliations"] = [{"name": creator["affiliation"]}]
    return found


def _json(content: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps(content, ensure_ascii=False).encode()
    return Response(status, body, {"Content-Type": "application/json", **(headers or {})})
