"""Connections that check the address they got, and bound the time that a response takes.

The address is compared with what was known when the URL was checked. The timeouts of requests hold
for a single read of the socket: a response that trickles would never end.
"""

from __future__ import annotations

import io
import time
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from stacbuild.net.hrefs import check_connection

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from urllib3 import PoolManager

HEADER_SECONDS = 60.0
"""Longest time from the first byte of a response to the end of its headers."""

_LEAST_SPEED = 100.0
"""Bytes per second of a body, over `_INTERVAL` of waiting for it; callers ask for more."""
_INTERVAL = 60.0


def guard(manager: PoolManager) -> None:
    """Let a pool manager use connections that are checked before a request is sent.

    Connections to a proxy, for which requests uses other managers, are not checked: the user has
    named the proxy, and it resolves the names.
    """
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


def _check_peer(connection: HTTPConnection) -> None:
    address = connection.sock.getpeername()
    try:
        check_connection(connection.host, address[0])
    except BaseException:
        connection.close()
        raise


class _Bounded(io.RawIOBase):
    """A socket's bytes, whose reads fail with TimeoutError once a response takes too long."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._ends: float | None = None
        self._in_headers = True
        self._waited, self._received = 0.0, 0

    def readable(self) -> bool:
        """Return True, as io.BufferedReader requires."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        """Read from the socket; the time that callers take between reads does not count."""
        before = time.monotonic()
        if self._ends is not None and before > self._ends:
            raise TimeoutError("the headers of the response do not end")
        count = self._raw.readinto(buffer)
        now = time.monotonic()
        if self._in_headers:
            # A server may take long before it answers at all, up to the timeout of a read.
            self._ends = self._ends or now + HEADER_SECONDS
            return count
        self._waited += now - before
        self._received += count or 0
        if self._waited >= _INTERVAL:
            if count and self._received < _LEAST_SPEED * self._waited:
                raise TimeoutError("the response trickles")
            self._waited, self._received = 0.0, 0
        return count

    def expect(self, *, headers: bool) -> None:
        """Bound the time of headers from the next byte on, or the speed of a body."""
        self._in_headers, self._ends = headers, None

    def close(self) -> None:
        """Close the socket's file, too."""
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Nothing has been read yet.
        self._bounded = _Bounded(self.fp.detach())
        self.fp = io.BufferedReader(self._bounded)

    def begin(self) -> None:
        super().begin()
        self._bounded.expect(headers=False)

    def _read_and_discard_trailer(self) -> None:
        # Private, but the only place where the standard library reads lines without a limit.
        self._bounded.expect(headers=True)
        super()._read_and_discard_trailer()  # type: ignore[misc]


class _Connection(HTTPConnection):
    response_class = _Response

    def connect(self) -> None:
        super().connect()
        _check_peer(self)


class _SecureConnection(HTTPSConnection):
    response_class = _Response

    def connect(self) -> None:
        super().connect()
        _check_peer(self)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
