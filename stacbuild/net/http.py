"""Sessions that report each retry and name the failing URL.

Requests that get 429, 5xx or no connection are retried here; `download` and `ranges` resume bodies
that are cut or stall, as no HTTP library resumes a body.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from importlib.metadata import version
from types import TracebackType
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, InvalidHeader, ReadTimeoutError
from urllib3.util import Retry

from stacbuild.errors import AuthError, NotFoundError, RemoteError
from stacbuild.net.connections import guard
from stacbuild.net.hrefs import leads_inwards
from stacbuild.net.pace import pace_of
from stacbuild.net.speed import Patience, Speed
from stacbuild.runs import current

Tell = Callable[[str], None]

TIMEOUT = (10.0, 60.0)
"""Seconds to wait for a connection, and for the next byte of a response."""

LONGEST_WAIT = 900.0
"""Longest ``Retry-After`` that is respected, in seconds; a longer one is an error."""

MOST_JSON = 32 << 20
"""Size limit of a JSON document, in bytes after decompression."""

_WAIT_FOR = (429, 500, 502, 503, 504)
_CONNECTIONS = 32  # to one host

JSON_PATIENCE = Patience(min_speed=1_000, seconds=60)
"""Least speed of a JSON document: one that trickles would never end."""


def public_url(url: str) -> str:
    """Return *url* without user, password, query and fragment, for messages."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _silent(message: str) -> None:
    """Ignore a line."""


class _Retry(Retry):
    """A `Retry` that reports each wait in one line, and refuses very long ones."""

    def __init__(self, *args: Any, tell: Tell = _silent, host: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tell = tell
        self.host = host

    def new(self, **kw: Any) -> _Retry:
        """Return a modified copy, as urllib3 needs for every try."""
        return super().new(tell=self.tell, host=self.host, **kw)

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: TracebackType | None = None,
    ) -> _Retry:
        """Count one try, as urllib3 does, and store the host for messages."""
        self.host = getattr(_pool, "host", self.host)
        return super().increment(method, url, response, error, _pool, _stacktrace)

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Wait as long as the server asks, else for the backoff time."""
        try:
            asked = self.get_retry_after(response) if response is not None else None
        except (InvalidHeader, ValueError, OverflowError):
            # Malformed, a number of thousands of digits, or a date that no calendar has.
            asked = None
        wait = self.get_backoff_time() if asked is None else asked
        what = f"answers {_status(response.status)}" if response is not None else "does not answer"
        if wait > LONGEST_WAIT:
            raise RemoteError(f"{self.host} {what} and asks to wait {wait:.0f} s; try again then")
        self.tell(f"{self.host} {what}; trying again in {wait:.0f} s")
        time.sleep(wait)


class _Session(requests.Session):
    """A session with a default timeout, and without redirects into a private network."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self.tell = tell
        self.run = current()

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request, with `TIMEOUT` as default timeout."""
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = TIMEOUT
        return super().request(*args, **kwargs)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return the target of a redirect, if it is allowed."""
        # requests drops Authorization when the host changes, but does not check the scheme.
        target = super().get_redirect_target(resp)
        if target is not None:
            try:
                whole = urljoin(resp.url, target)
                scheme = urlsplit(whole).scheme.lower()
            except ValueError as error:
                raise RemoteError(
                    f"{public_url(resp.url)}: redirects to a malformed URL ({error})"
                ) from error
            if not re.fullmatch("[0-9]{1,6}", resp.headers.get("Content-Length", "")):
                # requests reads the body of a redirect, which may have no end.
                resp.close()
            secure = urlsplit(resp.url).scheme == "https"
            if scheme not in ("http", "https") or (secure and scheme != "https"):
                raise RemoteError(
                    f"{public_url(resp.url)}: redirects from {urlsplit(resp.url).scheme} to "
                    f"{scheme or 'nowhere'}, which is refused"
                )
            if leads_inwards(resp.url, whole):
                raise RemoteError(
                    f"{public_url(resp.url)}: redirects to {urlsplit(whole).hostname}, an address "
                    "of a private network, which is refused"
                )
        return target


