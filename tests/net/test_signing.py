"""Blobs are read with tokens that a service issues, and that are renewed in time."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stacbuild.errors import NotFoundError, RemoteError, StacbuildError
from stacbuild.net import http
from stacbuild.net.ranges import HttpRanges
from stacbuild.net.signing import container_of
from stacbuild.runs import one_run
from stacbuild.safe_text import clean
from tests.standins.server import Request, Response
from tests.support.scenes.pixels import Scene, digital
from tests.support.scenes.providers import PlanetaryComputer

PC = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
TOKEN = "/api/sas/v1/token"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[PlanetaryComputer]:
    with PlanetaryComputer(tmp_path) as server:
        server.add(Scene("a", {"B04": digital(1)}))
        server.add(Scene("b", {"B04": digital(2)}))
        yield server


def opened(api: PlanetaryComputer, number: int = 0, session: Any = None) -> HttpRanges:
    href = api.items[number]["assets"]["B04"]["href"]
    return HttpRanges(href, session or http.session(), service=f"{api.url}{TOKEN}")


def tokens(api: PlanetaryComputer) -> int:
    return sum(TOKEN in logged.path for logged in api.log)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/a/b.tif", True),
        ("https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2", False),
        ("https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/a.tif?sig=own", False),
        # A token would be sent where anybody can read it, or to anybody.
        ("http://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/a/b.tif", False),
        ("https://sentinel2l2a01.blob.core.windows.net.example.org/sentinel2-l2/a.tif", False),
        ("https://example.org/sentinel2l2a01/sentinel2-l2/a.tif", False),
        ("https://planetarycomputer.microsoft.com/sentinel2l2a01/sentinel2-l2/a.tif", False),
        ("https://ai4edatasetspublicassets.blob.core.windows.net/assets/a.tif", False),
        ("https://sentinel2l2a01.blob.core.windows.net/../a/b.tif", False),
    ],
)
def test_only_blobs_of_azure_are_signed(url: str, expected: bool) -> None:
    assert container_of(url, PC) == ("sentinel2l2a01/sentinel2-l2" if expected else None)


def test_one_token_is_for_all_files_and_threads_of_a_run(api: PlanetaryComputer) -> None:
    with one_run(), http.session() as session, ThreadPoolExecutor(8) as pool:
        files = [opened(api, number, session) for number in (0, 1)]
        parts = list(pool.map(lambda at: files[at % 2].fetch(at, at + 9), range(16)))
        with http.session() as another:
            opened(api, 1, another)
    assert len(parts) == 16
    assert tokens(api) == 1


def test_threads_that_begin_at_once_ask_once(api: PlanetaryComputer) -> None:
    with http.session() as session, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: opened(api, number % 2, session), range(8)))
    assert tokens(api) == 1


def test_a_token_that_expires_while_reading_is_renewed(api: PlanetaryComputer) -> None:
    with http.session() as session:
        file = opened(api, 0, session)
        first = file.fetch(100, 200)
        api.ahead = 2 * api.lifetime
        assert file.fetch(100, 200) == first
        assert file.fetch(0, 10)
    assert tokens(api) == 2
    # Only one request was in vain.
    assert [each.status for each in api.log].count(403) == 1


def test_a_token_is_renewed_before_it_expires(
    api: PlanetaryComputer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("stacbuild.net.signing.time.monotonic", lambda: clock[0])
    with http.session() as session:
        file = opened(api, 0, session)
        clock[0] += api.lifetime - 70
        file.fetch(100, 200)
        assert tokens(api) == 1
        clock[0] += 20
        file.fetch(100, 200)
    assert tokens(api) == 2
    assert [each.status for each in api.log].count(403) == 0


def test_the_clock_of_this_computer_does_not_matter(
    api: PlanetaryComputer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(dt.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return super().now(tz) + dt.timedelta(days=1)

    monkeypatch.setattr("stacbuild.net.signing.dt.datetime", Late)
    with http.session() as session:
        opened(api, 0, session).fetch(100, 200)
    assert tokens(api) == 1


def test_a_new_token_that_is_refused_is_an_error_without_it(api: PlanetaryComputer) -> None:
    api.fail("^/sentinel2l2a01/", status=403, times=-1)
    with http.session() as session, pytest.raises(RemoteError) as caught:
        opened(api, 0, session)
    href = api.items[0]["assets"]["B04"]["href"]
    assert str(caught.value).startswith(f"{href}: the server answers 403 Forbidden, also to a new")
    assert "sig" not in str(caught.value)
    assert tokens(api) == 2


def test_a_service_that_fails_is_named(api: PlanetaryComputer) -> None:
    api.fail(TOKEN, status=404, times=-1)
    with http.session() as session, pytest.raises(NotFoundError, match=f"{api.url}{TOKEN}/sent"):
        opened(api, 0, session)
    api.reset()
    with http.session() as session:
        # It is asked again afterwards.
        opened(api, 0, session)


@pytest.mark.parametrize(
    "answer",
    [
        b"[]",
        b"{}",
        b'{"token": 7}',
        b'{"token": "a b"}',
        b'{"token": "a#b"}',
        b'{"token": ""}',
        b"x",
    ],
)
def test_an_answer_without_a_token_is_refused(
    api: PlanetaryComputer, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(api, "_token", lambda container: Response(200, answer))
    with http.session() as session, pytest.raises(RemoteError, match="no token"):
        opened(api, 0, session)


@pytest.mark.parametrize("expiry", [None, 7, "soon", "2001-01-01T00:00:00", "2001-01-01T00:00:00Z"])
def test_a_token_whose_time_is_not_known_is_used_once(
    api: PlanetaryComputer, monkeypatch: pytest.MonkeyPatch, expiry: Any
) -> None:
    issued = api._token

    def without(container: str) -> Response:
        content = json.loads(bytes(issued(container).body))  # type: ignore[arg-type]
        return Response(200, json.dumps(content | {"msft:expiry": expiry}).encode())

    monkeypatch.setattr(api, "_token", without)
    with http.session() as session:
        file = opened(api, 0, session)
        file.fetch(100, 200)
    assert tokens(api) == 2


def test_other_files_are_read_without_a_token(api: PlanetaryComputer, tmp_path: Path) -> None:
    (tmp_path / "open.bin").write_bytes(bytes(100))

    def everything(request: Request) -> None:
        del request

    api.refuses = everything  # type: ignore[method-assign]
    with http.session() as session:
        HttpRanges(f"{api.url}/open.bin", session, service=f"{api.url}{TOKEN}").fetch(0, 9)
    assert tokens(api) == 0


def test_no_message_holds_a_token(api: PlanetaryComputer) -> None:
    told: list[str] = []
    with http.session(told.append, tries=2, backoff=0) as session:
        api.fail("sig=", status=503, times=-1)
        with pytest.raises(StacbuildError) as caught:
            opened(api, 0, session)
    shown = [*told, str(caught.value), repr(caught.value)]
    assert told
    assert not any("sig=" in line or "SECRET" in line for line in shown)
    # Libraries write URLs to their debug messages.
    assert clean("GET /a/b.tif?sp=r&sig=SECRET1%2F%2B%3D HTTP/1.1").endswith("sig=*** HTTP/1.1")
    [logged] = [each.path for each in api.log if "sig=" in each.path][:1]
    assert "sig=" not in clean(logged)
