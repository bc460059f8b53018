"""Sessions that log each retry and name the failing URL.

Retries of whole answers (429, 5xx, no connection) live here; those of bodies that are cut or
stall live in `download` and `ranges`, as no HTTP library resumes a body by itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from types import TracebackType
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from stacbuild.errors import AuthError, NotFoundError, RemoteError
from stacbuild.net.hrefs import leads_inwards
from stacbuild.net.pace import pace_of
from stacbuild.runs import current

Tell = Callable[[str], None]

TIMEOUT = (10.0, 60.0)
"""Seconds to wait for a connection, and for the next byte of an answer."""

LONGEST_WAIT = 900.0
"""Seconds that a ``Retry-After`` may ask for; a server that wants more is an error."""

MOST_JSON = 32 << 20
"""Bytes of the largest JSON document that is read, after decompression."""

_WAIT_FOR = (429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Patience:
    """How long a body that is cut, stands still or trickles is asked for again.

    Parameters
    ----------
    tries
        Attempts that bring less than *worth* bytes, in a row, before it gives up.
    worth
        Bytes after which an attempt counts as progress and the tries count anew.
    min_speed
        Bytes a second, over *seconds*, below which the connection is dropped and made again.
    seconds
        How long a body may be slower than that; also how long it may stand still.
    pause
        Seconds to wait before the connection is made again, doubled from try to try.
    """

    tries: int = 6
    worth: int = 1 << 20
    min_speed: float = 8_000
    seconds: float = 30
    pause: float = 0.5


def public_url(url: str) -> str:
    """Return *url* without user, password, query and fragment: what may stand in a message."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _silent(message: str) -> None:
    """Ignore a line."""


class _ToldRetry(Retry):
    """A `Retry` that says in one line what it waits for, and refuses to wait for ever."""

    def __init__(self, *args: Any, tell: Tell = _silent, host: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tell = tell
        self.host = host

    def new(self, **kw: Any) -> _ToldRetry:
        """Copy with changes, as urllib3 does for every try."""
        return super().new(tell=self.tell, host=self.host, **kw)

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: TracebackType | None = None,
    ) -> _ToldRetry:
        """Count one try (as urllib3 does) and remember whose answer it was."""
        self.host = getattr(_pool, "host", self.host)
        return super().increment(method, url, response, error, _pool, _stacktrace)

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Wait as long as the server asks, else with doubling pauses."""
        try:
            asked = self.get_retry_after(response) if response is not None else None
        except InvalidHeader:
            asked = None
        wait = self.get_backoff_time() if asked is None else asked
        what = f"answers {_status(response.status)}" if response is not None else "does not answer"
        if wait > LONGEST_WAIT:
            raise RemoteError(f"{self.host} {what} and asks to wait {wait:.0f} s; try again then")
        self.tell(f"{self.host} {what}; trying again in {wait:.0f} s")
        time.sleep(wait)


class _Session(requests.Session):
    """A session whose requests time out and whose redirects stay on the web."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self.tell = tell

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request; without a *timeout* of its own it has `TIMEOUT`."""
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = TIMEOUT
        return super().request(*args, **kwargs)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where an answer leads, if one may go there."""
        # requests itself drops Authorization when the host changes; the scheme is ours to check.
        target = super().get_redirect_target(resp)
        if target is not None:
            whole = urljoin(resp.url, target)
            scheme = urlsplit(whole).scheme.lower()
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
    """A host that did not answer earlier in the run does not answer again."""


