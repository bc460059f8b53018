"""Stand-in for the CLMS portal: token, search, download requests, and their deliveries."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlencode

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.standins.server import LoopbackServer, Request, Response, html

Json = dict[str, Any]
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
FINAL = ("Rejected", "Finished_ok", "Finished_nok", "Cancelled")
DONE = ("Queued", "In_progress", "Finished_ok")
_ALWAYS = ("@id", "@type", "id", "title", "description", "review_state", "type_title")


@dataclass(frozen=True)
class Product:
    """A data set of the portal, with the deliveries of those files that can be delivered."""

    slug: str
    title: str
    deliveries: Mapping[str, Path]  # file → zip of zips
    other_files: tuple[str, ...] = ()  # listed, but a request for them ends Finished_nok
    year: int = 2015
    resolution: str = "20m"
    crs: tuple[str, ...] = ("EPSG:3035",)
    portal_type: str = "DataSet"

    @property
    def uid(self) -> str:
        return uuid.uuid5(uuid.NAMESPACE_URL, self.slug).hex

    def file_id(self, file: str) -> str:
        """Of a downloadable file: its ``@id``."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.slug}/{file}"))


@dataclass
class Task:
    """A download request and how far it is."""

    id: str
    product: Product
    file: str
    script: Sequence[str]
    polls: int = 0
    link: str | None = None  # of the finished delivery

    @property
    def status(self) -> str:
        return self.script[min(self.polls, len(self.script) - 1)]


def scs2_products(deliveries: Mapping[str, Path]) -> tuple[Product, ...]:
    """The three products of the SCS2 configuration, 20 m, reference year 2015."""
    titles = {
        "tree-cover-density-2015": ("Tree Cover Density 2015", "TCD"),
        "dominant-leaf-type-2015": ("Dominant Leaf Type 2015", "DLT"),
        "forest-type-2015": ("Forest Type 2015", "FTY"),
    }
    return tuple(
        Product(
            slug,
            f"{title} (raster 20 m and 100 m), Europe, 3-yearly",
            {file: path for file, path in deliveries.items() if file.startswith(code)},
            tuple(
                f"{code}_2015_{rest}"
                for rest in ("020m_eu_03035_d05_E40N20", "100m_eu_03035_d02_full")
            ),
        )
        for slug, (title, code) in titles.items()
    )


def _decoys() -> list[Product]:
    themes = ("Imperviousness Density", "Grassland", "Water and Wetness", "Small Woody Features")
    return [
        Product(
            f"{theme.lower().replace(' ', '-')}-{year}",
            f"{theme} {year} (raster 10 m), Europe",
            {},
            (f"{theme[:3].upper()}_{year}_010m_eu_03035_v010",),
            year,
            "10m",
        )
        for theme in themes
        for year in range(2003, 2020)
    ]


@dataclass
class _Key:
    """What the portal knows of a user's key, and the file that it hands out."""

    private: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    client_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    user_id: str = "standin-user"
    key_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def credentials(self, token_uri: str) -> Json:
        pem = self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "client_id": self.client_id,
            "ip_range": None,
            "issued": "2026-01-02T03:04:05.678901",
            "key_id": self.key_id,
            "private_key": pem.decode(),
            "title": "stand-in",
            "token_uri": token_uri,
            "user_id": self.user_id,
        }


