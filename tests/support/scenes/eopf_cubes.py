"""Catalogs of EOPF scenes in a folder, and cubes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import xarray as xr
import yaml
from numpy.typing import NDArray

import stacbuild
from tests.standins.server import LoopbackServer, Request, Response, html
from tests.support.scenes.eopf import EXTENT, Scene, item_of, write_store
from tests.support.stac_documents import Told, collection, root

FIRST = Scene()
LATER = Scene(time="2025-01-12T10:04:01.024000Z", seed=1)


class Files(LoopbackServer):
    """Serves a folder, and lists nothing; its root is a STAC API of the scenes in it."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root

    def respond(self, request: Request) -> Response:
        name = request.path.strip("/")
        if name in ("", "search", "collections/sentinel-2-l2a"):
            content = json.dumps(self._document(name)).encode()
            return Response(200, content, {"Content-Type": "application/json"})
        path = self.root / request.path.strip("/")
        return Response(200, path) if path.is_file() else html(404, "nothing here")

    def _document(self, name: str) -> Any:
        if name == "search":
            found = json.loads((self.root / "search.json").read_text())
            for item in found["features"]:
                for asset in item["assets"].values():
                    asset["href"] = asset["href"].replace("./", f"{self.url}/", 1)
            return found
        if name:
            return collection("sentinel-2-l2a")
        where = {"rel": "search", "type": "application/geo+json", "href": f"{self.url}/search"}
        return root() | {"links": [where]}


def catalog(folder: Path, *scenes: Scene, zarr_format: int = 2) -> None:
    """Write a saved search of scenes, and their stores beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    features = [
        item_of(scene, f"./{write_store(folder, scene, zarr_format).name}") for scene in scenes
    ]
    search = {"type": "FeatureCollection", "features": features}
    (folder / "search.json").write_text(json.dumps(search))


def configured(
    folder: Path,
    params: dict[str, Any],
    store: dict[str, Any] | None = None,
    grid_mapping: str | None = "g",
) -> stacbuild.Config:
    bounds = [FIRST.west, FIRST.north - EXTENT, FIRST.west + EXTENT, FIRST.north]
    content = {
        "data_stores": [
            {"identifier": "eopf"}
            | (store or {"store_id": "stac", "store_params": {"root": "search.json"}}),
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "data"}},
        ],
        "grid_mappings": [
            {
                "identifier": "g",
                "bbox": bounds,
                "spatial_res": 10,
                "crs": "EPSG:32634",
                "tile_size": 64,
            }
        ],
        "datasets": [
            {
                "identifier": "cube",
                "grid_mapping": grid_mapping,
                "store": "eopf",
                "data_id": "sentinel-2-l2a",
                "open_params": params,
            }
        ],
    }
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return stacbuild.load_config(path)


def built(folder: Path, config: stacbuild.Config, reporter: Told | None = None) -> xr.Dataset:
    stacbuild.build(config, reporter=reporter)
    with xr.open_zarr(folder / "data" / "cube.zarr", mask_and_scale=False) as cube:
        return cube.load()


def loaded(config: stacbuild.Config, reporter: Told | None = None) -> xr.Dataset:
    """Return the cube without writing it."""
    return stacbuild.load(config, "cube", mask_and_scale=False, reporter=reporter).compute()


def on_10_m(scene: Scene, resolution: int, name: str) -> NDArray[Any]:
    values = scene.pixels(resolution, name)
    return values.repeat(resolution // 10, 0).repeat(resolution // 10, 1)
