"""Harvests and builds killed at any time, over and over: the next run always ends well."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.standins.data import DEMO_BOX
from tests.standins.demo import Endpoints, demo_config
from tests.support.forked import Ended, Runs
from tests.support.killing import check_visible, contents, fresh

# A piece of the demo's box: many small steps in little time.
WEST, SOUTH = DEMO_BOX[0] + 0.1, DEMO_BOX[1] + 0.1
BOX = (WEST, SOUTH, WEST + 0.05, SOUTH + 0.05)


@dataclass(frozen=True)
class Reference:
    """States of one directory after runs that nobody broke, and how long they took."""

    configured: Path
    harvested: Path
    built: Path
    seconds: dict[str, float]


def well(ended: Ended) -> float:
    assert ended.code == 0, ended.stderr
    return ended.seconds


def refer(
    directory: Path, runs: Runs, endpoints: Endpoints, datasets: tuple[str, ...] | None
) -> Reference:
    configured = directory / "configured"
    config = demo_config(configured, endpoints, bbox=BOX, datasets=datasets).name
    harvested = fresh(configured, directory / "harvested")
    seconds = {"harvest": well(runs("harvest", harvested / config))}
    built = fresh(harvested, directory / "built")
    seconds["cube"] = well(runs("cube", built / config))
    return Reference(configured, harvested, built, seconds)


def sweep(kills: int, seed: int, reference: Reference, directory: Path, runs: Runs) -> None:
    """Kill so many runs; check after each what is seen, and after the next what is there."""
    chance = random.Random(seed)
    count = 0
    died: dict[str, int] = {"harvest": 0, "cube": 0}
    start = time.monotonic()
    # A run that ended before it was to die does not count.
    while sum(died.values()) < kills:
        what = chance.choice(["harvest", "cube"])
        before, after = {
            "harvest": (reference.configured, reference.harvested),
            "cube": (reference.harvested, reference.built),
        }[what]
        fresh(before, directory)
        config = directory / "scs2_config.yml"
        times = []
        # Now and then the run that goes on is killed as well.
        for _ in range(chance.choice([1, 1, 2, 3])):
            times.append(chance.uniform(0, reference.seconds[what]))
            told = f"seed {seed}, run {count} of {what} after {times} s, in {directory}"
            ended = runs(what, config, kill_after=times[-1])
            count += 1
            assert ended.code in (0, -signal.SIGKILL), (told, ended.stderr)
            died[what] += ended.code != 0
            try:
                check_visible(directory)
            except Exception as error:
                raise AssertionError(told) from error
        ended = runs(what, config)
        assert ended.code == 0, (told, ended.stderr)
        found, expected = contents(directory), contents(after)
        assert found.keys() == expected.keys(), told
        assert [name for name in found if found[name] != expected[name]] == [], told
    shutil.rmtree(directory)
    print(f"seed {seed}: {died} killed in {count} runs, {time.monotonic() - start:.0f} s")


def test_a_few_kills(tmp_path: Path, runs: Runs, endpoints: Endpoints) -> None:
    reference = refer(tmp_path, runs, endpoints, ("liu", "gami"))
    sweep(2, 1, reference, tmp_path / "swept", runs)


@pytest.mark.slow
def test_a_hundred_kills(tmp_path: Path, runs: Runs, endpoints: Endpoints) -> None:
    seed = int(os.environ.get("STACBUILD_SWEEP_SEED", random.randrange(10**6)))
    kills = int(os.environ.get("STACBUILD_SWEEP_KILLS", "100"))
    print(f"STACBUILD_SWEEP_SEED={seed}")
    reference = refer(tmp_path, runs, endpoints, None)
    sweep(kills, seed, reference, tmp_path / "swept", runs)
