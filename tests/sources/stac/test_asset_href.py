"""Which of an asset's addresses is read."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stacbuild.errors import AuthError, IntegrityError, StacbuildError
from stacbuild.sources.stac.asset_href import may_be_read, resolve_href
from stacbuild.sources.stac.found import Found
from stacbuild.sources.stac.reader import Reader
from tests.support.stac_documents import Json, item, store

WEB, S3 = "https://data.example/b/a.tif", "s3://b/a.tif"
KEYS = {"key": "k", "secret": "s"}


def read(asset: Json, **params: Any) -> tuple[str, str | None]:
    where = "https://stac.example/c/i.json"
    with Reader(store(**({"url": "https://stac.example"} | params))) as reader:
        return resolve_href(reader, Found(item("i", ""), where, {}, where), asset)


def both(first: str, other: str) -> Json:
    return {"href": first, "alternate": {"other": {"href": other}}}


@pytest.mark.parametrize("asset", [both(WEB, S3), both(S3, WEB)])
def test_without_keys_https_is_read(asset: Json) -> None:
    assert read(asset) == (WEB, None)


def test_with_keys_the_first_is_read() -> None:
    assert read(both(WEB, S3), storage_options=KEYS) == (WEB, None)
    assert read(both(S3, WEB), storage_options=KEYS) == ("https://s3.amazonaws.com/b/a.tif", S3)


def test_an_address_on_s3_alone_is_read_there() -> None:
    assert read({"href": S3}) == ("https://s3.amazonaws.com/b/a.tif", None)
    assert read({"href": S3}, storage_options=KEYS) == ("https://s3.amazonaws.com/b/a.tif", S3)


def test_an_address_that_wants_a_login_is_not_read() -> None:
    found = read(both(WEB, S3), provider="usgs", storage_options=KEYS)
    assert found == ("https://s3.amazonaws.com/b/a.tif", S3)
    with pytest.raises(AuthError, match="the requester pays: set AWS_ACCESS_KEY_ID"):
        read(both(WEB, S3), provider="usgs", storage_options={"anon": True})
    # Of another server, nobody knows who may read it.
    mirror = {"anon": True, "endpoint_url": "https://mirror.example"}
    assert read({"href": S3}, provider="cdse", storage_options=mirror)[1] is None


def test_signatures_in_addresses_are_refused() -> None:
    with pytest.raises(StacbuildError, match="i: its address holds a query"):
        read({"href": f"{WEB}?sig=SECRET"})
    assert read(both(f"{WEB}?sig=SECRET", WEB)) == (WEB, None)


def test_a_signature_is_removed_where_files_are_signed_when_they_are_read() -> None:
    blob = "https://account1.blob.core.windows.net/container/a.tif"
    assert read({"href": f"{blob}?sig=SECRET"}, provider="planetary-computer") == (blob, None)
    with pytest.raises(StacbuildError, match="its address holds a query"):
        read({"href": f"{blob}?sig=SECRET"})
    with pytest.raises(StacbuildError, match="its address holds a query"):
        read({"href": f"{WEB}?sig=SECRET"}, provider="planetary-computer")


def test_who_pays_reads_on_s3() -> None:
    pays = KEYS | {"requester_pays": True}
    expected = ("https://s3.amazonaws.com/b/a.tif", S3)
    assert read(both(WEB, S3), provider="earth-search", storage_options=pays) == expected
    with pytest.raises(ValidationError, match="requester_pays needs signed requests"):
        read(both(WEB, S3), storage_options={"anon": True, "requester_pays": True})


def test_no_address_is_an_error() -> None:
    with pytest.raises(IntegrityError, match="i: its asset has no address"):
        read({"href": None})


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        (WEB, True),
        (S3, True),
        ("a.tif", True),
        ("abfs://c/a.tif", False),
        ("gs://b/a.tif", False),
    ],
)
def test_schemes_that_are_read(href: str, expected: bool) -> None:
    assert may_be_read({"href": href}) is expected
