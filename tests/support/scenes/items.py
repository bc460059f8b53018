"""Scenes as four providers describe them, with small rasters in a folder instead of theirs.

Fields and their values are those of the providers' answers in November 2026; only hrefs, shapes
and transforms are those of the rasters, which have `SIDE` pixels of 10 m a side, fewer of 20 m.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pystac
import rasterio
from rasterio import Affine

from stacbuild.profiles import Profiles
from stacbuild.progress import reported_to
from stacbuild.sources.base import Wanted
from stacbuild.sources.stac.harvest import harvest
from tests.support.stac_documents import Told, collection, link, store

Json = dict[str, Any]

SIDE = 24
WEST, NORTH = 600000, 5300040
COG = "image/tiff; application=geotiff; profile=cloud-optimized"


def raster(path: Path, size: int, pixels: Any = None, /, **header: Any) -> None:
    """Write a raster of pixels of *size* metres on the tile, JPEG 2000 if its name says so."""
    side = SIDE * 10 // size
    header = {"crs": "EPSG:32632", "dtype": "uint16", **header}
    west, north = header.pop("corner", (WEST, NORTH))
    place = Affine(size, 0, west, 0, -size, north)
    if pixels is None:
        pixels = np.arange(side * side).reshape(side, side) % 250 + 1000
        pixels[0, 0] = 0
    if np.dtype(header["dtype"]).itemsize == 1:
        pixels = pixels % 12
    kind: Json = {"driver": "GTiff"}
    if path.suffix == ".jp2":
        kind = {"driver": "JP2OpenJPEG", "QUALITY": 100, "REVERSIBLE": "YES"}
    shape = {"width": side, "height": side, "count": 1}
    scales = header.pop("scales", None)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **kind, **shape, transform=place, **header) as file:
        file.write(np.asarray(pixels).astype(header["dtype"]), 1)
        if scales:
            file.scales = scales


def grid(size: int, corner: Sequence[float] = (WEST, NORTH)) -> Json:
    """Return the projection fields that providers state on assets."""
    side = SIDE * 10 // size
    west, north = corner
    return {
        "proj:shape": [side, side],
        "proj:transform": [size, 0, west, 0, -size, north],
    }


def feature(
    name: str, properties: Json, assets: Json, corner: Sequence[float] = (WEST, NORTH)
) -> Json:
    """Return an item at the tile's place."""
    to_degrees = pyproj.Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True)
    edge = SIDE * 10
    west, south, east, north = to_degrees.transform_bounds(
        corner[0], corner[1] - edge, corner[0] + edge, corner[1]
    )
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, east, north],
        "collection": "sentinel-2-l2a",
        "properties": {"datetime": "2020-03-05T10:37:41.587000Z", **properties},
        "links": [],
        "assets": assets,
    }


def earth_search(
    name: str = "S2A_32TMT_20200305_1_L2A", *, shifted: bool | None = True, **changes: Any
) -> Json:
    """Return a scene of Earth Search v1; *shifted*: ``earthsearch:boa_offset_applied``."""
    baseline = changes.pop("baseline", "05.00")
    offset = changes.pop("offset", -0.1)

    def band(size: int, title: str, common: str) -> Json:
        values = {"nodata": 0, "data_type": "uint16", "bits_per_sample": 15}
        values |= {"spatial_resolution": size, "scale": 0.0001, "offset": offset}
        bands = [{"name": common, "common_name": common, "description": title}]
        return {
            "href": f"./{name}/{common}.tif",
            "type": COG,
            "title": f"{title} - {size}m",
            "eo:bands": bands,
            "gsd": size,
            **grid(size),
            "raster:bands": [values],
            "roles": ["data", "reflectance"],
        }

    def layer(key: str, title: str, **values: Any) -> Json:
        bands = [{"nodata": 0, "spatial_resolution": 20} | values]
        place = {"href": f"./{name}/{key}.tif", "type": COG, "title": title}
        return place | grid(20) | {"raster:bands": bands, "roles": ["data", "reflectance"]}

    properties: Json = {
        "created": "2024-06-29T14:41:57.577Z",
        "updated": "2024-06-29T14:41:57.577Z",
        "platform": "sentinel-2a",
        "constellation": "sentinel-2",
        "instruments": ["msi"],
        "eo:cloud_cover": 9.9852,
        "proj:epsg": 32632,
        "mgrs:utm_zone": 32,
        "mgrs:latitude_band": "T",
        "mgrs:grid_square": "MT",
        "grid:code": "MGRS-32TMT",
        "view:sun_azimuth": 161.603259322557,
        "view:sun_elevation": 35.2267077658347,
        "s2:processing_baseline": baseline,
        "s2:sequence": "1",
    }
    if shifted is not None:
        properties["earthsearch:boa_offset_applied"] = shifted
    assets = {
        "red": band(10, "Red (band 4)", "red"),
        "nir": band(10, "NIR 1 (band 8)", "nir"),
        "nir08": band(20, "NIR 2 (band 8A)", "nir08"),
        "scl": layer("scl", "Scene classification map (SCL)", data_type="uint8"),
        "aot": layer(
            "aot", "Aerosol optical thickness (AOT)", data_type="uint16", scale=0.001, offset=0
        ),
    }
    copies = {f"{key}-jp2": _copy(asset) for key, asset in assets.items()}
    return feature(name, properties | changes, assets | copies)


