"""A task computes one tile or several."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from stacbuild.loading.units import work_unit


@pytest.mark.parametrize(
    ("shape", "tile", "wide", "unit"),
    [
        ((10_000, 10_000), (4000, 4000), False, (4000, 4000)),
        ((10_000, 10_000), (512, 512), False, (2048, 2048)),
        ((10_000, 10_000), (500, 1500), False, (2000, 1500)),
        # Never more than there is.
        ((300, 100), (512, 512), False, (300, 100)),
        ((10_000, 10_000), (2048, 2048), True, (2048, 10_000)),
        # As wide as the bytes allow, in whole tiles.
        ((10_000, 100_000), (2048, 2048), True, (2048, 16_384)),
    ],
)
def test_tiles_of_a_task(
    shape: tuple[int, int], tile: tuple[int, int], *, wide: bool, unit: tuple[int, int]
) -> None:
    grid: Any = SimpleNamespace(shape=shape, tile=tile)
    assert work_unit(grid, 1, wide=wide) == unit
