"""Scenes of a STAC catalog over HTTP: stacbuild beside odc-stac, from the same items.

Two neighbouring tiles on each day, four assets each, on a grid in their UTM zone that lies half on
each tile: mosaicked by solar day, or reduced to the median of all days.

Run as a program it is odc-stac: ``python -m scripts.benchmarks.scenes JOB``.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from rasterio import Affine
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from scripts.benchmarks import ours
from scripts.benchmarks.data import Size
from scripts.benchmarks.measure import measure
from scripts.benchmarks.peers import write
from scripts.benchmarks.remote import Traffic, serve
from scripts.benchmarks.report import Row

CASES = {
    "scenes": "{scenes} scenes of 4 assets onto a grid of {grid} x {grid}, {ms:.0f} ms a request",
    "scenes-median": "median of {scenes} local scenes of {side} x {side} onto their own grid",
}
_LATENCY = 0.03
_THREADS = (2, 16, 32)
_CRS, _RES = "EPSG:32632", 10
_WEST, _NORTH = 399_960, 5_300_040
_BANDS = ("blue", "green", "red", "nir")
_BLOCK = 512


@dataclass(frozen=True)
class _Extent:
    """Sides in pixels of a scene, of the grid and of its tiles; the number of days."""

    side: int
    grid: int
    tile: int
    days: int

    @classmethod
    def of(cls, name: str, size: Size) -> _Extent:
        if name == "scenes":
            known = {"full": cls(10980, 4000, 2048, 18), "small": cls(2745, 1000, 512, 6)}
            return known.get(size.name, cls(600, 256, 128, 2))
        known = {"full": cls(10980, 10980, 2048, 40), "small": cls(2745, 2745, 1024, 20)}
        return known.get(size.name, cls(600, 600, 256, 5))


def run(name: str, size: Size, root: Path) -> list[Row]:
    """Build with stacbuild, after a harvest, and with odc-stac; return their rows."""
    extent = _Extent.of(name, size)
    folder = _files(root / "data" / f"scenes-{extent.side}", extent)
    shutil.rmtree(root / "run", ignore_errors=True)
    (root / "run").mkdir(parents=True)
    if name == "scenes-median":
        return _measured(name, extent, folder, str(folder), Traffic())
    traffic = Traffic()
    with serve(folder, traffic, _LATENCY) as url:
        return _measured(name, extent, folder, url, traffic)


def _measured(name: str, extent: _Extent, folder: Path, root: str, traffic: Traffic) -> list[Row]:
    items, work = _items(name, extent, root), folder.parents[1] / "run"
    # Beside the files, since a catalog's hrefs must not lead to another private server.
    catalog = folder / "items.json"
    catalog.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    config = _configured(name, extent, work, f"{root}/{catalog.name}")
    ours.harvest(config)
    runs: list[tuple[str, Sequence[str]]] = [("stacbuild", ours.cube(config))]
    for threads in _THREADS if name == "scenes" else _THREADS[:1]:
        job = work / f"{threads}.json"
        job.write_text(
            json.dumps(
                {"name": name, "items": str(catalog), "threads": threads}
                | {"extent": asdict(extent), "out": str(work / f"{threads}.zarr")}
            )
        )
        words = [sys.executable, "-m", __name__, str(job)]
        runs.append((f"odc-stac, {threads} threads", words))
    rows: list[Row] = []
    for tool, words in runs:
        traffic.clear()
        measured = measure(words, work if tool == "stacbuild" else Path(__file__).parents[2])
        row: Row = {"case": name, "tool": tool, **asdict(measured), "runs": 1}
        row |= {"requests": len(traffic.ranges) + traffic.heads, "bytes": traffic.sent}
        row |= {"twice": traffic.twice, "most": traffic.most, **asdict(extent)}
        rows.append(row | {"scenes": len(items)})
    shutil.rmtree(work)
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return the rows of a case as a Markdown table, with ratios to the fastest other tool."""
    first = rows[0]
    title = CASES[first["case"]].format(**first, ms=1000 * _LATENCY)
    best = min(row["seconds"] for row in rows if row["tool"] != "stacbuild")
    heads = ("tool", "seconds", "of the best peer", "cpu s", "peak MB", "requests", "MB")
    heads += ("MB twice", "most in flight")
    lines = [f"\n**{first['case']}**: {title}\n", f"| {' | '.join(heads)} |"]
    lines.append(f"|---|{'---:|' * (len(heads) - 1)}")
    for row in rows:
        cells = [row["tool"], f"{row['seconds']:.2f}", f"{row['seconds'] / best:.2f}"]
        cells += [f"{row['cpu_seconds']:.1f}", f"{row['peak_rss_mb']:.0f}", str(row["requests"])]
        cells += [f"{row['bytes'] / 1e6:.0f}", f"{row['twice'] / 1e6:.1f}", str(row["most"])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _files(folder: Path, extent: _Extent) -> Path:
    """Make the files of two tiles, if need be; all days have the same pixels under other names."""
    if not folder.exists():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        chance = np.random.default_rng(1)
        for tile in range(2):
            for band in _BANDS:
                _write(part / f"{tile}-{band}.tif", tile, extent, chance)
        part.rename(folder)
    for day in range(extent.days):
        for tile in range(2):
            for band in _BANDS:
                path = folder / f"{day}-{tile}-{band}.tif"
                if not path.exists():
                    os.link(folder / f"{tile}-{band}.tif", path)
    return folder


def _write(path: Path, tile: int, extent: _Extent, chance: np.random.Generator) -> None:
    profile: dict[str, Any] = {"driver": "GTiff", "width": extent.side, "height": extent.side}
    profile |= {"count": 1, "dtype": "uint16", "crs": _CRS, "nodata": 0, "tiled": True}
    profile |= {"transform": _transform(tile, extent), "compress": "deflate", "zlevel": 1}
    with rasterio.open(path, "w", **profile, blockxsize=_BLOCK, blockysize=_BLOCK) as file:
        for row in range(0, extent.side, _BLOCK):
            height = min(_BLOCK, extent.side - row)
            # Every fourth value is drawn, so that it compresses as reflectances do.
            drawn = chance.integers(0, 4000, (height, -(-extent.side // 4)), "uint16")
            values = drawn.repeat(4, 1)[:, : extent.side]
            file.write(values, 1, window=Window(0, row, extent.side, height))


def _transform(tile: int, extent: _Extent) -> Affine:
    # Neighbours overlap by a tenth.
    return Affine(_RES, 0, _WEST + tile * round(0.9 * extent.side) * _RES, 0, -_RES, _NORTH)


def _items(name: str, extent: _Extent, root: str) -> list[dict[str, Any]]:
    tiles = range(2) if name == "scenes" else range(1)
    return [_item(day, tile, extent, root) for day in range(extent.days) for tile in tiles]


def _item(day: int, tile: int, extent: _Extent, root: str) -> dict[str, Any]:
    place = _transform(tile, extent)
    length = extent.side * _RES
    bbox = transform_bounds(_CRS, "OGC:CRS84", place.c, place.f - length, place.c + length, place.f)
    w, s, e, n = bbox
    stated = {"data_type": "uint16", "nodata": 0, "scale": 0.0001, "offset": 0}
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": f"scene-{day}-{tile}", "links": [],
        "stac_extensions": [
            "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
            "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
            "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
        ],
        "bbox": list(bbox),
        "geometry": {"type": "Polygon",
                     "coordinates": [[[w, s], [e, s], [e, n], [w, n], [w, s]]]},
        "properties": {
            "datetime": f"2023-{1 + day // 28:02}-{1 + day % 28:02}T10:31:{tile:02}Z",
            "platform": "sentinel-2a", "eo:cloud_cover": 10, "grid:code": f"MGRS-32T{'MN'[tile]}T",
            "proj:epsg": 32632,
        },
        "assets": {
            band: {
                "href": f"{root}/{day}-{tile}-{band}.tif", "type": "image/tiff", "roles": ["data"],
                "eo:bands": [{"name": band, "common_name": band}], "raster:bands": [stated],
                "proj:shape": [extent.side, extent.side], "proj:transform": list(place)[:6],
            }
            for band in _BANDS
        },
    }  # fmt: skip


def _corner(name: str, extent: _Extent) -> tuple[int, int]:
    """Return the upper left corner of the grid: in the middle of both tiles, or that of a scene."""
    if name == "scenes-median":
        return _WEST, _NORTH
    return (
        _WEST + (round(0.95 * extent.side) - extent.grid // 2) * _RES,
        _NORTH - (extent.side - extent.grid) // 2 * _RES,
    )


def _configured(name: str, extent: _Extent, work: Path, root: str) -> Path:
    config = work / "bench_config.yml"
    west, north = _corner(name, extent)
    length = extent.grid * _RES
    mapping = {"identifier": "grid", "crs": _CRS, "spatial_res": _RES, "tile_size": extent.tile}
    mapping["bbox"] = [west, north - length, west + length, north]
    stores = [
        {"identifier": "storage", "store_id": "file", "store_params": {"root": "cubes"}},
        {"identifier": "scenes", "store_id": "stac", "store_params": {"root": root}},
    ]
    names = list(_BANDS) if name == "scenes" else ["red"]
    dataset: dict[str, Any] = {"identifier": "cube", "grid_mapping": "grid", "store": "scenes"}
    dataset |= {"data_id": "items", "open_params": {"asset_names": names}}
    if name == "scenes-median":
        dataset["temporal_resample_params"] = {"frequency": "all", "agg_methods": "median"}
    config.write_text(
        yaml.safe_dump({"datasets": [dataset], "data_stores": stores, "grid_mappings": [mapping]})
    )
    return config


def _odc_stac(job: dict[str, Any]) -> None:
    """Do the same with odc-stac, in so many threads."""
    import dask
    import odc.stac
    import pystac
    import xarray as xr
    from odc.geo.geobox import GeoBox

    odc.stac.configure_rio(cloud_defaults=True)
    extent, name = _Extent(**job["extent"]), job["name"]
    features = json.loads(Path(job["items"]).read_text())["features"]
    west, north = _corner(name, extent)
    geobox = GeoBox((extent.grid, extent.grid), Affine(_RES, 0, west, 0, -_RES, north), _CRS)
    loaded = odc.stac.load(
        [pystac.Item.from_dict(feature) for feature in features],
        bands=list(_BANDS) if name == "scenes" else ["red"],
        geobox=geobox,
        chunks={"x": extent.tile, "y": extent.tile},
        groupby="solar_day",
    )
    if name == "scenes":
        write(loaded.to_array("band").data, job["out"], job["threads"])
        return
    # As its documentation has it: nodata to NaN, then the median along time, in one chunk.
    red = loaded["red"]
    values = red.where(red != 0).chunk({"time": -1, "x": 512, "y": 512})
    median: xr.DataArray = values.median("time", skipna=True)
    with dask.config.set(num_workers=job["threads"]):
        write(median.data, job["out"], job["threads"])


if __name__ == "__main__":
    _odc_stac(json.loads(Path(sys.argv[1]).read_text()))
