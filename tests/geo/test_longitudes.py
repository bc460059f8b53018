"""A meridian has many longitudes: sources are moved by whole circles to where the target is."""

from __future__ import annotations

from stacbuild.geo.longitudes import columns_between, extent, whole_period, wrapped, wrapped_between
from stacbuild.geo.pixelgrid import PixelGrid


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


def test_columns_by_copy_with_the_number_of_the_first() -> None:
    found = list(columns_between(lonlat(0, 360), -2, 3))
    assert [(each.transform[2], each.shape[1], first) for each, first in found] == [
        (0, 3, 0),
        (-2, 2, 358),
    ]
    assert list(columns_between(lonlat(0, 10), 20, 30)) == []


def test_the_extent_is_of_all_corners() -> None:
    assert extent(lonlat(-10, 5)) == (-10, -5)
    mirrored = PixelGrid("EPSG:4326", (-1.0, 0.0, 5.0, 0.0, -1.0, 0.0), (3, 4))
    assert extent(mirrored) == (1, 5)
