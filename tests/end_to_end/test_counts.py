"""What harvests and builds cost, in counts: requests, bytes, decodes, tasks, memory; no seconds."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import rasterio
import xarray as xr
import yaml
import zarr
from dask.callbacks import Callback
from pyproj import Transformer
from rasterio import Affine

from scripts.benchmarks import remote
from scripts.benchmarks.data import RES
from scripts.benchmarks.floor import index_map
from scripts.benchmarks.job import Job, Layer
from scripts.benchmarks.measure import measure
from scripts.benchmarks.remote import Traffic, needed
from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.loading import pool
from stacbuild.net import pace
from stacbuild.net.pages import PagedFile
from stacbuild.sources import harvest
from tests.standins.zenodo import Record, ZenodoServer
from tests.support.cli import Json, configuration
from tests.support.file_server import FileServer

Box = tuple[float, float, float, float]

# A cube's work unit is one tile from this size on; smaller ones are computed together.
TILE = 1100
# In EPSG:3413 this place is turned by 45 degrees, so that much of the rectangle around a tile is
# not of the tile.
ASKEW = (0.0, 60.0)


def box_of(corner: tuple[float, float], side: int) -> Box:
    """Return the box of *side* x *side* target pixels south-east of a corner."""
    west, north = corner
    return west, north - side * RES, west + side * RES, north


def geotiff(path: Path, box: Box, epsg: int, res: float, bands: int, **profile: Any) -> Path:
    """Write a raster of noise, which hardly compresses, that covers a box of EPSG:4326."""
    to_source = Transformer.from_crs(4326, epsg, always_xy=True)
    left, bottom, right, top = to_source.transform_bounds(*box, densify_pts=101)
    shape = math.ceil((top - bottom) / res) + 20, math.ceil((right - left) / res) + 20
    dtype = profile.setdefault("dtype", "uint8")
    values = np.random.default_rng(1).integers(0, 251, (bands, *shape), dtype)
    with rasterio.open(
        path, "w", driver="GTiff", count=bands, height=shape[0], width=shape[1], crs=epsg,
        transform=Affine(res, 0, left - 10 * res, 0, -res, top + 10 * res),
        compress="deflate", zlevel=1, NUM_THREADS="ALL_CPUS", **profile,
    ) as file:  # fmt: skip
        file.write(values)
    return path


def project(
    folder: Path, box: Box, tile: int, variables: Mapping[str, str], store: Json, **sections: Any
) -> Path:
    """Write the configuration of one cube, ``cube``, of variables by name and data id."""
    dataset = {
        "identifier": "cube",
        "grid_mapping": "fine",
        "variables": [
            {"identifier": name, "store": "source", "data_id": data_id}
            for name, data_id in variables.items()
        ],
    }
    grid = {
        "identifier": "fine", "bbox": list(box), "spatial_res": RES, "crs": "EPSG:4326",
        "tile_size": tile,
    }  # fmt: skip
    config = configuration(
        folder, [dataset], [{"identifier": "source", **store}], grids=[grid], **sections
    )
    (folder / "profiles").mkdir(exist_ok=True)
    dated = {"match": "*", "start_datetime": "2020-01-01T00:00:00Z"}
    (folder / "profiles" / "p.yml").write_text(yaml.safe_dump({"source": "*", "data": [dated]}))
    return config


def local(root: Path) -> Json:
    return {"store_id": "file", "store_params": {"root": str(root)}}


def at(url: str) -> Json:
    return {"store_id": "https", "store_params": {"root": url}}


def harvested(config: Path) -> None:
    for result in harvest(load_config(config), config.parent / "catalogs"):
        assert result.status == "COMPLETED", result


def built(config: Path) -> zarr.Group:
    """Build the cube and give what was written."""
    (result,) = build(load_config(config), config.parent / "catalogs")
    assert result.status == "COMPLETED", result
    return zarr.open_group(str(result.href), mode="r")


# --- reading in place ----------------------------------------------------------------------------

# Blocks are so large that a gap of one is not worth reading over; then, how many of the file's
# blocks a request brings at the least.
LAYOUTS = {
    "tiled-band": ({"tiled": True, "blockxsize": 192, "blockysize": 192, "interleave": "band"}, 2),
    "tiled-pixel": (
        {"tiled": True, "blockxsize": 192, "blockysize": 192, "interleave": "pixel"},
        2,
    ),
    "striped-band": ({"blockysize": 16, "interleave": "band"}, 20),
    "striped-pixel": ({"blockysize": 16, "interleave": "pixel"}, 5),
}


def noise(path: Path, layout: str) -> Path:
    profile, _ = LAYOUTS[layout]
    box = box_of(ASKEW, 2 * TILE)
    return geotiff(path, box, 3413, 60, 12, dtype="uint16", **profile)


def windows_of_blocks(job: Job) -> Counter[tuple[int, int]]:
    """Count for each block, by first byte and size, the tiles whose source window it lies in."""
    found: Counter[tuple[int, int]] = Counter()
    with rasterio.open(job.layers[0].paths[0]) as file:
        high, wide = file.block_shapes[0]
        bands = range(1, file.count + 1) if file.interleaving.name == "band" else (1,)
        for tile in job.tiles():
            mapped = index_map(job, file, tile, lambda each, values: list(map(each, values)))
            assert mapped is not None
            (rows, cols), _ = mapped
            for row in range(rows.start // high, -(-rows.stop // high)):
                for col in range(cols.start // wide, -(-cols.stop // wide)):
                    for band in bands:
                        place = f"{col}_{row}"
                        offset, size = (
                            int(file.get_tag_item(f"BLOCK_{what}_{place}", "TIFF", bidx=band))
                            for what in ("OFFSET", "SIZE")
                        )
                        found[offset, size] += 1
    return found


@pytest.mark.parametrize(
    "layout",
    [
        "tiled-band",
        "striped-pixel",
        pytest.param("tiled-pixel", marks=pytest.mark.slow),
        pytest.param("striped-band", marks=pytest.mark.slow),
    ],
)
def test_reading_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    path = noise(tmp_path / "a.tif", layout)
    box = box_of(ASKEW, 2 * TILE)
    job = Job((Layer("a", (str(path),)),), box, (2 * TILE, 2 * TILE), TILE, "")
    reads: Counter[tuple[int, int]] = Counter()

    def readinto(self: PagedFile, buffer: Any, plainly: Any = PagedFile.readinto) -> int:
        start = self.tell()
        size = plainly(self, buffer)
        reads[start, size] += 1
        return int(size)

    monkeypatch.setattr(remote, "LATENCY", 0)
    monkeypatch.setattr(PagedFile, "readinto", readinto)
    traffic = Traffic()
    with remote.serve(tmp_path, traffic) as url:
        config = project(tmp_path / "c", box, TILE, {"a": "a.tif"}, at(url))
        harvested(config)
        traffic.clear()
        reads.clear()
        built(config)

    # Bytes: none twice, and few of blocks that hold no pixel of the box.
    assert traffic.twice == 0
    least = needed(job)
    assert least <= traffic.sent <= 1.2 * least
    # Requests: for blocks side by side one.
    with rasterio.open(path) as file:
        count = len(list(file.block_windows(1)))
        blocks = count * (file.count if file.interleaving.name == "band" else 1)
    assert len(traffic.ranges) + traffic.heads <= blocks / LAYOUTS[layout][1]
    # Decodes: GDAL reads the bytes of a block whenever it decodes it, and not once a band.
    allowed = windows_of_blocks(job)
    decoded = Counter({block: reads[block] for block in allowed})
    assert decoded.total() >= len(allowed) / 2
    assert decoded <= allowed


def test_zenodo_is_asked_less_than_sixty_times_a_minute_without_being_told(tmp_path: Path) -> None:
    path = noise(tmp_path / "a.tif", "tiled-band")
    box = box_of(ASKEW, 2 * TILE)
    with ZenodoServer(Record(id="1", title="Noise", files={"a.tif": path})) as server:
        params = {"root": "1", "endpoint_url": server.api}
        store = {"store_id": "zenodo", "store_params": params}
        config = project(tmp_path / "c", box, TILE, {"a": "a.tif"}, store)
        # Time passes only when somebody waits.
        polite = pace.pace_of("zenodo", server.url.removeprefix("http://"))
        assert polite is not None
        waited = [0.0]
        polite.clock, polite.sleep = (lambda: sum(waited)), waited.append
        harvested(config)
        built(config)
        asked = server.requests
    assert asked > 120
    assert sum(waited) >= (asked - 1) // 59 * 60


def test_a_chunk_of_a_remote_zarr_is_asked_for_once(tmp_path: Path) -> None:
    box = box_of((0.0, 45.0), 256)
    pixels = (np.arange(300) - 20 + 0.5) * RES
    ages = np.random.default_rng(2).integers(0, 99, (6, 300, 300), "int16")
    source = xr.Dataset(
        {"age": (("member", "lat", "lon"), ages)},
        {
            "member": np.arange(6),
            "lat": ("lat", box[3] - pixels, {"units": "degrees_north"}),
            "lon": ("lon", box[0] + pixels, {"units": "degrees_east"}),
        },
        {"crs": "EPSG:4326"},
    )
    chunks = {"age": {"chunks": (3, 100, 100)}}
    source.to_zarr(tmp_path / "a.zarr", zarr_format=2, encoding=chunks)
    files = {
        f"/{path.relative_to(tmp_path)}": path.read_bytes()
        for path in (tmp_path / "a.zarr").rglob("*")
        if path.is_file()
    }
    with FileServer(files) as server:
        config = project(tmp_path / "c", box, 64, {"a": "a.zarr"}, at(server.url))
        harvested(config)
        server.asked.clear()
        built(config)
        asked = Counter(each.path for each in server.asked)
    blocks = {path for path in files if re.search(r"/age/\d", path)}
    assert len(blocks) == 2 * 3 * 3
    assert {path: asked[path] for path in blocks} == dict.fromkeys(blocks, 1)


# --- decodes, index maps and tasks of local files ------------------------------------------------


class Graphs(Callback):  # type: ignore[misc]
    """Counts what dask is given, as tasks of each graph, and what it ran."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.ran = 0
        super().__init__(start=self._count, posttask=self._run)

    def _count(self, graph: Mapping[Any, Any]) -> None:
        self.sizes.append(len(graph))

    def _run(self, *_: object) -> None:
        self.ran += 1


