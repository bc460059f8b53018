"""A threaded HTTP/1.1 server on loopback with ranges, a request log and faults on demand."""

from __future__ import annotations

import re
import socket
import struct
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

_PIECE = 1 << 16


@dataclass(frozen=True)
class Request:
    """What a client asked: ``path`` is unquoted, ``target`` as it stood in the request line."""

    method: str
    target: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    second_port: bool

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)


@dataclass(frozen=True)
class Response:
    """Status, headers and a body: bytes, or a file that is served by ranges."""

    status: int = 200
    body: bytes | Path = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Logged:
    """One answered request."""

    method: str
    path: str  # as in the request line, with the query
    range: str | None
    status: int
    authorized: bool  # whether the client sent an Authorization header


@dataclass
class Fault:
    """What goes wrong with the requests whose target matches ``pattern`` (``re.search``)."""

    pattern: str
    times: int = 1  # how many matching requests are hit; -1: all
    skip: int = 0  # how many matching requests pass first
    method: str | None = None  # only this method
    status: int | None = None  # answer with this status instead
    body: bytes | None = None  # … and, or instead only, with this body
    headers: Mapping[str, str] = field(default_factory=dict)  # added to the answer's
    cut_after: int | None = None  # close the connection after so many bytes of the body
    reset: bool = False  # … by a TCP reset
    flip_at: int | None = None  # wrong byte at this offset of the whole file
    bytes_per_second: int | None = None  # trickle
    ignore_range: bool = False  # answer 200 with the whole file


def html(status: int, title: str, text: str = "") -> Response:
    """The page that a web front end shows where an API would answer JSON."""
    page = (
        f"<!DOCTYPE html>\n<html><head><title>{title}</title></head>"
        f"<body><h1>{title}</h1><p>{text}</p></body></html>\n"
    )
    return Response(status, page.encode(), {"Content-Type": "text/html; charset=utf-8"})


class LoopbackServer:
    """Base of the stand-ins: subclasses answer in ``respond``.

    A context manager. Listens on two free ports of 127.0.0.1: ``url`` and ``second_url``, the
    other host to which downloads are redirected in reality. ``log`` and ``bytes_sent`` say what
    was asked and how many bytes of bodies left; ``fail`` makes requests go wrong.
    """

    def __init__(self, port: int = 0) -> None:
        self.log: list[Logged] = []
        self.bytes_sent = 0
        self.lock = threading.RLock()
        self._faults: list[Fault] = []
        self._stopping = threading.Event()
        self._servers = [_Server(self, port), _Server(self, 0, second=True)]
        self._threads: list[threading.Thread] = []
        self.url, self.second_url = (
            f"http://127.0.0.1:{server.server_address[1]}" for server in self._servers
        )

    def __enter__(self) -> Self:
        for server in self._servers:
            # A short poll makes stopping quick.
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.close_connections()
            server.server_close()

    @property
    def requests(self) -> int:
        """How many requests were answered since the last ``reset``."""
        return len(self.log)

    def reset(self) -> None:
        """Forget log, counters and faults."""
        with self.lock:
            self.log.clear()
            self._faults.clear()
            self.bytes_sent = 0

    def fail(self, pattern: str, **what: Any) -> None:
        """Add a ``Fault``; of several that match one request, the first added acts."""
        with self.lock:
            self._faults.append(Fault(pattern, **what))

    def respond(self, request: Request) -> Response:
        raise NotImplementedError

    def answer(self, request: Request) -> tuple[Response, Fault | None]:
        fault = self._fault(request)
        if fault is None:
            return self.respond(request), None
        if fault.status is None and fault.body is None:
            response = self.respond(request)
        else:
            status = fault.status or 200
            response = html(status, f"{status} {HTTPStatus(status).phrase}")
            if fault.body is not None:
                response = Response(status, fault.body, {"Content-Type": "text/html"})
        headers = {**response.headers, **fault.headers}
        return Response(response.status, response.body, headers), fault

    def _fault(self, request: Request) -> Fault | None:
        with self.lock:
            for fault in self._faults:
                if fault.times == 0 or fault.method not in (None, request.method):
                    continue
                if re.search(fault.pattern, request.target) is None:
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= fault.times > 0
                return fault
        return None

    def wait(self, seconds: float) -> bool:
        """Wait, unless the server is stopped meanwhile (then true)."""
        return self._stopping.wait(seconds)