class ClmsServer(LoopbackServer):
    """Serves the portal's API under ``api``, tokens at ``token_uri``, deliveries from elsewhere.

    Parameters
    ----------
    products
        What can be found and delivered; some seventy others are only found.
    token_seconds
        How long a token holds; see also ``expire_tokens``.
    page
        Products a page of the search.

    Attributes
    ----------
    script
        Statuses that a new task goes through, one a poll; the last stays. Per file in
        ``scripts``. Read when the task is made.
    tasks
        All tasks by id.
    posts
        How many requests for data were accepted.
    """

    def __init__(
        self,
        *products: Product,
        token_seconds: float = 3600,
        page: int = 25,
        port: int = 0,
    ) -> None:
        super().__init__(port)
        self.api = f"{self.url}/api"
        self.token_uri = f"{self.url}/@@oauth2-token"
        self.token_seconds, self.page = token_seconds, page
        self.script: Sequence[str] = DONE
        self.scripts: dict[str, Sequence[str]] = {}
        self.tasks: dict[str, Task] = {}
        self.posts = 0
        self._tokens: dict[str, float] = {}
        self._key = _Key()
        # Spread over the pages, so that one page is never enough.
        self.products = _decoys()
        for number, product in enumerate(products):
            self.products.insert(11 + 27 * number, product)
        self._initial_products, self._initial_seconds = tuple(self.products), token_seconds

    def restore(self) -> None:
        """Go back to the start: no log, faults, tasks or tokens, the first products; same key."""
        self.reset()
        self.script, self.posts, self.token_seconds = DONE, 0, self._initial_seconds
        self.products = list(self._initial_products)
        self.scripts.clear()
        self.tasks.clear()
        self._tokens.clear()

    def add(self, product: Product) -> Self:
        """Offer one more product."""
        self.products.append(product)
        return self

    def credentials(self) -> Json:
        """The content of a valid credentials file."""
        return self._key.credentials(self.token_uri)

    def write_credentials(self, path: Path) -> Path:
        """Write a valid credentials file, readable by its owner only."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(self.credentials(), indent=2), encoding="utf-8")
        return path

    def expire_tokens(self) -> None:
        """Make all tokens that were handed out so far invalid."""
        with self.lock:
            self._tokens.clear()

    def expire_links(self) -> None:
        """Make all download links that were handed out so far dead."""
        with self.lock:
            for task in self.tasks.values():
                task.link = f"/expired/{task.id}"

    # --- answers ---

    def respond(self, request: Request) -> Response:
        path = request.path
        if request.second_port:
            return self._delivery(path)
        if path == "/@@oauth2-token" and request.method == "POST":
            return self._token(request)
        if path == "/api/@search" and request.method == "GET":
            return self._search(request)
        answers = {
            ("POST", "/api/@datarequest_post"): self._post,
            ("GET", "/api/@datarequest_search"): self._tasks,
            ("GET", "/api/@datarequest_status_get"): self._status,
        }
        answer = answers.get((request.method, path))
        if answer is None:
            return html(404, "This page does not seem to exist…", path)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        with self.lock:
            valid_until = self._tokens.get(token, 0.0)
        if scheme != "Bearer" or time.time() >= valid_until:
            message = "You are not authorized to access this resource."
            return _json({"type": "Unauthorized", "message": message}, 401)
        if "application/json" not in request.headers.get("accept", ""):
            # Plone shows its pages to whom does not ask for JSON.
            return html(200, "Copernicus Land Monitoring Service")
        return answer(request)

    def _token(self, request: Request) -> Response:
        form = parse_qs(request.body.decode("ascii", "replace"))
        if form.get("grant_type") != [GRANT]:
            return _json({"error": "unsupported_grant_type"}, 400)
        try:
            claims = jwt.decode(
                form.get("assertion", [""])[0],
                self._key.private.public_key(),
                algorithms=["RS256"],
                audience=self.token_uri,
                issuer=self._key.client_id,
                options={"require": ["iss", "sub", "aud", "iat", "exp"]},
            )
        except jwt.InvalidTokenError as error:
            return _json({"error": "invalid_grant", "error_description": str(error)}, 400)
        if claims["sub"] != self._key.user_id:
            return _json({"error": "invalid_grant", "error_description": "Unknown user"}, 400)
        if claims["exp"] > claims["iat"] + 3600:
            text = "Expiration is longer than one hour"
            return _json({"error": "invalid_grant", "error_description": text}, 400)
        token = uuid.uuid4().hex
        with self.lock:
            self._tokens[token] = time.time() + self.token_seconds
        seconds = int(self.token_seconds)
        return _json({"access_token": token, "expires_in": seconds, "token_type": "Bearer"})

    def _search(self, request: Request) -> Response:
        query = request.query
        kinds, fields = query.get("portal_type", []), query.get("metadata_fields", [])
        words = " ".join(query.get("SearchableText", [])).lower().replace("*", "").split()
        found = [
            product
            for product in self.products
            if (not kinds or product.portal_type in kinds)
            and all(word in product.title.lower() for word in words)
        ]
        start = int(query.get("b_start", ["0"])[0])
        size = int(query.get("b_size", [str(self.page)])[0])

        def link(first: int) -> str:
            kept = {name: values for name, values in query.items() if name != "b_start"}
            return f"{self.api}/@search?{urlencode({**kept, 'b_start': first}, doseq=True)}"

        content: Json = {
            "@id": f"{self.api}/@search",
            "items": [self._item(each, fields) for each in found[start : start + size]],
            "items_total": len(found),
        }
        if len(found) > size:
            last = (len(found) - 1) // size * size
            batching = {"@id": link(start), "first": link(0), "last": link(last)}
            if start + size < len(found):
                batching["next"] = link(start + size)
            if start > 0:
                batching["prev"] = link(max(start - size, 0))
            content["batching"] = batching
        return _json(content)

    def _item(self, product: Product, fields: Sequence[str]) -> Json:
        item: Json = {
            "@id": f"{self.api}/en/products/{product.slug}",
            "@type": product.portal_type,
            "id": product.slug,
            "title": product.title,
            "description": f"{product.title}: stand-in.",
            "review_state": "published",
            "type_title": "DataSet",
            "UID": product.uid,
            "downloadable_files": {
                "items": [
                    self._file(product, file)
                    for file in (*product.other_files, *product.deliveries)
                ]
            },
            "dataset_download_information": {
                "items": [
                    {
                        "@id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{product.slug}#information")),
                        "full_format": "Geotiff",
                        "full_path": None,
                        "full_source": "EEA",
                        "name": "Raster",
                    }
                ]
            },
            "coordinateReferenceSystemList": list(product.crs),
            "temporalExtentStart": f"{product.year}-01-01",
            "temporalExtentEnd": f"{product.year}-12-31",
            "geographicBoundingBox": {
                "items": [{"west": "-31.5", "east": "44.8", "south": "27.4", "north": "71.2"}]
            },
        }
        chosen = set(item) if "_all" in fields else {*_ALWAYS, *fields}
        return {name: value for name, value in item.items() if name in chosen}

    def _file(self, product: Product, file: str) -> Json:
        return {
            "@id": product.file_id(file),
            "area": file.rpartition("_")[2],
            "file": file,
            "format": "Geotiff",
            "path": f"\\\\CWSFILESERVER\\Pan_European\\{product.slug}\\{file}.zip",
            "resolution": product.resolution,
            "size": "",
            "source": "EEA",
            "type": "Raster",
            "version": "",
            "year": str(product.year),
        }

    def _post(self, request: Request) -> Response:
        try:
            wanted = [
                (entry["DatasetID"], entry["FileID"])
                for entry in json.loads(request.body)["Datasets"]
            ]
        except (ValueError, KeyError, TypeError):
            return _error("Error, the request is not valid")
        if not 1 <= len(wanted) <= 5:
            return _error("Error, at most 5 datasets can be requested at a time")
        known = {
            (product.uid, product.file_id(file)): (product, file)
            for product in self.products
            for file in (*product.other_files, *product.deliveries)
        }
        chosen = [known[each] for each in wanted if each in known]
        if len(chosen) < len(wanted):
            return _error("Error, the DatasetID or the FileID is not valid")
        with self.lock:
            pending = [
                (task.product, task.file)
                for task in self.tasks.values()
                if task.status not in FINAL
            ]
            for number, each in enumerate(chosen):
                if each in chosen[:number] or each in pending:
                    return _error("Error, there is already such a request in the queue")
            made = [self._make_task(product, file) for product, file in chosen]
            self.posts += 1
        return _json({"TaskIds": [{"TaskID": task.id} for task in made], "ErrorTaskIds": []}, 201)

    def _make_task(self, product: Product, file: str) -> Task:
        script = self.scripts.get(file, self.script)
        if file not in product.deliveries:
            script = ("Queued", "Finished_nok")
        number = str(4_000_000_000 + len(self.tasks) * 7919 + 17)
        self.tasks[number] = Task(number, product, file, tuple(script))
        return self.tasks[number]

    def _tasks(self, request: Request) -> Response:
        wanted = request.query.get("status", [])
        with self.lock:
            content = {task.id: self._poll(task) for task in self.tasks.values()}
        return _json(
            {
                number: task
                for number, task in content.items()
                if not wanted or task["Status"] in wanted
            }
        )

    def _status(self, request: Request) -> Response:
        with self.lock:
            task = self.tasks.get(request.query.get("TaskID", [""])[0])
            if task is None:
                return _error("Error, task not found", 404)
            return _json(self._poll(task))

    def _poll(self, task: Task) -> Json:
        status = task.status
        task.polls += 1
        content: Json = {
            "Datasets": [
                {
                    "DatasetID": task.product.uid,
                    "DatasetTitle": task.product.title,
                    "FileID": task.product.file_id(task.file),
                    "FileName": task.file,
                }
            ],
            "Mail": "user@example.org",
            "RegistrationDateTime": "2026-01-02T03:04:05.678901",
            "Status": status,
            "UserID": self._key.user_id,
        }
        if status in FINAL:
            content["FinalizationDateTime"] = "2026-01-02T03:14:05.678901"
        if status == "Finished_ok":
            task.link = task.link or f"/{task.id}/{uuid.uuid4().hex}.zip"
            content["DownloadURL"] = f"{self.second_url}{quote(task.link)}"
            content["FileSize"] = task.product.deliveries[task.file].stat().st_size
        elif status in ("Rejected", "Finished_nok"):
            content["Message"] = "There was an error in the processing of the request"
        return content

    def _delivery(self, path: str) -> Response:
        with self.lock:
            for task in self.tasks.values():
                if task.link == path and not path.startswith("/expired/"):
                    delivery = task.product.deliveries[task.file]
                    headers = {"Content-Type": "application/zip", "ETag": f'"{task.id}"'}
                    return Response(200, delivery, headers)
        return html(404, "404 Not Found")


def _error(message: str, status: int = 400) -> Response:
    return _json({"status": "error", "msg": message}, status)


def _json(content: Json, status: int = 200) -> Response:
    return Response(status, json.dumps(content).encode(), {"Content-Type": "application/json"})
