"""Requests for blobs of Azure, signed with tokens (SAS) that a service issues and that expire.

A token is a query, valid for the blobs of a container for less than an hour. It is added to a URL
when a request is sent, so no href, file or message contains it. The kind of store names the service
in its ``https_options``, which are storage options of a source: loading passes them on as those of
S3, without knowing kinds of store, and each process asks for tokens of its own. The API:
https://planetarycomputer.microsoft.com/docs/concepts/sas/
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import re
import time
from concurrent.futures import Future
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from stacbuild.errors import RemoteError
from stacbuild.net.http import answered, attempt, public_url, read_json_body, send
from stacbuild.runs import Run, current
from stacbuild.safe_text import remember_secret

SERVICE = "sas_service"
"""Key of storage options: URL of the service that signs https hrefs."""

_BLOBS = re.compile(r"([a-z0-9]{3,24})\.blob\.core\.windows\.net")
_CONTAINER = re.compile(r"[$a-z0-9-]{3,63}")
_TOKEN = re.compile(r"[\w.~%&=+:/-]{1,4096}")
# An account that needs no tokens, and for which the service has none.
_OPEN = "ai4edatasetspublicassets"
# A token is renewed so many seconds before it expires, or halfway if it lives shorter than twice.
_EARLY = 60.0


def get_signed(
    session: requests.Session, url: str, service: str, **kwargs: Any
) -> requests.Response:
    """Send a GET request, signed if it is for a blob, and return the response.

    A token that is refused is renewed once: clocks differ, and computers sleep.

    Parameters
    ----------
    session
        From `stacbuild.net.http.session`; those of one run share tokens.
    url
        Without query.
    service
        URL of the service that issues tokens; empty: nothing is signed.

    Raises
    ------
    NotFoundError, AuthError, RemoteError
        As `stacbuild.net.http.send`; also if the service issues no token.
    """
    container = container_of(url, service)
    if container is None:
        return send(session, "GET", url, **kwargs)
    address = f"{service}/{container}"
    token = token_of(session, address)
    response = attempt(session, "GET", f"{url}?{token}", **kwargs)
    if response.status_code == 403:
        response.close()
        token = token_of(session, address, refused=token)
        response = attempt(session, "GET", f"{url}?{token}", **kwargs)
    if response.status_code == 403:
        response.close()
        raise RemoteError(
            f"{public_url(url)}: the server answers 403 Forbidden, also to a new token of "
            f"{public_url(address)}"
        )
    return answered(response)


def container_of(url: str, service: str) -> str | None:
    """Return ``account/container`` of a blob; None for any other URL, which is not signed.

    None, too, if there is no *service*, which is then empty.
    A service at an IP address is one for tests: blobs are then below the same address, as
    ``http://127.0.0.1:10000/account/container/blob``, which is how Azure's emulator has them.
    """
    if not service:
        return None
    parts, own = urlsplit(url), urlsplit(service)
    names = parts.path.split("/")
    if parts.scheme == "https" and (found := _BLOBS.fullmatch(parts.netloc)):
        names = [found[1], *names[1:]]
    elif parts[:2] == own[:2] and _is_ip(own.hostname or ""):
        names = names[1:]
    else:
        return None
    if len(names) < 3 or parts.query or names[0] == _OPEN or not _CONTAINER.fullmatch(names[1]):
        return None
    return f"{names[0]}/{names[1]}"


def token_of(
    session: requests.Session, address: str, refused: str = "", run: Run | None = None
) -> str:
    """Return the token of a container, from the run or else from the service.

    Parameters
    ----------
    address
        URL of the token.
    refused
        A token that the server did not accept.
    run
        Holds the tokens; by default that of *session*.

    Raises
    ------
    NotFoundError, AuthError, RemoteError
        The service does not issue it.
    """
    run = run or getattr(session, "run", None) or current()
    with run.lock:
        known = run.tokens.get(address)
        fresh = known is None or (known.done() and _is_over(known, refused))
        asked = run.tokens[address] = Future() if fresh or known is None else known
    # The others wait for the same answer, also if it is an error.
    if asked is not known:
        try:
            token, lifetime = _issued(session, address)
        except BaseException as error:
            is_error = isinstance(error, Exception)
            asked.set_exception(error if is_error else RemoteError(f"{address}: interrupted"))
            raise
        until = time.monotonic() + max(lifetime - _EARLY, lifetime / 2)
        asked.set_result((token, until))
    return asked.result()[0]


def _is_over(asked: Future[tuple[str, float]], refused: str) -> bool:
    if asked.exception() is not None:
        return True
    token, until = asked.result()
    return token == refused or time.monotonic() >= until


def _issued(session: requests.Session, address: str) -> tuple[str, float]:
    """Return a new token, and the seconds for which it is valid."""
    headers = {"Accept": "application/json"}
    response = send(session, "GET", address, headers=headers, stream=True)
    body = read_json_body(response)
    content: Any = None
    with suppress(ValueError, RecursionError):
        content = json.loads(body)
    token = content.get("token") if isinstance(content, dict) else None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise RemoteError(f"{public_url(address)}: the answer holds no token; try again later")
    # Libraries write URLs to debug messages and tracebacks.
    for secret in (token, *parse_qs(token).get("sig", ())):
        remember_secret(secret)
    # Both by the server's clock.
    lifetime = 0.0
    with suppress(ValueError, TypeError, KeyError):
        expires = dt.datetime.fromisoformat(content["msft:expiry"])
        lifetime = (expires - parsedate_to_datetime(response.headers["Date"])).total_seconds()
    return token, lifetime


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
