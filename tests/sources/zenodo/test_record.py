"""Records of Zenodo in both of its formats, with what they may lack."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import requests

from stacbuild.errors import RemoteError
from stacbuild.sources.zenodo import record
from stacbuild.sources.zenodo.record import Creator, Record, RecordFile, fetch_record, plain_text

API = "https://zenodo.org/api"
Json = dict[str, Any]
MINIMAL = {"title": "T", "publication_date": "2024"}


def read(answer: Json) -> Record:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "get_json", lambda session, url: answer)
        return fetch_record(requests.Session(), API, "7")


def file(**changes: Any) -> Json:
    links = {"self": f"{API}/records/7/files/a.tif/content"}
    return {"key": "a.tif", "size": 3, "links": links} | changes


def test_the_least_that_a_record_has() -> None:
    found = read({"metadata": MINIMAL})
    assert (found.title, found.description, found.files) == ("T", "", ())
    assert found.published == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    assert (found.page, found.newer) == ("https://zenodo.org/records/7", None)
    assert (found.license, found.doi, found.access) == (None, None, "open")


def test_the_default_format() -> None:
    metadata = MINIMAL | {
        "description": "<p>One</p>",
        "creators": [{"name": "A, B", "affiliation": "X", "orcid": "0000"}],
        "license": {"id": "cc-by-4.0"},
        "keywords": ["forest", ""],
        "relations": {"version": [{"is_last": False}]},
        "access_right": "embargoed",
    }
    answer = {"metadata": metadata, "doi": "10.5/7", "files": [file(checksum="md5:AB")]}
    found = read(answer | {"links": {"self_html": "https://zenodo.org/records/7"}})
    assert found.creators == (Creator("A, B", "X", "0000"),)
    assert (found.license, found.license_url, found.doi) == ("cc-by-4.0", None, "10.5/7")
    assert (found.keywords, found.access) == (("forest",), "embargoed")
    assert found.newer == "https://zenodo.org/records/7/latest"
    url = f"{API}/records/7/files/a.tif/content"
    assert found.files == (RecordFile("a.tif", 3, "ab", url),)


def test_the_format_of_inveniordm() -> None:
    person = {"name": "A, B", "identifiers": [{"scheme": "gnd"}, {"scheme": "orcid"}]}
    person["identifiers"][1]["identifier"] = "0000"
    places = [{"name": "X"}, {"id": "no name"}, {"name": "Y"}]
    right = {"id": "cc-by-4.0", "props": {"url": "https://license.example"}}
    metadata = MINIMAL | {
        "creators": [{"person_or_org": person, "affiliations": places}],
        "rights": [right],
        "subjects": [{"subject": "forest"}, {}],
    }
    answer = {
        "metadata": metadata,
        "pids": {"doi": {"identifier": "10.5/7"}},
        "versions": {"is_latest": False},
        "links": {"latest_html": "https://zenodo.org/records/9"},
        "access": {"files": "public"},
        "files": {"entries": {"a.tif": file()}},
    }
    found = read(answer)
    assert found.creators == (Creator("A, B", "X; Y", "0000"),)
    assert (found.license, found.license_url) == ("cc-by-4.0", "https://license.example")
    assert (found.doi, found.keywords) == ("10.5/7", ("forest",))
    assert (found.newer, found.access) == ("https://zenodo.org/records/9", "open")
    assert [each.key for each in found.files] == ["a.tif"]
    assert read({"metadata": MINIMAL | {"rights": []}}).license is None


@pytest.mark.parametrize(
    ("checksum", "md5"), [("md5:0f", "0f"), ("0F", "0f"), ("sha256:0f", None), ("", None)]
)
def test_checksums(checksum: str, md5: str | None) -> None:
    [found] = read({"metadata": MINIMAL, "files": [file(checksum=checksum)]}).files
    assert found.md5 == md5


@pytest.mark.parametrize(
    ("text", "day"),
    [("2024-08-16", (2024, 8, 16)), ("2024-08", (2024, 8, 1)), ("2019/2020", (2019, 1, 1))],
)
def test_dates_of_publication(text: str, day: tuple[int, int, int]) -> None:
    found = read({"metadata": MINIMAL | {"publication_date": text}})
    assert found.published == dt.datetime(*day, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"metadata": {"title": "T"}},
        {"metadata": MINIMAL | {"publication_date": "soon"}},
        {"metadata": MINIMAL | {"publication_date": "2024-13"}},
        {"metadata": MINIMAL, "files": [file(links={})]},
        {"metadata": MINIMAL, "files": [file(size=None)]},
        {"metadata": MINIMAL, "files": [file(links={"self": "file:///etc/passwd"})]},
        {"metadata": MINIMAL, "files": [file(links={"self": "http://127.0.0.1/a.tif"})]},
    ],
)
def test_what_is_no_record(answer: Json) -> None:
    with pytest.raises(RemoteError, match="the JSON is not that of a Zenodo record"):
        read(answer)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>One\ntwo</p><p>Three &amp; four</p>", "One two\n\nThree & four"),
        ("<ul><li>a</li><li>b</li></ul>c", "- a\n- b\n\nc"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<script>alert(1)</script><style>p {}</style>x</script>", "x"),
        ("1 < 2", "1 < 2"),
        ("", ""),
    ],
)
def test_text_of_html(markup: str, text: str) -> None:
    assert plain_text(markup) == text
