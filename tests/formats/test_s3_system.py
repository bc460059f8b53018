"""Servers that answer listings of a bucket with anything else, or without end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stacbuild.errors import RemoteError, StacbuildError
from stacbuild.formats import s3_system
from stacbuild.formats.s3_system import S3FileSystem
from stacbuild.formats.zarr_store import open_group
from stacbuild.sources.listing import list_data
from stacbuild.sources.matching import match
from stacbuild.sources.s3.files import listing_of
from stacbuild.sources.s3.store import S3Store
from tests.standins.server import LoopbackServer, Request, Response, html


def listing(*keys: str, token: str | None = None, truncated: bool | None = None) -> Response:
    """Return a page of a listing; *truncated* by default if there is a token."""
    is_truncated = str(token is not None if truncated is None else truncated).lower()
    following = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    contents = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
        '<ETag>"x"</ETag><Size>10</Size></Contents>'
        for key in keys
    )
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>'
        f"<IsTruncated>{is_truncated}</IsTruncated>{following}{contents}</ListBucketResult>"
    )
    return Response(200, body.encode(), {"Content-Type": "application/xml"})


class Lists(LoopbackServer):
    """An S3 server that answers each request with what a function of its number makes."""

    def __init__(self) -> None:
        super().__init__()
        self.page: Callable[[int], Response] = lambda number: listing()
        self.asked = 0

    def respond(self, request: Request) -> Response:
        if "list-type" not in request.query:
            return html(404, "no such key")
        self.asked += 1
        return self.page(self.asked)

    def answers(self, page: Callable[[int], Response]) -> S3Store:
        """Return the store of this server, which answers with other pages from now on."""
        self.page, self.asked = page, 0
        options = {"anon": True, "endpoint_url": self.url}
        params: dict[str, Any] = {"root": "b/x", "storage_options": options}
        return S3Store(identifier="s", store_id="s3", store_params=params)


@pytest.fixture(scope="module")
def lists() -> Iterator[Lists]:
    # One for all tests: making a client of S3 takes half a second.
    with Lists() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(S3FileSystem, "retries", 1)


NONE = "is no listing of a bucket"
AGAIN = "sends the same page again"

ATTACKS: dict[str, tuple[Callable[[int], Response], str]] = {
    "same token": (lambda n: listing(f"x/{n}.tif", token="t"), AGAIN),
    "two tokens in turn": (lambda n: listing(f"x/{n}.tif", token=f"t{n % 2}"), AGAIN),
    "same keys, other tokens": (lambda n: listing("x/a.tif", token=f"t{n}"), AGAIN),
    "other keys without end": (lambda n: listing(f"x/{n}.tif", token=f"t{n}"), "than 20 pages"),
    "nothing without end": (lambda n: listing(token=f"t{n}"), "more than 20 pages"),
    "no token": (lambda n: listing("x/a.tif", truncated=True), "without the token"),
    "HTML": (lambda n: html(200, "log in"), NONE),
    "JSON": (lambda n: Response(200, b'{"Contents": []}'), "cannot be read"),
    "nothing": (lambda n: Response(200, b""), NONE),
    "other XML": (lambda n: Response(200, b"<Other><Code>Busy</Code></Other>"), NONE),
    "error": (lambda n: Response(200, b"<Error><Code>Busy</Code></Error>"), "cannot be read"),
    "another folder": (lambda n: listing("x/a.tif", "y/a.tif"), "'y/a.tif' is not below it"),
    "out of the folder": (lambda n: listing("../a.tif"), "'../a.tif' is not below it"),
    "no key": (lambda n: listing(""), "a key without a name"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_no_listing_is_an_error_with_its_url(
    attack: str, lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_system, "MOST_PAGES", 20)
    page, why = ATTACKS[attack]
    store = lists.answers(page)
    with pytest.raises(RemoteError, match=why) as raised:
        match("*.tif", listing_of(store))
    assert f"s3://b/x at {lists.url}: " in str(raised.value)
    assert "\n" not in str(raised.value)
    assert lists.asked <= 20


def test_listing_a_store_is_bounded_as_well(lists: Lists) -> None:
    store = lists.answers(lambda n: listing("x/a.tif", token="t"))
    with pytest.raises(RemoteError, match=AGAIN):
        list_data(store)
    assert lists.asked == 2


def test_a_zarr_store_is_not_listed_without_end(lists: Lists) -> None:
    store = lists.answers(lambda n: listing("x/a/v", token="t"))
    with pytest.raises(StacbuildError) as raised:
        open_group(f"{store.s3_root}a", store.storage_options)
    assert lists.url in str(raised.value)
    assert lists.asked < 10


def test_pages_are_listed_to_the_end(lists: Lists) -> None:
    pages = [
        listing("x/1.tif", token="t1"),
        listing(token="t2"),
        listing("x/2.tif", token="t3"),
        listing(),
    ]
    store = lists.answers(lambda n: pages[n - 1])
    found = match("*.tif", listing_of(store)).files
    assert [file.path for file in found] == ["1.tif", "2.tif"]
    assert lists.asked == 4


def test_a_page_that_is_cut_off_is_no_shorter_listing(lists: Lists) -> None:
    def page(number: int) -> Response:
        whole = listing("x/1.tif")
        assert isinstance(whole.body, bytes)
        return Response(200, whole.body[:-30])

    with pytest.raises(RemoteError, match="cannot be read"):
        match("*.tif", listing_of(lists.answers(page)))
