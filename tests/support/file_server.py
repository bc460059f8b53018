"""A small file server on loopback that can misbehave in all the ways a real one does."""

from __future__ import annotations

import hashlib
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class FileServer:
    """Serves ``files`` (path → bytes) with ranges.

    ``faults`` are taken one a request, in order: each is called with the handler and may answer
    itself (then returns True). ``cut`` gives the number of body bytes after which the
    connection is closed, one a request.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Callable[[Any], bool]] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    ranges: bool = True
    etags: bool = True
    types: dict[str, str] = field(default_factory=dict)
    body_bytes: int = 0

    def __enter__(self) -> Self:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                server._answer(self)

            do_HEAD = do_GET  # noqa: N815 - the name http.server looks for

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                # Clients may leave whenever they like; all else is a bug of this server: show it.
                if not isinstance(sys.exception(), ConnectionError):
                    super().handle_error(request, client_address)

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def etag(self, path: str) -> str:
        return '"' + hashlib.md5(self.files[path]).hexdigest() + '"'

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path
        self.asked.append(Asked(handler.command, path, dict(handler.headers)))
        if self.faults and self.faults.pop(0)(handler):
            return
        if path not in self.files:
            page(404)(handler)
            return
        data, headers = self.files[path], handler.headers
        start, stop, status = 0, len(data), 200
        same = headers.get("If-Range") in (None, self.etag(path))
        if self.ranges and same and headers.get("Range", "").startswith("bytes="):
            first, _, last = headers["Range"].removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last) + 1 if last else len(data), len(data))
            status = 206
            if start >= len(data):
                handler.send_response(416)
                handler.send_header("Content-Length", "0")
                handler.end_headers()
                return
        handler.send_response(status)
        handler.send_header("Content-Length", str(stop - start))
        handler.send_header("Content-Type", self.types.get(path, "application/octet-stream"))
        if self.etags:
            handler.send_header("ETag", self.etag(path))
        if status == 206:
            handler.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        handler.end_headers()
        if handler.command == "HEAD":
            return
        body = data[start:stop]
        if self.cuts:
            body = body[: self.cuts.pop(0)]
        self.body_bytes += len(body)
        handler.wfile.write(body)
        if len(body) < stop - start:
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True


def fine(handler: Any) -> bool:
    """Not a fault: let the server answer."""
    return False


def page(status: int, **headers: str) -> Callable[[Any], bool]:
    """Answer with an HTML page."""

    def answer(handler: Any) -> bool:
        body = b"<!DOCTYPE html><title>no</title>"
        handler.send_response(status)
        handler.send_header("Content-Type", "text/html; charset=utf-8")
        handler.send_header("Content-Length", str(len(body)))
        for key, value in headers.items():
            handler.send_header(key.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)
        return True

    return answer


def redirect(location: str) -> Callable[[Any], bool]:
    """Send to another place."""
    return page(302, Location=location)


def stall(handler: Any) -> bool:
    """Promise a body, send a little and then nothing until the client goes away."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.send_header("ETag", '"stall"')
    handler.end_headers()
    handler.wfile.write(b"x" * 10)
    handler.wfile.flush()
    handler.connection.recv(1)
    handler.close_connection = True
    return True