def _copy(asset: Json) -> Json:
    return asset | {"href": "s3://sentinel-s2-l2a/tiles/32/T/MT/x.jp2", "type": "image/jp2"}


def cdse(
    name: str = "S2A_MSIL2A_20200301T090901_N0500_R050_T32TMT_20230630T033416", **changes: Any
) -> Json:
    """Return a scene of CDSE v1: JPEG 2000, each band in up to three resolutions."""
    baseline = changes.pop("baseline", "05.00")
    offset = changes.pop("offset", -0.1)

    def asset(key: str, size: int, **more: Any) -> Json:
        return {
            "href": f"./{name}/{key}_{size}m.jp2",
            "type": "image/jp2",
            "title": f"{key} - {size}m",
            "gsd": size,
            "nodata": 0,
            "data_type": "uint16",
            "proj:code": "EPSG:32632",
            "proj:bbox": [WEST, NORTH - SIDE * 10, WEST + SIDE * 10, NORTH],
            **grid(size),
            "file:checksum": "1620cdc01bbcf11140b8c927a7a0332a7773c65305889e340f94afe2e06f7d940716",
            "view:azimuth": 113.323175328193,
            **more,
        }

    def band(key: str, common: str, size: int) -> Json:
        return asset(
            key,
            size,
            bands=[{"name": key, "eo:common_name": common, "eo:center_wavelength": 0.665}],
            roles=["data", "reflectance", "sampling:original", f"gsd:{size}m"],
            **{"raster:scale": 0.0001, "raster:offset": offset},
        )

    classes = [
        {"percentage": 0.0, "name": "no_data", "value": 0, "nodata": True},
        {"percentage": 2.665071, "name": "cloud_shadows", "value": 3},
        {"percentage": 0.007123, "name": "vegetation", "value": 4},
    ]
    scl = {"data_type": "uint8", "classification:classes": classes}
    scaled = {"raster:scale": 0.0001, "raster:offset": offset}
    true_color = [{"name": f"B0{n}", "eo:common_name": c} for n, c in ((4, "red"), (3, "green"))]
    properties: Json = {
        "created": "2023-10-14T09:30:19.680000Z",
        "updated": "2024-05-09T18:36:47.335181Z",
        "datetime": "2020-03-01T09:09:01.024Z",
        "start_datetime": "2020-03-01T09:09:01.024Z",
        "end_datetime": "2020-03-01T09:09:01.024Z",
        "platform": "sentinel-2a",
        "constellation": "sentinel-2",
        "instruments": ["msi"],
        "grid:code": "MGRS-32TMT",
        "eo:cloud_cover": 95.42,
        "eo:snow_cover": 0.0,
        "view:incidence_angle": 4.032412986184379,
        "sat:orbit_state": "descending",
        "sat:relative_orbit": 50,
        "processing:version": baseline,
    }
    assets = {
        f"{key}_{size}m": band(key, common, size)
        for key, common in (("B04", "red"), ("B8A", "nir08"))
        for size in (10, 20, 60)
        if (key, size) != ("B8A", 10)
    }
    assets |= {
        "SCL_20m": asset("SCL", 20, roles=["data", "sampling:original"], **scl),
        "AOT_20m": asset("AOT", 20, roles=["data", "gsd:20m"], **scaled),
        "WVP_20m": asset("WVP", 20, roles=["data", "gsd:20m"], **scaled),
        "TCI_10m": asset("TCI", 10, roles=["visual"], bands=true_color, data_type="uint8"),
    }
    return feature(name, properties | changes, assets) | {"stac_version": "1.1.0"}


def planetary_computer(
    name: str = "S2B_MSIL2A_20190629T212529_R043_T32TMT_20201006T080531", **changes: Any
) -> Json:
    """Return a scene of the Planetary Computer: it states nothing about values."""
    baseline = changes.pop("baseline", "05.00")

    def asset(key: str, size: int, common: str = "") -> Json:
        bands = [{"name": key, "common_name": common, "description": f"Band {key[1:]}"}]
        return {
            "href": f"./{name}/{key}_{size}m.tif",
            "type": COG,
            "title": f"{key} - {size}m",
            "gsd": size,
            "proj:bbox": [WEST, NORTH - SIDE * 10, WEST + SIDE * 10, NORTH],
            **grid(size),
            "roles": ["data"],
            **({"eo:bands": bands} if common else {}),
        }

    properties: Json = {
        "platform": "Sentinel-2B",
        "proj:epsg": 32632,
        "instruments": ["msi"],
        "s2:mgrs_tile": "32TMT",
        "constellation": "Sentinel 2",
        "eo:cloud_cover": 0.314306,
        "sat:orbit_state": "descending",
        "s2:product_type": "S2MSI2A",
        "s2:processing_baseline": baseline,
    }
    assets = {
        "B04": asset("B04", 10, "red"),
        "B11": asset("B11", 20, "swir16"),
        "SCL": asset("SCL", 20),
        "AOT": asset("AOT", 10),
        "WVP": asset("WVP", 10),
    }
    return feature(name, properties | changes, assets)


