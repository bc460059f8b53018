"""The grid of a source itself, for a cube that names no other."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pystac
import pytest

from stacbuild.config.datasets import SourceVariable
from stacbuild.errors import BuildError
from stacbuild.loading.own_grid import own_grid


def item(
    transform: list[float], shape: tuple[int, int] = (10, 10), crs: str = "EPSG:3035"
) -> pystac.Item:
    key = "proj:code" if crs.startswith("EPSG") else "proj:wkt2"
    fields = {key: crs, "proj:shape": list(shape), "proj:transform": transform}
    return pystac.Item("a", None, None, dt.datetime(2020, 1, 1, tzinfo=dt.UTC), fields)


def variable(**params: Any) -> SourceVariable:
    return SourceVariable.model_validate({"store": "s", "data_id": "a.tif", "open_params": params})


BASE = (4_000_000.0, 3_000_000.0)


def metres(size: float, east: float = 0, *, up: bool = False) -> list[float]:
    x, y = BASE
    return [size, 0, x + east, 0, size if up else -size, y]


def test_tiles_are_one_grid_north_up() -> None:
    grid = own_grid(
        variable(), [item(metres(10)), item(metres(10, 100)), item(metres(10, 200, up=True))]
    )
    assert (grid.shape, grid.epsg) == ((20, 30), 3035)
    assert grid.transform[4] == -10
    assert grid.bounds == (BASE[0], BASE[1] - 100, BASE[0] + 300, BASE[1] + 100)


def test_pixels_need_not_be_square() -> None:
    x, y = BASE
    tiles = [item([10, 0, x, 0, -20, y]), item([10, 0, x + 100, 0, 20, y])]
    grid = own_grid(variable(), tiles)
    assert (grid.shape, grid.resolution) == ((20, 20), (10, 20))
    assert grid.bounds == (x, y - 200, x + 200, y + 200)
    with pytest.raises(BuildError, match=r"fall on each other \(those of .* and .*\)"):
        own_grid(variable(), [tiles[0], item(metres(10, 100))])
    pixel = own_grid(variable(point=(x + 33, y - 33), crs="EPSG:3035"), tiles)
    assert pixel.bounds == pytest.approx((x + 28, y - 43, x + 38, y - 23))


def test_a_point_is_one_pixel_around_it() -> None:
    x, y = BASE[0] + 33, BASE[1] - 33
    grid = own_grid(variable(point=(x, y), crs="EPSG:3035"), [item(metres(10))])
    assert grid.shape == (1, 1)
    assert grid.bounds == pytest.approx((x - 5, y - 5, x + 5, y + 5))


@pytest.mark.parametrize(
    ("west", "columns", "bounds"),
    [
        (0.0, 360, (-180, 180)),
        (200.0, 10, (-160, -150)),
        # Across the antimeridian it stays together.
        (175.0, 10, (175, 185)),
    ],
)
def test_longitudes_begin_at_180_west(
    west: float, columns: int, bounds: tuple[float, float]
) -> None:
    grid = own_grid(variable(), [item([1, 0, west, 0, -1, 50], (10, columns), "EPSG:4326")])
    assert (grid.bounds[0], grid.bounds[2]) == bounds


@pytest.mark.parametrize(
    "items",
    [
        [item([10, 1, BASE[0], 1, -10, BASE[1]])],
        [item(metres(10)), item(metres(10, 103))],
        [item(metres(10)), item([1, 0, 10, 0, -1, 50], crs="EPSG:4326")],
    ],
    ids=["rotated", "off", "another CRS"],
)
def test_what_cannot_be_the_grid_of_a_cube_is_named(items: list[pystac.Item]) -> None:
    with pytest.raises(BuildError, match=r"a\.tif: .*grid_mappings"):
        own_grid(variable(), items)