@dataclass
class Counts:
    """Of one build: what dask did, bytes read from disk, index maps made.

    ``once`` are the bytes of all blocks of each tile's source window, once a tile.
    """

    graphs: Graphs = field(default_factory=Graphs)
    read: int = 0
    maps: Counter[Any] = field(default_factory=Counter)
    once: int = 0
    files: int = 0


BANDS = 26
TILES = 4


def bytes_read() -> int:
    """Return how many bytes this process has read of files; 0 where the system does not count."""
    return psutil.Process().io_counters().read_chars if sys.platform == "linux" else 0


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Counts:
    """Build a cube of a file of many interleaved bands, and another one on the same grid."""
    folder = tmp_path_factory.mktemp("counts")
    box = box_of((-1.25, 44.8), 2 * TILE)
    tiled = {"tiled": True, "blockxsize": 128, "blockysize": 128}
    path = geotiff(folder / "many.tif", box, 3035, 60, BANDS, interleave="pixel", **tiled)
    geotiff(folder / "one.tif", box, 3035, 60, 1, **tiled)
    names = {"many": "many.tif", "one": "one.tif"}
    config, before = (project(folder / name, box, TILE, names, local(folder)) for name in "ab")
    harvested(config)
    # Modules are read from disk too: let all be there before bytes are counted.
    harvested(before)
    built(before)
    job = Job((Layer("many", (str(path),)),), box, (2 * TILE, 2 * TILE), TILE, "")
    counts = Counts(once=sum(size * n for (_, size), n in windows_of_blocks(job).items()))
    # A build reads each file once more, for its checksum.
    counts.files = sum((folder / name).stat().st_size for name in names.values())

    def counted(source: Any, target: Any, window: Any, plainly: Any = pool.index_map) -> Any:
        counts.maps[source, target, str(window)] += 1
        return plainly(source, target, window)

    with pytest.MonkeyPatch.context() as patch, counts.graphs:
        patch.setattr(pool, "index_map", counted)
        counts.read = -bytes_read()
        built(config)
        counts.read += bytes_read()
    return counts


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the bytes that are read")
def test_an_interleaved_block_is_read_from_disk_once_a_tile(counts: Counts) -> None:
    # Some more is read than blocks, such as PROJ's database; once a band would be 26 times as
    # much, and once a thread three times.
    assert 0.5 * counts.once < counts.read - counts.files < 1.5 * counts.once