BITFIELDS = [
    {"name": "fill", "offset": 0, "length": 1, "classes": [{"name": "fill", "value": 1}]},
    {"name": "cloud", "offset": 3, "length": 1, "classes": [{"name": "cloud", "value": 1}]},
]


def usgs(name: str = "LC08_L2SP_193027_20200114_20200824_02_T1_SR", **changes: Any) -> Json:
    """Return a scene of USGS Landsat: *stated* adds values and bit fields, as newer items have."""
    stated = changes.pop("stated", True)

    def asset(key: str, roles: list[str], values: Json, **more: Any) -> Json:
        return {
            "href": f"./{name}/{key}.TIF",
            "type": "image/vnd.stac.geotiff; cloud-optimized=true",
            "title": f"{key.title()} Band",
            "description": f"Collection 2 Level-2 {key} Surface Reflectance",
            "roles": roles,
            **({"raster:bands": [values]} if stated else {}),
            **(more if stated or "eo:bands" in more else {}),
        }

    optical = {"nodata": 0, "data_type": "uint16", "scale": 2.75e-05, "offset": -0.2}
    quality = {"nodata": 1, "data_type": "uint16", "spatial_resolution": 30}
    bits = {"classification:bitfields": BITFIELDS}
    assets = {
        "red": asset("red", ["data"], optical, **{"eo:bands": [{"name": "B4"}]}),
        "qa_pixel": asset("qa_pixel", ["cloud", "cloud-shadow"], quality, **bits),
    }
    assets["red"]["eo:bands"][0] |= {"common_name": "red", "gsd": 30}
    properties: Json = {
        "eo:cloud_cover": 8.18,
        "view:sun_azimuth": 158.45194309,
        "platform": "LANDSAT_8",
        "instruments": ["OLI", "TIRS"],
        "landsat:wrs_type": "2",
        "landsat:wrs_path": "193",
        "landsat:wrs_row": "027",
        "landsat:correction": "L2SP",
        "landsat:collection_number": "02",
        "proj:epsg": 32632,
        **grid(30),
        "created": "2021-07-23T22:39:42.962Z",
        "updated": "2021-07-23T22:39:42.962Z",
    }
    return feature(name, properties | changes, assets) | {"collection": "landsat-c2l2-sr"}


def put(folder: Path, *scenes: Json, headers: Mapping[str, Any] | None = None) -> None:
    """Write a static catalog of scenes, and the rasters that they have beside them.

    *headers* are arguments of `raster` for assets, by key.
    """
    folder.mkdir(parents=True, exist_ok=True)
    links = [link("item", f"./{each['id']}.json") for each in scenes]
    name = scenes[0]["collection"]
    (folder / "catalog.json").write_text(json.dumps(collection(name, *links)))
    for scene in scenes:
        (folder / f"{scene['id']}.json").write_text(json.dumps(scene))
        for key, asset in scene["assets"].items():
            path = folder / asset["href"]
            if asset["href"].startswith("./") and not path.exists():
                raster(path, *_size(scene, asset), **_header(asset, (headers or {}).get(key, {})))


def _size(scene: Json, asset: Json) -> tuple[int]:
    transform = asset.get("proj:transform") or scene["properties"]["proj:transform"]
    return (int(transform[0]),)


def _header(asset: Json, changes: Mapping[str, Any]) -> Json:
    bands = asset.get("raster:bands")
    stated = bands[0] if bands else asset
    byte = any(name in asset["href"] for name in ("SCL", "TCI"))
    header: Json = {"dtype": stated.get("data_type", "uint8" if byte else "uint16")}
    if bands and "nodata" in stated:
        header["nodata"] = stated["nodata"]
    return header | dict(changes)


def harvested(
    folder: Path, data_id: str, *scenes: Json, profiles: Profiles | None = None
) -> tuple[list[pystac.Item], list[str]]:
    """Return the items of a data id of such a catalog, and the warnings."""
    if scenes:
        put(folder, *copy.deepcopy(scenes))
    told = Told()
    with reported_to(told):
        found = list(harvest(store(root=str(folder)), Wanted((data_id,)), profiles or Profiles()))
    return [each for group in found for each in group.items], told.warnings
