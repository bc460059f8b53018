"""The peak memory that a plan states follows the configuration and what a build would hold."""

from __future__ import annotations

from pathlib import Path

import pytest

import stacbuild
from stacbuild.loading import memory
from tests.support.cli import configuration
from tests.support.scheduling import CUBES, GRID, SOURCE, sources

BASE = 300e6


@pytest.mark.parametrize("cube", CUBES, ids=["bands", "several"])
def test_a_plan_stays_within_the_memory_of_the_configuration(
    tmp_path: Path, cube: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "processors", lambda: 64)
    sources(tmp_path / "src")
    planned = []
    for size in ("40 MB", "80 MB", "4 GB"):
        path = configuration(
            tmp_path,
            [cube | {"grid_mapping": "fine"}],
            [SOURCE],
            grids=[GRID | {"identifier": "fine"}],
            general={"memory": size},
        )
        if not planned:
            stacbuild.harvest(path)
        (each,) = stacbuild.plan(path)
        planned.append(each.to_dict()["peak_memory"] - BASE)
    assert 0 < planned[0] <= 40e6 < planned[1] <= 80e6 < planned[2] <= 4e9
