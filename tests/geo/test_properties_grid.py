"""Grids: counted in fractions, cut without moving, and looked up pixel by pixel through PROJ."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyproj
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from stacbuild.config import GridMapping
from stacbuild.errors import ConfigError
from stacbuild.geo.grid import Grid, PixelGrid
from tests.support.mapping import assert_exact

default = settings(max_examples=25, deadline=None)
thorough = settings(max_examples=2000, deadline=None)

# Where a box may begin (west, south), and lengths of a pixel, as people write them.
AREAS = {
    "EPSG:4326": (-179, -89, 170, 80),
    "EPSG:4258": (-10, 36, 20, 60),
    "EPSG:3035": (2_600_000, 1_500_000, 6_000_000, 4_500_000),
    "EPSG:32630": (200_000, 100_000, 700_000, 8_000_000),
    "EPSG:3857": (-15_000_000, -15_000_000, 15_000_000, 15_000_000),
}
DEGREES = ["0.00025", "0.0001", "0.1", "0.3", "0.0083", "0.000277777777777778", "0.025", "1e-05"]
METRES = ["10", "20", "30", "0.5", "12.7", "33.3", "100", "7"]


@st.composite
def mappings(draw: Callable[[Any], Any], whole: bool) -> tuple[GridMapping, int, int]:
    """A grid as configured, and how many rows and columns it has at the least."""
    crs = draw(st.sampled_from(sorted(AREAS)))
    degrees = crs in ("EPSG:4326", "EPSG:4258")
    west, south, east, north = AREAS[crs]
    res = Decimal(draw(st.sampled_from(DEGREES if degrees else METRES)))
    digits = draw(st.integers(0, 6 if degrees else 2))
    corner = [
        Decimal(draw(st.integers(low * 10**digits, high * 10**digits))).scaleb(-digits)
        for low, high in ((west, east), (south, north))
    ]
    counts = [draw(st.integers(1, 300)) for _ in range(2)]
    more = [Decimal(0), Decimal(0)]
    if not whole:
        more = [res * Decimal(draw(st.integers(1, 999))) / 1000 for _ in range(2)]
    x, y = corner
    box = [x, y, x + counts[0] * res + more[0], y + counts[1] * res + more[1]]
    # More digits than a double has are not what anybody can mean.
    assume(all(Decimal(repr(float(edge))) == edge for edge in (*box, res)))
    if degrees:
        assume(box[0] >= -180 and box[1] - res >= -90 and box[2] + res <= 180 and box[3] <= 90)
    mapping = GridMapping.model_validate(
        {
            "identifier": "grid",
            "crs": crs,
            "spatial_res": float(res),
            "bbox": [float(edge) for edge in box],
            "tile_size": draw(st.integers(1, 400) | st.tuples(*[st.integers(1, 400)] * 2)),
        }
    )
    return mapping, counts[1], counts[0]


def exactly(value: float) -> Fraction:
    return Fraction(repr(value))


def check_coords(grid: Grid, mapping: GridMapping) -> None:
    """Each centre is the double nearest to the fraction that it is, and lies in its pixel."""
    west, _, _, north = mapping.bbox
    step = exactly(mapping.spatial_res)
    y, x = grid.coords()
    assert (len(y), len(x)) == grid.shape
    assert x.tolist() == [float(exactly(west) + (i + Fraction(1, 2)) * step) for i in range(len(x))]
    assert y.tolist() == [
        float(exactly(north) - (i + Fraction(1, 2)) * step) for i in range(len(y))
    ]
    assert (np.diff(x) > 0).all()
    assert (np.diff(y) < 0).all()
    left, bottom, right, top = grid.bounds
    assert left < x[0]
    assert x[-1] < right
    assert bottom < y[-1]
    assert y[0] < top


def check_whole(found: tuple[GridMapping, int, int]) -> None:
    mapping, rows, columns = found
    grid = Grid.from_mapping(mapping, mapping.bbox)
    assert grid.shape == (rows, columns)
    assert grid.bounds == mapping.bbox
    assert grid.note == ""
    check_coords(grid, mapping)


@default
@given(mappings(whole=True))
def test_a_whole_box_has_its_count_and_its_centres(found: tuple[GridMapping, int, int]) -> None:
    check_whole(found)


@pytest.mark.slow
@thorough
@given(mappings(whole=True))
def test_many_whole_boxes(found: tuple[GridMapping, int, int]) -> None:
    check_whole(found)


@default
@given(mappings(whole=False))
def test_any_other_box_grows_by_less_than_a_pixel(found: tuple[GridMapping, int, int]) -> None:
    mapping, rows, columns = found
    grid = Grid.from_mapping(mapping, mapping.bbox)
    assert grid.shape == (rows + 1, columns + 1)
    west, south, east, north = (exactly(edge) for edge in mapping.bbox)
    step = exactly(mapping.spatial_res)
    assert 0 < columns * step + step - (east - west) < step
    assert 0 < rows * step + step - (north - south) < step
    assert grid.bounds[0] == mapping.bbox[0]
    assert grid.bounds[3] == mapping.bbox[3]
    assert f"{list(grid.bounds)}" in grid.note
    check_coords(grid, mapping)


@default
@given(found=mappings(whole=True), parts=st.lists(st.floats(0, 1), min_size=4, max_size=4))
@example(
    (GridMapping(identifier="g", crs="EPSG:4326", spatial_res=0.1, bbox=(0, 0, 0.3, 0.3)), 3, 3),
    [0, 0, 1, 1],
)
def test_a_cut_has_the_coordinates_of_the_whole(
    found: tuple[GridMapping, int, int], parts: list[float]
) -> None:
    mapping, _, _ = found
    grid = Grid.from_mapping(mapping, mapping.bbox)
    y, x = grid.coords()
    west, south, east, north = grid.bounds
    left, right = sorted(west + part * (east - west) for part in parts[:2])
    bottom, top = sorted(south + part * (north - south) for part in parts[2:])
    columns, rows = (x >= left) & (x < right), (y > bottom) & (y <= top)
    if not columns.any() or not rows.any():
        with pytest.raises(ConfigError, match="contains no pixel centre"):
            grid.cut((left, bottom, right, top))
        return
    part = grid.cut((left, bottom, right, top))
    cut_y, cut_x = part.coords()
    # Not nearly: the very same doubles, or an outer join would not line them up.
    assert cut_y.tolist() == y[rows].tolist()
    assert cut_x.tolist() == x[columns].tolist()
    assert part.resolution == grid.resolution
    assert part.tile[0] <= part.shape[0]
    assert part.tile[1] <= part.shape[1]
    # Boxes side by side take every pixel once.
    middle = (left + right) / 2
    count = 0
    for box in ((left, bottom, middle, top), (middle, bottom, right, top)):
        try:
            count += grid.cut(box).shape[1]
        except ConfigError:
            assert not ((x >= box[0]) & (x < box[2])).any()
    assert count == part.shape[1]


# --- pairs of grids ------------------------------------------------------------------------------

CRSS = [4326, 4258, 3035, 32630, 32631, 25832, 2154, 3857, 27700, 32733, 3031, 3995, 5070]


@st.composite
def pixel_grids(draw: Callable[[Any], Any], crs: str, lon: float, lat: float) -> PixelGrid:
    """A grid around a place, upwards, turned or reflected at times."""
    known = pyproj.CRS.from_user_input(crs)
    x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    assume(math.isfinite(x) and math.isfinite(y))
    size = draw(st.sampled_from([1.0, 10.0, 30.0, 100.0, 1000.0]))
    size *= draw(st.floats(0.8, 1.25)) / (111_320 if known.is_geographic else 1)
    shape = draw(st.tuples(st.integers(1, 80), st.integers(1, 80)))
    turn = draw(st.sampled_from([0.0, 0.0, 0.0, 0.3, 2.5]))
    flip = draw(st.sampled_from([-1, -1, 1]))
    a, d = size * math.cos(turn), size * math.sin(turn)
    b, e = flip * -d, flip * a
    if turn == 0:
        b = d = 0.0
    # The place lies on it, not always in its middle.
    col, row = (draw(st.floats(0, length)) for length in (shape[1], shape[0]))
    return PixelGrid(crs, (a, b, x - a * col - b * row, d, e, y - d * col - e * row), shape)


@st.composite
def pairs(draw: Callable[[Any], Any]) -> tuple[PixelGrid, PixelGrid]:
    crss = [f"EPSG:{draw(st.sampled_from(CRSS))}" for _ in range(2)]
    # Beyond their areas of use PROJ may take one operation or another, as it took before.
    areas = [pyproj.CRS.from_user_input(crs).area_of_use for crs in crss]
    west, south = (max(area.bounds[i] for area in areas) for i in (0, 1))
    east, north = (min(area.bounds[i] for area in areas) for i in (2, 3))
    assume(west + 2 < east and south + 2 < north)
    lon, lat = draw(st.floats(west + 1, east - 1)), draw(st.floats(south + 1, north - 1))
    source, target = (draw(pixel_grids(crs, lon, lat)) for crs in crss)
    return source, target


def check_pair(pair: tuple[PixelGrid, PixelGrid]) -> None:
    source, target = pair
    rows, columns = target.shape
    if target.transform[1] or target.transform[3]:
        # Cubes lie north up; only their sources may be turned.
        a, _, c, _, e, f = target.transform
        size = math.hypot(a, target.transform[3])
        target = PixelGrid(target.crs, (size, 0, c, 0, math.copysign(size, e), f), target.shape)
    assert_exact(source, target, (slice(0, rows), slice(0, columns)))
    assert_exact(source, target, (slice(rows // 3, rows), slice(columns // 2, columns)))


CONFORMAL = (
    PixelGrid("EPSG:3857", (884.765625, 0, 1001875.4171394621, 0, 884.765625, 5620394.8), (6, 1)),
    PixelGrid("EPSG:25832", (1000, 0, 500_000, 0, -1000, 4987399.618856853), (5, 1)),
)


def test_two_conformal_projections() -> None:
    # Where the errors along rows and columns cancel in the middle of a cell, and only there.
    target = PixelGrid("EPSG:25832", (100, 0, 300_000, 0, -100, 5_500_000), (400, 400))
    source = PixelGrid("EPSG:3857", (150, 0, 600_000, 0, -150, 6_700_000), (4000, 4000))
    assert_exact(source, target, (slice(0, 400), slice(0, 400)))


@settings(default, max_examples=50)
@given(pairs())
@example(CONFORMAL)
def test_nearest_is_what_proj_says_for_every_pixel(pair: tuple[PixelGrid, PixelGrid]) -> None:
    check_pair(pair)


@pytest.mark.slow
@thorough
@given(pairs())
def test_many_pairs(pair: tuple[PixelGrid, PixelGrid]) -> None:
    check_pair(pair)
