"""What fits into a budget of memory: tasks, and blocks that wait for others."""

from __future__ import annotations

import dataclasses

import pytest

from stacbuild.geo.grid import PixelGrid
from stacbuild.loading import memory
from stacbuild.loading.memory import Source, Work, cache_bytes, room, unit_side, work

MB = 10**6


@pytest.fixture(autouse=True)
def _processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "processors", lambda: 8)


@pytest.mark.parametrize("remote", [True, False])
@pytest.mark.parametrize("budget", [100 * MB, 300 * MB, 1000 * MB, 4000 * MB])
@pytest.mark.parametrize(
    "needed",
    [
        Work(10 * MB),
        Work(80 * MB),
        Work(10 * MB, inputs=40 * MB),
        Work(10 * MB, shared=900 * MB),
        Work(10 * MB, inputs=20 * MB, shared=50 * MB),
    ],
)
def test_what_is_needed_stays_within_the_budget(needed: Work, budget: int, remote: bool) -> None:
    found = room(needed, budget, remote=remote)
    assert 1 <= found.threads <= (32 if remote else 8)
    assert found.in_flight >= 1
    held = found.in_flight * needed.inputs + min(needed.shared, cache_bytes(budget))
    assert found.threads * needed.task + held == found.needed
    assert found.needed <= budget


def test_more_threads_than_processors_for_remote_sources_only() -> None:
    assert room(Work(MB), 1000 * MB, remote=True).threads == 32
    assert room(Work(MB), 1000 * MB, remote=False).threads == 8


def test_one_task_is_the_least() -> None:
    found = room(Work(500 * MB, inputs=900 * MB), 100 * MB, remote=True)
    assert (found.threads, found.in_flight) == (1, 1)
    assert found.needed == 1400 * MB


def grid(size: int, res: float, crs: str = "EPSG:32632") -> PixelGrid:
    return PixelGrid(crs, (res, 0, 400_000, 0, -res, 5_800_000), (size, size))


def test_a_finer_source_needs_more() -> None:
    target = grid(1000, 40)
    same, finer = (Source.of([grid(size, res)], target) for size, res in ((1000, 40), (4000, 10)))
    assert same.ratio == pytest.approx(1)
    assert finer.ratio == pytest.approx(16)
    assert work(finer, 1000, 4).task > 9 * work(same, 1000, 4).task
    assert unit_side(finer, 4, 400 * MB) < unit_side(same, 4, 400 * MB) / 3


def test_another_crs_needs_an_index_map() -> None:
    other = PixelGrid("EPSG:3035", (40, 0, 4_200_000, 0, -40, 3_200_000), (1000, 1000))
    found = Source.of([other], grid(1000, 40))
    assert not found.same_crs
    assert work(found, 1000, 1).task > work(dataclasses.replace(found, same_crs=True), 1000, 1).task
