"""Random inputs on random grids come out right, or are refused for an honest reason.

More of them: ``scripts/fuzz --count 2000 --seed 1 --jobs 2``; spoiled ones with ``--damaged``.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyproj
import pytest
from rasterio import Affine

from tests.fuzz.damage import check_damaged
from tests.fuzz.grids import of_config
from tests.fuzz.inputs import Input, Layer
from tests.fuzz.judge import Outcome, check
from tests.fuzz.reference import Aggregate, aggregated, bilinear, nearest

BATCH = 10


def outcomes(seeds: range, folder: Path, *, damaged: bool = False) -> list[Outcome]:
    found = []
    for seed in seeds:
        own = folder / str(seed)
        own.mkdir()
        found.append((check_damaged if damaged else check)(seed, own))
    bad = [str(each) for each in found if each.verdict in ("wrong", "crash")]
    assert not bad, "\n".join(bad)
    return found


@pytest.mark.parametrize("first", range(1, 21, BATCH))
def test_sources_as_people_write_them_come_out_right(first: int, tmp_path: Path) -> None:
    found = Counter(each.verdict for each in outcomes(range(first, first + BATCH), tmp_path))
    # Most are built: a fuzzer whose inputs are all refused finds nothing.
    assert found["right"] >= BATCH / 2, found


@pytest.mark.parametrize("first", range(1, 11, BATCH))
def test_spoiled_files_are_built_or_refused_in_one_line(first: int, tmp_path: Path) -> None:
    outcomes(range(first, first + BATCH), tmp_path, damaged=True)


@pytest.mark.parametrize("seed", [1159, 1903, 1969, 4290])
def test_what_was_once_taken_for_wrong(seed: int, tmp_path: Path) -> None:
    outcomes(range(seed, seed + 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("first", [21, *range(1001, 3001, 50)])
def test_two_thousand_sources_come_out_right(first: int, tmp_path: Path) -> None:
    outcomes(range(first, first + 50), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1001, 2001, 50))
def test_a_thousand_spoiled_files_are_built_or_refused(first: int, tmp_path: Path) -> None:
    outcomes(range(first, first + 50), tmp_path, damaged=True)


def test_reference_tells_a_moved_cube_from_one_that_is_right() -> None:
    """A reference that finds nothing wrong with a moved cube would be none."""
    values = np.random.default_rng(1).random((30, 40))
    layer = Layer(values, np.zeros(values.shape, bool))
    transform = Affine(100, 0, 4e6, 0, -100, 3e6)
    given = Input("one.tif", pyproj.CRS(3035), transform, {"v": layer}, {})
    box = [4e6, 3e6 - 3000, 4e6 + 4000, 3e6]
    grid = of_config({"crs": "EPSG:3035", "bbox": box, "spatial_res": 100})
    mean = Aggregate("mean", 0, 0.1)
    assert not nearest(given, grid, values, values).any()
    assert not bilinear(given, grid, values, values, 0).any()
    assert not aggregated(given, grid, values, values, mean).any()
    for axis in (0, 1):
        moved = np.roll(values, 1, axis)
        assert nearest(given, grid, values, moved).all()
        assert bilinear(given, grid, values, (values + moved) / 2, 0).mean() > 0.9
        assert aggregated(given, grid, values, moved, mean).mean() > 0.7
