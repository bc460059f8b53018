"""Which part of a source lies under a target, and where GDAL's warper cannot be used."""

from __future__ import annotations

import numpy as np
import pytest

from stacbuild.geo.coverage import footprint, needs_spherical, overlaps, touches
from stacbuild.geo.grid import PixelGrid

WORLD = PixelGrid("EPSG:4326", (1.0, 0.0, -180.0, 0.0, -1.0, 90.0), (180, 360))
PYRENEES = PixelGrid("EPSG:32631", (1000.0, 0.0, 350_000.0, 0.0, -1000.0, 4_730_000.0), (60, 60))
ARCTIC = PixelGrid("EPSG:3413", (25_000.0, 0.0, -500_000.0, 0.0, -25_000.0, 500_000.0), (40, 40))
DATELINE = PixelGrid("EPSG:3832", (10_000.0, 0.0, 2e6, 0.0, -10_000.0, 1e6), (200, 200))


def _whole(grid: PixelGrid) -> tuple[slice, slice]:
    return slice(0, grid.shape[0]), slice(0, grid.shape[1])


def test_what_is_under_a_window_of_the_same_grid_is_the_window() -> None:
    row, col = footprint(WORLD, WORLD, (slice(10, 20), slice(30, 50)))
    assert (row.min(), row.max()) == (10, 20)
    assert (col.min(), col.max()) == (30, 50)


def test_the_pole_is_under_a_window_around_it() -> None:
    row, _ = footprint(WORLD, ARCTIC, _whole(ARCTIC))
    # No node lies on the pole, which is the first edge of the source's first row.
    assert np.nanmin(row) == 0


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (WORLD, PYRENEES, True),
        (WORLD, ARCTIC, True),
        (PixelGrid("EPSG:4326", (1.0, 0.0, 0.0, 0.0, -1.0, 40.0), (10, 10)), PYRENEES, False),
        # The same meridians, counted from 0 to 360.
        (PixelGrid("EPSG:4326", (1.0, 0.0, 355.0, 0.0, -1.0, 45.0), (5, 10)), PYRENEES, True),
        # Where the source is one pixel in the middle of the target.
        (PixelGrid("EPSG:4326", (0.01, 0.0, 1.5, 0.0, -0.01, 42.5), (1, 1)), PYRENEES, True),
        (PYRENEES, PixelGrid("EPSG:32631", (10.0, 0.0, 0.0, 0.0, -10.0, 0.0), (5, 5)), False),
    ],
)
def test_sources_that_lie_on_the_target(
    source: PixelGrid, target: PixelGrid, *, expected: bool
) -> None:
    assert touches(source, target) is expected
    assert overlaps(source, target) is expected


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        ((0, 0), True),
        ((59_000, 0), True),
        # One pixel over a corner, and neighbours on either side.
        ((59_000, -59_000), True),
        ((60_000, 0), False),
        ((-60_000, 0), False),
        ((0, 60_000), False),
        ((60_500, 0), False),
    ],
)
def test_neighbours_do_not_overlap(moved: tuple[int, int], *, expected: bool) -> None:
    east, north = moved
    other = PixelGrid(
        "EPSG:32631", (1000.0, 0.0, 350_000.0 + east, 0.0, -1000.0, 4_730_000.0 + north), (60, 60)
    )
    assert touches(other, PYRENEES)
    assert overlaps(other, PYRENEES) is expected
    assert overlaps(PYRENEES, other) is expected


def test_a_band_across_a_grid_overlaps() -> None:
    band = PixelGrid("EPSG:32631", (10.0, 0.0, 0.0, 0.0, -10.0, 4_700_005.0), (1, 60_000))
    assert overlaps(band, PYRENEES)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (WORLD, WORLD, False),
        (WORLD, PYRENEES, False),
        (WORLD, ARCTIC, True),
        (WORLD, DATELINE, True),
        # Rotated by 45 degrees.
        (
            PYRENEES,
            PixelGrid("EPSG:32631", (700.0, 700.0, 35e4, 700.0, -700.0, 47e5), (9, 9)),
            True,
        ),
        (PYRENEES, PixelGrid("EPSG:3035", (1e3, 0.0, 36e5, 0.0, -1e3, 23e5), (60, 60)), False),
    ],
)
def test_gdal_warps_where_the_earth_is_flat_enough(
    source: PixelGrid, target: PixelGrid, *, expected: bool
) -> None:
    assert needs_spherical(source, target) is expected
