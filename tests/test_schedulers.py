"""Where cubes are computed: the same bytes from everywhere, and what happens when workers die."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import requests
import xarray as xr
from distributed import Client
from rasterio import Affine

from stacbuild.config import Config, load_config
from stacbuild.cubes import CubeResult, build
from stacbuild.errors import BuildError, ConfigError, LocalError, RemoteError
from stacbuild.progress import Silent, SilentTask
from tests.cli import Json, configuration, errors, stacbuild
from tests.standins.s3 import S3Server

SOURCE = {"identifier": "local", "store_id": "file", "store_params": {"root": "src"}}
# Two rows of two tiles of 2100: each is computed by itself, so there are four regions.
GRID = {
    "identifier": "grid",
    "bbox": [10.0, 45.0, 10.1, 45.1],
    "spatial_res": 0.1 / 4096,
    "crs": "EPSG:4326",
    "tile_size": 2100,
}
CUSTOM = """\
import dask.array as da
import numpy as np
import os
import signal

from beside import doubled


def twice(ds):
    return ds.map(lambda array: array.copy(data=da.map_blocks(doubled, array.data, dtype="uint8")))


def deadly(ds):
    def die(block, block_info=None):
        if block.size and block_info[0]["array-location"][-2][0] >= 2100:
            os.kill(os.getpid(), signal.SIGKILL)
        return block

    return ds.map(lambda array: array.copy(data=da.map_blocks(die, array.data, dtype="uint8")))


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
            {"identifier": "height", "store": "local", "data_id": "heights.tif"},
            {"identifier": "twice", "store": "local", "data_id": "one.tif"} | custom("twice"),
        ],
    },
    {"identifier": "ages", "store": "local", "data_id": "ages.zarr"},
]
DEADLY = {"identifier": "deadly", "store": "local", "data_id": "one.tif"} | custom("deadly")
WRONG = {"identifier": "wrong", "store": "local", "data_id": "one.tif"} | custom("wrong")


def config(folder: Path, *cubes: Json) -> Config:
    return load_config(written(folder, *cubes))


def written(folder: Path, *cubes: Json, **sections: Any) -> Path:
    if not (folder / "src").exists():
        sources(folder / "src")
    on_grid = [{"grid_mapping": "fine"} | each for each in cubes]
    grid = GRID | {"identifier": "fine"}
    return configuration(folder, on_grid, [SOURCE], grids=[grid], **sections)


def hashes(folder: Path) -> dict[str, str]:
    """Give the hash of every chunk of all cubes; metadata hold the time of the build."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*.zarr/**/c/**/*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the chunks have to be: from threads."""
    folder = tmp_path_factory.mktemp("threads")
    for result in build(config(folder, *CUBES), folder / "catalogs"):
        assert result.status == "COMPLETED", result.message
    found = hashes(folder / "data")
    # Four tiles of each band and time; a chunk of every coordinate.
    assert sum("codes.zarr/codes" in name or "band_data" in name for name in found) == 12
    return found


# --- clusters ------------------------------------------------------------------------------------

