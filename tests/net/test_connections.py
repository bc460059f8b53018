"""Names that lead elsewhere for the connection than for the check (DNS rebinding)."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from stacbuild.errors import RemoteError, StacbuildError
from stacbuild.formats import s3_system, zarr_store
from stacbuild.formats.zarr_store import open_group
from stacbuild.net import connections, http
from stacbuild.net.hrefs import leads_inwards
from stacbuild.net.index import list_index
from stacbuild.net.speed import Patience
from tests.support.file_server import FileServer, redirect

Answers = Callable[..., None]

# Each test has names of its own: what was looked up is remembered for the whole process.
_NUMBERS = itertools.count()


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """A name server that gives a name one address after the other, the last one for ever."""
    known: dict[str, list[str]] = {}
    system = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if not (addresses := known.get(name)):
            return system(host, port, *args, **kwargs)
        address = addresses.pop(0) if len(addresses) > 1 else addresses[0]
        if not address:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(port or 0)))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return lambda name, *addresses: known.update({name: list(addresses)})


@pytest.fixture
def name() -> str:
    return f"rebound-{next(_NUMBERS)}.example.org"


@pytest.mark.parametrize("first", ["1.1.1.1", ""])
@pytest.mark.parametrize("client", ["requests", "zarr"])
def test_a_name_that_leads_inwards_after_the_check(
    answers: Answers, name: str, client: str, first: str
) -> None:
    answers(name, first, "127.0.0.1")
    with FileServer({"/a": b"{}", "/a.zarr/zarr.json": b"{}"}) as server:
        url = f"http://{name}:{server.url.rpartition(':')[2]}"
        assert not leads_inwards("https://1.1.1.1", url)
        with (
            http.session() as session,
            pytest.raises(StacbuildError, match="an address of a private network now"),
        ):
            open_group(f"{url}/a.zarr") if client == "zarr" else http.get_json(session, f"{url}/a")
        assert server.asked == []
        # What was an outage for a moment is mended by the next check.
        assert leads_inwards("https://1.1.1.1", url)


def test_a_redirect_to_a_name_that_leads_inwards_after_the_check(
    answers: Answers, name: str
) -> None:
    with FileServer({"/b": b"1"}) as inner:
        target = f"http://{name}:{inner.url.rpartition(':')[2]}/b"
        answers(name, "1.1.1.1", "127.0.0.1")
        with (
            FileServer(faults=[redirect(target)]) as server,
            http.session() as session,
            pytest.raises(RemoteError, match="refused"),
        ):
            http.get_json(session, f"{server.url}/a")
        assert inner.asked == []


def test_a_name_of_the_configuration_may_lead_inwards(answers: Answers, name: str) -> None:
    answers(name, "127.0.0.1")
    with FileServer({"/a": b"1"}) as server, http.session() as session:
        url = f"http://{name}:{server.url.rpartition(':')[2]}/a"
        assert http.get_json(session, url) == 1
        assert leads_inwards(url, url) is False


# --- Responses that trickle, or go on for ever ---

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"2\r\n{}\r\n0\r\n"


@contextmanager
def raw_server(parts: Callable[[threading.Event], Iterable[bytes]]) -> Iterator[str]:
    """Send each connection the parts that a function makes, until the client leaves."""
    done = threading.Event()
    threads: list[threading.Thread] = []

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            for part in parts(done):
                if done.is_set():
                    return
                connection.sendall(part)

    def listen() -> None:
        while True:
            connection, _ = listener.accept()
            if done.is_set():
                connection.close()
                return
            threads.append(threading.Thread(target=answer, args=(connection,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=listen)
        accepting.start()
        port = listener.getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}/a"
        finally:
            done.set()
            socket.create_connection(("127.0.0.1", port)).close()
            for thread in (accepting, *threads):
                thread.join()


def trickled(start: bytes, again: bytes) -> Callable[[threading.Event], Iterable[bytes]]:
    def parts(done: threading.Event) -> Iterator[bytes]:
        yield start
        while not done.wait(0.01):
            yield again

    return parts


ENDLESS = {
    "status": trickled(b"HTTP/1.1 200 ", b"O"),
    "header": trickled(OK + b"X: ", b"a"),
    "headers that continue a line": trickled(OK + b"X: a", b"\r\n b"),
    "interim responses": trickled(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "chunk extension": trickled(CHUNKED + b"1;", b"x"),
    "bytes of a chunk": trickled(CHUNKED + b"1000\r\n", b" "),
    "chunks of a byte": trickled(CHUNKED, b"1\r\n \r\n"),
    "trailer": trickled(CHUNKED + END, b"x"),
    "trailers": trickled(CHUNKED + END, b"X: y\r\n"),
    "body": trickled(OK + b"Content-Length: 1000000\r\n\r\n", b" "),
}


@pytest.mark.parametrize("attack", ENDLESS)
def test_responses_that_trickle_are_given_up(attack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.1)
    monkeypatch.setattr(connections, "_INTERVAL", 0.1)
    monkeypatch.setattr(connections, "_LEAST_SPEED", 10_000)
    with (
        raw_server(ENDLESS[attack]) as url,
        http.session(tries=2, backoff=0.01) as session,
        pytest.raises(RemoteError, match=f"^{url}/: no answer in time$"),
    ):
        list_index(session, url)


def test_what_comes_late_and_then_at_once_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.05)
    body = b'{"a": 1}'

    def parts(done: threading.Event) -> Iterator[bytes]:
        done.wait(0.2)
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        done.wait(0.2)
        yield body

    with raw_server(parts) as url, http.session(tries=1) as session:
        assert http.get_json(session, url) == {"a": 1}


@pytest.mark.parametrize("attack", ["header", "interim responses", "bytes of a chunk"])
def test_stores_on_the_web_that_trickle_are_given_up(
    attack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.1)
    monkeypatch.setattr(zarr_store, "_PATIENCE", Patience(tries=2, seconds=0.1, pause=0.01))
    with (
        raw_server(ENDLESS[attack]) as url,
        pytest.raises(RemoteError, match=f"{url}.*: no answer in time, after 2 tries"),
    ):
        open_group(url)


@pytest.mark.parametrize("attack", ["header", "body"])
def test_objects_on_s3_that_trickle_are_given_up(
    attack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_system, "REQUEST_SECONDS", 0.3)
    monkeypatch.setattr(s3_system, "_UNKNOWN", 0)
    with raw_server(ENDLESS[attack]) as url, pytest.raises(RemoteError, match="s3://b/a"):
        open_group("s3://b/a", {"anon": True, "endpoint_url": url.removesuffix("/a")})


ONCE = {
    "a redirect to a malformed URL": (
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1/\r\nContent-Length: 0\r\n\r\n",
        "redirects to a malformed URL",
    ),
    "a wait of 5000 digits": (
        b"HTTP/1.1 429 X\r\nRetry-After: " + b"9" * 5000 + b"\r\nContent-Length: 0\r\n\r\n",
        "answers 429",
    ),
    "a wait until no year": (
        (
            b"HTTP/1.1 429 X\r\nRetry-After: Fri, 31 Dec 9999999 23:59:59 GMT\r\n"
            b"Content-Length: 0\r\n\r\n"
        ),
        "answers 429",
    ),
}


@pytest.mark.parametrize("answer", ONCE)
def test_malformed_headers_are_no_internal_errors(answer: str) -> None:
    sent, why = ONCE[answer]
    with (
        raw_server(lambda done: [sent]) as url,
        http.session(tries=2, backoff=0.01) as session,
        pytest.raises(RemoteError, match=why),
    ):
        http.get_json(session, url)


def test_the_body_of_a_redirect_is_not_read_to_its_end() -> None:
    start = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nTransfer-Encoding: chunked\r\n\r\n"

    def parts(done: threading.Event) -> Iterator[bytes]:
        yield start
        while not done.wait(0):
            yield b"1000\r\n" + b"x" * 4096 + b"\r\n"

    with (
        raw_server(parts) as url,
        http.session(tries=2, backoff=0.01) as session,
        pytest.raises(RemoteError, match="TooManyRedirects"),
    ):
        http.get_json(session, url)


def test_a_list_of_files_in_an_unknown_encoding() -> None:
    body = b'<html><a href="a.tif">a</a></html>'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=nope\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    with raw_server(lambda done: [head + length + body]) as url, http.session() as session:
        assert list_index(session, url) == {"a.tif": False}
