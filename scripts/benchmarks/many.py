"""A mosaic of many small files: stacbuild beside odc-stac, both from the same static STAC catalog.

The tiles lie half a pixel off the grid. Run as a program it is odc-stac:
``python -m scripts.benchmarks.many JOB``.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from rasterio import Affine
from rasterio.warp import transform_bounds

from scripts.benchmarks import ours
from scripts.benchmarks.data import Size
from scripts.benchmarks.measure import measure
from scripts.benchmarks.peers import write
from scripts.benchmarks.report import Row

NAME = "many-files"
_CRS, _RES, _TILE = "EPSG:3035", 10, 256
_WEST, _NORTH = 4_000_000, 3_000_000
_THREADS = (2, 16)


def run(size: Size, root: Path) -> list[Row]:
    """Harvest and build with stacbuild, and read and write with odc-stac; return their rows."""
    across = {"full": 31, "small": 16}.get(size.name, 4)
    folder = _made(root / "data" / f"many-{across}", across)
    work, repository = root / "run", Path(__file__).parents[2]
    shutil.rmtree(work, ignore_errors=True)
    config = _configured(work, folder, across)
    runs: list[tuple[str, Sequence[str]]] = [
        ("stacbuild harvest", [ours.PROGRAM, "harvest", str(config)]),
        ("stacbuild cube", ours.cube(config)),
    ]
    for threads in _THREADS:
        job = work / f"{threads}.json"
        out = str(work / f"{threads}.zarr")
        job.write_text(
            json.dumps({"folder": str(folder), "across": across, "threads": threads, "out": out})
        )
        words = [sys.executable, "-m", __name__, str(job)]
        runs.append((f"odc-stac, {threads} threads", words))
    rows: list[Row] = []
    for tool, words in runs:
        measured = measure(words, work if tool.startswith("stacbuild") else repository)
        rows.append({"case": NAME, "tool": tool, **asdict(measured), "runs": 1, "files": across**2})
    shutil.rmtree(work)
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table, with ratios to the fastest run of odc-stac."""
    best = min(row["seconds"] for row in rows if row["tool"].startswith("odc-stac"))
    lines = [f"\n**{NAME}**: {rows[0]['files']} files of {_TILE} x {_TILE} pixels\n"]
    lines += ["| tool | seconds | of odc-stac | cpu s | peak MB |", "|---|---:|---:|---:|---:|"]
    for row in rows:
        cells = [row["tool"], f"{row['seconds']:.2f}", f"{row['seconds'] / best:.2f}"]
        cells += [f"{row['cpu_seconds']:.1f}", f"{row['peak_rss_mb']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _made(folder: Path, across: int) -> Path:
    """Make the files and their catalog, if need be."""
    if folder.exists():
        return folder
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    chance = np.random.default_rng(1)
    links: list[dict[str, str]] = [{"rel": "root", "href": "./catalog.json"}]
    for row, col in np.ndindex(across, across):
        west = _WEST + col * _TILE * _RES + _RES / 2
        north = _NORTH - row * _TILE * _RES - _RES / 2
        name, transform = f"t{row:03d}{col:03d}", Affine(_RES, 0, west, 0, -_RES, north)
        profile: dict[str, Any] = {"driver": "GTiff", "width": _TILE, "height": _TILE, "count": 1}
        profile |= {"dtype": "uint8", "crs": _CRS, "transform": transform, "nodata": 0}
        with rasterio.open(part / f"{name}.tif", "w", compress="deflate", **profile) as file:
            file.write(chance.integers(1, 200, (_TILE, _TILE), "uint8"), 1)
        (part / f"{name}.json").write_text(json.dumps(_item(name, transform)))
        links.append({"rel": "item", "href": f"./{name}.json"})
    extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}}
    extent["temporal"] = {"interval": [["2020-01-01T00:00:00Z", None]]}  # type: ignore[dict-item]
    shared = {"stac_version": "1.1.0", "description": "Tiles"}
    collection = {"type": "Collection", "id": "tiles", "license": "CC0-1.0", "extent": extent}
    (part / "collection.json").write_text(json.dumps(shared | collection | {"links": links}))
    catalog = {"type": "Catalog", "id": "many"}
    child = [{"rel": "child", "href": "./collection.json"}]
    (part / "catalog.json").write_text(json.dumps(shared | catalog | {"links": child}))
    part.rename(folder)
    return folder


def _item(name: str, transform: Affine) -> dict[str, Any]:
    length = _TILE * _RES
    west, north = transform.c, transform.f
    bbox = transform_bounds(_CRS, "OGC:CRS84", west, north - length, west + length, north)
    w, s, e, n = bbox
    values = {"data_type": "uint8", "nodata": 0}
    return {
        "type": "Feature", "stac_version": "1.1.0", "id": name, "collection": "tiles",
        "stac_extensions": ["https://stac-extensions.github.io/projection/v2.0.0/schema.json"],
        "bbox": list(bbox),
        "geometry": {"type": "Polygon",
                     "coordinates": [[[w, s], [e, s], [e, n], [w, n], [w, s]]]},
        "properties": {
            "datetime": "2020-01-01T00:00:00Z", "proj:code": _CRS, "proj:shape": [_TILE, _TILE],
            "proj:transform": list(transform)[:6],
        },
        "links": [{"rel": "collection", "href": "./collection.json"}],
        "assets": {"data": {"href": f"./{name}.tif", "type": "image/tiff; application=geotiff",
                            "roles": ["data"], "bands": [values], **values}},
    }  # fmt: skip


def _configured(work: Path, folder: Path, across: int) -> Path:
    work.mkdir(parents=True)
    config = work / "bench_config.yml"
    bbox = [_WEST, _NORTH - across * _TILE * _RES, _WEST + across * _TILE * _RES, _NORTH]
    mapping = {"identifier": "grid", "crs": _CRS, "bbox": bbox, "spatial_res": _RES}
    root = {"root": str(folder / "catalog.json")}
    stores = [
        {"identifier": "storage", "store_id": "file", "store_params": {"root": "cubes"}},
        {"identifier": "many", "store_id": "stac", "store_params": root},
    ]
    dataset = {"identifier": "cube", "grid_mapping": "grid", "store": "many", "data_id": "tiles"}
    config.write_text(
        yaml.safe_dump(
            {
                "datasets": [dataset],
                "data_stores": stores,
                "grid_mappings": [mapping | {"tile_size": 2048}],
            }
        )
    )
    return config


def _odc_stac(job: dict[str, Any]) -> None:
    """Do the same with odc-stac, in so many threads."""
    import odc.stac
    import pystac
    from odc.geo.geobox import GeoBox

    items = []
    for path in sorted(Path(job["folder"]).glob("t*.json")):
        items.append(pystac.Item.from_dict(json.loads(path.read_text())))
        items[-1].set_self_href(str(path))
        items[-1].make_asset_hrefs_absolute()
    side = job["across"] * _TILE
    grid = GeoBox((side, side), Affine(_RES, 0, _WEST, 0, -_RES, _NORTH), _CRS)
    loaded = odc.stac.load(items, bands=["data"], geobox=grid, chunks={"x": 2048, "y": 2048})
    write(loaded["data"].isel(time=0).data, job["out"], job["threads"])


if __name__ == "__main__":
    _odc_stac(json.loads(Path(sys.argv[1]).read_text()))
