"""Stand-ins for providers of scenes, each with the habits of its API and of its files' server.

Every one is a context manager with ``root``, the URL of its API, and ``add``, which publishes a
`tests.support.scenes.pixels.Scene`; see `tests.standins.server.LoopbackServer` for its log of
requests (``log``) and how to make them fail (``fail``).
"""

from __future__ import annotations

import datetime as dt
import json
import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.standins.s3 import S3Server
from tests.standins.server import Request, Response, html
from tests.support.scenes.api import Json, SceneApi
from tests.support.scenes.pixels import Scene

KEY, SECRET = "scenes-key", "scenes-secret"


class _StacServer(SceneApi):
    """stac-server: pages by a token in the body, and each page but an empty one has a next one."""

    def follow(self, request: Request, asked: Json, last: Json) -> Json:
        own = {key: value for key, value in asked.items() if key != "next"}
        token = f"{last['properties']['datetime']},{last['id']},{last['collection']}"
        return self.link(request, own, {"next": token}) | {"merge": False}

    def after(self, asked: Json) -> str | None:
        return asked["next"].split(",")[1] if "next" in asked else None

    def is_last(self, returned: int, rest: int) -> bool:
        del rest
        return returned == 0


class _Pgstac(SceneApi):
    """stac-fastapi-pgstac: pages by a token."""

    def follow(self, request: Request, asked: Json, last: Json) -> Json:
        own = {key: value for key, value in asked.items() if key != "token"}
        return self.link(request, own, {"token": f"next:{last['collection']}:{last['id']}"})

    def after(self, asked: Json) -> str | None:
        return asked["token"].split(":", 2)[2] if "token" in asked else None


class EarthSearch(_StacServer):
    """Earth Search v1: Cloud Optimized GeoTIFFs that anyone may read over HTTPS."""

    template = "earth-search"
    path = "/v1"
    own = "https://earth-search.aws.element84.com/v1"

    def href(self, asset: Json, scene: Scene, key: str) -> str:
        name = posixpath.basename(urlsplit(asset["href"]).path)
        return f"{self.url}/sentinel-cogs/{scene.name}/{name}"


class PlanetaryComputer(_Pgstac):
    """Planetary Computer: GeoTIFFs on Azure Blob Storage, with SAS tokens that expire.

    Accounts and containers are in the path, as in Azure's emulator.

    Attributes
    ----------
    lifetime
        Seconds that new tokens are valid.
    ahead
        Seconds that the clock of this server is ahead: tests let tokens expire by it.
    """

    template = "planetary-computer"
    path = "/api/stac/v1"
    own = "https://planetarycomputer.microsoft.com/api/stac/v1"
    most = 1000

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.lifetime = 2700.0
        self.ahead = 0.0
        self.tokens: dict[str, tuple[str, dt.datetime]] = {}

    def href(self, asset: Json, scene: Scene, key: str) -> str:
        parts = urlsplit(asset["href"])
        account = parts.netloc.partition(".")[0]
        container = parts.path.split("/")[1]
        return f"{self.url}/{account}/{container}/{scene.name}/{posixpath.basename(parts.path)}"

    def respond(self, request: Request) -> Response:
        path = request.path
        if path.startswith("/api/sas/v1/token/"):
            return self._token(path.removeprefix("/api/sas/v1/token/"))
        return super().respond(request)

    def refuses(self, request: Request) -> Response | None:
        signature = request.query.get("sig", [""])[0]
        container, expires = self.tokens.get(signature, ("", self._clock()))
        if not request.path.lstrip("/").startswith(f"{container}/") or not container:
            return _azure(409, "PublicAccessNotPermitted") if not signature else _azure(403)
        return _azure(403) if expires <= self._clock() else None

    def _clock(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.ahead)

    def _token(self, container: str) -> Response:
        with self.lock:
            signature = f"SECRET{len(self.tokens) + 1}/+="
            expires = self._clock() + dt.timedelta(seconds=self.lifetime)
            self.tokens[signature] = container, expires
        quoted = signature.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D")
        # By the client's clock.
        stated = expires - dt.timedelta(seconds=self.ahead)
        content = {
            "msft:expiry": f"{stated:%Y-%m-%dT%H:%M:%SZ}",
            "token": f"st=2023-01-01T00%3A00%3A00Z&sp=rl&sv=2021-06-08&sr=c&sig={quoted}",
        }
        return Response(200, json.dumps(content).encode(), {"Content-Type": "application/json"})


