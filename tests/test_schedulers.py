"""Where cubes are computed: the same bytes from everywhere, and what happens when workers die."""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import numpy as np
import psutil
import pytest
import rasterio
import requests
import xarray as xr
import zarr
from distributed import Client
from rasterio import Affine

from stacbuild.config import Config, load_config
from stacbuild.cubes import CubeResult, build
from stacbuild.errors import BuildError, LocalError, RemoteError
from stacbuild.progress import Silent, SilentTask
from tests.cli import Json, command, configuration, errors, stacbuild
from tests.standins.s3 import S3Server

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
import signal

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


def light(ds):
    def check(block):
        import sys

        assert not block.size or "distributed" not in sys.modules
        return block

    return ds.map(lambda array: array.copy(data=da.map_blocks(check, array.data, dtype="uint8")))


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
            {"identifier": "age", "store": "local", "data_id": "ages.zarr"},
        ],
    },
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


@pytest.fixture(autouse=True, scope="module")
def _two_workers() -> Iterator[None]:
    with dask.config.set(num_workers=2):
        yield


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the chunks have to be: from threads."""
    folder = tmp_path_factory.mktemp("threads")
    for result in build(config(folder, *CUBES), folder / "catalogs"):
        assert result.status == "COMPLETED", result.message
    found = hashes(folder / "data")
    # Four tiles of each band and time.
    data = [name.split("/")[1] for name in found if name.split("/")[1] not in ("lat", "lon")]
    wanted = {"band_data": 12, "height": 4, "twice": 4, "age": 8}
    assert {name: data.count(name) for name in wanted} == wanted
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
def session(
    *words: object, before: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run something with all its children in a session of its own; all of them end with it."""
    process = subprocess.Popen(
        [*before, sys.executable, *map(str, words)],
        # Python looks for modules where it is started, too.
        cwd="/",
        env={**os.environ, **(env or {})},
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


@pytest.mark.slow
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


def test_what_a_dead_worker_was_writing_is_no_part_of_the_cube(
    tmp_path: Path, expected: dict[str, str]
) -> None:
    def leave() -> None:
        (staging,) = (tmp_path / "data").glob(".codes.zarr.*.staging")
        (staging / "band_data" / "c" / "0.f7abd70ad7a445d996341321a3d9e908.partial").touch()

    settings = config(tmp_path, CUBES[0])
    assert only(build(settings, tmp_path / "catalogs", reporter=Watcher(leave))).status
    assert hashes(tmp_path / "data").items() <= expected.items()


def test_a_killed_worker_is_survived(
    tmp_path: Path, expected: dict[str, str], cluster: str
) -> None:
    pids = worker_pids(cluster)
    watcher = Watcher(lambda: os.kill(pids[0], signal.SIGKILL))
    settings = config(tmp_path, *CUBES).with_scheduler(cluster)
    for result in build(settings, tmp_path / "catalogs", reporter=watcher):
        assert result.status == "COMPLETED", result.message
    assert hashes(tmp_path / "data") == expected
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
    assert "band_data [lat 1100:2200, lon 0:600]: " in result.message
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
    line = CUSTOM[: CUSTOM.index("no such luck")].count("\n") + 1
    assert result.message == f"modify.py:wrong raised ValueError at modify.py:{line}: no such luck"


def test_a_worker_process_that_is_killed_is_replaced(
    tmp_path: Path, expected: dict[str, str]
) -> None:
    def kill() -> None:
        multiprocessing.active_children()[0].kill()

    settings = config(tmp_path, CUBES[0]).with_scheduler("processes")
    result = only(build(settings, tmp_path / "catalogs", reporter=Watcher(kill)))
    assert result.status == "COMPLETED", result.message
    assert hashes(tmp_path / "data").items() <= expected.items()


def test_worker_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    path = written(tmp_path, *CUBES)
    process = psutil.Popen(
        command("cube", path, "--scheduler", "processes"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    children: list[psutil.Process] = []
    while len(children) < 2:
        assert process.poll() is None
        children = process.children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []


def test_a_scheduler_that_is_lost(tmp_path: Path, expected: dict[str, str]) -> None:
    with local_cluster(tmp_path) as (address, pid):
        settings = config(tmp_path, CUBES[0]).with_scheduler(address)
        watcher = Watcher(lambda: os.kill(pid, signal.SIGKILL))
        start = time.monotonic()
        result = only(build(settings, tmp_path / "catalogs", reporter=watcher))
        assert time.monotonic() - start < 60
    assert isinstance(result.error, RemoteError)
    assert result.message.startswith(f"{address}: the dask scheduler is gone; ")
    assert not (tmp_path / "data" / "codes.zarr").exists()
    # Somewhere else it goes on.
    again = only(build(settings.with_scheduler("threads"), tmp_path / "catalogs"))
    assert again.status == "COMPLETED", again.message
    assert hashes(tmp_path / "data").items() <= expected.items()


# --- what is seen before work begins -------------------------------------------------------------

WORKER = ("-m", "distributed.cli.dask_worker", "--no-dashboard", "--no-nanny", "--nthreads", 1)


@contextmanager
def scheduler(folder: Path) -> Iterator[str]:
    """Run a scheduler without workers; give its address."""
    file = folder / "scheduler.json"
    words = ("--no-dashboard", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", file)
    with session("-m", "distributed.cli.dask_scheduler", *words):
        yield waited(lambda: json.loads(file.read_text())["address"])


def first(folder: Path) -> dict[str, str]:
    """Give the environment in which Python looks into a folder before all others."""
    others = filter(None, [os.getenv("PYTHONPATH")])
    return {"PYTHONPATH": os.pathsep.join([str(folder), *others])}


def waited(look: Callable[[], str]) -> str:
    for _ in range(600):
        with contextlib.suppress(OSError, ValueError):
            return look()
        time.sleep(0.05)
    raise AssertionError("nothing came")


@pytest.mark.parametrize(
    ("hidden", "expected_text"),
    [
        ("src", "/src/codes.tif cannot be seen there (No such file"),
        ("data", "/data cannot be seen"),
    ],
)
def test_workers_that_do_not_see_a_folder(tmp_path: Path, hidden: str, expected_text: str) -> None:
    settings = config(tmp_path, CUBES[0])
    (tmp_path / "data").mkdir()
    # A machine of its own, as far as this folder goes.
    mount = f'mount -t tmpfs none {tmp_path / hidden} && exec "$0" "$@"'
    private = ("unshare", "--mount", "sh", "-c", mount)
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs a mount namespace of its own (root)")
    with scheduler(tmp_path) as address, session(*WORKER, address, before=private):
        watcher = Watcher()
        result = only(
            build(settings.with_scheduler(address), tmp_path / "catalogs", reporter=watcher)
        )
    assert isinstance(result.error, LocalError)
    assert result.message.startswith("worker tcp://127.0.0.1:")
    assert f"{tmp_path}{expected_text}" in result.message
    assert watcher.chunks == 0
    assert [path.name for path in (tmp_path / "data").glob("*probe*")] == []


def test_workers_with_other_software(tmp_path: Path) -> None:
    settings = config(tmp_path, CUBES[0])
    other = tmp_path / "other" / "zarr-3.0.5.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: zarr\nVersion: 3.0.5\n")
    with scheduler(tmp_path) as address, session(*WORKER, address, env=first(other.parent)):
        result = only(build(settings.with_scheduler(address), tmp_path / "catalogs"))
    assert isinstance(result.error, LocalError)
    assert f"has zarr 3.0.5, and here it is {zarr.__version__}" in result.message


def test_workers_without_stacbuild(tmp_path: Path) -> None:
    settings = config(tmp_path, CUBES[0])
    (tmp_path / "other" / "stacbuild").mkdir(parents=True)
    missing = "raise ModuleNotFoundError(\"No module named 'stacbuild'\")\n"
    (tmp_path / "other" / "stacbuild" / "__init__.py").write_text(missing)
    with (
        scheduler(tmp_path) as address,
        session(*WORKER, address, env=first(tmp_path / "other")),
    ):
        result = only(build(settings.with_scheduler(address), tmp_path / "catalogs"))
    assert isinstance(result.error, LocalError)
    assert "No module named 'stacbuild'" in result.message
    assert "it needs stacbuild" in result.message


@pytest.mark.slow
def test_a_scheduler_without_workers(tmp_path: Path) -> None:
    settings = config(tmp_path, CUBES[0])
    with scheduler(tmp_path) as address:
        result = only(build(settings.with_scheduler(address), tmp_path / "catalogs"))
    assert isinstance(result.error, RemoteError)
    assert "has had no workers" in result.message


@pytest.mark.slow
def test_the_last_worker_is_lost(tmp_path: Path) -> None:
    settings = config(tmp_path, CUBES[0])
    with scheduler(tmp_path) as address, session(*WORKER, address) as worker:
        watcher = Watcher(worker.kill)
        result = only(
            build(settings.with_scheduler(address), tmp_path / "catalogs", reporter=watcher)
        )
    assert watcher.chunks
    assert isinstance(result.error, RemoteError)
    assert "has had no workers" in result.message


@pytest.mark.slow
def test_no_scheduler_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    path = written(tmp_path, CUBES[0])
    (line,) = errors(stacbuild("cube", path, "--scheduler", address, code=3))
    assert f"{address}: no dask scheduler answers" in line


def test_distributed_is_an_extra(tmp_path: Path) -> None:
    (tmp_path / "without" / "distributed").mkdir(parents=True)
    missing = "raise ModuleNotFoundError(\"No module named 'distributed'\")\n"
    (tmp_path / "without" / "distributed" / "__init__.py").write_text(missing)
    config_path = written(tmp_path, CUBES[0])
    words = ("cube", config_path, "--scheduler", "tcp://127.0.0.1:8786")
    (line,) = errors(stacbuild(*words, code=2, env=first(tmp_path / "without")))
    assert "pip install 'stacbuild[distributed]'" in line


def test_what_computes_by_itself_does_not_import_distributed(tmp_path: Path) -> None:
    """Half a second of each build, which dask's delayed objects would take."""
    path = written(
        tmp_path,
        {"identifier": "light", "store": "local", "data_id": "one.tif"} | custom("light"),
    )
    stacbuild("cube", path)


@pytest.mark.parametrize("name", ["distributed", "tcp://", "tcp://host", "http://host:1", ""])
def test_what_is_no_scheduler(tmp_path: Path, name: str) -> None:
    path = configuration(tmp_path, [CUBES[0]], [SOURCE])
    (line,) = errors(stacbuild("cube", path, "--scheduler", name, code=2))
    assert line.startswith("error: scheduler: has to be threads, processes, synchronous, or ")


def test_memory_cannot_be_shared(tmp_path: Path) -> None:
    path = written(tmp_path, CUBES[0], storage={"store_id": "memory"})
    (line,) = errors(stacbuild("cube", path, "--scheduler", "processes", code=2))
    assert "memory store; use threads" in line
