"""What tests of schedulers share: cubes of several regions, their expected chunks, a watcher."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr
from rasterio import Affine

from stacbuild.building import CubeResult, build
from stacbuild.config import Config, load_config
from stacbuild.progress import Silent, SilentTask
from tests.support.cli import Json, configuration

SOURCE = {"identifier": "local", "store_id": "file", "store_params": {"root": "src"}}
# Two rows of tiles, each computed by itself: two regions, of two chunks for each band.
GRID = {
    "identifier": "grid",
    "bbox": [10.0, 45.0, 10.015, 45.055],
    "spatial_res": 0.000025,
    "crs": "EPSG:4326",
    "tile_size": [300, 1100],
}
CUSTOM = """\
import dask.array as da
import numpy as np
import os
import pathlib
import signal
import time

from beside import doubled


def twice(ds):
    def double(block):
        import beside

        assert beside.doubled(1) == 2
        return doubled(block)

    return ds.map(lambda array: array.copy(data=da.map_blocks(double, array.data, dtype="uint8")))


def deadly(ds):
    def die(block, block_info=None):
        if block.size and block_info[0]["array-location"][-2][0] >= 1100:
            os.kill(os.getpid(), signal.SIGKILL)
        return block

    return ds.map(lambda array: array.copy(data=da.map_blocks(die, array.data, dtype="uint8")))


def orphan(ds):
    def outlive(block):
        if block.size:
            pathlib.Path(__file__).with_name("pid").write_text(str(os.getpid()))
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(600)
        return block

    return ds.map(lambda array: array.copy(data=da.map_blocks(outlive, array.data, dtype="uint8")))


def light(ds):
    def check(block):
        import sys

        assert not block.size or "distributed" not in sys.modules
        return block

    return ds.map(lambda array: array.copy(data=da.map_blocks(check, array.data, dtype="uint8")))


def nested(ds):
    def build(block, block_info=None):
        import stacbuild

        if block.size and not any(start for start, _ in block_info[0]["array-location"]):
            (result,) = stacbuild.build(os.environ["INNER"])
            assert result.status == "COMPLETED", result.message
        return block

    return ds.map(lambda array: array.copy(data=da.map_blocks(build, array.data, dtype="uint8")))


def meeting(ds):
    here = pathlib.Path(__file__).parent

    def meet(block, block_info=None):
        if block.size:
            (here / f"region-{block_info[0]['array-location'][-2][0]}").touch()
            until = time.monotonic() + 20
            while len(list(here.glob("region-*"))) < 2:
                assert time.monotonic() < until, "the other region does not begin"
                time.sleep(0.005)
        return block

    return ds.map(lambda array: array.copy(data=da.map_blocks(meet, array.data, dtype="uint8")))


def wrong(ds):
    def fail(block):
        if block.size:
            raise ValueError("no such luck")
        return block

    return ds.map(lambda array: array.copy(data=da.map_blocks(fail, array.data, dtype="uint8")))
"""


def sources(folder: Path) -> None:
    """Write a GeoTIFF of interleaved bands, one of floats, a Zarr group, and the modules."""
    values = np.random.default_rng(1).integers(0, 100, (3, 300, 300)).astype("uint8")
    profile = {
        "driver": "GTiff",
        "width": 300,
        "height": 300,
        "crs": "EPSG:4326",
        "transform": Affine(0.0004, 0, 9.99, 0, -0.0004, 45.11),
        "compress": "deflate",
    }
    folder.mkdir(parents=True)
    for name, bands, more in (
        ("codes.tif", values, {"interleave": "pixel", "nodata": 0}),
        ("one.tif", values[:1], {}),
        ("heights.tif", values[:1] / np.float32(7), {}),
    ):
        kind = {"count": len(bands), "dtype": bands.dtype}
        with rasterio.open(folder / name, "w", **profile, **kind, **more) as file:
            file.write(bands)
    lat, lon = 45.11 - 0.0004 * np.arange(300), 9.99 + 0.0004 * np.arange(300)
    times = np.array(["2015-01-01", "2016-01-01"], "datetime64[ns]")
    xr.Dataset(
        {"age": (("time", "lat", "lon"), values[:2].astype("float32"))},
        {"time": times, "lat": lat, "lon": lon},
    ).to_zarr(folder / "ages.zarr", zarr_format=2)
    (folder.parent / "modify.py").write_text(CUSTOM)
    (folder.parent / "beside.py").write_text("def doubled(block):\n    return block * 2\n")


def custom(function: str) -> Json:
    return {"custom_processing": {"module_path": "modify", "function_name": function}}


CUBES: list[Json] = [
    {"identifier": "codes", "store": "local", "data_id": "codes.tif"},
    {
        "identifier": "several",
        "variables": [
            {"identifier": "codes", "store": "local", "data_id": "codes.tif"},
            {"identifier": "height", "store": "local", "data_id": "heights.tif"},
            {"identifier": "twice", "store": "local", "data_id": "one.tif"} | custom("twice"),
            {"identifier": "age", "store": "local", "data_id": "ages.zarr"},
        ],
    },
]
DEADLY = {"identifier": "deadly", "store": "local", "data_id": "one.tif"} | custom("deadly")
WRONG = {"identifier": "wrong", "store": "local", "data_id": "one.tif"} | custom("wrong")
MEETING = {"identifier": "meeting", "store": "local", "data_id": "one.tif"} | custom("meeting")


def config(folder: Path, *cubes: Json, **sections: Any) -> Config:
    return load_config(written(folder, *cubes, **sections))


def written(folder: Path, *cubes: Json, **sections: Any) -> Path:
    if not (folder / "src").exists():
        sources(folder / "src")
    on_grid = [{"grid_mapping": "fine"} | each for each in cubes]
    grid = GRID | {"identifier": "fine"}
    return configuration(folder, on_grid, [SOURCE], grids=[grid], **sections)


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of every chunk of all cubes; metadata hold the time of the build."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*.zarr/**/c/**/*"))
        if path.is_file()
    }


def expected_chunks(folder: Path) -> dict[str, str]:
    """Return the hashes that the chunks of all cubes have to have: those from threads."""
    for result in build(config(folder, *CUBES), folder / "catalogs"):
        assert result.status == "COMPLETED", result.message
    found = hashes(folder / "data")
    # Four tiles of each band and time.
    data = [name.split("/c/")[0] for name in found]
    wanted = {"codes.zarr/codes": 12, "several.zarr/codes": 12, "several.zarr/height": 4}
    wanted |= {"several.zarr/twice": 4, "several.zarr/age": 8}
    assert {name: data.count(name) for name in wanted} == wanted
    return found


def of(expected: dict[str, str], cube: str) -> dict[str, str]:
    """Return the hashes of one cube."""
    return {name: each for name, each in expected.items() if name.startswith(f"{cube}.zarr/")}


class Watcher(Silent):
    """Does something as soon as the first chunk is written, and counts them all."""

    def __init__(self, act: Callable[[], None] = lambda: None) -> None:
        self.act = act
        self.acted = False
        self.chunks = 0.0
        self.total = 0.0

    @contextmanager
    def task(self, label: str, *, total: float | None = None, unit: str = "items"):
        watcher = self
        if unit != "chunks":
            yield SilentTask()
            return
        self.total += total or 0

        class Task(SilentTask):
            def advance(self, amount: float = 1) -> None:
                watcher.chunks += amount
                if amount and not watcher.acted:
                    watcher.acted = True
                    watcher.act()

        yield Task()


def only(results: list[CubeResult]) -> CubeResult:
    (result,) = results
    return result
