"""A STAC API over HTTP: landing page, collections, items, and a search that pages."""

from __future__ import annotations

import datetime as dt
import json
import operator
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.standins.server import LoopbackServer, Request, Response, html
from tests.support.scenes.pixels import Scene, encoded

Json = dict[str, Any]

RECORDED = Path(__file__).parent / "recorded"

_OPERATORS = {
    "eq": operator.eq,
    "neq": operator.ne,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}


class SceneApi(LoopbackServer):
    """A provider of scenes: an API and, unless they are on S3, the files of its items.

    Parameters
    ----------
    folder
        For the files of the scenes.

    Attributes
    ----------
    items
        Its items, which tests may change.
    searches
        The parameters of each search that was answered.
    """

    template: str
    """File with an item, in `RECORDED`."""
    path: str
    """Path of its landing page."""
    own: str
    """URL of its landing page in recorded documents."""
    default_limit = 10
    most = 10_000
    """Items of a page; larger pages are refused, see `too_large`."""
    driver = "GTiff"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.items: list[Json] = []
        self.searches: list[Json] = []

    @property
    def root(self) -> str:
        """URL of the landing page."""
        return f"{self.url}{self.path}"

    @abstractmethod
    def href(self, asset: Json, scene: Scene, key: str) -> str:
        """Return the address of a file of a scene, from that in the template."""

    def publish(self, asset: Json, content: bytes) -> None:
        """Store the content of a file where its asset says."""
        at = self.folder / asset["href"].removeprefix(f"{self.url}/")
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(content)

    def refuses(self, request: Request) -> Response | None:
        """Return the refusal of a request for a file; None if it is answered."""

    @abstractmethod
    def follow(self, request: Request, asked: Json, last: Json) -> Json:
        """Return the link to the page after the one that ends with an item."""

    @abstractmethod
    def after(self, asked: Json) -> str | None:
        """Return the id of the last item of the previous page, from the token of `follow`."""

    def too_large(self) -> Response:
        """Return the answer to a search with a larger `limit` than allowed."""
        return _json({"code": "BadRequest", "description": "limit is too large"}, 400)

    def is_last(self, returned: int, rest: int) -> bool:
        """Return whether a page has no link to another."""
        del returned
        return rest == 0

    def add(self, scene: Scene) -> Json:
        """Publish a scene: write its files, and add its item, in the form of the template."""
        item = self._template()
        old = item["id"]
        properties = item["properties"]
        item["assets"] = {
            key: asset for key, asset in item["assets"].items() if key in scene.values
        } | {
            key: asset
            for key, asset in item["assets"].items()
            if "data" not in asset.get("roles", ())
        }
        extents = []
        for key, pixels in scene.values.items():
            asset = item["assets"][key]
            stated = asset if "proj:transform" in asset else properties
            resolution = stated["proj:transform"][0]
            place = scene.transform(resolution)
            height, width = pixels.shape
            extents.append((width * resolution, height * resolution))
            stated["proj:shape"] = [height, width]
            stated["proj:transform"] = list(place)[:6]
            _relocate(asset, scene, *extents[-1])
            asset["href"] = self.href(asset, scene, key)
            content = encoded(self.driver, pixels, scene.epsg, place, scene.nodata)
            if "file:size" in asset:
                asset["file:size"] = len(content)
            # Of other bytes than these.
            asset.pop("file:checksum", None)
            self.publish(asset, content)
            _update(asset, scene.assets.get(key, {}))
        if scene.when is not None:
            properties |= {"datetime": scene.when}
            properties |= {
                name: scene.when
                for name in ("start_datetime", "end_datetime")
                if name in properties
            }
        _relocate(properties, scene, *max(extents))
        _update(properties, scene.properties)
        ring = scene.ring(*max(extents))
        item["geometry"] = {"type": "Polygon", "coordinates": [ring]}
        xs, ys = zip(*ring, strict=True)
        item["bbox"] = [min(xs), min(ys), max(xs), max(ys)]
        item["id"] = scene.name
        for link in item["links"]:
            link["href"] = link["href"].replace(old, scene.name)
        self.items.append(item)
        return item

    def respond(self, request: Request) -> Response:
        """Answer as the API, or with a file."""
        path = request.path.rstrip("/")
        if path != self.path and not path.startswith(f"{self.path}/"):
            return self._file(request)
        names = path.removeprefix(self.path).strip("/").split("/")
        if names == [""]:
            return _json(self._landing())
        if names == ["conformance"]:
            return _json({"conformsTo": self._landing()["conformsTo"]})
        if names == ["search"]:
            return self._search(request)
        if names == ["collections"]:
            return _json({"collections": list(map(self._collection, self._names())), "links": []})
        if names[0] == "collections" and names[1] in self._names():
            return self._below(request, names[1], names[2:])
        return _json({"code": "NotFound", "description": "no such resource"}, 404)

    def _file(self, request: Request) -> Response:
        at = self.folder / request.path.lstrip("/")
        if (refused := self.refuses(request)) is not None:
            return refused
        if not at.is_file():
            return html(404, "nothing here")
        state = at.stat()
        return Response(200, at, {"ETag": f'"{state.st_size:x}-{state.st_mtime_ns:x}"'})

    def _below(self, request: Request, collection: str, names: list[str]) -> Response:
        if not names:
            return _json(self._collection(collection))
        if names == ["items"]:
            return self._search(request, {"collections": [collection]})
        for item in self.items:
            if names == ["items", item["id"]] and item["collection"] == collection:
                return _json(item)
        return _json({"code": "NotFound", "description": "no such item"}, 404)

    def _search(self, request: Request, fixed: Json | None = None) -> Response:
        if request.method == "POST":
            asked = json.loads(request.body)
        else:
            asked = {key: values[0] for key, values in request.query.items()}
            for key in ("collections", "ids", "bbox"):
                if key in asked:
                    asked[key] = asked[key].split(",")
            if "query" in asked:
                asked["query"] = json.loads(asked["query"])
        asked |= fixed or {}
        limit = int(asked.get("limit", self.default_limit))
        if limit > self.most:
            return self.too_large()
        with self.lock:
            self.searches.append(dict(asked))
        found = sorted(
            (item for item in self.items if _matches(item, asked)),
            key=lambda item: (item["properties"]["datetime"], item["id"]),
            reverse=True,
        )
        first = 0
        if (last := self.after(asked)) is not None:
            first = 1 + [item["id"] for item in found].index(last)
        page = found[first : first + limit]
        links: list[Json] = [{"rel": "root", "type": "application/json", "href": self.root}]
        if page and not self.is_last(len(page), len(found) - first - len(page)):
            links.insert(0, self.follow(request, asked, page[-1]))
        return _json(
            {
                "type": "FeatureCollection",
                "numberReturned": len(page),
                "features": page,
                "links": links,
            },
            media="application/geo+json",
        )

    def link(self, request: Request, asked: Json, token: Json) -> Json:
        """Return a link to the next page, whose request is the same with a token added."""
        link: Json = {"rel": "next", "type": "application/geo+json", "method": request.method}
        if request.method == "POST":
            return link | {"href": f"{self.root}/search", "body": asked | token}
        query = {key: values[0] for key, values in request.query.items()} | token
        return link | {"href": f"{self.root}/search?{urlencode(query)}"}

    def _template(self) -> Json:
        text = (RECORDED / f"{self.template}.json").read_text()
        item: Json = json.loads(text.replace(self.own, self.root))
        return item

    def _landing(self) -> Json:
        recorded = RECORDED / f"{self.template}.landing.json"
        if recorded.exists():
            page: Json = json.loads(recorded.read_text().replace(self.own, self.root))
            return page
        search = {"rel": "search", "type": "application/geo+json", "href": f"{self.root}/search"}
        classes = ("core", "item-search", "item-search#query", "ogcapi-features")
        return {
            "type": "Catalog",
            "id": self.template,
            "stac_version": "1.0.0",
            "description": "A stand-in.",
            "conformsTo": [f"https://api.stacspec.org/v1.0.0/{each}" for each in classes],
            "links": [
                {"rel": "self", "type": "application/json", "href": self.root},
                {"rel": "root", "type": "application/json", "href": self.root},
                {"rel": "data", "type": "application/json", "href": f"{self.root}/collections"},
                search | {"method": "GET"},
                search | {"method": "POST"},
            ],
        }

    def _names(self) -> list[str]:
        return sorted(
            {item["collection"] for item in self.items} | {self._template()["collection"]}
        )

    def _collection(self, name: str) -> Json:
        return {
            "type": "Collection",
            "id": name,
            "stac_version": "1.0.0",
            "description": f"Scenes of {name}.",
            "license": "proprietary",
            "extent": {
                "spatial": {"bbox": [[-180, -90, 180, 90]]},
                "temporal": {"interval": [["2013-01-01T00:00:00Z", None]]},
            },
            "links": [{"rel": "items", "href": f"{self.root}/collections/{name}/items"}],
        }