class _GivenUpError(requests.ConnectionError):
    """No connection to a host that did not answer earlier in the run."""


class _PacedAdapter(HTTPAdapter):
    """An adapter that respects rate limits, and gives up early on dead hosts."""

    def __init__(self, kind: str, given_up: set[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._kind = kind
        self._given_up = given_up
        # A host that did not answer after all tries gets one try per request from then on.
        self._once = HTTPAdapter()
        for each in (self, self._once):
            guard(each.poolmanager)

    def send(self, request: requests.PreparedRequest, *args: Any, **kw: Any) -> requests.Response:
        """Send a request, or a step of a redirect, once the rate limit allows it."""
        netloc = urlsplit(request.url or "").netloc
        host = netloc.rpartition("@")[2]
        if (pace := pace_of(self._kind, netloc)) is not None:
            pace.wait()
        given_up = host in self._given_up
        try:
            attempt = self._once.send if given_up else super().send
            response = attempt(request, *args, **kw)
        except requests.ConnectionError as error:
            self._given_up.add(host)
            if given_up:
                raise _GivenUpError(host, request=request) from error
            raise
        self._given_up.discard(host)
        return response

    def close(self) -> None:
        """Close all connections."""
        super().close()
        self._once.close()


def session(
    tell: Tell = _silent,
    *,
    kind: str = "",
    tries: int = 6,
    backoff: float = 0.5,
    searches: bool = False,
) -> requests.Session:
    """Return a session for any source; threads may share it.

    Parameters
    ----------
    tell
        Called with one line before each retry, for example that of
        `stacbuild.progress.current`.
    kind
        Kind of store, such as ``zenodo``, whose rate limits are respected
        (`stacbuild.net.pace`).
    tries
        Attempts of a request that gets no connection, 429 or 5xx.
    backoff
        Seconds before the first retry, doubled with each further one, unless the server sends
        ``Retry-After``.
    searches
        Whether POST requests change nothing, as searches do, so that they are retried, too.
    """
    made = _Session(tell)
    made.headers["User-Agent"] = f"stacbuild/{version('stacbuild')}"
    given_up = made.run.given_up
    retry = _Retry(
        total=tries - 1,
        redirect=0,
        other=0,
        status_forcelist=_WAIT_FOR,
        allowed_methods=None if searches else _Retry.DEFAULT_ALLOWED_METHODS,
        backoff_factor=backoff,
        raise_on_status=False,
        tell=tell,
    )
    for scheme in ("https://", "http://"):
        made.mount(
            scheme, _PacedAdapter(kind, given_up, max_retries=retry, pool_maxsize=_CONNECTIONS)
        )
    return made


def tell_of(session: requests.Session) -> Tell:
    """Return the callback for lines of *session*, to report interrupted bodies, too."""
    return session.tell if isinstance(session, _Session) else _silent


def send(session: requests.Session, method: str, url: str, **kwargs: Any) -> requests.Response:
    """Send a request and return the response if its status is 2xx, else raise.

    Parameters
    ----------
    kwargs
        As for `requests.Session.request`.

    Raises
    ------
    NotFoundError
        For 404 and 410.
    AuthError
        For 401.
    RemoteError
        For any other status, no connection, or a timeout.
    """
    return answered(attempt(session, method, url, **kwargs))


def attempt(session: requests.Session, method: str, url: str, **kwargs: Any) -> requests.Response:
    """Send a request and return the response, whatever its status; otherwise as `send`."""
    try:
        return session.request(method, url, **kwargs)
    except requests.RequestException as error:
        raise RemoteError(f"{public_url(url)}: {reason(error)}") from error


def answered(response: requests.Response) -> requests.Response:
    """Return a response whose status is 2xx; close any other one and raise as `send`."""
    if not response.ok:
        response.close()
        raise status_error(response)
    return response


def status_error(response: requests.Response) -> RemoteError | AuthError:
    """Return the error for a response whose status is not 2xx."""
    where, status = public_url(response.request.url or response.url), response.status_code
    if status in (404, 410):
        return NotFoundError(f"{where}: not found ({_status(status)})")
    if status == 401:
        return AuthError(f"{where}: credentials are missing or refused ({_status(status)})")
    return RemoteError(f"{where}: the server answers {_status(status)}")


def reason(error: BaseException) -> str:
    """Return why a request failed, without the URL, which may contain a signature."""
    if isinstance(error, _GivenUpError) and error.__cause__ is not None:
        return f"{reason(error.__cause__)}; as before in this run, so it was tried only once"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return f"no connection ({cause.strerror})"
        if isinstance(cause, ReadTimeoutError):
            return "no answer in time"
        inner = getattr(cause, "reason", None) or next(
            (arg for arg in cause.args if isinstance(arg, BaseException)), None
        )
        cause = inner if isinstance(inner, BaseException) else cause.__cause__ or cause.__context__
    return f"no connection ({type(error).__name__})"


def get_json(
    session: requests.Session,
    url: str,
    *,
    params: Any = None,
    headers: dict[str, str] | None = None,
) -> Any:
    """Return the parsed JSON document at *url*.

    Raises
    ------
    NotFoundError, AuthError, RemoteError
        As `send`; RemoteError also if the response is not JSON.
    """
    headers = {"Accept": "application/json"} | (headers or {})
    response = send(session, "GET", url, params=params, headers=headers, stream=True)
    body = read_json_body(response)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RemoteError(
            f"{public_url(url)}: the response is not JSON "
            f"({len(body)} bytes, {response.headers.get('Content-Type', 'no type')})"
        ) from error


def read_json_body(response: requests.Response, due: str = "JSON") -> bytes:
    """Read the body of a response to a request with ``stream=True``, and close the response.

    A few kilobytes of gzip can decompress to gigabytes, so the size is checked after decompression
    and while reading.

    Raises
    ------
    RemoteError
        The body is larger than `MOST_JSON`, slower than `JSON_PATIENCE`, a web page, or cannot be
        read.
    """
    with response:
        refuse_page(response, due)
        body = read_bounded(response)
        refuse_page(response, due, body[:64])
    return body


def read_bounded(response: requests.Response, what: str = "a JSON document") -> bytes:
    """Read a body of at most `MOST_JSON` bytes, at `JSON_PATIENCE`; errors as `read_json_body`."""
    url = public_url(response.url)
    body = bytearray()
    speed = Speed(JSON_PATIENCE)
    try:
        # `iter_content` would wait for whole blocks, and so for a body that never ends.
        while part := response.raw.read1(1 << 16, decode_content=True):
            body += part
            if (slow := speed.too_slow(len(body))) is not None:
                raise RemoteError(f"{url}: the server sends only {slow:.0f} bytes per second")
            if len(body) > MOST_JSON:
                raise RemoteError(
                    f"{url}: the response is larger than {MOST_JSON >> 20} MB, the limit for {what}"
                )
    except (HTTPError, OSError) as error:
        raise RemoteError(f"{url}: {reason(error)}") from error
    return bytes(body)


def refuse_page(response: requests.Response, due: str, start: bytes = b"") -> None:
    """Raise RemoteError and close the response if it is a web page instead of *due*.

    Parameters
    ----------
    start
        First bytes of the body, if already read: a page may have any content type.
    """
    if "html" in response.headers.get("Content-Type", "").lower() or is_page(start):
        response.close()
        raise RemoteError(f"{public_url(response.url)}: returned an HTML page instead of {due}")


def content_range(response: requests.Response) -> tuple[int, int | None] | None:
    """Return the first byte of a ``Content-Range`` and the size of the file, if known.

    None if the header is missing or malformed.
    """
    header = response.headers.get("Content-Range", "").strip()
    if (found := re.fullmatch(r"bytes (\d{1,19})-\d+/(\d{1,19}|\*)", header)) is None:
        return None
    return int(found[1]), None if found[2] == "*" else int(found[2])


def is_page(start: bytes) -> bool:
    """Return whether a body that begins with *start* is a web page."""
    return (
        start[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html"))
    )


def _status(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)
