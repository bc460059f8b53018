"""Zarr stores on web servers: retry transient errors, never report a broken chunk as missing.

fsspec's http file system tries once, and has no idea of a server that trickles. Imported only
where a store lies on the web.
"""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp

from stacbuild.errors import AuthError, NotFoundError, RemoteError
from stacbuild.net.hrefs import leads_inwards
from stacbuild.net.http import LONGEST_WAIT, Patience, is_page, public_url

RETRIED = frozenset({408, 429, 500, 502, 503, 504})

# Bytes of one answer, a chunk or metadata: a chunk of this size cannot be worked with anyway.
_MOST_BYTES = 4 << 30

_METADATA = ("zarr.json", ".zmetadata", ".zgroup", ".zarray", ".zattrs")


def client_options(patience: Patience, href: str) -> dict[str, object]:
    """Return what fsspec's http file system hands to `aiohttp.ClientSession` for a store there."""
    # No limit on the whole of a chunk's transfer (that is `Retrying`'s), but one on silence.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=20, sock_read=patience.seconds)
    # Chunks are compressed as they are. A body that a server compresses on top of that could grow
    # without bound when it is decompressed, so none is asked for and none is taken.
    headers = {"Accept-Encoding": "identity"}
    return {
        "timeout": timeout,
        "headers": headers,
        "middlewares": (Confined(public_url(href)), Retrying(patience)),
    }


@dataclass(frozen=True)
class Confined:
    """A middleware of aiohttp that lets no redirect lead off https, or into a private network.

    Parameters
    ----------
    origin
        URL that was asked for.

    Raises
    ------
    RemoteError
        Before anything is sent to where it may not go.
    """

    origin: str

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send *request*; each step of a redirect comes by here."""
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
    """A middleware of aiohttp that gives whole answers, or errors that name the URL.

    404 is given as it is: to Zarr a chunk that is not there is an empty one.

    Parameters
    ----------
    patience
        Each try has to bring all of the body, which is metadata or a chunk.

    Raises
    ------
    AuthError
        For 401 and 403.
    NotFoundError
        For other answers of 4xx: asking again is of no use.
    RemoteError
        For 5xx, 429, 408 and bodies that do not come whole, after `patience.tries`.
    """

    patience: Patience

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send *request* until it is answered."""
        url = public_url(str(request.url))
        for attempt in range(1, self.patience.tries + 1):
            asked = None
            try:
                response = await handler(request)
                if response.status not in RETRIED:
                    return await self._judged(response, url)
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
        # Chunks are asked for side by side: spread out, lest they all come again at once.
        spread = 0.5 + random.random() / 2  # noqa: S311
        return spread * self.patience.pause * float(2 ** (attempt - 1))

    async def _judged(self, response: aiohttp.ClientResponse, url: str) -> aiohttp.ClientResponse:
        status = response.status
        if status in (401, 403):
            response.release()
            raise AuthError(f"{url}: access was refused ({_phrase(status)})")
        if 300 <= status < 400:
            # Followed by aiohttp, and often accompanied by a page for people.
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
        # A whole body has a time that its length and the least speed allow.
        async with asyncio.timeout(self.patience.seconds + length / self.patience.min_speed):
            body = await response.read()
        page = "html" in response.content_type or is_page(body)
        if page and status != 404 and url.endswith(_METADATA):
            raise RemoteError(f"{url}: returned an HTML page instead of JSON")
        return response


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