class _PacedAdapter(HTTPAdapter):
    """Sends requests at the pace of a kind of server."""

    def __init__(self, kind: str, given_up: set[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._kind = kind
        self._given_up = given_up
        # A host that did not answer after all tries gets one more try each time.
        self._once = HTTPAdapter()

    def send(self, request: requests.PreparedRequest, *args: Any, **kw: Any) -> requests.Response:
        """Wait for this request's turn, then send it; each step of a redirect comes by here."""
        host = urlsplit(request.url or "").netloc.rpartition("@")[2]
        if (pace := pace_of(self._kind, urlsplit(request.url or "").netloc)) is not None:
            pace.wait()
        given_up = host in self._given_up
        try:
            if given_up:
                response = self._once.send(request, *args, **kw)
            else:
                response = super().send(request, *args, **kw)
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
    connections: int = 32,
) -> requests.Session:
    """Make a session for any source; it may be shared by threads.

    Parameters
    ----------
    tell
        Takes one line each time the session waits before it asks again, for example
        that of `stacbuild.progress.current`.
    kind
        Of store, such as ``zenodo``: its servers get no more requests than they allow
        (`stacbuild.net.pace`).
    tries
        How often a request is sent at most, when it meets no connection, 429 or 5xx.
    backoff
        Seconds that the waits double from, where the server names none (``Retry-After``).
    connections
        Connections kept open to one host.
    """
    made = _Session(tell)
    made.headers["User-Agent"] = f"stacbuild/{version('stacbuild')}"
    given_up = current().given_up
    retry = _ToldRetry(
        total=tries - 1,
        redirect=0,
        other=0,
        status_forcelist=_WAIT_FOR,
        backoff_factor=backoff,
        raise_on_status=False,
        tell=tell,
    )
    for scheme in ("https://", "http://"):
        made.mount(
            scheme, _PacedAdapter(kind, given_up, max_retries=retry, pool_maxsize=connections)
        )
    return made


def tell_of(session: requests.Session) -> Tell:
    """Return what takes the lines of *session*; bodies that break are told of there, too."""
    return session.tell if isinstance(session, _Session) else _silent


def send(session: requests.Session, method: str, url: str, **kwargs: Any) -> requests.Response:
    """Send a request and give the answer if it is one of success (2xx), else raise.

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
        For any other status, no connection, no answer in time.
    """
    try:
        response = session.request(method, url, **kwargs)
    except requests.RequestException as error:
        raise RemoteError(f"{public_url(url)}: {reason(error)}") from error
    if not response.ok:
        response.close()
        raise status_error(response)
    return response


def status_error(response: requests.Response) -> RemoteError | AuthError:
    """Turn an answer that is not one of success into the error that names it."""
    where, status = public_url(response.request.url or response.url), response.status_code
    if status in (404, 410):
        return NotFoundError(f"{where}: not found ({_status(status)})")
    if status == 401:
        return AuthError(f"{where}: credentials are missing or refused ({_status(status)})")
    return RemoteError(f"{where}: the server answers {_status(status)}")


def reason(error: BaseException) -> str:
    """Return why a request failed, in words and without the URL (that may hold a signature)."""
    if isinstance(error, _GivenUpError) and error.__cause__ is not None:
        return f"{reason(error.__cause__)}; as before in this run, so it was tried only once"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return f"no connection ({cause.strerror})"
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
    """GET *url* and parse the JSON of the answer.

    Raises
    ------
    NotFoundError, AuthError, RemoteError
        As `send`; RemoteError too if the answer is not JSON, naming it when it is a web page.
    """
    headers = {"Accept": "application/json"} | (headers or {})
    response = send(session, "GET", url, params=params, headers=headers, stream=True)
    body = read_json_body(response)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RemoteError(
            f"{public_url(url)}: answered with something that is not JSON "
            f"({len(body)} bytes, {response.headers.get('Content-Type', 'no type')})"
        ) from error


def read_json_body(response: requests.Response, due: str = "JSON") -> bytes:
    """Read the body of an answer that was asked for with ``stream=True``, and close the answer.

    A few kilobytes of gzip can decompress to gigabytes, so bytes are counted after decompression,
    while they come.

    Raises
    ------
    RemoteError
        The body is larger than `MOST_JSON`, is a web page, or does not come.
    """
    url = public_url(response.url)
    body = bytearray()
    with response:
        refuse_page(response, due)
        try:
            for part in response.iter_content(1 << 16):
                body += part
                if len(body) > MOST_JSON:
                    raise RemoteError(
                        f"{url}: the answer is larger than {MOST_JSON >> 20} MB, the most that is "
                        "read of a JSON document"
                    )
        except requests.RequestException as error:
            raise RemoteError(f"{url}: {reason(error)}") from error
        refuse_page(response, due, bytes(body[:64]))
    return bytes(body)


def refuse_page(response: requests.Response, due: str, start: bytes = b"") -> None:
    """Raise if the answer is a web page where *due* was asked for (closes the answer then).

    Parameters
    ----------
    start
        Of the body, if it has been read: a page may come under any type.
    """
    if "html" in response.headers.get("Content-Type", "").lower() or is_page(start):
        response.close()
        raise RemoteError(
            f"{public_url(response.url)}: answered with an HTML page where {due} was due"
        )


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
