"""Cubes that are computed on a cluster of dask: the same bytes, and what its workers may lack."""

from __future__ import annotations

import contextlib
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

import dask
import pytest
import zarr
from distributed import Client

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.errors import BuildError, ConfigError, LocalError, RemoteError
from stacbuild.net.in_flight import slot
from tests.support.cli import Json, configuration, errors, stacbuild
from tests.support.file_server import FileServer
from tests.support.scheduling import (
    CUBES,
    CUSTOM,
    DEADLY,
    MEETING,
    WRONG,
    Watcher,
    config,
    expected_chunks,
    hashes,
    of,
    only,
    sources,
    written,
)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return expected_chunks(tmp_path_factory.mktemp("threads"))


# A task may see one worker die, and not another one.
CLUSTER = """\
import sys
import dask
from distributed import LocalCluster

if __name__ == "__main__":
    dask.config.set({"distributed.scheduler.allowed-failures": 1})
    workers = {"n_workers": 2, "threads_per_worker": 2, "processes": True}
    if sys.argv[1:] == ["one-process"]:
        workers = {"n_workers": 1, "processes": False, "protocol": "tcp", "host": "127.0.0.1"}
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
def local_cluster(
    folder: Path,
    *words: str,
    before: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Iterator[tuple[str, int]]:
    """Run a scheduler and its workers; give its address and its process."""
    script = folder / "cluster.py"
    script.write_text(CLUSTER)
    with session(script, *words, before=before, env=env) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process.pid


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with local_cluster(tmp_path_factory.mktemp("cluster")) as (address, _):
        yield address


def worker_pids(address: str) -> list[int]:
    with Client(address, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


# --- workers of another process: the last of these kills them ------------------------------------


def test_through_the_command_line(tmp_path: Path, expected: dict[str, str], cluster: str) -> None:
    path = written(tmp_path, CUBES[0], general={"dask_scheduler": "processes"})
    done = stacbuild("cube", path, "--scheduler", cluster)
    assert done.stdout.startswith(str(tmp_path / "data" / "codes.zarr"))
    assert hashes(tmp_path / "data") == of(expected, "codes")
    for item in (tmp_path / "catalogs").rglob("*.json"):
        assert "tcp://" not in item.read_text()


def test_what_a_function_raises_is_said_with_its_line(tmp_path: Path, cluster: str) -> None:
    settings = config(tmp_path, WRONG).with_scheduler(cluster)
    result = only(build(settings, tmp_path / "catalogs"))
    line = CUSTOM[: CUSTOM.index("no such luck")].count("\n") + 1
    assert result.message == f"modify.py:wrong raised ValueError at modify.py:{line}: no such luck"


def test_regions_are_computed_at_the_same_time(tmp_path: Path, cluster: str) -> None:
    settings = config(tmp_path, MEETING).with_scheduler(cluster)
    result = only(build(settings, tmp_path / "catalogs"))
    assert result.status == "COMPLETED", result.message


def test_the_client_of_this_process(tmp_path: Path, expected: dict[str, str], cluster: str) -> None:
    """As dask-jobqueue, dask-gateway and Coiled connect one."""
    settings = config(tmp_path, CUBES[0]).with_scheduler("distributed")
    with Client(cluster) as client:
        result = only(build(settings, tmp_path / "catalogs"))
        assert result.status == "COMPLETED", result.message
        assert client.status == "running"
    assert hashes(tmp_path / "data") == of(expected, "codes")


def test_workers_share_the_requests_to_a_host(tmp_path: Path, cluster: str) -> None:
    """Two workers have half of them each; a build of local files leaves them alone."""
    sources(tmp_path / "web" / "src")
    content = (tmp_path / "web" / "src" / "codes.tif").read_bytes()
    with FileServer({"/codes.tif": content}) as server:
        web = {"identifier": "local", "store_id": "https", "store_params": {"root": server.url}}
        settings = load_config(configuration(tmp_path, [CUBES[0]], [web])).with_scheduler(cluster)
        result = only(build(settings, tmp_path / "catalogs"))
    assert result.status == "COMPLETED", result.message
    with Client(cluster, set_as_default=False) as client:
        assert set(client.run(free_slots).values()) == {16}


def free_slots() -> int:
    """Return how many requests may be in flight; runs on the workers."""
    held = slot("nobody:1")
    count = 0
    while held.acquire(blocking=False):
        count += 1
    for _ in range(count):
        held.release()
    return count


@pytest.mark.slow
def test_a_cluster_on_this_machine(tmp_path: Path, expected: dict[str, str]) -> None:
    said = []

    class Heard(Watcher):
        def say(self, line: str) -> None:
            said.append(line)

    settings = config(tmp_path, CUBES[1]).with_scheduler("local")
    with dask.config.set(num_workers=2):
        result = only(build(settings, tmp_path / "catalogs", reporter=Heard()))
    assert result.status == "COMPLETED", result.message
    assert hashes(tmp_path / "data") == of(expected, "several")
    assert any("dask: 2 local workers; dashboard: " in line for line in said)
    assert not multiprocessing.active_children()


def test_a_killed_worker_is_survived(
    tmp_path: Path, expected: dict[str, str], cluster: str
) -> None:
    pids = worker_pids(cluster)
    watcher = Watcher(lambda: os.kill(pids[0], signal.SIGKILL))
    settings = config(tmp_path, CUBES[1]).with_scheduler(cluster)
    result = only(build(settings, tmp_path / "catalogs", reporter=watcher))
    assert result.status == "COMPLETED", result.message
    assert hashes(tmp_path / "data") == of(expected, "several")
    assert watcher.chunks == watcher.total == 28
    assert pids[0] not in worker_pids(cluster)


def test_a_task_that_kills_its_worker(tmp_path: Path, cluster: str) -> None:
    settings = config(tmp_path, DEADLY).with_scheduler(cluster)
    result = only(build(settings, tmp_path / "catalogs"))
    assert isinstance(result.error, BuildError)
    assert result.name == "deadly"
    assert "deadly [lat 1100:2200, lon 0:600]: " in result.message
    assert "its workers died while computing it, 2 times" in result.message
    assert not (tmp_path / "data" / "deadly.zarr").exists()


# --- clusters of a process of their own ----------------------------------------------------------


def test_a_scheduler_that_is_lost(tmp_path: Path, expected: dict[str, str]) -> None:
    with local_cluster(tmp_path, "one-process") as (address, pid):
        settings = config(tmp_path, CUBES[0]).with_scheduler(address)
        watcher = Watcher(lambda: os.kill(pid, signal.SIGKILL))
        result = only(build(settings, tmp_path / "catalogs", reporter=watcher))
    assert isinstance(result.error, RemoteError)
    assert result.message.startswith(f"{address}: the dask scheduler is gone; ")
    assert not (tmp_path / "data" / "codes.zarr").exists()
    # Somewhere else it goes on.
    again = only(build(settings.with_scheduler("threads"), tmp_path / "catalogs"))
    assert again.status == "COMPLETED", again.message
    assert hashes(tmp_path / "data") == of(expected, "codes")


def test_workers_that_do_not_see_a_folder(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    sources_hidden = config(hidden, CUBES[0], storage=_folder(tmp_path / "data"))
    output_hidden = config(tmp_path, CUBES[0], storage=_folder(hidden / "data"))
    for folder in (tmp_path, hidden):
        (folder / "data").mkdir()
    # A machine of its own, as far as this folder goes.
    mount = f'mount -t tmpfs none {hidden} && exec "$0" "$@"'
    private = ("unshare", "--mount", "sh", "-c", mount)
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs a mount namespace of its own (root)")
    with local_cluster(tmp_path, "one-process", before=private) as (address, _):
        for settings, folder, unseen in (
            (sources_hidden, hidden, f"does not see {hidden}/src/codes.tif (No such file"),
            (output_hidden, tmp_path, f"does not see {hidden}/data"),
        ):
            watcher, catalogs = Watcher(), folder / "catalogs"
            result = only(build(settings.with_scheduler(address), catalogs, reporter=watcher))
            assert isinstance(result.error, LocalError)
            assert result.message.startswith("worker tcp://127.0.0.1:")
            assert unseen in result.message
            assert watcher.chunks == 0
    assert not list(tmp_path.rglob("*probe*"))


def _folder(path: Path) -> Json:
    return {"store_id": "file", "store_params": {"root": str(path)}}


def first(folder: Path) -> dict[str, str]:
    """Return the environment in which Python looks into a folder before all others."""
    others = filter(None, [os.getenv("PYTHONPATH")])
    return {"PYTHONPATH": os.pathsep.join([str(folder), *others])}


def test_workers_with_other_software(tmp_path: Path) -> None:
    settings = config(tmp_path, CUBES[0])
    other = tmp_path / "other" / "zarr-3.0.5.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: zarr\nVersion: 3.0.5\n")
    with local_cluster(tmp_path, "one-process", env=first(other.parent)) as (address, _):
        result = only(build(settings.with_scheduler(address), tmp_path / "catalogs"))
    assert isinstance(result.error, LocalError)
    assert f"has zarr 3.0.5, but this process has {zarr.__version__}" in result.message


def test_workers_without_stacbuild(tmp_path: Path) -> None:
    settings = config(tmp_path, CUBES[0])
    (tmp_path / "other" / "stacbuild").mkdir(parents=True)
    missing = "raise ModuleNotFoundError(\"No module named 'stacbuild'\")\n"
    (tmp_path / "other" / "stacbuild" / "__init__.py").write_text(missing)
    with local_cluster(tmp_path, "one-process", env=first(tmp_path / "other")) as (address, _):
        result = only(build(settings.with_scheduler(address), tmp_path / "catalogs"))
    assert isinstance(result.error, LocalError)
    assert "No module named 'stacbuild'" in result.message
    assert "it needs stacbuild" in result.message


def test_distributed_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    settings = config(tmp_path, CUBES[0]).with_scheduler("tcp://127.0.0.1:8786")
    result = only(build(settings, tmp_path / "catalogs"))
    assert isinstance(result.error, ConfigError)
    assert "pip install 'stacbuild[distributed]'" in result.message


# --- nobody there --------------------------------------------------------------------------------

WORKER = ("-m", "distributed.cli.dask_worker", "--no-dashboard", "--no-nanny", "--nthreads", 1)


@contextmanager
def scheduler(folder: Path) -> Iterator[str]:
    """Run a scheduler without workers; give its address."""
    file = folder / "scheduler.json"
    words = ("--no-dashboard", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", file)
    with session("-m", "distributed.cli.dask_scheduler", *words):
        yield waited(lambda: json.loads(file.read_text())["address"])


def waited(look: Callable[[], str]) -> str:
    for _ in range(600):
        with contextlib.suppress(OSError, ValueError):
            return look()
        time.sleep(0.05)
    raise AssertionError("nothing came")


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