class _Server(ThreadingHTTPServer):
    # Not daemonic, so that server_close() waits for them and leaves no socket behind.
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, app: LoopbackServer, port: int, *, second: bool = False) -> None:
        self.app, self.second = app, second
        self._open: set[socket.socket] = set()
        self.resets: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.app.lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self.app.lock:
            self._open.discard(request)
            reset = request in self.resets
            self.resets.discard(request)
        if reset:
            # Closing with a linger of 0 s, and without a shutdown before, sends RST.
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may leave whenever they like; all else is a bug of the stand-in: show it."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def close_connections(self) -> None:
        """Wake the threads that wait for the next request of an idle connection."""
        with self.app.lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the client was faster


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """First byte and length of a ``Range`` header; ``None``: to be ignored (RFC 9110, 14.2).

    Raises
    ------
    ValueError
        The range starts beyond the end: 416.
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", text.strip())
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise ValueError(text)
        return size - length, length
    start = int(first)
    stop = size if not last else min(int(last) + 1, size)
    if last and int(last) < start:
        return None
    if start >= size:
        raise ValueError(text)
    return start, stop - start


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (name of the base class)
        """Log nothing: the log is ``LoopbackServer.log``."""

    def _serve(self) -> None:
        app = self.server.app
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body, self.server.second)
        response, fault = app.answer(request)
        size = (
            response.body.stat().st_size if isinstance(response.body, Path) else len(response.body)
        )
        status, start, length = response.status, 0, size
        extra = dict(response.headers)
        asked = headers.get("range")
        if isinstance(response.body, Path) and not (fault and fault.ignore_range):
            extra["Accept-Ranges"] = "bytes"
            if asked and headers.get("if-range", extra.get("ETag")) == extra.get("ETag"):
                try:
                    part = parse_range(asked, size)
                except ValueError:
                    status, length = 416, 0
                    extra["Content-Range"] = f"bytes */{size}"
                    response = Response(416)
                else:
                    if part is not None:
                        status, (start, length) = 206, part
                        extra["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
        with app.lock:
            app.log.append(
                Logged(self.command, self.path, asked, status, "authorization" in headers)
            )
        self.send_response(status)
        for name, value in extra.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self._send(response.body, start, length, fault)

    do_GET = do_HEAD = do_POST = _serve  # noqa: N815 (names of the base class)

    def _send(self, body: bytes | Path, start: int, length: int, fault: Fault | None) -> None:
        stop = start + length
        cut = fault is not None and fault.cut_after is not None and fault.cut_after < length
        if fault is not None and fault.cut_after is not None:
            stop = min(stop, start + fault.cut_after)
        if isinstance(body, bytes):
            self._write(body[start:stop])
        else:
            with body.open("rb") as file:
                if fault is None and length:
                    self._count(self.connection.sendfile(file, start, length))
                elif fault is not None:
                    self._send_slowly(file, start, stop, fault)
        if cut and fault is not None:
            if fault.reset:
                self.server.resets.add(self.connection)
            else:
                self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def _send_slowly(self, file: Any, start: int, stop: int, fault: Fault) -> None:
        file.seek(start)
        rate = fault.bytes_per_second
        position = start
        while position < stop:
            piece = bytearray(file.read(min(rate // 10 or 1 if rate else _PIECE, stop - position)))
            if fault.flip_at is not None and 0 <= fault.flip_at - position < len(piece):
                piece[fault.flip_at - position] ^= 0xFF
            self._write(bytes(piece))
            position += len(piece)
            if rate and self.server.app.wait(0.1):
                raise ConnectionAbortedError

    def _write(self, piece: bytes) -> None:
        self.wfile.write(piece)
        self._count(len(piece))

    def _count(self, sent: int) -> None:
        with self.server.app.lock:
            self.server.app.bytes_sent += sent


__all__ = ["Fault", "Logged", "LoopbackServer", "Request", "Response", "html", "parse_range"]