def test_an_index_map_is_made_once_for_all_bands_and_variables(counts: Counts) -> None:
    assert set(counts.maps.values()) == {1}
    assert len(counts.maps) <= TILES


def test_tasks_are_a_few_a_band_and_tile(counts: Counts) -> None:
    assert BANDS + 1 <= counts.graphs.ran <= 3 * (BANDS + 1) * TILES
    # No graph holds more than the bands of one tile.
    assert max(counts.graphs.sizes) <= 3 * BANDS


def test_small_tiles_are_computed_together(tmp_path: Path) -> None:
    box = box_of((-1.25, 44.8), 512)
    geotiff(tmp_path / "a.tif", box, 3035, 60, 3)
    config = project(tmp_path / "c", box, 64, {"a": "a.tif"}, local(tmp_path))
    harvested(config)
    with Graphs() as graphs:
        cube = built(config)
    assert cube["a"].nchunks == 3 * 64
    assert 3 <= graphs.ran <= 3 * 3


def test_bands_are_computed_in_their_order(tmp_path: Path) -> None:
    # What some of them share can then go before the others are begun.
    box = box_of((-1.25, 44.8), 64)
    geotiff(tmp_path / "a.tif", box, 3035, 60, 12)
    config = project(tmp_path / "c", box, 64, {"a": "a.tif"}, local(tmp_path))
    harvested(config)
    (result,) = build(load_config(config).with_scheduler("sync"), tmp_path / "c" / "catalogs")
    written = [Path(str(result.href)) / "a" / "c" / str(band) / "0" / "0" for band in range(12)]
    times = [path.stat().st_mtime_ns for path in written]
    assert times == sorted(times)


