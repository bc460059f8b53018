"""Metadata of a Zenodo record, from either of its two JSON formats.

These are ``application/vnd.zenodo.v1+json`` (the default: ``files`` is a list) and
``application/vnd.inveniordm.v1+json`` (``files.entries`` is a dict); see
https://developers.zenodo.org and https://inveniordm.docs.cern.ch/reference/rest_api_drafts_records.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import requests

from stacbuild.errors import RemoteError
from stacbuild.net.hrefs import leads_inwards
from stacbuild.net.http import get_json, public_url

Json = Mapping[str, Any]


@dataclass(frozen=True)
class RecordFile:
    """A file of a record: name, bytes, hex md5 (if stated) and URL."""

    key: str
    size: int
    md5: str | None
    url: str


@dataclass(frozen=True)
class Creator:
    """An author of the data."""

    name: str
    affiliation: str | None = None
    orcid: str | None = None


@dataclass(frozen=True)
class Record:
    """A published record.

    Parameters
    ----------
    description
        Plain text.
    published
        UTC; the first day if only year or month are stated.
    license
        Zenodo's id of the licence, in lower case, such as ``cc-by-4.0``.
    page
        URL of its web page.
    newer
        URL of the page of the newest version, if that is not this record.
    access
        ``open``, or why files are not shown, such as ``restricted`` or ``embargoed``.
    """

    id: str
    title: str
    description: str
    published: dt.datetime
    creators: tuple[Creator, ...]
    license: str | None
    license_url: str | None
    doi: str | None
    keywords: tuple[str, ...]
    version: str | None
    page: str
    newer: str | None
    access: str
    files: tuple[RecordFile, ...]


def fetch_record(session: requests.Session, api: str, record_id: str) -> Record:
    """Fetch a record from the API at *api* (without trailing slash).

    Raises
    ------
    NotFoundError
        There is no such record; the message names the URL.
    RemoteError
        The server fails, or the response is not a record.
    """
    url = f"{api}/records/{record_id}"
    answer = get_json(session, url)
    try:
        return _record(record_id, answer, api)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RemoteError(
            f"{public_url(url)}: the JSON is not that of a Zenodo record "
            f"({type(error).__name__}: {error})"
        ) from error


def _record(record_id: str, answer: Json, api: str) -> Record:
    page = f"{api.removesuffix('/api')}/records/{record_id}"
    metadata = answer["metadata"]
    links = answer.get("links") or {}
    page = links.get("self_html") or page
    license_id, license_url = _license(metadata)
    files = answer.get("files") or []
    entries = files.get("entries", {}) if isinstance(files, Mapping) else files
    return Record(
        id=record_id,
        title=metadata["title"],
        description=plain_text(metadata.get("description") or ""),
        published=_date(metadata["publication_date"]),
        creators=tuple(_creator(creator) for creator in metadata.get("creators") or ()),
        license=license_id,
        license_url=license_url,
        doi=_doi(answer),
        keywords=_keywords(metadata),
        version=metadata.get("version"),
        page=page,
        newer=None if _is_latest(answer) else links.get("latest_html") or f"{page}/latest",
        access=_access(answer),
        files=tuple(
            _file(entry, api)
            for entry in (entries.values() if isinstance(entries, dict) else entries)
        ),
    )


def _file(entry: Json, api: str) -> RecordFile:
    links = entry["links"]
    url = links.get("content") or links["self"]
    if urlsplit(url).scheme not in ("http", "https") or leads_inwards(api, url):
        raise ValueError(f"{entry['key']} lies at {url}")
    method, _, digest = (entry.get("checksum") or "").rpartition(":")
    return RecordFile(
        key=entry["key"],
        size=int(entry["size"]),
        md5=digest.lower() if method in ("md5", "") and digest else None,
        url=url,
    )


def _creator(entry: Json) -> Creator:
    person = entry.get("person_or_org")
    if person is None:
        return Creator(entry["name"], entry.get("affiliation"), entry.get("orcid"))
    affiliations = [place["name"] for place in entry.get("affiliations") or () if "name" in place]
    orcids = [
        known["identifier"]
        for known in person.get("identifiers") or ()
        if known.get("scheme") == "orcid"
    ]
    return Creator(person["name"], "; ".join(affiliations) or None, next(iter(orcids), None))


def _license(metadata: Json) -> tuple[str | None, str | None]:
    if "rights" in metadata:
        right: Json = next(iter(metadata["rights"]), {})
        return right.get("id"), (right.get("props") or {}).get("url") or right.get("link")
    return (metadata.get("license") or {}).get("id"), None


def _keywords(metadata: Json) -> tuple[str, ...]:
    subjects = [entry.get("subject") for entry in metadata.get("subjects") or ()]
    return tuple(word for word in (metadata.get("keywords") or subjects) if word)


def _doi(answer: Json) -> str | None:
    pids = (answer.get("pids") or {}).get("doi") or {}
    return answer.get("doi") or answer["metadata"].get("doi") or pids.get("identifier")


def _is_latest(answer: Json) -> bool:
    versions = answer.get("versions") or {}
    relations = (answer["metadata"].get("relations") or {}).get("version") or [{}]
    return bool(versions.get("is_latest", relations[0].get("is_last", True)))


def _access(answer: Json) -> str:
    stated = (answer.get("access") or {}).get("files")
    return str(answer["metadata"].get("access_right") or stated or "open").replace("public", "open")


def _date(text: str) -> dt.datetime:
    """Return the first day of an EDTF date such as 2024, 2024-08, 2024-08-16 or 2019/2020."""
    found = re.match(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", text)
    if not found:
        raise ValueError(f"publication_date {text!r}")
    year, month, day = (int(part or 1) for part in found.groups())
    return dt.datetime(year, month, day, tzinfo=dt.UTC)


def plain_text(markup: str) -> str:
    """Return the text of HTML, with empty lines between paragraphs and dashes before list items."""
    reader = _TextOf()
    reader.feed(markup)
    reader.close()
    lines = [" ".join(line.split()) for line in "".join(reader.text).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _TextOf(HTMLParser):
    """Collects the text of HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._hidden += tag in ("script", "style")
        self.text.append(
            {"br": "\n", "li": "\n- ", "p": "\n\n", "div": "\n\n", "ul": "\n"}.get(tag, "")
        )

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style") and self._hidden > 0
        self.text.append("\n\n" if tag in ("p", "div", "ul", "ol", "h1", "h2", "h3") else "")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            # Line breaks in HTML are spaces; real ones come from tags.
            self.text.append(data.replace("\n", " "))
