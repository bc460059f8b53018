"""Sentinel-2 L2A as the EOPF sample service publishes it: Zarr stores of nested groups, and items.

Names, attributes, encodings and assets are those of its product of 2025-01-09 and of the items of
its catalog; the rasters are small and synthetic, and there are fewer bands.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import zarr
from numcodecs import Blosc
from numpy.typing import NDArray
from rasterio.warp import transform_bounds
from zarr.codecs import BloscCodec

Json = dict[str, Any]

EXTENT = 1200
"""Width and height of a scene in metres."""

SCALE, OFFSET = 0.0001, -0.1

REFLECTANCE = {
    10: ("b02", "b03", "b04", "b08"),
    20: ("b02", "b04", "b05", "b8a"),
    60: ("b04", "b09"),
}
_COMMON = {
    "B02": "blue", "B03": "green", "B04": "red", "B05": "rededge071", "B08": "nir",
    "B8A": "nir08", "B09": "nir09",
}  # fmt: skip
_ASSETS = {
    10: ("B02", "B03", "B04", "B08"),
    20: ("B05", "B8A"),
    60: ("B09",),
}


@dataclass(frozen=True)
class Scene:
    """A scene of a tile.

    Parameters
    ----------
    tile
        MGRS tile, such as ``34UCE``; its zone is that of the CRS.
    west, north
        Its upper left corner in metres.
    seed
        Of the pixels.
    """

    tile: str = "34UCE"
    time: str = "2025-01-09T10:04:01.024000Z"
    west: int = 300_000
    north: int = 6_000_000
    baseline: str = "05.11"
    seed: int = 0
    offset: float = OFFSET

    @property
    def id(self) -> str:
        when = self.time[:19].replace("-", "").replace(":", "")
        version = self.baseline.replace(".", "")
        return f"S2A_MSIL2A_{when}_N{version}_R122_T{self.tile}_20250109T122750"

    @property
    def epsg(self) -> int:
        return 32600 + int(self.tile[:2])

    def pixels(self, resolution: int, name: str) -> NDArray[Any]:
        """Return the stored values of a band or of ``scl``: shape (rows, columns), 0 is nodata."""
        side = EXTENT // resolution
        random = np.random.default_rng([self.seed, resolution, *name.encode()])
        if name == "scl":
            return random.integers(0, 12, (side, side), np.uint8)
        values = random.integers(1, 9000, (side, side), np.uint16)
        values[: side // 6] = 0
        return values


def write_store(folder: Path, scene: Scene, zarr_format: int = 2) -> Path:
    """Write the store of a scene, whose metadata are consolidated at its root only."""
    path = folder / f"{scene.id}.zarr"
    for name, content in _files(scene, zarr_format).items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return path


@cache
def _files(scene: Scene, zarr_format: int) -> dict[str, bytes]:
    """Return the files of a store; kept, since writing one takes longer than a test of it."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "store.zarr")
        _write(path, scene, zarr_format)
        return {
            file.relative_to(path).as_posix(): file.read_bytes()
            for file in path.rglob("*")
            if file.is_file()
        }


