"""What a plan computes for each of many files, and what only once."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.positions import clip, positions, span
from stacbuild.planning import estimate

TARGET = PixelGrid.from_affine("EPSG:3035", Affine(100, 0, 4e6, 0, -100, 3e6), (700, 900))


def sources(crs: str, turned: bool, count: int = 40) -> list[PixelGrid]:
    found = []
    for number in range(count):
        step = 1e-3 if crs == "EPSG:4326" else 90.0
        at = (5.0 + number / 40, 50.0) if crs == "EPSG:4326" else (4e6 + 3000 * number, 3e6)
        affine = Affine(step, step / 9 if turned else 0, at[0], 0, -step, at[1])
        found.append(PixelGrid.from_affine(crs, affine, (300, 300)))
    return found


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("crs", ["EPSG:3035", "EPSG:4326", "EPSG:32632"])
def test_the_window_is_that_of_every_sampled_pixel(crs: str, turned: bool) -> None:
    axes = (np.linspace(0, n - 1, 65) for n in TARGET.shape)
    at = np.meshgrid(*axes, indexing="ij")
    for source in sources(crs, turned):
        row, col = positions(source, TARGET, *at)
        expected = clip(span(row, 256), span(col, 256), source.shape)
        assert estimate._window(source, TARGET) == expected


def test_pixels_are_projected_once_for_all_files_of_a_crs(monkeypatch: pytest.MonkeyPatch) -> None:
    projected = []
    real = estimate.coordinates

    def counting(crs: str, *args: object) -> object:
        projected.append(crs)
        return real(crs, *args)  # type: ignore[arg-type]

    estimate._sample.cache_clear()
    monkeypatch.setattr(estimate, "coordinates", counting)
    for source in [*sources("EPSG:4326", False), *sources("EPSG:32632", False)]:
        estimate._window(source, TARGET)
    assert projected == ["EPSG:4326", "EPSG:32632"]