CLUSTER = """\
import sys
from distributed import LocalCluster

if __name__ == "__main__":
    workers = {"n_workers": 2, "threads_per_worker": 2, "processes": True}
    with LocalCluster(**workers, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@contextmanager
def session(*words: object) -> Iterator[subprocess.Popen[str]]:
    """Run something with all its children in a session of its own; all of them end with it."""
    process = subprocess.Popen(
        [sys.executable, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@contextmanager
def local_cluster(folder: Path) -> Iterator[tuple[str, int]]:
    """Run a scheduler and two workers; give its address and its process."""
    script = folder / "cluster.py"
    script.write_text(CLUSTER)
    with session(script) as process:
        yield process.stdout.readline().strip(), process.pid


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with local_cluster(tmp_path_factory.mktemp("cluster")) as (address, _):
        yield address


class Watcher(Silent):
    """Does something as soon as the first chunk is written, and counts them all."""

    def __init__(self, act: Callable[[], None] = lambda: None) -> None:
        self.act = act
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
                if watcher.chunks == amount:
                    watcher.act()

        yield Task()


def only(results: list[CubeResult]) -> CubeResult:
    (result,) = results
    return result


# --- the same bytes ------------------------------------------------------------------------------


@pytest.mark.parametrize("scheduler", ["synchronous", "processes", "cluster"])
def test_the_same_bytes(
    scheduler: str, tmp_path: Path, expected: dict[str, str], request: pytest.FixtureRequest
) -> None:
    if scheduler == "cluster":
        scheduler = request.getfixturevalue("cluster")
    watcher = Watcher()
    settings = config(tmp_path, *CUBES).with_scheduler(scheduler)
    for result in build(settings, tmp_path / "catalogs", reporter=watcher):
        assert result.status == "COMPLETED", result.message
    assert hashes(tmp_path / "data") == expected
    assert watcher.chunks == watcher.total == 28
    for item in (tmp_path / "catalogs").rglob("*.json"):
        assert "tcp://" not in item.read_text()


def test_through_the_command_line(tmp_path: Path, expected: dict[str, str], cluster: str) -> None:
    path = written(tmp_path, CUBES[0], general={"dask_scheduler": "processes"})
    done = stacbuild("cube", path, "--scheduler", cluster)
    assert done.stdout.startswith(str(tmp_path / "data" / "codes.zarr"))
    assert hashes(tmp_path / "data").items() <= expected.items()


def test_to_a_bucket(tmp_path: Path, expected: dict[str, str], s3_server: S3Server) -> None:
    s3_server.put("of-others/kept.txt", b"kept", "cubes-of-all")
    options = {"key": "testing", "secret": "testing", "endpoint_url": s3_server.url}
    params = {"root": "cubes-of-all/cubes", "storage_options": options}
    path = written(tmp_path, CUBES[0], storage={"store_id": "s3", "store_params": params})
    done = stacbuild("cube", path, "--scheduler", "processes")
    assert "Unclosed" not in done.stderr
    href = done.stdout.split("\t")[0]
    found = {}
    for index in np.ndindex(3, 2, 2):
        name = "/".join(map(str, ("band_data", "c", *index)))
        answer = requests.get(f"{href}/{name}", timeout=30)
        found[f"codes.zarr/{name}"] = hashlib.sha256(answer.content).hexdigest()
    assert found.items() <= expected.items()


# --- faults --------------------------------------------------------------------------------------


def worker_pids(address: str) -> list[int]:
    with Client(address, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


def test_a_killed_worker_is_survived(
    tmp_path: Path, expected: dict[str, str], cluster: str
) -> None:
    pids = worker_pids(cluster)
    watcher = Watcher(lambda: os.kill(pids[0], signal.SIGKILL))
    settings = config(tmp_path, *CUBES[:2]).with_scheduler(cluster)
    for result in build(settings, tmp_path / "catalogs", reporter=watcher):
        assert result.status == "COMPLETED", result.message
    found = hashes(tmp_path / "data")
    assert found == {name: expected[name] for name in expected if not name.startswith("ages")}
    assert pids[0] not in worker_pids(cluster)


@pytest.mark.parametrize("scheduler", ["processes", "cluster"])
def test_a_task_that_kills_its_worker(
    scheduler: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if scheduler == "cluster":
        scheduler = request.getfixturevalue("cluster")
    settings = config(tmp_path, DEADLY).with_scheduler(scheduler)
    start = time.monotonic()
    result = only(build(settings, tmp_path / "catalogs"))
    assert time.monotonic() - start < 60
    assert isinstance(result.error, BuildError)
    assert result.name == "deadly"
    assert "band_data [lat 2100:4096, lon 0:4096]: " in result.message
    assert "died over it" in result.message
    assert not (tmp_path / "data" / "deadly.zarr").exists()


@pytest.mark.parametrize("scheduler", ["threads", "processes", "cluster"])
def test_what_a_function_raises_is_said_with_its_line(
    scheduler: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if scheduler == "cluster":
        scheduler = request.getfixturevalue("cluster")
    settings = config(tmp_path, WRONG).with_scheduler(scheduler)
    result = only(build(settings, tmp_path / "catalogs"))
    assert result.message == ("modify.py:wrong raised ValueError at modify.py:25: no such luck")
