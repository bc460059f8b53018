"""Cubes of long time axes that end early: nearly all that was finished is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
import pytest

import stacbuild
from stacbuild.building import finished, region
from stacbuild.building.finished import merged, missing
from stacbuild.loading import pool, zarr_reader
from stacbuild.storage.journal import Journal
from tests.support.built import SOURCES, zarr_store
from tests.support.cli import Json, configuration
from tests.support.killing import contents

DAYS = 400


class Told:
    """A reporter that keeps what is said, and does nothing else."""

    def __init__(self) -> None:
        from stacbuild.progress import Silent

        self.lines: list[str] = []
        self.task = Silent().task

    def say(self, message: str) -> None:
        self.lines.append(message)

    def warn(self, message: str) -> None:
        self.lines.append(message)


def project(directory: Path, scheduler: str = "threads", **dataset: Any) -> Path:
    """A cube of one tile and 400 days, of a store whose chunks hold 50 days."""
    if not (directory / "src" / "one.zarr").exists():
        values = np.random.default_rng(3).integers(0, 250, (DAYS, 120, 120), "uint8")
        days = pd.date_range("2001-01-01", periods=DAYS)
        data = zarr_store(directory / "src" / "one.zarr", days, day=values)
        data.day.encoding["chunks"] = (50, 120, 120)
        data.chunk(time=50, lat=120, lon=120).to_zarr(
            directory / "src" / "one.zarr", mode="w", zarr_format=2, consolidated=True
        )
    one: Json = {"identifier": "cube", "store": "files", "data_id": "one.zarr"} | dataset
    return configuration(directory, [one], [SOURCES], general={"dask_scheduler": scheduler})


def kept(directory: Path) -> int:
    journal = Journal.read(directory / "data" / ".cube.zarr.journal")
    if journal is None:
        return 0
    return sum(
        place[0][1] - place[0][0] for places in journal.finished.values() for place in places
    )


def interrupt(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reporter: Told | None = None
) -> None:
    """Build, and press Ctrl-C after a number of tasks."""
    write = region.write_region
    done = iter(range(1, DAYS + 1))

    def until(run: Any, variables: Any, region: Any, wrote: Callable[..., None]) -> None:
        def count(name: str, place: Any) -> None:
            wrote(name, place)
            if next(done) == number:
                raise KeyboardInterrupt

        write(run, variables, region, count)

    with monkeypatch.context() as patched:
        patched.setattr("stacbuild.building.write.write_region", until)
        with pytest.raises(KeyboardInterrupt):
            stacbuild.build(path, reporter=reporter)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a project whose build nobody interrupted."""
    path = project(tmp_path_factory.mktemp("unbroken"))
    assert stacbuild.build(path)[0].status == "COMPLETED"
    return path.parent


@pytest.mark.parametrize(
    "share",
    [
        pytest.param(0.04, marks=pytest.mark.slow),
        0.45,
        pytest.param(0.9, marks=pytest.mark.slow),
        0.999,
    ],
)
def test_an_interrupted_build_keeps_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unbroken: Path, share: float
) -> None:
    number = round(share * DAYS)
    broken = project(tmp_path / "broken")
    told = Told()
    interrupt(broken, monkeypatch, number, told)
    assert kept(broken.parent) == number
    assert f"cube: kept {number} of {DAYS} chunks for the next run" in told.lines
    [result] = stacbuild.build(broken, reporter=told)
    assert result.status == "COMPLETED", result.message
    assert any(line.endswith(f"{number} of {DAYS} chunks are finished") for line in told.lines)
    same = {name: data for name, data in contents(unbroken).items() if "/day/c/" in name}
    assert len(same) == DAYS
    assert {k: v for k, v in contents(broken.parent).items() if "/day/c/" in k} == same


@pytest.mark.parametrize(
    "scheduler", [pytest.param("processes", marks=pytest.mark.slow), "synchronous"]
)
def test_wherever_it_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduler: str
) -> None:
    path = project(tmp_path, scheduler)
    with dask.config.set(num_workers=1):
        interrupt(path, monkeypatch, 180)
    assert kept(tmp_path) == 180
    # By threads now: what is kept does not depend on that.
    [result] = stacbuild.build(project(tmp_path))
    assert result.status == "COMPLETED", result.message
    expected = stacbuild.open_cube(path, "cube").day
    source = pd.date_range("2001-01-01", periods=DAYS)
    assert (expected.time.values == source.values).all()


def test_little_is_lost_with_a_process_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is recorded at the end of one: only what was before counts."""
    path = project(tmp_path)
    at_death: list[int] = []

    def dead(self: Any, *_: object) -> None:
        at_death.append(kept(tmp_path))
        self._thread.shutdown()

    monkeypatch.setattr(finished.Recorder, "__exit__", dead)
    interrupt(path, monkeypatch, 180)
    assert 180 - 0.05 * DAYS <= at_death[0] <= 180


def test_what_days_share_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many times progress is recorded; and after a break, once more at the most."""
    reads: list[Any] = []
    decode = zarr_reader._Position._decode

    def counted(self: Any, tile: Any, window: Any) -> Any:
        reads.append(self._together(tile)["time"])
        return decode(self, tile, window)

    monkeypatch.setattr(zarr_reader._Position, "_decode", counted)
    path = project(tmp_path)
    interrupt(path, monkeypatch, 180)
    pool.release()
    first = len(reads)
    assert first <= 5  # of eight
    assert stacbuild.build(path)[0].status == "COMPLETED"
    assert len(reads) - first <= 5
    assert {span.start for span in reads} == set(range(0, DAYS, 50))


def test_boxes_that_have_a_side_in_common_become_one() -> None:
    boxes = [((day, day + 1), (row, row + 5)) for day in range(6) for row in (0, 5)]
    assert merged(boxes) == [((0, 6), (0, 10))]
    del boxes[3]
    found = merged(boxes)
    assert len(found) == 3
    assert sum((a[1] - a[0]) * (b[1] - b[0]) for a, b in found) == 5 * len(boxes)
    assert merged([]) == []


def test_what_is_missing_of_a_region_is_whole_tasks() -> None:
    tasks = ((1,) * 6, (4, 4, 2))
    assert missing(tasks, (0, 20), []) == [((0, 6), (20, 30))]
    assert missing(tasks, (0, 20), [((0, 6), (0, 20))]) == [((0, 6), (20, 30))]
    assert missing(tasks, (0, 20), [((0, 6), (20, 30))]) == []
    assert missing(tasks, (0, 20), [((0, 4), (20, 30))]) == [((4, 6), (20, 30))]
    # A task of which a part is there is done again.
    assert missing(tasks, (0, 20), [((0, 6), (18, 27))]) == [((0, 6), (24, 30))]
    rest = missing(tasks, (0, 20), [((0, 3), (20, 24)), ((0, 2), (24, 30))])
    assert sum((a[1] - a[0]) * (b[1] - b[0]) for a, b in rest) == 60 - 12 - 12