class Hls(PlanetaryComputer):
    """Harmonized Landsat and Sentinel-2, as the Planetary Computer has it."""

    template = "hls"


class _OnS3(SceneApi):
    """A provider with files on S3; ``s3`` is the server, ``storage_options`` the access to it."""

    bucket: str

    def __init__(self, folder: Path, s3: KeyedS3) -> None:
        super().__init__(folder)
        self.s3 = s3

    @property
    def storage_options(self) -> Json:
        return {"key": KEY, "secret": SECRET, "endpoint_url": self.s3.url}

    def _place(self, href: str, scene: Scene) -> str:
        return f"s3://{self.bucket}/{scene.name}/{posixpath.basename(href)}"

    def _put(self, href: str, content: bytes) -> None:
        self.s3.put(href.removeprefix(f"s3://{self.bucket}/"), content, self.bucket)


class Cdse(_Pgstac, _OnS3):
    """Copernicus Data Space: JPEG 2000 on S3 with keys; pages have at most 100 items."""

    template = "cdse"
    path = "/v1"
    own = "https://stac.dataspace.copernicus.eu/v1"
    bucket = "eodata"
    driver = "JP2OpenJPEG"
    most = 100

    def href(self, asset: Json, scene: Scene, key: str) -> str:
        return self._place(asset["href"], scene)

    def publish(self, asset: Json, content: bytes) -> None:
        self._put(asset["href"], content)

    def too_large(self) -> Response:
        body = json.dumps({"detail": "Too Many Requests"}).encode()
        headers = {"Retry-After": "0", "Content-Type": "application/json"}
        return Response(429, body, headers)


class Usgs(_StacServer, _OnS3):
    """Landsat of the USGS: HTTPS asks for a login, S3 lets the requester pay."""

    template = "usgs"
    path = "/stac-server"
    own = "https://landsatlook.usgs.gov/stac-server"
    bucket = "usgs-landsat"

    def href(self, asset: Json, scene: Scene, key: str) -> str:
        s3 = asset["alternate"]["s3"]
        s3["href"] = self._place(s3["href"], scene)
        return f"{self.url}/data/{scene.name}/{posixpath.basename(s3['href'])}"

    def publish(self, asset: Json, content: bytes) -> None:
        self._put(asset["alternate"]["s3"]["href"], content)

    def refuses(self, request: Request) -> Response | None:
        del request
        return Response(302, b"", {"Location": f"{self.url}/login"})

    def respond(self, request: Request) -> Response:
        return html(200, "Sign in") if request.path == "/login" else super().respond(request)


class KeyedS3(S3Server):
    """S3 that only answers signed requests with `KEY`; for `Usgs`, if the requester pays."""

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        inside = "HTTP_X_STANDIN" in environ or environ["PATH_INFO"].startswith("/moto-api")
        signed = f"Credential={KEY}/" in environ.get("HTTP_AUTHORIZATION", "")
        pays = environ.get("HTTP_X_AMZ_REQUEST_PAYER") == "requester"
        bought = pays or not environ["PATH_INFO"].startswith(f"/{Usgs.bucket}/")
        if inside or (signed and bought):
            return super()._answer(environ, start_response)
        self._note(environ, 403)
        body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
        start_response("403 Forbidden", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _azure(status: int, code: str = "AuthenticationFailed") -> Response:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code></Error>'
    return Response(status, body.encode(), {"Content-Type": "application/xml"})