def _write(path: Path, scene: Scene, zarr_format: int) -> None:
    root = zarr.create_group(
        path,
        zarr_format=zarr_format,  # type: ignore[arg-type]
        attributes={
            "stac_discovery": {"id": f"{scene.id}.SAFE", "type": "Feature"},
            "other_metadata": {"horizontal_CRS_code": f"EPSG:{scene.epsg}"},
        },
    )
    for resolution, names in REFLECTANCE.items():
        for name in names:
            packing = {
                "add_offset": scene.offset,
                "dtype": "<u2",
                "fill_value": 0,
                "long_name": f"BOA reflectance from MSI acquisition at spectral band {name}",
                "scale_factor": SCALE,
                "units": "digital_counts",
                "valid_max": 65535,
                "valid_min": 1,
            }
            _array(root, f"measurements/reflectance/r{resolution}m/{name}", scene, 0, packing)
    for resolution in (20, 60):
        _array(root, f"conditions/mask/l2a_classification/r{resolution}m/scl", scene, None, {})
    for name in ("aot", "wvp"):
        _array(root, f"quality/atmosphere/r10m/{name}", scene, None, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # consolidated metadata are no part of format 3
        zarr.consolidate_metadata(root.store)


def _array(
    root: zarr.Group, path: str, scene: Scene, fill: int | None, attributes: Mapping[str, Any]
) -> None:
    above, _, name = path.rpartition("/")
    resolution = int(above.rpartition("/r")[2].removesuffix("m"))
    values = scene.pixels(resolution, name)
    group = root.require_group(above)
    side = len(values)
    in_2 = root.metadata.zarr_format == 2
    codec: Json = (
        {
            "compressors": Blosc("zstd", 3, Blosc.BITSHUFFLE),
            "chunk_key_encoding": {"name": "v2", "separator": "."},
        }
        if in_2
        else {"compressors": BloscCodec(cname="zstd", clevel=3)}
    )

    def put(key: str, values: NDArray[Any], dims: list[str], attrs: Json, fill: Any) -> None:
        named: Json = {} if in_2 else {"dimension_names": dims}
        array = group.create_array(
            key,
            shape=values.shape,
            dtype=values.dtype,
            chunks=tuple(-(-length // 2) if len(dims) > 1 else length for length in values.shape),
            fill_value=fill,
            attributes=({"_ARRAY_DIMENSIONS": dims} if in_2 else {}) | attrs,
            **codec,
            **named,
        )
        array[...] = values

    transform = [resolution, 0.0, scene.west, 0.0, -resolution, scene.north, 0.0, 0.0, 1.0]
    attrs = {
        "_eopf_attrs": {**attributes, "coordinates": ["x", "y"], "dimensions": ["y", "x"]},
        "proj:bbox": [scene.west, scene.north - EXTENT, scene.west + EXTENT, scene.north],
        "proj:epsg": scene.epsg,
        "proj:shape": [side, side],
        "proj:transform": transform,
        **attributes,
    }
    put(name, values, ["y", "x"], attrs, fill)
    if "x" not in group:
        centres = np.arange(side) * resolution + resolution // 2
        put("x", scene.west + centres, ["x"], {}, None)
        put("y", scene.north - centres, ["y"], {}, None)


def item_of(scene: Scene, store: str) -> Json:
    """Return the item of a scene, whose store is at this href."""
    bounds = (scene.west, scene.north - EXTENT, scene.west + EXTENT, scene.north)
    west, south, east, north = transform_bounds(scene.epsg, 4326, *bounds)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    properties: Json = {
        "datetime": scene.time,
        "start_datetime": scene.time,
        "end_datetime": scene.time,
        "constellation": "sentinel-2",
        "platform": "sentinel-2a",
        "instruments": ["msi"],
        "gsd": 10,
        "eo:cloud_cover": 12.5,
        "grid:code": f"MGRS-{scene.tile}",
        "processing:level": "L2",
        "processing:version": scene.baseline,
        "proj:code": f"EPSG:{scene.epsg}",
        "proj:bbox": [west, south, east, north],  # in degrees
        "product:type": "S02MSIL2A",
        "created": "2025-01-09T12:27:50Z",
        "updated": "2025-02-01T00:00:00Z",
    }
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/eo/v2.0.0/schema.json",
            "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
        ],
        "id": scene.id,
        "collection": "sentinel-2-l2a",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, east, north],
        "properties": properties,
        "links": [],
        "assets": _assets(scene, store),
    }


def _assets(scene: Scene, store: str) -> Json:
    assets: Json = {}
    for resolution, keys in _ASSETS.items():
        for key in keys:
            path = f"measurements/reflectance/r{resolution}m/{key.lower()}"
            packing = {"raster:scale": SCALE, "raster:offset": scene.offset, "nodata": 0}
            more: Json = packing | {"data_type": "uint16", "bands": [_band(key)]}
            assets[f"{key}_{resolution}m"] = _asset(
                scene, f"{store}/{path}", resolution, ["data", "reflectance"], more
            )
    for key, path in (
        ("AOT_10m", "quality/atmosphere/r10m/aot"),
        ("WVP_10m", "quality/atmosphere/r10m/wvp"),
        ("SCL_20m", "conditions/mask/l2a_classification/r20m/scl"),
    ):
        resolution = int(key[4:6])
        assets[key] = _asset(scene, f"{store}/{path}", resolution, ["data"], {})
    for resolution, names in REFLECTANCE.items():
        more = {
            "bands": [_band(name.upper()) for name in names],
            "xarray:open_dataset_kwargs": {"engine": "eopf-zarr", "op_mode": "native"},
        }
        assets[f"SR_{resolution}m"] = _asset(
            scene,
            f"{store}/measurements/reflectance/r{resolution}m",
            resolution,
            ["data", "reflectance", "dataset"],
            more,
            placed=False,
        )
    assets["product"] = {
        "href": store,
        "type": "application/vnd+zarr",
        "title": "EOPF Product",
        "roles": ["data", "metadata"],
        "xarray:open_datatree_kwargs": {"chunks": {}, "engine": "eopf-zarr", "op_mode": "native"},
    }
    assets["product_metadata"] = {
        "href": f"{store}/.zmetadata",
        "type": "application/json",
        "title": "Consolidated Metadata",
        "roles": ["metadata"],
    }
    return assets


def _band(key: str) -> Json:
    return {"name": key, "eo:common_name": _COMMON[key]}


def _asset(
    scene: Scene, href: str, resolution: int, roles: list[str], more: Json, *, placed: bool = True
) -> Json:
    side = EXTENT // resolution
    transform = [resolution, 0.0, scene.west, 0.0, -resolution, scene.north, 0.0, 0.0, 1.0]
    place = {
        "proj:code": f"EPSG:{scene.epsg}",
        "proj:shape": [side, side],
        "proj:transform": transform,
    }
    return {
        "href": href,
        "type": "application/vnd+zarr",
        "title": f"{href.rpartition('/')[2]} - {resolution}m",
        "roles": roles,
        "gsd": resolution,
        **(place if placed else {}),
        **more,
    }
