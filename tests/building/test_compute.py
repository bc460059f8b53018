"""Where cubes are computed: the same bytes from everywhere, and what happens when workers die."""

from __future__ import annotations

import hashlib
import multiprocessing
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import dask
import numpy as np
import psutil
import pytest
import requests

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.errors import BuildError
from tests.standins.s3 import S3Server
from tests.support.cli import Json, configuration, errors, stacbuild
from tests.support.forked import Runs
from tests.support.scheduling import (
    CUBES,
    CUSTOM,
    DEADLY,
    MEETING,
    SOURCE,
    WRONG,
    Watcher,
    config,
    custom,
    expected_chunks,
    hashes,
    of,
    only,
    written,
)


@pytest.fixture(autouse=True, scope="module")
def _two_workers() -> Iterator[None]:
    with dask.config.set(num_workers=2):
        yield


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return expected_chunks(tmp_path_factory.mktemp("threads"))


# --- the same bytes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scheduler", ["synchronous", pytest.param("processes", marks=pytest.mark.slow)]
)
def test_the_same_bytes(scheduler: str, tmp_path: Path, expected: dict[str, str]) -> None:
    watcher = Watcher()
    settings = config(tmp_path, CUBES[1]).with_scheduler(scheduler)
    result = only(build(settings, tmp_path / "catalogs", reporter=watcher))
    assert result.status == "COMPLETED", result.message
    assert hashes(tmp_path / "data") == of(expected, "several")
    assert watcher.chunks == watcher.total == 28


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
        name = "/".join(map(str, ("codes", "c", *index)))
        answer = requests.get(f"{href}/{name}", timeout=30)
        found[f"codes.zarr/{name}"] = hashlib.sha256(answer.content).hexdigest()
    assert found.items() <= expected.items()


# --- faults --------------------------------------------------------------------------------------


def test_a_worker_process_that_is_killed_is_replaced(
    tmp_path: Path, expected: dict[str, str]
) -> None:
    watcher = Watcher(lambda: multiprocessing.active_children()[0].kill())
    settings = config(tmp_path, CUBES[1]).with_scheduler("processes")
    result = only(build(settings, tmp_path / "catalogs", reporter=watcher))
    assert result.status == "COMPLETED", result.message
    assert hashes(tmp_path / "data") == of(expected, "several")
    # Each counts once, also one that was written twice.
    assert watcher.chunks == watcher.total == 28


def test_what_a_dead_worker_was_writing_is_no_part_of_the_cube(
    tmp_path: Path, expected: dict[str, str]
) -> None:
    def leave() -> None:
        (staging,) = (tmp_path / "data").glob(".codes.zarr.*.staging")
        (staging / "codes" / "c" / "0.f7abd70ad7a445d996341321a3d9e908.partial").touch()

    settings = config(tmp_path, CUBES[0])
    assert only(build(settings, tmp_path / "catalogs", reporter=Watcher(leave))).status
    assert hashes(tmp_path / "data").items() <= expected.items()


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_task_that_kills_its_worker(tmp_path: Path, processes: int) -> None:
    settings = config(tmp_path, DEADLY).with_scheduler("processes")
    with dask.config.set(num_workers=processes):
        result = only(build(settings, tmp_path / "catalogs"))
    assert isinstance(result.error, BuildError)
    assert result.name == "deadly"
    assert "deadly [lat 1100:2200, lon 0:600]: " in result.message
    assert "died while computing it" in result.message
    assert not (tmp_path / "data" / "deadly.zarr").exists()


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_what_a_function_raises_is_said_with_its_line(scheduler: str, tmp_path: Path) -> None:
    settings = config(tmp_path, WRONG).with_scheduler(scheduler)
    with dask.config.set(num_workers=1):
        result = only(build(settings, tmp_path / "catalogs"))
    line = CUSTOM[: CUSTOM.index("no such luck")].count("\n") + 1
    assert result.message == f"modify.py:wrong raised ValueError at modify.py:{line}: no such luck"


def test_worker_processes_end_with_the_one_that_started_them(tmp_path: Path, runs: Runs) -> None:
    orphan = {"identifier": "orphan", "store": "local", "data_id": "one.tif"} | custom("orphan")
    path = written(tmp_path, orphan)
    ended = runs("cube", path, "--scheduler", "processes", env={"DASK_NUM_WORKERS": "1"})
    assert ended.code == -signal.SIGKILL
    pid = int((tmp_path / "pid").read_text())
    # In a task that lasts for longer than this.
    worker = [process for process in psutil.process_iter() if process.pid == pid]
    _, alive = psutil.wait_procs(worker, timeout=60)
    assert alive == []


@pytest.mark.parametrize(
    "scheduler", ["threads", pytest.param("processes", marks=pytest.mark.slow)]
)
def test_regions_are_computed_at_the_same_time(tmp_path: Path, scheduler: str) -> None:
    settings = config(tmp_path, MEETING).with_scheduler(scheduler)
    result = only(build(settings, tmp_path / "catalogs"))
    assert result.status == "COMPLETED", result.message


@pytest.mark.parametrize("cube", [CUBES[0], WRONG])
def test_threads_are_kept_for_the_next_cube(cube: Json, tmp_path: Path) -> None:
    """What PROJ holds for a thread is cleared away as it ends, and that was seen to crash."""

    def ours() -> set[int | None]:
        return {
            thread.native_id
            for thread in threading.enumerate()
            if thread.name.startswith("stacbuild")
        }

    before = ours()
    # Not a number that other tests use.
    with dask.config.set(num_workers=3):
        only(build(config(tmp_path / "0", cube), tmp_path / "0" / "catalogs"))
        started = ours()
        for number in ("1", "2"):
            only(build(config(tmp_path / number, cube), tmp_path / number / "catalogs"))
    assert started >= before
    assert ours() == started


def test_builds_side_by_side_have_threads_of_their_own(tmp_path: Path) -> None:
    """A function of the user's that builds a cube itself does not wait for itself."""
    inner = written(tmp_path / "inner", CUBES[0])
    outer = {"identifier": "nested", "store": "local", "data_id": "one.tif"} | custom("nested")
    path = written(tmp_path / "outer", outer)
    with dask.config.set(num_workers=1), pytest.MonkeyPatch.context() as patch:
        patch.setenv("INNER", str(inner))
        result = only(build(load_config(path), tmp_path / "outer" / "catalogs"))
    assert result.status == "COMPLETED", result.message
    assert (tmp_path / "inner" / "data" / "codes.zarr").is_dir()


# --- what is needed, and what is seen before work begins -----------------------------------------


def test_what_computes_by_itself_does_not_import_distributed(tmp_path: Path) -> None:
    """Half a second of each build, which dask's delayed objects would take."""
    path = written(
        tmp_path,
        {"identifier": "light", "store": "local", "data_id": "one.tif"} | custom("light"),
    )
    stacbuild("cube", path)


@pytest.mark.parametrize("name", ["dask", "tcp://", "tcp://host", "http://host:1", ""])
def test_what_is_no_scheduler(tmp_path: Path, name: str) -> None:
    path = configuration(tmp_path, [CUBES[0]], [SOURCE])
    (line,) = errors(stacbuild("cube", path, "--scheduler", name, code=2))
    assert line.startswith("error: scheduler: has to be threads, processes, synchronous, local, ")


def test_memory_cannot_be_shared(tmp_path: Path) -> None:
    path = written(tmp_path, CUBES[0], storage={"store_id": "memory"})
    (line,) = errors(stacbuild("cube", path, "--scheduler", "processes", code=2))
    assert "memory store; use threads" in line
