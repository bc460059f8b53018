"""Sources on a server that takes its time: stacbuild beside odc-stac and xarray with many threads.

All pixels of a source are put on its own grid, or on one in another projection, and written in
chunks. The server counts what is requested.

Run as a program it is one of the other tools: ``python -m scripts.benchmarks.waiting JOB``.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from rasterio import Affine
from rasterio.windows import Window

from scripts.benchmarks import ours
from scripts.benchmarks.data import Size
from scripts.benchmarks.measure import measure
from scripts.benchmarks.peers import write
from scripts.benchmarks.remote import Traffic, serve
from scripts.benchmarks.report import Row

_CRS, _RES = "EPSG:32632", 10.0
_WEST, _NORTH = 400_000.0, 5_800_000.0
_OTHER_CRS = "EPSG:3035"
_NODATA = 255
_LATENCIES = (0.03, 0.15)
_THREADS = (2, 16, 32)


@dataclass(frozen=True)
class Waiting:
    """A source, and the grid that it is put on.

    Parameters
    ----------
    title
        What is measured.
    bands
        Number of them.
    is_zarr
        Whether the source is a Zarr store of chunks of 500 x 500, or a GeoTIFF tiled by 512.
    projected
        Whether the grid is in another projection, and larger than the source.
    """

    title: str
    bands: int = 1
    is_zarr: bool = False
    projected: bool = False

    def side(self, size: Size) -> int:
        """Return the rows and columns of the source."""
        whole = {"full": 16384, "small": 8192}.get(size.name, 1024)
        return whole // (8 if self.bands > 1 else 2 if self.is_zarr else 1)

    @property
    def tool(self) -> str:
        """The tool to compare with."""
        return "xarray" if self.is_zarr else "odc-stac"


CASES = {
    "wait-geotiff": Waiting("one band, tiled 512, on its own grid"),
    "wait-bands": Waiting("39 bands, tiled 512, on its own grid", bands=39),
    "wait-zarr": Waiting("Zarr, chunks of 500 x 500, on its own grid", is_zarr=True),
    "wait-zarr-laea": Waiting("the same, on a grid in EPSG:3035", is_zarr=True, projected=True),
}


@dataclass(frozen=True)
class Grid:
    """The grid of the result: its CRS, bounds in it, pixel size, and the side of a chunk."""

    crs: str
    bounds: tuple[float, float, float, float]
    res: float
    tile: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        west, south, east, north = self.bounds
        return round((north - south) / self.res), round((east - west) / self.res)


def run(name: str, size: Size, root: Path) -> list[Row]:
    """Run stacbuild and its peer with each latency.

    Returns
    -------
    Rows with, beyond the usual figures, ``latency`` in seconds, ``requests``, ``bytes``, those
    sent ``twice`` and those of all that is ``needed``, and the ``most`` requests in flight.
    """
    case = CASES[name]
    path = _source(case, size, root)
    grid = _grid(case, size)
    work = root / "run"
    rows: list[Row] = []
    for latency in _LATENCIES:
        traffic = Traffic()
        with serve(path.parent, traffic, latency) as url:
            shutil.rmtree(work, ignore_errors=True)
            command = ours.cube(_configured(work, grid, url, path.name))
            tools: list[tuple[str, Sequence[str]]] = [("stacbuild", command)]
            for threads in _THREADS:
                job = work / f"{threads}.json"
                job.write_text(
                    json.dumps(
                        asdict(grid)
                        | {"url": f"{url}/{path.name}", "threads": threads}
                        | {"bands": case.bands, "out": str(work / f"{threads}.zarr")}
                    )
                )
                words = [sys.executable, "-m", __name__, str(job)]
                tools.append((f"{case.tool}, {threads} threads", words))
            for tool, words in tools:
                traffic.clear()
                measured = measure(words, Path(__file__).parents[2])
                row: Row = {"case": name, "tool": tool, **asdict(measured), "runs": 1}
                row |= {"latency": latency, "requests": len(traffic.ranges) + traffic.heads}
                row |= {"bytes": traffic.sent, "twice": traffic.twice, "most": traffic.most}
                rows.append(row | {"needed": _stored(path)})
        shutil.rmtree(work)
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return the rows of a case as a Markdown table, with ratios to the fastest other tool."""
    heads = ("ms", "tool", "seconds", "of the best peer", "cpu s", "peak MB", "requests")
    heads += ("bytes / needed", "MB twice", "most in flight")
    lines = [f"\n**{rows[0]['case']}**: {CASES[rows[0]['case']].title}\n"]
    lines += [f"| {' | '.join(heads)} |", f"|---:|---|{'---:|' * (len(heads) - 2)}"]
    for row in rows:
        best = min(
            each["seconds"]
            for each in rows
            if each["latency"] == row["latency"] and each["tool"] != "stacbuild"
        )
        cells = [f"{1000 * row['latency']:.0f}", row["tool"], f"{row['seconds']:.2f}"]
        cells += [f"{row['seconds'] / best:.2f}", f"{row['cpu_seconds']:.1f}"]
        cells += [f"{row['peak_rss_mb']:.0f}", str(row["requests"])]
        cells += [f"{row['bytes'] / row['needed']:.2f}", f"{row['twice'] / 1e6:.1f}"]
        lines.append(f"| {' | '.join([*cells, str(row['most'])])} |")
    return "\n".join(lines)


