"""Stand-in for S3: moto's server in this process, with a log of the keys that were read."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, cast
from urllib.parse import quote, unquote

import moto.core.serialize
import requests
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

BUCKET = "dog.atlaseo-glm.eo-gridded-data"
GAMI_KEY = "collections/GAMI/GAMI_v2.1.zarr"
# Zarr metadata of either version; all other keys of a store are chunks.
_METADATA = re.compile(r"(^|/)(\.zgroup|\.zarray|\.zattrs|\.zmetadata|zarr\.json)$")

# A listing parses the time of every object again: half of what it takes.
moto.core.serialize.parse_to_aware_datetime = functools.cache(  # type: ignore[attr-defined]
    moto.core.serialize.parse_to_aware_datetime  # type: ignore[attr-defined]
)


@dataclass(frozen=True)
class Read:
    """One answered request for an object (or for a listing: then ``key`` is empty)."""

    method: str
    bucket: str
    key: str
    range: str | None
    status: int
    signed: bool  # whether the client sent credentials


class S3Server:
    """Serves buckets at ``url``, path-style, to signed and anonymous clients alike.

    Objects are held in memory, and shared by all servers of a process; they are dropped when the
    last of them stops. ``log`` holds what clients asked for; what ``put`` and ``upload`` do is left
    out.
    A server with a *realm* has buckets of its own, which may have the names of others'.
    """

    _running: ClassVar[int] = 0

    def __init__(self, port: int = 0, realm: str = "") -> None:
        self._realm = realm
        self.log: list[Read] = []
        self._lock = threading.Lock()
        self._failing: list[tuple[str, int, int]] = []
        self._moto = DomainDispatcherApplication(create_backend_app)
        # The dispatcher lists the folder of all services at each request: half of what it takes.
        self._s3 = create_backend_app("s3")
        self._server = make_server(
            "127.0.0.1", port, self._answer, threaded=True, request_handler=_QuietHandler
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        S3Server._running += 1
        return self

    def __exit__(self, *_: object) -> None:
        S3Server._running -= 1
        if not S3Server._running:
            requests.post(f"{self.url}/moto-api/reset", timeout=30)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reset(self) -> None:
        """Forget the log and what is to fail; the objects stay."""
        with self._lock:
            self.log.clear()
            self._failing.clear()

    def fail(self, pattern: str, *, status: int = 503, times: int = 1) -> None:
        """Answer the next requests whose path matches ``pattern`` with this status."""
        with self._lock:
            self._failing.append((pattern, status, times))

    @property
    def chunks_read(self) -> list[str]:
        """Keys of ``forest_age`` chunks, or of any array that is no coordinate, that were read."""
        coordinates = {"members", "latitude", "longitude", "time"}
        return [
            read.key
            for read in self.log
            if read.method == "GET"
            and read.key
            and not _METADATA.search(read.key)
            and not coordinates & set(read.key.split("/"))
        ]

    def put(self, key: str, content: bytes, bucket: str = BUCKET) -> None:
        """Put one object; the bucket is made if need be."""
        self._request(f"/{bucket}")
        self._request(f"/{bucket}/{quote(key)}", content)

    def upload(self, directory: Path, prefix: str, bucket: str = BUCKET) -> None:
        """Put all files below a directory under a prefix."""
        self._request(f"/{bucket}")
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                key = f"{prefix}/{path.relative_to(directory).as_posix()}"
                self._request(f"/{bucket}/{quote(key)}", path.read_bytes())

    def delete(self, key: str, bucket: str = BUCKET) -> None:
        """Remove one object."""
        address = f"{self.url}/{bucket}/{quote(key)}"
        requests.delete(address, headers={"X-Standin": "1"}, timeout=30).raise_for_status()

    def _request(self, path: str, content: bytes = b"") -> None:
        # Unsigned: moto lets everyone write.
        answer = requests.put(
            f"{self.url}{path}",
            data=content,
            headers={"X-Standin": "1", "x-amz-acl": "public-read"},
            timeout=30,
        )
        # A bucket that exists already is no error.
        if answer.status_code != 409:
            answer.raise_for_status()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if self._realm and path.strip("/") and not path.startswith("/moto-api"):
            bucket, slash, key = path.lstrip("/").partition("/")
            path = environ["PATH_INFO"] = f"/{bucket}-{self._realm}{slash}{key}"
            environ.pop("RAW_URI", None)
            environ.pop("REQUEST_URI", None)
        if path.startswith("/moto-api"):
            return cast(Iterable[bytes], self._moto(environ, start_response))
        if "HTTP_X_STANDIN" in environ:
            return cast(Iterable[bytes], self._s3(environ, start_response))
        status = self._failure(path)
        if status is not None:
            self._note(environ, status)
            start_response(f"{status} Stand-in", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>Stand-in</Message></Error>"]

        def note(line: str, headers: Any, *rest: Any) -> Any:
            self._note(environ, int(line.split()[0]))
            return start_response(line, headers, *rest)

        return cast(Iterable[bytes], self._s3(environ, note))

    def _failure(self, path: str) -> int | None:
        with self._lock:
            for number, (pattern, status, times) in enumerate(self._failing):
                if times != 0 and re.search(pattern, path):
                    self._failing[number] = (pattern, status, times - (times > 0))
                    return status
        return None

    def _note(self, environ: dict[str, Any], status: int) -> None:
        bucket, _, key = unquote(environ["PATH_INFO"]).lstrip("/").partition("/")
        signed = "HTTP_AUTHORIZATION" in environ
        asked = environ.get("HTTP_RANGE")
        with self._lock:
            self.log.append(Read(environ["REQUEST_METHOD"], bucket, key, asked, status, signed))


class _QuietHandler(MotoRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (name of the base)
        """Log nothing: the log is ``S3Server.log``."""
