"""The memory of a build is that of the configuration, whatever the number of processors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

import stacbuild
from stacbuild.building import make
from stacbuild.loading import memory
from stacbuild.loading.memory import Room
from stacbuild.progress import Silent
from tests.support.cli import Json, configuration

CUSTOM = """\
def largest(ds):
    return ds.chunk(time=-1).max("time", keep_attrs=True)
"""
# In another CRS than the source, so that each task has an index map of its own.
GRID = {"identifier": "far", "crs": "EPSG:3035", "spatial_res": 10, "tile_size": 512}
CORNER = (4_100_000, 3_100_000)


def project(folder: Path, size: int, memory: str, *datasets: Json) -> Path:
    """Configure cubes of so many pixels along a side, of sources of a fiftieth of them."""
    (folder / "src").mkdir(parents=True)
    values = np.random.default_rng(1).integers(1, 200, (1, 100, 100), "uint8")
    for name in ("a_2019.tif", "a_2020.tif", "a_2021.tif", "b.tif"):
        with rasterio.open(
            folder / "src" / name, "w", driver="GTiff", width=100, height=100, count=1,
            dtype="uint8", crs="EPSG:32632", transform=from_origin(200_000, 6_200_000, 8000, 8000),
        ) as file:  # fmt: skip
            file.write(values)
    (folder / "modify.py").write_text(CUSTOM)
    x, y = CORNER
    return configuration(
        folder,
        [{"store": "local", "grid_mapping": "far"} | each for each in datasets],
        [{"identifier": "local", "store_id": "file", "store_params": {"root": "src"}}],
        grids=[GRID | {"bbox": [x, y, x + size * 10, y + size * 10]}],
        general={"memory": memory},
    )


PROGRAM = """\
import resource, sys
import stacbuild
from stacbuild.loading import memory
from stacbuild.machine import keep_freed_memory

memory.processors = lambda: 16
keep_freed_memory()

def peak():
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * (1024 if sys.platform == "linux" else 1)

(first,) = stacbuild.build(sys.argv[1])
before = peak()
(second,) = stacbuild.build(sys.argv[2])
assert first.status == second.status == "COMPLETED", (first, second)
print(peak() - before)
"""


def test_peak_memory_is_that_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a case whose estimate is close to it, on more processors than fit."""
    monkeypatch.setattr(memory, "processors", lambda: 16)
    cube = {"identifier": "cube", "data_id": "b.tif"}
    imports = project(tmp_path / "imports", 64, "100 MB", cube)
    path = project(tmp_path / "whole", 4096, "100 MB", cube)
    stacbuild.harvest(path)
    (planned,) = stacbuild.plan(path)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(imports), str(path)],
        capture_output=True, text=True, check=False, env=os.environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 1.2 * 100e6
    # That of the process itself is 300 MB.
    assert 60e6 <= planned.to_dict()["peak_memory"] - 300e6 <= 100e6


class Heard(Silent):
    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, message: str) -> None:
        self.warned.append(message)


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch) -> list[Room]:
    found: list[Room] = []
    room_of = make.room_of

    def noted(*args: object) -> Room:
        found.append(room_of(*args))  # type: ignore[arg-type]
        return found[-1]

    monkeypatch.setattr(make, "room_of", noted)
    return found


def test_too_little_memory_for_a_task_is_warned_of(tmp_path: Path, rooms: list[Room]) -> None:
    path, heard = (
        project(tmp_path, 600, "1 MB", {"identifier": "cube", "data_id": "b.tif"}),
        Heard(),
    )
    (result,) = stacbuild.build(path, reporter=heard)
    assert result.status == "COMPLETED", result.message
    (line,) = [line for line in heard.warned if "general.memory" in line]
    assert line.startswith("cube: general.memory is 1.0 MB, but a single task needs about ")
    assert "a smaller tile_size or chunksize needs less" in line
    # A tile each, although four of them would be computed together.
    assert rooms[0].threads == 1
    assert rooms[0].needed < 512 * 512 * 16


@pytest.mark.parametrize(
    "more",
    [
        {"custom_processing": {"module_path": "modify", "function_name": "largest"}},
        {"temporal_resample_params": {"frequency": "3YS", "agg_methods": "max"}},
    ],
    ids=["custom_processing", "temporal_resample_params"],
)
def test_blocks_that_wait_for_others_count(tmp_path: Path, rooms: list[Room], more: Json) -> None:
    """Three times are held for each block of the result."""
    single = {"identifier": "cube", "data_id": "b.tif"}
    several = {"identifier": "cube", "data_id": "a_{time:%Y}.tif", **more}
    for name, cube in (("single", single), ("several", several)):
        (result,) = stacbuild.build(project(tmp_path / name, 600, "2 GB", cube))
        assert result.status == "COMPLETED", result.message
    of_single, of_several = rooms
    assert of_several.needed >= of_single.needed + of_several.in_flight * 3 * 600 * 600
