"""Credentials of the Copernicus Land Monitoring Service (CLMS), exchanged for bearer tokens.

The exchange is that of RFC 7523, as https://eea.github.io/clms-api-docs/authentication.html
describes it: a JWT signed with the user's private key is posted to ``token_uri``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import jwt
import requests
from pydantic import SecretStr
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from stacbuild.errors import AuthError, NotFoundError, RemoteError
from stacbuild.net.http import LONGEST_WAIT, public_url, read_json_body, reason
from stacbuild.safe_text import remember_secret

ACCEPT = {"Accept": "application/json"}

_REQUIRED = ("client_id", "user_id", "token_uri", "private_key")
_HOW = (
    "sign in at https://land.copernicus.eu, create an API token in your profile, save its JSON "
    "beside the configuration, as clms-credentials.json, and name that in store_params.credentials"
)
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_PAUSES = (0.5, 2.0)  # seconds before a POST is sent again
_LIFETIME = 3600  # seconds, the longest that the CLMS accepts for a signed grant
_RENEW_BEFORE = 60  # seconds before its expiry from which a token is not used any more
_SKEW = 60  # seconds by which this machine's clock may be ahead


@dataclass(frozen=True)
class Credentials:
    """Credentials of a user for the API; ``origin`` is their source, for messages."""

    client_id: str
    user_id: str
    token_uri: str
    private_key: SecretStr
    origin: str


def read_credentials(path: Path | None, inline: Mapping[str, Any] | None = None) -> Credentials:
    """Read the credentials from a JSON file or from the configuration.

    Parameters
    ----------
    path
        The file from the CLMS; client_id, user_id, token_uri and private_key are used.
    inline
        The same fields as a mapping; values may be `pydantic.SecretStr`.

    Raises
    ------
    AuthError
        If there are none, or a field is missing; messages never quote a value.
    """
    origin = str(path) if path else "store_params.credentials"
    content = _read_json(path) if path else inline
    if content is None:
        raise AuthError(f"the CLMS needs credentials, and the store states none: {_HOW}")
    if not isinstance(content, Mapping):
        raise AuthError(f"{origin}: holds no CLMS credentials: {_HOW}")
    values = {name: _text(content.get(name)) for name in _REQUIRED}
    missing = [name for name, value in values.items() if not value]
    if missing:
        raise AuthError(f"{origin}: {', '.join(missing)}: missing in the CLMS credentials: {_HOW}")
    remember_secret(values["private_key"])
    return Credentials(
        client_id=values["client_id"],
        user_id=values["user_id"],
        token_uri=values["token_uri"],
        private_key=SecretStr(values["private_key"]),
        origin=origin,
    )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise AuthError(f"{path}: cannot be read: {error.strerror}: {_HOW}") from error
    except ValueError:
        # The decoder's error contains the whole document, so it is not chained.
        raise AuthError(f"{path}: is not JSON: {_HOW}") from None


def _text(value: Any) -> str:
    secret = value.get_secret_value() if isinstance(value, SecretStr) else value
    return secret if isinstance(secret, str) else ""


class Token:
    """A bearer token that is fetched when first needed and renewed before it expires.

    Parameters
    ----------
    credentials
        Returns the credentials; called once, when the first token is needed.
    session
        Used for the exchange.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        credentials: Callable[[], Credentials],
        session: requests.Session,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._load = credentials
        self._session = session
        self._clock = clock
        self._credentials: Credentials | None = None
        self._value: SecretStr | None = None
        self._ends = 0.0

    @property
    def credentials(self) -> Credentials:
        """Credentials to fetch tokens with."""
        if self._credentials is None:
            self._credentials = self._load()
        return self._credentials

    def header(self) -> dict[str, str]:
        """Return the header of an authorized request."""
        value = self._value
        if value is None or self._clock() >= self._ends:
            value = self._value = self._fetch()
        return {"Authorization": f"Bearer {value.get_secret_value()}"}

    def forget(self) -> None:
        """Drop the token; the next `header` fetches a new one."""
        self._value = None

    def _fetch(self) -> SecretStr:
        credentials = self.credentials
        now = self._clock()
        # Backdated for servers whose clock is a little behind.
        issued = int(now) - _SKEW
        claims = {
            "iss": credentials.client_id,
            "sub": credentials.user_id,
            "aud": credentials.token_uri,
            "iat": issued,
            "exp": issued + _LIFETIME,
        }
        try:
            key = credentials.private_key.get_secret_value()
            assertion = jwt.encode(claims, key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            # The parser's message may quote the key.
            raise AuthError(
                f"{credentials.origin}: private_key: is not an RSA key in PEM"
            ) from None
        remember_secret(assertion)
        form = {"grant_type": _GRANT, "assertion": assertion}
        response = send(self._session, "POST", credentials.token_uri, data=form, headers=ACCEPT)
        if 400 <= response.status_code < 500 and response.status_code != 429:
            response.close()
            raise AuthError(
                f"{credentials.origin}: {credentials.token_uri} refused these credentials "
                f"(HTTP {response.status_code}){_skew(response, now)}; check that they are still "
                "valid, or make new ones in your CLMS profile"
            )
        answer = content_of(response)
        if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
            raise RemoteError(f"{credentials.token_uri}: the response has no access_token")
        lifetime = positive(answer.get("expires_in")) or _LIFETIME
        self._ends = now + lifetime - min(_RENEW_BEFORE, lifetime / 10)
        remember_secret(answer["access_token"])
        return SecretStr(answer["access_token"])


def send(session: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
    """Send a request and return the response of any status; raise `RemoteError` without one.

    The session does not retry a POST. One that was rejected unprocessed (429, 503) is retried here.
    """
    for pause in (*_PAUSES, None):
        try:
            response = session.request(method, url, **{"stream": True, **options})
        except requests.RequestException as error:
            raise RemoteError(f"{public_url(url)}: {reason(error)}") from error
        if pause is None or method != "POST" or response.status_code not in (429, 503):
            break
        response.close()
        time.sleep(min(retry_after(response) or pause, LONGEST_WAIT))
    return response


def content_of(response: requests.Response) -> Any:
    """Return the JSON of a successful response; raise the error that another one means."""
    where = public_url(response.url)
    body = read_json_body(response, f"JSON (HTTP {response.status_code})")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RemoteError(f"{where}: answered HTTP {response.status_code} without JSON") from error
    if response.ok:
        return content
    message = content.get("msg") or content.get("message") if isinstance(content, dict) else None
    text = " ".join(str(message or response.reason).split())[:200]
    kind = NotFoundError if response.status_code == 404 else RemoteError
    raise kind(f"{where}: HTTP {response.status_code}: {text}")


def retry_after(response: requests.Response) -> float | None:
    """Return the seconds of ``Retry-After``, if present."""
    value = response.headers.get("Retry-After")
    try:
        return Retry().parse_retry_after(value) if value else None
    except InvalidHeader:
        return None


def positive(value: Any) -> float | None:
    """Return a positive number, parsed if it is text; None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < float("inf") else None


def _skew(response: requests.Response, now: float) -> str:
    """Return the end of a message: the difference of the clocks, which may explain a refusal."""
    try:
        server = parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return ""
    minutes = round((now - server) / 60)
    return f"; this machine's clock is {minutes:+d} min from the server's" if minutes else ""
