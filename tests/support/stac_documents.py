"""STAC documents as others write them, served over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rasterio import Affine

from stacbuild.profiles import Profiles
from stacbuild.progress import Silent, reported_to
from stacbuild.sources.base import Wanted
from stacbuild.sources.stac.harvest import harvest
from stacbuild.sources.stac.store import StacStore
from stacbuild.stac.catalog import Harvest
from tests.standins.server import LoopbackServer, Request, Response, html
from tests.support.cli import BOX, NORTH, WEST, geotiff

Json = dict[str, Any]


TIF = "image/tiff; application=geotiff"


class Web(LoopbackServer):
    """Serves a folder; documents given by path go before files."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self.documents: dict[str, Any] = {}

    def respond(self, request: Request) -> Response:
        name = request.path.strip("/")
        if name in self.documents:
            content = self.documents[name]
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            return Response(200, body, {"Content-Type": "application/json"})
        path = self.root / name
        return Response(200, path) if path.is_file() else html(404, "nothing here")


class Told(Silent):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def store(**params: Any) -> StacStore:
    return StacStore(identifier="other", store_id="stac", store_params=params)


def take(where: StacStore, *data_ids: str, reporter: Silent | None = None) -> list[Harvest]:
    with reported_to(reporter):
        return list(harvest(where, Wanted(data_ids), Profiles()))


def item(name: str, href: str, bbox: Any = BOX, /, **changes: Any) -> Json:
    west, south, east, north = bbox
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    asset: Json = {"href": href, "type": TIF, "roles": ["data"]}
    content: Json = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": list(bbox),
        "properties": {"datetime": "2018-06-01T00:00:00Z", "proj:epsg": 4326},
        "links": [],
        "assets": {"map": asset},
    }
    return content | changes


def collection(name: str, *links: Json, **changes: Any) -> Json:
    content: Json = {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": name,
        "title": f"The {name}",
        "description": "Tiles.",
        "license": "CC-BY-4.0",
        "keywords": ["forest"],
        "providers": [{"name": "Institute", "roles": ["producer"], "url": "https://example.org"}],
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["2018-01-01T00:00:00Z", None]]},
        },
        "links": list(links),
    }
    return content | changes


def link(rel: str, href: str) -> Json:
    return {"rel": rel, "href": href}


def root(*hrefs: str) -> Json:
    return {
        "type": "Catalog",
        "stac_version": "1.0.0",
        "id": "root",
        "description": "A catalog.",
        "links": [link("child", href) for href in hrefs],
    }


MIDDLE = WEST + 0.05


def tiles(folder: Path) -> None:
    """Write two rasters side by side, which together cover more than `BOX`."""
    geotiff(folder / "west.tif", width=60)
    geotiff(folder / "east.tif", transform=Affine(0.001, 0, MIDDLE, 0, -0.001, NORTH + 0.01))


def put_tiles(web: Web) -> None:
    """Publish them as a static catalog with a nested collection and relative links."""
    tiles(web.root / "files")
    web.documents |= {
        "catalog.json": root("./products/catalog.json"),
        "products/catalog.json": root("./forest.json"),
        "products/forest.json": collection(
            "forest",
            link("item", "./west.json"),
            link("item", "./east.json"),
            link("license", "https://example.org/license"),
        ),
        "products/west.json": item("west", "../files/west.tif", (9.99, 44.99, 10.05, 45.11)),
        "products/east.json": item("east", "../files/east.tif", (10.05, 44.99, 10.17, 45.11)),
    }
