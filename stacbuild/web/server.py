"""A read-only local HTTP server with range requests (RFC 9110).

It listens on 127.0.0.1. A web page can still reach it through the user's browser. Therefore the
``Host`` header has to be this server's own (against DNS rebinding), and only the files that
`stacbuild.web.site` finds and those of a built STAC Browser are served.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from stacbuild.errors import LocalError
from stacbuild.web.policy import content_policy
from stacbuild.web.site import Served, Site, decoded
from stacbuild.web.store_page import POLICY, store_page

DEFAULT_PORT = 8765

_BLOCK = 1 << 18
# Each connection takes a thread and up to two files; browsers open at most 256.
_MAX_CONNECTIONS = 1024
_OTHER_FILES = 64
# Seconds until a connection that is closed for another one has ended.
_EVICTION = 1.0
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 24\r\n\r\n"
    b"503 Service Unavailable\n"
)
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": (
        "Accept-Ranges, Content-Length, Content-Range, ETag, Last-Modified"
    ),
}
_METHODS = "GET, HEAD, OPTIONS"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": _METHODS,
    "Access-Control-Allow-Headers": "Range, If-Range, If-None-Match, If-Modified-Since, *",
    "Access-Control-Max-Age": "3600",
}
_PAGE_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".ico": "image/x-icon",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
}


class Server(ThreadingMixIn, TCPServer):
    """Serves a site and the pages of STAC Browser.

    Parameters
    ----------
    site
        Catalog and data.
    port
        0 for any free port.
    browser
        The folder of a built STAC Browser.

    Raises
    ------
    LocalError
        If the port cannot be used.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, site: Site, port: int = 0, browser: Path | None = None) -> None:
        self.site = site
        self.browser = browser.resolve() if browser else None
        self.pages: Mapping[str, bytes] = {}
        """Generated pages that replace files of the browser, by name."""
        self._slots = threading.BoundedSemaphore(most_connections())
        self.waiting: dict[socket.socket, None] = {}
        """Connections whose next request has not arrived, the longest waiting first."""
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise LocalError(
                f"port {port} cannot be used ({error.strerror}); "
                "choose another with --port, or any free one with --port 0"
            ) from error

    @property
    def port(self) -> int:
        """The port of the server."""
        return int(self.server_address[1])

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def catalog_url(self) -> str:
        """The URL of ``catalog.json``."""
        return self.origin + self.site.url_path

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle a connection in a thread.

        If too many are open, it takes the place of the one that has been without a request for the
        longest time; if all have requests, it is answered with 503.
        """
        if not self._slots.acquire(blocking=False) and not self._evict():
            with suppress(OSError):
                request.send(_BUSY, getattr(socket, "MSG_DONTWAIT", 0))
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except Exception:
            # No thread was started. KeyboardInterrupt is not caught: the thread may already run,
            # and then releases the slot itself.
            self._slots.release()
            raise

    def _evict(self) -> bool:
        """Close the connection that waits longest for a request; return whether a slot is free."""
        for oldest in list(self.waiting):
            self.waiting.pop(oldest, None)
            try:
                oldest.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed meanwhile
            return self._slots.acquire(timeout=_EVICTION)
        return self._slots.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer the requests of one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.waiting.pop(request, None)
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect during a request."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


def most_connections() -> int:
    """Return how many connections are open at a time, within the limit on files of the process."""
    try:
        import resource
    except ImportError:  # only Unix has it
        return _MAX_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return _MAX_CONNECTIONS
    return max(1, min(_MAX_CONNECTIONS, (files - _OTHER_FILES) // 2))


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "stacbuild"
    sys_version = ""
    timeout = 120
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        """Wait for a request, and answer it."""
        self.server.waiting[self.connection] = None
        super().handle_one_request()

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_OPTIONS(self) -> None:
        if self._check_host():
            self._head(HTTPStatus.NO_CONTENT, {"Allow": _METHODS, **_PREFLIGHT})

    def do_POST(self) -> None:
        self.close_connection = True  # the body of the request is not read
        self._plain(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": _METHODS})

    do_PUT = do_DELETE = do_PATCH = do_TRACE = do_CONNECT = do_POST  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
        """Log nothing: the terminal shows the output of the command."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer an invalid request with one line, as other errors."""
        self.close_connection = True
        self._plain(HTTPStatus(code))

    def _check_host(self) -> bool:
        # The request is complete: this connection is not closed for another one.
        self.server.waiting.pop(self.connection, None)
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True
        hosts = self.headers.get_all("Host") or []
        known = {f"{name}:{self.server.port}" for name in ("127.0.0.1", "localhost")}
        if self.server.port == 80:
            known |= {"127.0.0.1", "localhost"}
        if len(hosts) == 1 and hosts[0].strip().lower() in known:
            return True
        self._plain(HTTPStatus.FORBIDDEN)
        return False

    def _answer(self, *, with_body: bool) -> None:
        if not self._check_host():
            return
        path = urlsplit(self.path).path if self.path.startswith("/") else ""
        if path == "/" and self.server.browser is None:
            self._head(HTTPStatus.FOUND, {"Location": self.server.site.url_path})
            return
        name = "index.html" if path == "/" else path[1:]
        if (made := self.server.pages.get(name)) is not None:
            self._send_page(name, made, with_body=with_body)
            return
        found = self.server.site.find(path) or self._page(path)
        try:
            file = found.path.open("rb") if found else None
        except OSError:
            file = None
        if found is None and self._is_web_browser() and self.server.site.is_store(path):
            self._send_store_page(path, with_body=with_body)
            return
        if found is None or file is None:
            self._plain(HTTPStatus.NOT_FOUND, with_body=with_body)
            return
        with file:
            if found.path.suffix == ".html":
                self._send_page(found.path.name, file.read(), with_body=with_body)
            else:
                self._send(found, file, with_body=with_body)

    def _is_web_browser(self) -> bool:
        """Return whether the client asks for a page; readers of Zarr stores do not."""
        return "text/html" in self.headers.get("Accept", "")

    def _send_store_page(self, path: str, *, with_body: bool) -> None:
        content = store_page(self.server.origin + path)
        headers = {
            "Content-Type": _PAGE_KINDS[".html"],
            "Content-Length": str(len(content)),
            "Cache-Control": "no-cache",
            "Content-Security-Policy": POLICY,
        }
        self._head(HTTPStatus.OK, headers)
        if with_body:
            self.wfile.write(content)

    def _page(self, path: str) -> Served | None:
        """Return a file of STAC Browser; None if there is none at the path."""
        parts = decoded(path)
        if self.server.browser is None or parts is None or parts[0].startswith("."):
            return None
        file = self.server.browser.joinpath(*parts).resolve()
        kind = _PAGE_KINDS.get(file.suffix)
        if kind is None or not file.is_file() or not file.is_relative_to(self.server.browser):
            return None
        return Served(file, kind)

    def _send_page(self, name: str, content: bytes, *, with_body: bool) -> None:
        kind = _PAGE_KINDS[Path(name).suffix]
        length = str(len(content))
        headers = {"Content-Type": kind, "Content-Length": length, "Cache-Control": "no-cache"}
        if name.endswith(".html"):
            headers["Content-Security-Policy"] = content_policy(content)
        self._head(HTTPStatus.OK, headers)
        if with_body:
            self.wfile.write(content)

    def _send(self, found: Served, file: BinaryIO, *, with_body: bool) -> None:
        info = os.fstat(file.fileno())
        size = info.st_size
        etag = f'"{info.st_mtime_ns:x}-{size:x}"'
        headers = {
            "Accept-Ranges": "bytes",
            "ETag": etag,
            "Last-Modified": formatdate(info.st_mtime, usegmt=True),
            # A cube may be rebuilt at any time, so clients have to revalidate.
            "Cache-Control": "no-cache",
        }
        if self._is_known(etag, info.st_mtime):
            self._head(HTTPStatus.NOT_MODIFIED, headers)
            return
        wanted = self._range(size, etag, headers["Last-Modified"]) if with_body else (0, size)
        if wanted is None:
            status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            self._plain(status, {"Content-Range": f"bytes */{size}"})
            return
        start, stop = wanted
        headers |= {"Content-Type": found.media_type, "Content-Length": str(stop - start)}
        status = HTTPStatus.OK
        if (start, stop) != (0, size) or (with_body and self._asks_for_part(etag, headers)):
            status = HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        self._head(status, headers)
        if with_body:
            self._copy(file, start, stop)

    def _copy(self, file: BinaryIO, start: int, stop: int) -> None:
        file.seek(start)
        left = stop - start
        while left:
            block = file.read(min(left, _BLOCK))
            if not block:
                # The file was truncated in the meantime; the client detects it by Content-Length.
                self.close_connection = True
                return
            self.wfile.write(block)
            left -= len(block)

    def _is_known(self, etag: str, changed: float) -> bool:
        if (known := self.headers.get("If-None-Match")) is not None:
            names = [name.strip().removeprefix("W/") for name in known.split(",")]
            return etag in names or "*" in names
        since = self.headers.get("If-Modified-Since")
        try:
            # Equal, not older: a file that is written after the clock was set back is older.
            return since is not None and int(changed) == parsedate_to_datetime(since).timestamp()
        except (ValueError, OverflowError):
            return False

    def _asks_for_part(self, etag: str, headers: Mapping[str, str]) -> bool:
        """Return whether the request has a single range of the current file (ignore others)."""
        if not re.fullmatch(r"bytes=(\d+-\d*|-\d+)", self.headers.get("Range", "").strip(), re.A):
            return False
        return self.headers.get("If-Range", etag) in (etag, headers["Last-Modified"])

    def _range(self, size: int, etag: str, changed: str) -> tuple[int, int] | None:
        """Return start and stop of the requested range; None if it is not satisfiable."""
        if not self._asks_for_part(etag, {"Last-Modified": changed}):
            return 0, size
        first, _, last = self.headers["Range"].strip().removeprefix("bytes=").partition("-")
        if len(first) > 20 or len(last) > 20:
            return None
        if not first:
            start, stop = max(0, size - int(last)), size
        else:
            start, stop = int(first), min(int(last) + 1, size) if last else size
        return (start, stop) if start < stop else None

    def _plain(
        self,
        status: HTTPStatus,
        headers: Mapping[str, str] | None = None,
        *,
        with_body: bool = True,
    ) -> None:
        text = f"{status.value} {status.phrase}\n".encode()
        kind = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(text))}
        self._head(status, {**kind, **(headers or {})})
        if with_body and self.command != "HEAD":
            self.wfile.write(text)

    def _head(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        bodiless = status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
        if "Content-Length" not in headers and not bodiless:
            self.send_header("Content-Length", "0")
        for name, value in {**_CORS, "X-Content-Type-Options": "nosniff", **headers}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
