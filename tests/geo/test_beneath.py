"""Limits of sources on a target grid: never narrower than the pixels that are mapped to them."""

from __future__ import annotations

import numpy as np
import pytest

from stacbuild.geo.beneath import beneath, copies_beneath
from stacbuild.geo.grid import PixelGrid, Transform
from stacbuild.geo.mapping import index_map


def tiles(crs: str, corner: tuple[float, float], res: float, count: int = 4) -> list[PixelGrid]:
    """Return tiles of 20 x 20 pixels, *count* along each axis."""
    side = 20 * res
    return [
        PixelGrid(crs, (res, 0, corner[0] + side * x, 0, -res, corner[1] - side * y), (20, 20))
        for y in range(count)
        for x in range(count)
    ]


def row(transform: Transform) -> list[PixelGrid]:
    first = PixelGrid("EPSG:3035", transform, (20, 20))
    return [first.moved(distance) for distance in (0, 8e4, 16e4)]


def grid(crs: str, bbox: tuple[float, float, float, float], size: int = 150) -> PixelGrid:
    west, south, east, north = bbox
    step = (east - west) / size, (north - south) / size
    return PixelGrid(crs, (step[0], 0, west, 0, -step[1], north), (size, size))


WORLD = tiles("EPSG:4326", (-180, 90), 4.5)
EUROPE = grid("EPSG:3035", (4.0e6, 2.5e6, 4.6e6, 3.1e6))
CASES = {
    "the same pixels": (tiles("EPSG:3035", (4.1e6, 3.0e6), 4000), EUROPE),
    "half a pixel off": (tiles("EPSG:3035", (4.102e6, 2.998e6), 4000), EUROPE),
    "upside down": (row((4000, 0, 4.1e6, 0, 4000, 2.6e6)), EUROPE),
    "rotated": (row((3000, 2000, 4.1e6, 2000, -3000, 2.9e6)), EUROPE),
    "degrees": (tiles("EPSG:4326", (9.0, 50.0), 0.05), EUROPE),
    "utm": (
        tiles("EPSG:32632", (400_000, 5_400_000), 5000)
        + tiles("EPSG:32633", (300_000, 5_400_000), 5000),
        EUROPE,
    ),
    "degrees of the whole earth": (WORLD, grid("EPSG:3995", (-6e6, -6e6, 6e6, 6e6))),
    "of the other pole": (
        tiles("EPSG:3031", (-4e6, 4e6), 1e5),
        grid("EPSG:4326", (-180, -90, 180, 0)),
    ),
    "a pole within": (
        [*tiles("EPSG:3995", (-1.5e6, 1.2e6), 1e5, 2)],
        grid("EPSG:4326", (-180, 50, 180, 90)),
    ),
    "across the antimeridian": (
        tiles("EPSG:4326", (160, 20), 0.5),
        grid("EPSG:4326", (170, -20, 200, 10)),
    ),
    "0 to 360": (tiles("EPSG:4326", (0, 90), 4.5), grid("EPSG:4326", (-180, -90, 180, 90))),
    "metres across the antimeridian": (
        tiles("EPSG:3832", (-2e6, 2e6), 5e4),
        grid("EPSG:4326", (150, -20, 210, 20)),
    ),
    "a map wider than the earth": (WORLD, grid("EPSG:3857", (-3.5e7, -1e7, 3.5e7, 1e7))),
    "sinusoidal": (WORLD, grid("ESRI:54008", (-2.1e7, -1.1e7, 2.1e7, 1.1e7))),
    "from sinusoidal": (
        tiles("ESRI:54008", (-2e7, 1e7), 5e5),
        grid("EPSG:4326", (-180, -90, 180, 90)),
    ),
    "a limb": (WORLD, grid("ESRI:54030", (-1.8e7, -1e7, 1.8e7, 1e7))),
}


@pytest.mark.parametrize("name", CASES)
def test_no_pixel_lies_outside_of_the_limits_of_its_source(name: str) -> None:
    sources, target = CASES[name]
    found, numbers = copies_beneath(tuple(sources), target)
    whole = (slice(0, target.shape[0]), slice(0, target.shape[1]))
    parts = dict(found.parts(whole))
    assert list(numbers) == sorted(numbers)
    some = False
    for number, copy in enumerate(found.grids):
        mapping = index_map(copy, target, whole)
        if mapping is None:
            continue
        rows, cols = mapping.source_indices()  # pixels outside are not defined
        inside = np.ones(target.shape, np.bool_)
        if mapping.outside is not None:
            inside = ~mapping.outside
        if not inside.any():
            continue
        some = True
        part = parts[number]
        beyond = inside.copy()
        beyond[part] = False
        assert not beyond.any()
        # The map of a part is that part of the map, so results do not depend on the limits.
        own = index_map(copy, target, part)
        assert own is not None
        within = inside[part]
        for theirs, ours in zip((rows, cols), own.source_indices(), strict=True):
            np.testing.assert_array_equal(ours[within], theirs[part][within])
    assert some


def test_a_window_has_the_sources_beneath_it_in_their_order() -> None:
    sources = tiles("EPSG:3035", (4.0e6, 3.1e6), 4000, 7)
    limits = beneath(tuple(sources), EUROPE)
    found = dict(limits.parts((slice(25, 35), slice(45, 70))))
    assert list(found) == [9, 10]
    assert found[9] == (slice(25, 35), slice(45, 62))
    assert found[10] == (slice(25, 35), slice(58, 70))
    assert beneath((sources[0],), EUROPE).limits.tolist() == [[0, 150, 0, 150]]
    assert len(list(limits.parts((slice(0, 150), slice(0, 150))))) == 49


def test_a_margin_widens_the_limits_by_pixels_of_the_source() -> None:
    sources = tuple(tiles("EPSG:3035", (4.2e6, 2.9e6), 8000, 2))
    near, wide = (beneath(sources, EUROPE, margin).limits for margin in (0, 4))
    assert (wide - near).tolist() == [[-8, 8, -8, 8]] * 4