# --- imports -------------------------------------------------------------------------------------

_LOADED = """\
import sys, sysconfig
before = set(sys.modules)
from stacbuild.cli import run
code = run(sys.argv[1:])
found = [(name, sys.modules[name]) for name in set(sys.modules) - before]
site = {sysconfig.get_path(which) for which in ("purelib", "platlib")}
names = [n for n, m in found if str(getattr(m, "__file__", "")).startswith(tuple(site))]
print("LOADED", *names, file=sys.stderr)
sys.exit(code)
"""


def loaded(*words: object, code: int = 0) -> set[str]:
    """Return the modules of other packages that a command has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return set(done.stderr.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_click_alone(option: str) -> None:
    packages = {name.partition(".")[0] for name in loaded(option)}
    assert packages <= {"click", "colorama", "stacbuild"}
    assert "click" in packages


@pytest.mark.parametrize("verb", ["harvest", "cube"])
@pytest.mark.parametrize("wrong", [{"typo": 1}, {"datasets": [{"identifier": "a"}]}])
def test_a_mistake_is_found_before_what_builds_is_imported(
    tmp_path: Path, verb: str, wrong: Json
) -> None:
    config = project(tmp_path, box_of((0, 45), 100), 64, {"a": "a.tif"}, local(tmp_path))
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | wrong))
    modules = loaded(verb, config, code=2)
    assert "pydantic" in modules
    builds = {"aiohttp", "dask.array", "pandas", "pystac", "rasterio", "requests", "s3fs",
              "stackstac", "xarray", "zarr"}  # fmt: skip
    assert not builds & modules


# --- memory --------------------------------------------------------------------------------------

# What is kept has bounds (ARCHITECTURE.md, "Memory") that only a long run reaches. With smaller
# ones a short run does: two index maps, and an eighth of GDAL's blocks.
_BOUNDED = """\
from stacbuild.cli import main
from stacbuild.formats import gdal_env
from stacbuild.loading import pool
pool.cache_bytes = lambda _: 20 << 20
gdal_env.GDAL_OPTIONS["GDAL_CACHEMAX"] = 8 << 20
main()
"""


def peak(words: Sequence[object], folder: Path) -> float:
    """Return the largest resident size (MB) of the command."""
    return measure([sys.executable, "-c", _BOUNDED, *map(str, words)], folder).peak_rss_mb


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What others have left to be written changes times only.
    monkeypatch.setattr(os, "sync", lambda: None)
    bands = 8
    corner = (-1.25, 44.8)
    small, large = (box_of(corner, across * TILE) for across in (2, 4))
    tiled = {"tiled": True, "blockxsize": 128, "blockysize": 128, "interleave": "pixel"}
    geotiff(tmp_path / "a.tif", large, 3035, 60, bands, **tiled)
    config = project(tmp_path / "c", large, TILE, {"a": "a.tif"}, local(tmp_path))
    harvested(config)
    first, second = (
        peak(["cube", config, "--bbox", ",".join(map(str, box))], tmp_path)
        for box in (small, large)
    )
    print(f"peak {first:.0f} MB, with four times the tiles {second:.0f} MB")
    more = bands * (16 - 4) * TILE**2 / 2**20
    assert more > 100, "what the larger cube holds more could not be overlooked"
    assert second < 1.15 * first
