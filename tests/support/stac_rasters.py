"""GeoTIFFs and Zarr stores that a foreign item makes statements about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import rasterio
from rasterio import Affine

from stacbuild.profiles import Profiles
from stacbuild.progress import reported_to
from stacbuild.sources.base import Wanted
from stacbuild.sources.stac.harvest import harvest
from tests.support.cli import NORTH, WEST
from tests.support.stac_documents import Json, Told, collection, item, link, store

PLACE = Affine(0.001, 0, WEST - 0.01, 0, -0.001, NORTH + 0.01)


OURS = {"nodata": 0, "unit": "K", "raster:scale": 0.1, "raster:offset": 200}


def values(count: int = 1) -> np.ndarray[Any, Any]:
    plane = (np.arange(120 * 120, dtype="uint16") % 1000).reshape(120, 120)
    return np.stack([plane + np.uint16(band) for band in range(count)])


def raster(path: Path, dtype: str = "uint16", count: int = 1, **header: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = {"width": 120, "height": 120, "count": count, "dtype": dtype}
    tags = {key: header.pop(key) for key in ("units", "scales", "offsets") if key in header}
    place = {"crs": "EPSG:4326", "transform": PLACE}
    with rasterio.open(path, "w", driver="GTiff", **shape, **place, **header) as file:
        file.write(values(count).astype(dtype))
        for key, value in tags.items():
            setattr(file, key, value)


def catalog(folder: Path, *items: Json, **changes: Any) -> None:
    links = [link("item", f"./{each['id']}.json") for each in items]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "catalog.json").write_text(json.dumps(collection("c", *links, **changes)))
    for each in items:
        (folder / f"{each['id']}.json").write_text(json.dumps(each))


def stated(name: str = "i", href: str = "./a.tif", /, **fields: Any) -> Json:
    one = item(name, href)
    one["assets"]["map"] |= fields
    return one


def described(folder: Path, data_id: str = "c") -> tuple[list[pystac.Item], list[str]]:
    told = Told()
    where = store(root=str(folder))
    with reported_to(told):
        found = list(harvest(where, Wanted((data_id,)), Profiles()))
    return [each for group in found for each in group.items], told.warnings


def fields_of(items: list[pystac.Item]) -> Json:
    fields = items[0].assets["data"].extra_fields
    return {key: fields[key] for key in OURS if key in fields}


def zarr_item(**fields: Any) -> Json:
    return stated("z", "./a.zarr", **({"type": "application/vnd.zarr"} | fields))
