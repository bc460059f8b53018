"""Items of scenes as a harvest writes them, with their files, put into a catalog by hand."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from pystac.utils import str_to_datetime
from rasterio import Affine

from stacbuild.building import CubeResult, build
from stacbuild.config import load_config
from stacbuild.progress import Reporter
from stacbuild.stac.catalog import Catalog, Harvest
from stacbuild.stac.extensions import declare_extensions, file_time
from tests.support.cli import configuration

Json = dict[str, Any]
Values = NDArray[Any]

STORE: Json = {
    "identifier": "scenes",
    "store_id": "stac",
    "store_params": {"root": "scenes/catalog.json"},
}
KEY = "stac:scenes/catalog.json"
# A corner of UTM zone 32 near 9° E, 49° N, and pixels of 10 m.
LEFT, TOP, SIDE = 500000.0, 5428000.0, 10.0


@dataclass(frozen=True)
class Band:
    """The asset of a scene: its pixels, where they are, and fields of the asset.

    ``side`` is that of a pixel; the upper left corner is that of the scene.
    """

    values: Values
    side: float = SIDE
    nodata: float | None = 0
    fields: Mapping[str, Any] = field(default_factory=dict)
    role: str = "data"


@dataclass(frozen=True)
class Scene:
    """A scene to be written: one item, and a file for each band.

    ``when`` is its ``datetime``; ``left`` and ``top`` are its upper left corner in the CRS.
    """

    name: str
    when: str
    bands: Mapping[str, Band]
    epsg: int = 32632
    left: float = LEFT
    top: float = TOP
    properties: Mapping[str, Any] = field(default_factory=dict)

    def transform(self, band: Band) -> Affine:
        """Return the transform of a band's pixels."""
        return Affine(band.side, 0, self.left, 0, -band.side, self.top)


def scene_item(folder: Path, scene: Scene, data_id: str) -> pystac.Item:
    """Write the files of a scene into a folder, and return its item.

    A scene of one band named ``data`` becomes an item of one asset.
    """
    assets = {}
    for key, band in scene.bands.items():
        path = folder / f"{scene.name}_{key}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = band.values.shape
        transform = scene.transform(band)
        with rasterio.open(
            path, "w", driver="GTiff", count=1, height=height, width=width, tiled=True,
            blockxsize=32, blockysize=32, dtype=band.values.dtype, crs=f"EPSG:{scene.epsg}",
            transform=transform, nodata=band.nodata,
        ) as file:  # fmt: skip
            file.write(band.values, 1)
            bounds = file.bounds
        grid = {
            "proj:code": f"EPSG:{scene.epsg}",
            "proj:shape": [height, width],
            "proj:transform": list(transform)[:6],
            "proj:bbox": list(bounds),
        }
        fields = {
            **grid,
            "data_type": band.values.dtype.name,
            **({} if band.nodata is None else {"nodata": band.nodata}),
            "file:size": path.stat().st_size,
            "updated": file_time(path),
            **band.fields,
        }
        assets[key] = pystac.Asset(
            str(path), media_type="image/tiff; application=geotiff", roles=[band.role],
            extra_fields=fields,
        )  # fmt: skip
    first = next(iter(assets.values())).extra_fields
    ring = _ring(scene.epsg, first["proj:bbox"])
    lon, lat = zip(*ring, strict=True)
    item = pystac.Item(
        scene.name,
        {"type": "Polygon", "coordinates": [ring]},
        [min(lon), min(lat), max(lon), max(lat)],
        str_to_datetime(scene.when),
        {
            "title": scene.name,
            "stacbuild:store": KEY,
            "stacbuild:data_id": data_id,
            **{name: value for name, value in first.items() if name.startswith("proj:")},
            **scene.properties,
        },
    )
    for key, asset in assets.items():
        if list(assets) == ["data"]:
            grid = [name for name in asset.extra_fields if name.startswith("proj:")]
            for name in grid:
                del asset.extra_fields[name]
        item.add_asset(key, asset)
    declare_extensions(item)
    return item


def put_scenes(directory: Path, scenes: Sequence[Scene], data_id: str = "s2") -> list[pystac.Item]:
    """Write scenes into ``scenes`` and their items into the catalog of a directory."""
    items = [scene_item(directory / "scenes", scene, data_id) for scene in scenes]
    put_items(directory, items)
    return items


def put_items(directory: Path, items: Sequence[pystac.Item]) -> None:
    """Put items of the store `KEY` into the catalog of a directory."""
    extent = pystac.Extent(
        pystac.SpatialExtent([[-180, -90, 180, 90]]), pystac.TemporalExtent([[None, None]])
    )
    collection = pystac.Collection("scenes", "Scenes.", extent, title="Scenes", license="other")
    Catalog(directory / "catalogs").put(Harvest(collection, tuple(items)))


def config_of(
    directory: Path, grid: Json, dataset: Json | None = None, data_id: str = "s2"
) -> Path:
    """Write a configuration with a dataset ``cube`` of the scenes on a grid."""
    source = {"store": "scenes", "data_id": data_id}
    own = dataset or {}
    made = {"identifier": "cube", "grid_mapping": "utm"} | (
        own if "variables" in own else source | own
    )
    return configuration(directory, [made], [STORE], grids=[{"identifier": "utm"} | grid])


def built_scenes(
    directory: Path, grid: Json, dataset: Json | None = None, reporter: Reporter | None = None
) -> CubeResult:
    """Build the dataset of `config_of`."""
    config = load_config(config_of(directory, grid, dataset))
    [result] = build(config, directory / "catalogs", reporter=reporter)
    return result


@dataclass(frozen=True)
class Target:
    """A grid, for a reference that uses NumPy and pyproj only."""

    epsg: int
    west: float
    north: float
    side: float
    shape: tuple[int, int]

    @property
    def mapping(self) -> Json:
        """The grid mapping of the configuration."""
        height, width = self.shape
        east, south = self.west + width * self.side, self.north - height * self.side
        box = [self.west, south, east, self.north]
        return {"crs": f"EPSG:{self.epsg}", "bbox": box, "spatial_res": self.side}

    def taken(self, scene: Scene, key: str) -> tuple[Values, NDArray[np.bool_]]:
        """Return the pixel of a band under each centre of the grid, and where there is one."""
        band = scene.bands[key]
        rows, cols = np.indices(self.shape)
        x = self.west + (cols + 0.5) * self.side
        y = self.north - (rows + 0.5) * self.side
        x, y = _transformer(self.epsg, scene.epsg).transform(x, y)
        col = np.floor((x - scene.left) / band.side).astype(int)
        row = np.floor((scene.top - y) / band.side).astype(int)
        height, width = band.values.shape
        inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
        values = np.zeros(self.shape, band.values.dtype)
        values[inside] = band.values[row[inside], col[inside]]
        valid = inside if band.nodata is None else inside & (values != band.nodata)
        return values, valid


# Finding a transformation takes longer than all else that tests do with one.
_transformer = functools.lru_cache(partial(Transformer.from_crs, always_xy=True))


def _ring(epsg: int, bounds: Sequence[float]) -> list[list[float]]:
    west, south, east, north = bounds
    to_degrees = _transformer(epsg, 4326)
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return [list(to_degrees.transform(*corner)) for corner in corners]