def _grid(case: Waiting, size: Size) -> Grid:
    side, tile = case.side(size), 2048 if size.name == "full" else 512
    length = side * _RES
    if not case.projected:
        bounds = (_WEST, _NORTH - length, _WEST + length, _NORTH)
        return Grid(_CRS, bounds, _RES, tile)
    from pyproj import Transformer

    whole = Transformer.from_crs(_CRS, _OTHER_CRS, always_xy=True).transform_bounds(
        _WEST, _NORTH - length, _WEST + length, _NORTH
    )
    west, south, east, north = (round(edge / _RES) * _RES for edge in whole)
    return Grid(_OTHER_CRS, (west, south, east, north), _RES, tile)


def _source(case: Waiting, size: Size, root: Path) -> Path:
    """Make the source, if need be; return its path."""
    side = case.side(size)
    kind = "store.zarr" if case.is_zarr else f"bands{case.bands}.tif"
    folder = root / "data" / f"waiting-{side}"
    path = folder / kind
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(1)
    rows = 500 if case.is_zarr else 512

    def stripe(height: int) -> Any:
        # Every eighth value is drawn, so that it compresses as classes do.
        return chance.integers(0, 16, (height, -(-side // 8)), "uint8").repeat(8, 1)[:, :side]

    (_write_zarr if case.is_zarr else _write_tiff)(path, side, case.bands, rows, stripe)
    return path


def _write_tiff(path: Path, side: int, bands: int, rows: int, stripe: Callable[[int], Any]) -> None:
    profile: dict[str, Any] = {"driver": "GTiff", "width": side, "height": side, "count": bands}
    profile |= {"dtype": "uint8", "crs": _CRS, "nodata": _NODATA, "interleave": "band"}
    profile |= {"transform": Affine(_RES, 0, _WEST, 0, -_RES, _NORTH), "tiled": True}
    profile |= {"blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1}
    part = path.with_suffix(".part")
    with rasterio.open(part, "w", **profile) as file:
        for band in range(1, bands + 1):
            for row in range(0, side, rows):
                height = min(rows, side - row)
                file.write(stripe(height), band, window=Window(0, row, side, height))
        file.update_tags(TIFFTAG_DATETIME="2020:01:01 00:00:00")
    part.rename(path)


def _write_zarr(path: Path, side: int, bands: int, rows: int, stripe: Callable[[int], Any]) -> None:
    import xarray as xr

    assert bands == 1
    part = path.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    half = _RES / 2
    x, y = _WEST + half + _RES * np.arange(side), _NORTH - half - _RES * np.arange(side)
    values = np.concatenate([stripe(min(rows, side - row)) for row in range(0, side, rows)])
    attrs = {"crs_wkt": rasterio.crs.CRS.from_string(_CRS).to_wkt()}
    store = xr.Dataset(
        {"data": (("y", "x"), values, {"grid_mapping": "spatial_ref"})},
        {"y": y, "x": x, "spatial_ref": ((), 0, attrs)},
        {"time_coverage_start": "2020-01-01"},
    )
    store.to_zarr(part, zarr_format=2, consolidated=True, encoding={"data": {"chunks": (500, 500)}})
    part.rename(path)


def _stored(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in (path / "data").iterdir())


def _configured(work: Path, grid: Grid, url: str, data_id: str) -> Path:
    """Write a configuration, and harvest its source."""
    work.mkdir(parents=True)
    config = work / "bench_config.yml"
    mapping = {"identifier": "grid", "crs": grid.crs, "bbox": list(grid.bounds)}
    mapping |= {"spatial_res": grid.res, "tile_size": grid.tile}
    source = {"identifier": "source", "store_id": "https", "store_params": {"root": url}}
    storage = {"identifier": "storage", "store_id": "file", "store_params": {"root": "cubes"}}
    dataset = {"identifier": "cube", "grid_mapping": "grid", "store": "source", "data_id": data_id}
    config.write_text(
        yaml.safe_dump(
            {"datasets": [dataset], "data_stores": [storage, source], "grid_mappings": [mapping]}
        )
    )
    ours.harvest(config)
    return config


def _other_tool(job: dict[str, Any]) -> None:
    """Do the same with odc-stac or xarray, in so many threads."""
    from odc.geo.geobox import GeoBox

    grid = Grid(job["crs"], tuple(job["bounds"]), job["res"], job["tile"])
    geobox = GeoBox.from_bbox(grid.bounds, grid.crs, shape=grid.shape)
    load = _with_xarray if job["url"].endswith(".zarr") else _with_odc_stac
    data = load(job, grid, geobox).data.rechunk({-1: grid.tile, -2: grid.tile})
    write(data, job["out"], job["threads"])


def _with_xarray(job: dict[str, Any], grid: Grid, geobox: Any) -> Any:
    import odc.geo.xr  # noqa: F401 - adds the accessor
    import xarray as xr

    data = xr.open_zarr(job["url"], chunks={}, mask_and_scale=False)["data"]
    if grid.crs == _CRS:
        return data
    placed = data.odc.assign_crs(_CRS)
    return placed.odc.reproject(geobox, resampling="nearest", chunks=(grid.tile, grid.tile))


def _with_odc_stac(job: dict[str, Any], grid: Grid, geobox: Any) -> Any:
    import odc.stac
    import pystac

    odc.stac.configure_rio(cloud_defaults=True)
    side, bands = grid.shape[0], job["bands"]
    item = {
        "type": "Feature", "stac_version": "1.0.0", "id": "a", "links": [],
        "stac_extensions": ["https://stac-extensions.github.io/raster/v1.1.0/schema.json"],
        "bbox": [7, 50, 11, 53],
        "geometry": {"type": "Polygon",
                     "coordinates": [[[7, 50], [11, 50], [11, 53], [7, 53], [7, 50]]]},
        "properties": {
            "datetime": "2020-01-01T00:00:00Z", "proj:epsg": 32632, "proj:shape": [side, side],
            "proj:transform": [_RES, 0, _WEST, 0, -_RES, _NORTH],
        },
        "assets": {"data": {
            "href": job["url"], "type": "image/tiff", "roles": ["data"],
            "raster:bands": [{"data_type": "uint8", "nodata": _NODATA}] * bands,
        }},
    }  # fmt: skip
    names = [f"data.{band}" for band in range(1, bands + 1)] if bands > 1 else ["data"]
    loaded = odc.stac.load(
        [pystac.Item.from_dict(item)],
        bands=names,
        geobox=geobox,
        chunks={"x": grid.tile, "y": grid.tile},
    )
    return loaded.isel(time=0).to_array("band")


if __name__ == "__main__":
    _other_tool(json.loads(Path(sys.argv[1]).read_text()))
