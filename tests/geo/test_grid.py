from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacbuild.config import GridMapping, load_config
from stacbuild.errors import ConfigError
from stacbuild.geo.grid import Grid
from tests.support.paths import ROOT


def mapping(bbox, spatial_res, crs="EPSG:4326", **more) -> GridMapping:
    return GridMapping(identifier="g", crs=crs, spatial_res=spatial_res, bbox=bbox, **more)


def scs2() -> Grid:
    return Grid.from_mapping(load_config(ROOT / "scs2_config.yml").grid_mapping("scs2"))


def test_scs2_has_every_row():
    # The notebook shows 5199: one row lost to float truncation.
    grid = scs2()
    assert grid.shape == (5200, 7000)
    assert grid.note == ""
    assert grid.bounds == (-1.25, 43.5, 0.5, 44.8)
    assert grid.dims == ("lat", "lon")
    assert grid.tile == (4000, 4000)
    assert (grid.epsg, grid.crs.to_epsg(), grid.geobox.crs.epsg) == (4326, 4326, 4326)


def test_coordinates_are_the_nearest_doubles():
    y, x = scs2().coords()
    assert y.dtype == x.dtype == np.float64
    # Written with all their decimals; a float literal is the double nearest to it.
    expected_y = [float(f"{(44_800_000 - 125 - i * 250) / 1_000_000:.6f}") for i in range(5200)]
    expected_x = [float(f"{(-1_250_000 + 125 + i * 250) / 1_000_000:.6f}") for i in range(7000)]
    assert y.tolist() == expected_y
    assert x.tolist() == expected_x


def test_a_box_of_no_whole_number_of_pixels_grows_south_and_east():
    grid = Grid.from_mapping(mapping([10, 50, 11.04, 51.06], 0.1))
    assert grid.shape == (11, 11)
    assert grid.bounds == (10.0, 49.96, 11.1, 51.06)
    assert "11 x 11 pixels" in grid.note


def test_almost_a_whole_number_of_pixels_is_one():
    assert Grid.from_mapping(mapping([0, 0, 1 + 1e-8, 1], 0.1)).shape == (10, 10)
    assert Grid.from_mapping(mapping([0, 0, 1, 1], 1 / 3)).shape == (3, 3)
    assert Grid.from_mapping(mapping([0, 0, 1 + 1e-6, 1], 0.1)).shape == (10, 11)


def test_a_projected_grid_has_x_and_y():
    grid = Grid.from_mapping(
        mapping([3_400_000, 2_200_000, 3_500_000, 2_300_000], 30, "EPSG:3035", tile_size=[512, 256])
    )
    assert grid.dims == ("y", "x")
    assert grid.shape == (3334, 3334)
    assert grid.tile == (256, 512)
    assert grid.coords()[0][0] == 2_299_985.0


def test_a_tile_is_at_most_the_grid():
    assert Grid.from_mapping(mapping([0, 0, 1, 2], 0.1)).tile == (20, 10)


def test_tiles_cover_every_pixel_once():
    grid = Grid.from_mapping(mapping([0, 0, 1, 2], 0.1, tile_size=[3, 7]))
    seen = np.zeros(grid.shape, int)
    tiles = list(grid.tiles())
    for rows, columns in tiles:
        seen[rows, columns] += 1
    assert (seen == 1).all()
    assert len(tiles) == 3 * 4
    assert tiles[0] == (slice(0, 7), slice(0, 3))


def test_a_window_is_a_part_of_the_grid():
    grid = scs2()
    box = grid.window(slice(4000, 5200), slice(4000, 7000))
    assert box.shape == (1200, 3000)
    assert (box.transform.c, box.transform.f) == (-0.25, 43.8)
    assert grid.window(slice(None), slice(None)) == grid.geobox


def test_a_cut_has_the_pixels_of_the_whole():
    grid = scs2()
    part = grid.cut((-0.7, 44.1, -0.58, 44.2))
    assert part.shape == (400, 480)
    assert part.tile == (400, 480)
    y, x = grid.coords()
    part_y, part_x = part.coords()
    assert part_y.tolist() == y[2400:2800].tolist()
    assert part_x.tolist() == x[2200:2680].tolist()
    assert grid.cut(grid.bounds) == grid


def test_neighbouring_cuts_share_no_pixel():
    grid = Grid.from_mapping(mapping([0, 0, 1, 1], 0.1))
    # 0.45 is the centre of a column.
    left, right = grid.cut((0, 0, 0.45, 1)), grid.cut((0.45, 0, 1, 1))
    assert left.shape[1] + right.shape[1] == 10


def test_a_cut_without_pixels_names_both_boxes():
    with pytest.raises(ConfigError) as caught:
        scs2().cut((10, 50, 11, 51))
    assert "[10, 50, 11, 51]" in str(caught.value)
    assert "[-1.25, 43.5, 0.5, 44.8]" in str(caught.value)


decimals = st.integers(-60_000, 60_000).map(lambda n: n / 1000)


@given(
    west=decimals,
    south=decimals,
    columns=st.integers(1, 400),
    rows=st.integers(1, 400),
    step=st.sampled_from([0.0001, 0.00025, 0.0008333, 0.01, 0.03, 0.05]),
)
def test_whole_pixels_are_counted_exactly(west, south, columns, rows, step):
    exact = Fraction(str(step))
    east = float(Fraction(str(west)) + columns * exact)
    north = float(Fraction(str(south)) + rows * exact)
    grid = Grid.from_mapping(mapping([west, south, east, north], step))
    assert grid.shape == (rows, columns)
    assert grid.note == ""
    y, x = grid.coords()
    assert len(y) == rows
    assert len(x) == columns
    assert (x > west).all()
    assert (x < east).all()
    assert (y > south).all()
    assert (y < north).all()
    assert (np.diff(x) > 0).all()
    assert (np.diff(y) < 0).all()


@given(
    west=decimals,
    south=decimals,
    width=st.floats(0.1, 20),
    height=st.floats(0.1, 20),
    step=st.floats(0.02, 0.09),
)
def test_any_box_is_covered_and_no_pixel_is_too_much(west, south, width, height, step):
    box = [west, south, west + width, south + height]
    grid = Grid.from_mapping(mapping(box, step))
    got = grid.bounds
    slack = step * 1.1e-6
    assert got[0] == box[0]
    assert got[3] == box[3]
    assert box[2] - slack <= got[2] < box[2] + step + slack
    assert box[1] - step - slack < got[1] <= box[1] + slack


@given(
    columns=st.tuples(st.integers(0, 7000), st.integers(0, 7000)).filter(lambda p: p[0] < p[1]),
    rows=st.tuples(st.integers(0, 5200), st.integers(0, 5200)).filter(lambda p: p[0] < p[1]),
)
def test_any_cut_along_pixel_edges_is_exact(columns, rows):
    grid = SCS2
    west = float(grid.west + columns[0] * grid.step)
    east = float(grid.west + columns[1] * grid.step)
    north = float(grid.north - rows[0] * grid.step)
    south = float(grid.north - rows[1] * grid.step)
    part = grid.cut((west, south, east, north))
    assert part.shape == (rows[1] - rows[0], columns[1] - columns[0])
    assert part.geobox == grid.window(slice(*rows), slice(*columns))


SCS2 = scs2()
