"""A meridian has many longitudes: sources are moved by whole circles to where the target is."""

from __future__ import annotations

from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.longitudes import parts_within, whole_period, wrapped, wrapped_between


def lonlat(west: float, columns: int, step: float = 1.0) -> PixelGrid:
    return PixelGrid("EPSG:4326", (step, 0.0, west, 0.0, -step, 50.0), (10, columns))


def wests(grids: tuple[PixelGrid, ...]) -> list[float]:
    return [each.transform[2] for each in grids]


def test_columns_once_around() -> None:
    assert whole_period(lonlat(0, 360)) == 360
    # A step of few digits: 360 degrees as the file's width says.
    assert whole_period(lonlat(0, 1080, 0.333333)) == 1080
    assert whole_period(lonlat(0, 10, 0.7)) is None
    assert whole_period(PixelGrid("EPSG:3035", (1.0, 0.0, 0.0, 0.0, -1.0, 0.0), (5, 5))) is None


def test_a_source_is_moved_to_the_target() -> None:
    assert wests(wrapped(lonlat(0, 360), lonlat(-10, 5))) == [-360]
    # On both sides of its seam: twice, the nearest first.
    assert wests(wrapped(lonlat(0, 360), lonlat(-5, 10))) == [0, -360]
    assert wrapped(lonlat(100, 10), lonlat(-10, 5)) == ()


def test_pixels_that_only_touch_share_nothing() -> None:
    assert wrapped(lonlat(0, 10), lonlat(10, 10)) == ()
    assert wrapped(lonlat(0, 10), lonlat(9.5, 10)) == (lonlat(0, 10),)


def test_a_grid_in_metres_is_not_moved() -> None:
    metres = PixelGrid("EPSG:3857", (1e4, 0.0, 0.0, 0.0, -1e4, 0.0), (10, 10))
    assert wrapped_between(metres, -180, 180) == (metres,)
    # The target's longitudes are those of PROJ.
    assert wests(wrapped(lonlat(350, 5), metres)) == [-10]


def test_parts_by_copy_with_their_rows_and_columns() -> None:
    found = list(parts_within(lonlat(0, 360), (-2, 42, 3, 45)))
    assert [(*part.transform[2::3], part.shape, window) for part, window in found] == [
        (0, 45, (3, 3), (slice(5, 8), slice(0, 3))),
        (-2, 45, (3, 2), (slice(5, 8), slice(358, 360))),
    ]
    assert list(parts_within(lonlat(0, 10), (20, 40, 30, 50))) == []
    assert list(parts_within(lonlat(0, 10), (0, 50, 10, 60))) == []


def test_a_centre_on_a_meridian_but_for_rounding_is_on_it() -> None:
    # Centres at tenths of a degree: those of the copy are off by some 1e-14.
    [(part, (_, columns))] = parts_within(lonlat(179.95, 360, 0.1), (-180, 40, -170, 50))
    assert (columns, part.shape[1]) == (slice(0, 100), 100)
