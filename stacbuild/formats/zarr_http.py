"""Zarr stores on web servers: retry transient errors, never report a broken chunk as missing.

fsspec's http file system tries once, and does not detect slow servers. Imported only for stores on
the web.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp.abc import ResolveResult

from stacbuild.errors import AuthError, NotFoundError, RemoteError
from stacbuild.net import connections
from stacbuild.net.hrefs import check_connection, leads_inwards
from stacbuild.net.http import LONGEST_WAIT, is_page, public_url, session
from stacbuild.net.in_flight import MOST, slot
from stacbuild.net.signing import SERVICE, container_of, token_of
from stacbuild.net.speed import Patience
from stacbuild.runs import Run

RETRIED = frozenset({408, 429, 500, 502, 503, 504})

# Limit on the bytes of a response, a chunk or metadata.
_MOST_BYTES = 4 << 30

# Seconds between two attempts to get one of a host's slots.
_AGAIN = 0.005

_METADATA = ("zarr.json", ".zmetadata", ".zgroup", ".zarray", ".zattrs")


def client_options(
    patience: Patience, href: str, options: Mapping[str, Any] | None = None
) -> dict[str, object]:
    """Return arguments for fsspec's `aiohttp.ClientSession` of a store.

    *options* are storage options: the service that signs requests, if any.
    """
    # No limit on the whole transfer of a chunk (`Retrying` has one), but on the time between reads.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=20, sock_read=patience.seconds)
    # Chunks are already compressed. A body with another content encoding could grow without limit
    # when decompressed, so none is requested, and none accepted.
    headers = {"Accept-Encoding": "identity"}
    service = (options or {}).get(SERVICE)
    signed = (Signing(service),) if service else ()
    return {
        "timeout": timeout,
        "headers": headers,
        "middlewares": (Confined(public_url(href)), Retrying(patience), *signed),
    }


async def guarded_client(**options: Any) -> aiohttp.ClientSession:
    """Return a session for fsspec whose connections are checked (`check_connection`)."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=_Resolver()), **options)


class _Resolver(aiohttp.ThreadedResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        for each in found:
            check_connection(host, each["host"])
        return found


@dataclass(frozen=True)
class Confined:
    """A middleware of aiohttp that refuses redirects from https to http or to a private network.

    Parameters
    ----------
    origin
        Requested URL.

    Raises
    ------
    RemoteError
        Before anything is sent there.
    """

    origin: str

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send *request*; called for each step of a redirect."""
        url = public_url(str(request.url))
        if self.origin.startswith("https:") and request.url.scheme != "https":
            raise RemoteError(f"{self.origin}: redirects from https to http, which is refused")
        if leads_inwards(self.origin, url):
            raise RemoteError(
                f"{self.origin}: redirects to {request.url.host}, an address of a private network, "
                "which is refused"
            )
        return await handler(request)


@dataclass(frozen=True)
class Retrying:
    """A middleware of aiohttp that returns complete responses, or raises errors with the URL.

    404 is returned: to Zarr a missing chunk is an empty one.

    Parameters
    ----------
    patience
        Limits; each try has to return the complete body, which is metadata or a chunk.
    turns
        Limits the requests in flight, as `stacbuild.net.in_flight` does for all of a host, whose
        slots can only be asked for again and again.

    Raises
    ------
    AuthError
        For 401 and 403.
    NotFoundError
        For other 4xx, which are not retried.
    RemoteError
        For 5xx, 429, 408 and incomplete bodies, after `patience.tries`.
    """

    patience: Patience
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST))

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send *request*, with retries."""
        url = public_url(str(request.url))
        host = f"{request.url.host}:{request.url.port}"
        for attempt in range(1, self.patience.tries + 1):
            asked = None
            try:
                async with self.turns, _turn(host):
                    # Also the time to get a connection, since aiohttp bounds single reads only.
                    async with asyncio.timeout(connections.HEADER_SECONDS + self.patience.seconds):
                        response = await handler(request)
                    if response.status not in RETRIED:
                        return await self._checked(response, url)
                    asked = response.headers.get("Retry-After")
                    what = f"the server answers {_phrase(response.status)}"
                    response.release()
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as e:
                what = _reason(e)
            if attempt < self.patience.tries:
                await asyncio.sleep(self._wait(attempt, asked, url, what))
        raise RemoteError(f"{url}: {what}, after {attempt} tries; try again later")

    def _wait(self, attempt: int, asked: str | None, url: str, what: str) -> float:
        if asked and asked.isdigit():
            if int(asked) > LONGEST_WAIT:
                raise RemoteError(f"{url}: {what} and asks to wait {asked} s; try again then")
            return float(asked)
        # Chunks are requested concurrently: jitter keeps the retries apart.
        jitter = 0.5 + random.random() / 2  # noqa: S311
        return jitter * self.patience.pause * float(2 ** (attempt - 1))

    async def _checked(self, response: aiohttp.ClientResponse, url: str) -> aiohttp.ClientResponse:
        status = response.status
        if status in (401, 403):
            response.release()
            raise AuthError(f"{url}: access was refused ({_phrase(status)})")
        if 300 <= status < 400:
            # Followed by aiohttp; the body is often an HTML page.
            return response
        if 400 <= status < 500 and status != 404:
            response.release()
            raise NotFoundError(f"{url}: the server answers {_phrase(status)}")
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        length = response.content_length or 0
        if encoding != "identity" or length > _MOST_BYTES:
            response.close()
            what = f"a body of {length} bytes" if encoding == "identity" else f"{encoding} encoding"
            raise NotFoundError(f"{url}: the server answers with {what}, which is not taken")
        # The time for the body follows from its length and the least speed.
        async with asyncio.timeout(self.patience.seconds + length / self.patience.min_speed):
            body = await response.read()
        page = "html" in response.content_type or is_page(body)
        if page and status != 404 and url.endswith(_METADATA):
            raise RemoteError(f"{url}: returned an HTML page instead of JSON")
        return response


@dataclass(frozen=True)
class Signing:
    """A middleware of aiohttp that signs requests for blobs, as `stacbuild.net.signing` does.

    Parameters
    ----------
    service
        URL of the service that issues tokens.
    run
        Holds the tokens.
    """

    service: str
    run: Run = field(default_factory=Run, repr=False)

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send *request*; once more with a new token if the first one is refused."""
        plain = request.url.with_query(None)
        container = container_of(str(plain), self.service)
        if container is None:
            return await handler(request)
        refused = ""
        while True:
            token = await asyncio.to_thread(self._token, f"{self.service}/{container}", refused)
            request.url = type(plain)(f"{plain}?{token}", encoded=True)
            response = await handler(request)
            if response.status != 403 or refused:
                return response
            response.release()
            refused = token

    def _token(self, address: str, refused: str) -> str:
        with session() as asking:
            return token_of(asking, address, refused, self.run)


@asynccontextmanager
async def _turn(host: str) -> AsyncIterator[None]:
    """Hold one of the slots of a host, which other threads hold, too, for their requests."""
    held = slot(host)
    while not held.acquire(blocking=False):
        await asyncio.sleep(_AGAIN)
    try:
        yield
    finally:
        held.release()


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return "the connection broke"
    number = error.errno if isinstance(error, OSError) else None
    return f"no connection ({os.strerror(number) if number else type(error).__name__})"
