"""One writer at a time, of a cube and of the catalog."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stacbuild.errors import LocalError, LockedError
from stacbuild.locks import hold
from tests.standins.s3 import S3Server
from tests.support.buckets import bucket
from tests.support.cli import catalogued, check_left, command
from tests.support.forked import Runs
from tests.support.killing import large, small

HOST = socket.gethostname()
# A build that stays in its first task until it may go on, or dies there.
HELD = """\
import os
import pathlib
import signal
import time
import numpy as np
import xarray as xr

def held(ds):
    def hold(values):
        if values.size and "DIE" in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)
        while values.size and not pathlib.Path(__file__).with_name("go").exists():
            time.sleep(0.02)
        return values
    return xr.apply_ufunc(hold, ds, dask="parallelized", output_dtypes=[np.uint8])
"""
CUSTOM = {"module_path": "modify", "function_name": "held"}


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / ".x.lock"
    with hold(path, "x"):
        with pytest.raises(LockedError) as caught, hold(path, "x"):
            pass
        said = str(caught.value)
        assert re.fullmatch(
            rf"x: another run \(pid {os.getpid()} on {HOST}, .*, since "
            r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\) is writing it; wait for it to end, .*--wait",
            said,
        )
        # The one that was turned away took nothing with it.
        assert (tmp_path / ".x.holder").exists()
    assert [each.name for each in tmp_path.iterdir()] == [".x.lock"]
    with hold(path, "x"):
        pass


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"pid": 3}'])
def test_a_holder_that_cannot_be_read(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / ".x.lock"
    with hold(path, "x"):
        (tmp_path / ".x.holder").unlink()
        if content is not None:
            (tmp_path / ".x.holder").write_text(content)
        with pytest.raises(LockedError, match=r"^x: another run is writing it"), hold(path, "x"):
            pass


def test_a_time_to_wait_ends(tmp_path: Path) -> None:
    with hold(tmp_path / ".x.lock", "x"):
        start = time.monotonic()
        with pytest.raises(LockedError), hold(tmp_path / ".x.lock", "x", wait=0.3):
            pass
        assert time.monotonic() - start >= 0.3


def test_a_lock_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LocalError, match="cannot be locked"):  # noqa: SIM117
        with hold(tmp_path / "file" / ".x.lock", "x"):
            pass


def held(folder: Path) -> Path:
    (folder / "modify.py").write_text(HELD)
    return large(folder, custom=CUSTOM, tile_size=2048)


def test_two_builds_of_one_cube(tmp_path: Path, runs: Runs) -> None:
    config = held(tmp_path)
    runs("harvest", config)
    holder = tmp_path / "data" / ".good.zarr.holder"
    with running("cube", config) as first:
        while not holder.exists() or not holder.read_text():
            assert first.poll() is None
            time.sleep(0.02)
        ended = runs("cube", config)
        assert ended.code == 6
        (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
        assert f"{tmp_path / 'data' / 'good.zarr'}: another run (pid {first.pid} on {HOST}" in line
        assert f"'stacbuild cube {config}', since 20" in line
        with running("cube", "--wait", config) as waiting:
            assert waiting.stderr is not None
            while "waiting for another run" not in (said := waiting.stderr.readline()):
                assert waiting.poll() is None
            assert f"(pid {first.pid} on {HOST}" in said
            (tmp_path / "go").touch()
            out, err = waiting.communicate(timeout=300)
        _, told = first.communicate(timeout=300)
        assert first.returncode == 0, told
        assert waiting.returncode == 0, err
        assert str(tmp_path / "data" / "good.zarr") in out
    check_left(tmp_path, ["good"])


@contextmanager
def running(*words: object) -> Iterator[subprocess.Popen[str]]:
    """Run the command in the background; it ends with this."""
    with subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_dead_holder_is_no_obstacle(tmp_path: Path, runs: Runs) -> None:
    config = held(tmp_path)
    assert runs("cube", config, env={"DIE": "1"}).code == -signal.SIGKILL
    assert (tmp_path / "data" / ".good.zarr.holder").exists()
    (tmp_path / "go").touch()
    assert runs("cube", config).code == 0
    check_left(tmp_path, ["good"])


def test_two_builds_of_one_cube_in_a_bucket(
    tmp_path: Path, s3_server: S3Server, runs: Runs
) -> None:
    storage = bucket(s3_server, "locks-1")
    assert runs("cube", small(tmp_path, storage=storage)).code == 0
    locks = {path.name for path in (tmp_path / "catalogs").glob(".*.lock")} - {".catalog.lock"}
    config = small(tmp_path, "other.tif", storage=storage)
    runs("harvest", config)
    with hold(tmp_path / "catalogs" / locks.pop(), "x"):
        ended = runs("cube", config)
    assert ended.code == 6
    assert f"another run (pid {os.getpid()} on {HOST}" in ended.stderr
    assert runs("cube", config).code == 0


PUT = """\
import datetime, sys
import pystac
from pathlib import Path
from stacbuild.stac.catalog import Catalog
from stacbuild.stac.catalog import Harvest

root, who = Path(sys.argv[1]), sys.argv[2]
when = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
catalog = Catalog(root)
for number in range(10):
    for name in ("shared", f"of-{who}"):
        extent = pystac.Extent(
            pystac.SpatialExtent([[0, 0, 1, 1]]), pystac.TemporalExtent([[when, None]])
        )
        ours = {"stacbuild:store": "file:src"}
        item = pystac.Item(f"{who}-{number}", None, None, when, dict(ours))
        collection = pystac.Collection(name, name, extent, extra_fields=ours)
        catalog.put(Harvest(collection, (item,)))
"""


def test_processes_that_put_into_one_catalog_lose_nothing(tmp_path: Path) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", PUT, str(tmp_path / "cat"), str(who)])
        for who in range(3)
    ]
    for process in running:
        assert process.wait(timeout=120) == 0
    content = json.loads((tmp_path / "cat" / "catalog.json").read_text())
    children = {link["href"] for link in content["links"] if link["rel"] == "child"}
    assert children == {f"./{name}/collection.json" for name in ("shared", "of-0", "of-1", "of-2")}
    content = json.loads((tmp_path / "cat" / "shared" / "collection.json").read_text())
    assert len([link for link in content["links"] if link["rel"] == "item"]) == 30
    assert catalogued(tmp_path / "cat") == []