def _relocate(fields: Json, scene: Scene, width: float, height: float) -> None:
    """Replace the CRS and bounds that an item or an asset states."""
    if "proj:bbox" in fields:
        fields["proj:bbox"] = [
            scene.left, scene.top - height, scene.left + width, scene.top
        ]  # fmt: skip
    if "proj:epsg" in fields:
        fields["proj:epsg"] = scene.epsg
    if "proj:code" in fields:
        fields["proj:code"] = f"EPSG:{scene.epsg}"


def _update(fields: Json, changes: Any) -> None:
    for key, value in changes.items():
        fields.pop(key, None)
        if value is not None:
            fields[key] = value


def _matches(item: Json, asked: Json) -> bool:
    if item["collection"] not in asked.get("collections", [item["collection"]]):
        return False
    if item["id"] not in (asked.get("ids") or [item["id"]]):
        return False
    if "bbox" in asked:
        west, south, east, north = map(float, asked["bbox"])
        own = item["bbox"]
        if own[0] > east or own[2] < west or own[1] > north or own[3] < south:
            return False
    if "datetime" in asked:
        start, _, end = asked["datetime"].partition("/")
        when = _instant(item["properties"]["datetime"])
        if (start not in ("", "..") and when < _instant(start)) or (
            (end or start) not in ("", "..") and when > _instant(end or start)
        ):
            return False
    return all(_terms(item["properties"], asked.get("query") or {}))


def _terms(properties: Json, query: Json) -> Iterator[bool]:
    for name, terms in query.items():
        for word, value in terms.items():
            own = properties.get(name)
            yield own is not None and _OPERATORS[word](own, value)


def _instant(text: str) -> dt.datetime:
    when = dt.datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=dt.UTC)


def _json(content: Any, status: int = 200, media: str = "application/json") -> Response:
    return Response(status, json.dumps(content).encode(), {"Content-Type": media})
