"""``stacbuild serve`` over a socket: which requests it answers, and which it refuses."""

from __future__ import annotations

import gc
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import numpy as np
import pytest
import requests
import xarray as xr

from stacbuild.web import Server, Site
from tests.support.built import variable_of
from tests.support.cli import configuration, errors, geotiff, stacbuild
from tests.support.web import Answer, ask, running

SECRET = "the private key of somebody"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration, its catalog and cubes in both formats of Zarr, and private files."""
    directory = tmp_path_factory.mktemp("served")
    geotiff(directory / "tiles" / "a.tif")
    stores = [{"identifier": "tiles", "store_id": "file", "store_params": {"root": "tiles"}}]
    cube = {"identifier": "new", "data_id": "a.tif", "store": "tiles"}
    config = configuration(directory, [cube], stores)
    stacbuild("harvest", config)
    stacbuild("cube", config)
    text = config.read_text() + "general: {zarr_format: 2}\n"
    config.write_text(text.replace("identifier: new\n", "identifier: old\n"))
    stacbuild("cube", config)
    (directory / "credentials.json").write_text(json.dumps({"key": SECRET}))
    (directory / "catalogs" / "credentials.json").write_text(json.dumps({"key": SECRET}))
    (directory / "catalogs" / ".hidden.json").write_text(json.dumps({"key": SECRET}))
    (directory / "data" / "stray.tif").write_text(SECRET)
    (directory / "data" / "new.zarr" / ".secret").write_text(SECRET)
    (directory / "data" / "new.zarr" / "link").symlink_to(directory / "credentials.json")
    (directory / "data" / "new.zarr" / "out").symlink_to("/etc")
    return directory


@pytest.fixture(scope="module")
def url(directory: Path) -> Iterator[str]:
    """Return the URL of the served catalog."""
    with running("serve", "--catalog", directory / "catalogs", "--port", 0) as (_, url):
        yield url


def item(url: str, name: str) -> tuple[str, dict]:
    """Return an item and its URL, found by following links."""
    catalog = requests.get(url, timeout=30).json()
    for child in (link for link in catalog["links"] if link["rel"] == "child"):
        collection_url = urljoin(url, child["href"])
        for link in requests.get(collection_url, timeout=30).json()["links"]:
            if link["rel"] == "item" and link["href"].endswith(f"/{name}.json"):
                item_url = urljoin(collection_url, link["href"])
                return item_url, requests.get(item_url, timeout=30).json()
    raise AssertionError(name)


def test_relative_links_lead_from_the_catalog_to_the_data(url: str) -> None:
    for name in ("new", "old"):
        item_url, content = item(url, name)
        with xr.open_zarr(urljoin(item_url, content["assets"]["data"]["href"])) as dataset:
            assert dataset.sizes["lat"] == 100
            assert np.isfinite(variable_of(dataset).values).any()


def test_media_types(url: str) -> None:
    assert ask(url).headers["content-type"] == "application/json"
    item_url, content = item(url, "new")
    assert ask(item_url).headers["content-type"] == "application/geo+json"
    store = urljoin(item_url, content["assets"]["data"]["href"])
    assert ask(f"{store}/zarr.json").headers["content-type"] == "application/json"
    assert ask(f"{store}/new/c/0/0").headers["content-type"] == "application/octet-stream"
    raster_url, raster = item(url, "a")
    raster_url = urljoin(raster_url, raster["assets"]["data"]["href"])
    assert ask(raster_url).headers["content-type"].startswith("image/tiff")


def test_head_says_what_get_sends(url: str) -> None:
    head, got = ask(url, method="HEAD"), ask(url)
    assert (head.status, head.body) == (200, b"")
    for name in ("content-length", "content-type", "etag", "last-modified", "accept-ranges"):
        assert head.headers[name] == got.headers[name]
    assert int(head.headers["content-length"]) == len(got.body)
    parsed = requests.get(url, timeout=30)
    assert parsed.json()["type"] == "Catalog"


def test_more_connections_than_it_has_files_are_answered(directory: Path) -> None:
    # As a shell with `ulimit -n 256`: with the 64 it keeps for itself, that is 96 connections.
    script = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
        "from stacbuild.cli import main\n"
        "sys.argv[0] = 'stacbuild'\n"
        "main()\n"
    )
    words = ["serve", "--catalog", str(directory / "catalogs"), "--port", "0"]
    with running(*words, through=[sys.executable, "-c", script]) as (_, url):
        parts = urlsplit(url)
        idle = []
        try:
            for number in range(400):
                idle.append(socket.create_connection((parts.hostname, parts.port), timeout=30))
                if number % 2:
                    idle[-1].sendall(b"GET / HTTP/1.1\r\n")
            for _ in range(3):
                assert ask(url).status == 200
        finally:
            for each in idle:
                each.close()
        assert ask(url).status == 200


def open_files() -> int:
    return len([*Path("/dev/fd").iterdir()])


@pytest.mark.parametrize("times", [300, pytest.param(5000, marks=pytest.mark.slow)])
def test_many_requests_leave_nothing_open(directory: Path, times: int) -> None:
    site = Site(directory / "catalogs")
    server = Server(site)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    # Files of earlier tests, which the collector might close while this one counts.
    gc.collect()
    files = open_files()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        for path, status in ((site.url_path, 200), ("/files/data/nothing", 404)):
            for _ in range(times):
                connection.request("GET", path)
                response = connection.getresponse()
                response.read()
                assert response.status == status
        connection.close()
        # The thread of the connection ends some time after it was closed.
        ended = time.monotonic() + 60
        while server.waiting or open_files() > files:
            assert time.monotonic() < ended, (server.waiting, open_files(), files)
            time.sleep(0.01)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=10-", slice(10, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=5-99999999", slice(5, None)),
        ("bytes=-99999999", slice(None)),
        ("bytes=0-", slice(None)),
    ],
)
def test_a_range_is_sent_as_a_part(url: str, asked: str, part: slice) -> None:
    whole = ask(url).body
    got = ask(url, Range=asked)
    assert got.status == 206
    assert got.body == whole[part]
    start = range(len(whole))[part].start
    assert got.headers["content-range"] == (
        f"bytes {start}-{start + len(got.body) - 1}/{len(whole)}"
    )


@pytest.mark.parametrize(
    "asked", ["bytes=99999999-", "bytes=9-8", "bytes=-0", f"bytes={'9' * 5000}-"]
)
def test_a_range_of_nothing_is_refused(url: str, asked: str) -> None:
    got = ask(url, Range=asked)
    assert got.status == 416
    assert got.headers["content-range"] == f"bytes */{len(ask(url).body)}"


@pytest.mark.parametrize("asked", ["lines=1-2", "bytes=1-2,4-5", "bytes=a-b", "bytes=-", "bytes"])
def test_what_is_no_single_range_gets_all(url: str, asked: str) -> None:
    got = ask(url, Range=asked)
    assert got.status == 200
    assert got.body == ask(url).body


def test_what_did_not_change_is_not_sent_again(url: str) -> None:
    first = ask(url)
    for known in (
        {"If_None_Match": first.headers["etag"]},
        {"If_None_Match": f'"other", W/{first.headers["etag"]}'},
        {"If_Modified_Since": first.headers["last-modified"]},
    ):
        again = ask(url, **known)
        assert (again.status, again.body) == (304, b""), known
        assert again.headers["etag"] == first.headers["etag"]
    # A file may be older than what a client knows, if the clock was set back in between.
    later = "Fri, 01 Jan 2100 00:00:00 GMT"
    for other in (
        {"If_None_Match": '"other"'},
        {"If_Modified_Since": "yesterday"},
        {"If_Modified_Since": later},
    ):
        assert ask(url, **other).status == 200
    part = {"Range": "bytes=0-3"}
    assert ask(url, If_Range=first.headers["etag"], **part).status == 206
    assert ask(url, If_Range='"other"', **part).status == 200


def test_other_origins_may_read_with_ranges(url: str) -> None:
    answer = ask(
        url, method="OPTIONS", Origin="https://browser.example",
        Access_Control_Request_Method="GET", Access_Control_Request_Headers="range",
    )  # fmt: skip
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "range" in answer.headers["access-control-allow-headers"].lower()
    got = ask(url, Origin="https://browser.example", Range="bytes=0-1")
    assert got.headers["access-control-allow-origin"] == "*"
    assert "content-range" in got.headers["access-control-expose-headers"].lower()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"])
def test_nothing_can_be_written(url: str, method: str) -> None:
    answer = ask(url, method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil:80", ""]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_only_its_own_host_is_answered(url: str, host: str, method: str) -> None:
    answer = ask(url, method=method, Host=host)
    assert answer.status == 403
    assert b"stacbuild catalog" not in answer.body


def test_localhost_is_its_own_host(url: str) -> None:
    assert ask(url, Host=f"localhost:{urlsplit(url).port}").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/files/catalogs/credentials.json",
        "/files/catalogs/.hidden.json",
        "/files/catalogs/.catalog.lock",
        "/files/credentials.json",
        "/files/c_config.yml",
        "/files/data/stray.tif",
        "/files/data/new.zarr/.secret",
        "/files/data/new.zarr/link",
        "/files/data/new.zarr/out/passwd",
        "/files/data/new.zarr/../../credentials.json",
        "/files/data/new.zarr/%2e%2e/%2e%2e/credentials.json",
        "/files/data/new.zarr/..%2f..%2fcredentials.json",
        "/files/data/new.zarr/..\\..\\credentials.json",
        "/files/catalogs/%2e%2e/credentials.json",
        "/files/../credentials.json",
        "//files/credentials.json",
        "/files//etc/passwd",
        "/files/%2fetc%2fpasswd",
        "/files/%00",
        "/files/catalogs/catalog.json%00.png",
        "/files/%ff%fe",
        "/files/catalogs/catalog.json/",
        "/files/catalogs/",
        "/files/catalogs",
        "/files/data/new.zarr",
        "/files/data/new.zarr/new",
        "/files/",
        "/files",
        "/etc/passwd",
        "/../../../../etc/passwd",
        "/files/" + "a/" * 3000,
    ],
)
def test_nothing_else_is_there(url: str, path: str) -> None:
    answer = ask(url, path)
    assert answer.status == 404, answer
    assert answer.headers["content-type"].startswith("text/plain")
    assert SECRET.encode() not in answer.body
    assert answer.body == b"404 Not Found\n"


HTML = "text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.mark.parametrize("end", ["", "/"])
def test_the_url_of_a_store_is_explained_to_a_person(url: str, end: str) -> None:
    for name in ("new", "old"):
        path = f"/files/data/{name}.zarr{end}"
        answer = ask(url, path, Accept=HTML)
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert f'xr.open_zarr("{urljoin(url, path)}")'.encode() in answer.body
        assert ask(url, path, "HEAD", Accept=HTML).status == 200
        assert ask(url, path).status == 404


@pytest.mark.parametrize(
    "path", ["/files/data/new.zarr/new", "/files/catalogs", "/files/data", "/files/stray.zarr"]
)
def test_only_a_store_has_a_page(url: str, path: str) -> None:
    assert ask(url, path, Accept=HTML).status == 404


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)
def test_what_is_no_request_does_no_harm(url: str, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=30) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass
    assert ask(url).status == 200


def test_a_cube_that_is_built_meanwhile_is_found(tmp_path: Path) -> None:
    geotiff(tmp_path / "tiles" / "a.tif")
    stores = [{"identifier": "tiles", "store_id": "file", "store_params": {"root": "tiles"}}]
    config = configuration(
        tmp_path, [{"identifier": "new", "data_id": "a.tif", "store": "tiles"}], stores
    )
    stacbuild("harvest", config)
    with running("serve", "--catalog", tmp_path / "catalogs", "--port", 0) as (_, url):
        stacbuild("cube", config)
        # Links are followed again only after a while, which a small cube does not take.
        for _ in range(100):
            if ask(urljoin(url, "c/collection.json")).status == 200:
                break
            time.sleep(0.1)
        item_url, content = item(url, "new")
        store = urljoin(item_url, content["assets"]["data"]["href"])
        assert ask(f"{store}/zarr.json").status == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_well_when_told(directory: Path, how: signal.Signals) -> None:
    with running("serve", "--catalog", directory / "catalogs", "--port", 0) as (process, url):
        assert ask(url).status == 200
        process.send_signal(how)
        assert process.wait(timeout=30) == 0


def test_a_port_that_is_taken_is_named(directory: Path, url: str) -> None:
    port = urlsplit(url).port
    done = stacbuild("serve", "--catalog", directory / "catalogs", "--port", port, code=5)
    [line] = errors(done)
    assert line == (
        f"error: port {port} cannot be used (Address already in use); "
        "choose another with --port, or any free one with --port 0"
    )


def test_without_a_catalog_it_says_what_to_do(tmp_path: Path) -> None:
    [line] = errors(stacbuild("serve", "--catalog", tmp_path, code=5))
    assert "harvest first" in line
    assert str(tmp_path) in line


def test_what_lies_elsewhere_is_served_only_if_said(directory: Path, tmp_path: Path) -> None:
    elsewhere = geotiff(tmp_path / "elsewhere" / "far.tif")
    own = tmp_path / "own" / "catalogs"
    own.mkdir(parents=True)
    here = os.path.relpath(elsewhere, own)
    catalog = {
        "type": "Catalog", "id": "c", "stac_version": "1.1.0", "description": "c",
        "links": [{"rel": "item", "href": "./far.json"}],
    }  # fmt: skip
    far = {
        "type": "Feature", "id": "far", "properties": {}, "links": [],
        "assets": {
            "data": {"href": here},
            "key": {"href": str(os.path.relpath("/etc/passwd", own))},
        },
    }  # fmt: skip
    (own / "catalog.json").write_text(json.dumps(catalog))
    (own / "far.json").write_text(json.dumps(far))

    def far_answer(url: str) -> Answer:
        item_url = urljoin(url, "far.json")
        assert ask(item_url).status == 200
        assert ask(urljoin(item_url, far["assets"]["key"]["href"])).status == 404
        return ask(urljoin(item_url, here))

    with running("serve", "--catalog", own, "--port", 0) as (_, url):
        assert far_answer(url).status == 404
    words = ("serve", "--catalog", own, "--port", 0, "--data", elsewhere.parent)
    with running(*words) as (_, url):
        assert far_answer(url).body == elsewhere.read_bytes()


def test_connections_that_never_ask_keep_nobody_waiting(url: str) -> None:
    parts = urlsplit(url)
    slow = []
    try:
        for _ in range(300):
            connection = socket.create_connection((parts.hostname, parts.port), timeout=30)
            connection.sendall(b"GET /catalogs/catalog.json HTTP/1.1\r\nHost: 127.0")
            slow.append(connection)
        assert ask(url).status == 200
    finally:
        for connection in slow:
            connection.close()
    assert ask(url).status == 200


@pytest.mark.parametrize(
    "ranges",
    [
        ",".join(f"{first}-{first + 1}" for first in range(0, 1600, 4)),
        ",".join(["0-"] * 400),
        "0-0,-1",
    ],
)
def test_many_ranges_at_once_are_sent_as_the_whole_once(url: str, ranges: str) -> None:
    whole = ask(url)
    got = ask(url, Range=f"bytes={ranges}")
    assert (got.status, got.body) == (200, whole.body)


def test_headers_without_end_are_refused(url: str) -> None:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(5000)))
        assert connection.recv(64).startswith(b"HTTP/1.1 431")
    assert ask(url).status == 200
