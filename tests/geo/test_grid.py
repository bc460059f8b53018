from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from stacbuild.config import GridMapping, load_config
from stacbuild.errors import ConfigError
from stacbuild.geo.grid import Grid, PixelGrid
from stacbuild.stac.projection import projection_fields
from tests.support.paths import ROOT


def mapping(bbox, spatial_res, crs="EPSG:4326", **more) -> GridMapping:
    return GridMapping(identifier="g", crs=crs, spatial_res=spatial_res, bbox=bbox, **more)


def stated(mapping: GridMapping) -> Grid:
    return Grid.from_mapping(mapping, mapping.bbox)


def scs2() -> Grid:
    return stated(load_config(ROOT / "scs2_config.yml").grid_mapping("scs2"))


def test_scs2_has_every_row():
    # The notebook shows 5199: one row lost to float truncation.
    grid = scs2()
    assert grid.shape == (5200, 7000)
    assert grid.note == ""
    assert grid.bounds == (-1.25, 43.5, 0.5, 44.8)
    assert grid.dims == ("lat", "lon")
    assert grid.tile == (4000, 4000)
    assert (grid.epsg, grid.crs, grid.geobox.crs.epsg) == (4326, "EPSG:4326", 4326)


def test_coordinates_are_the_nearest_doubles():
    y, x = scs2().coords()
    assert y.dtype == x.dtype == np.float64
    # Written with all their decimals; a float literal is the double nearest to it.
    expected_y = [float(f"{(44_800_000 - 125 - i * 250) / 1_000_000:.6f}") for i in range(5200)]
    expected_x = [float(f"{(-1_250_000 + 125 + i * 250) / 1_000_000:.6f}") for i in range(7000)]
    assert y.tolist() == expected_y
    assert x.tolist() == expected_x


def test_a_box_of_no_whole_number_of_pixels_grows_south_and_east():
    grid = stated(mapping([10, 50, 11.04, 51.06], 0.1))
    assert grid.shape == (11, 11)
    assert grid.bounds == (10.0, 49.96, 11.1, 51.06)
    assert "11 x 11 pixels" in grid.note


def test_almost_a_whole_number_of_pixels_is_one():
    assert stated(mapping([0, 0, 1 + 1e-8, 1], 0.1)).shape == (10, 10)
    assert stated(mapping([0, 0, 1, 1], 1 / 3)).shape == (3, 3)
    assert stated(mapping([0, 0, 1 + 1e-6, 1], 0.1)).shape == (10, 11)


def test_a_projected_grid_has_x_and_y():
    grid = stated(
        mapping([3_400_000, 2_200_000, 3_500_000, 2_300_000], 30, "EPSG:3035", tile_size=[512, 256])
    )
    assert grid.dims == ("y", "x")
    assert grid.shape == (3334, 3334)
    assert grid.tile == (256, 512)
    assert grid.coords()[0][0] == 2_299_985.0


def test_a_tile_is_at_most_the_grid():
    assert stated(mapping([0, 0, 1, 2], 0.1)).tile == (20, 10)


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
    grid = stated(mapping([0, 0, 1, 1], 0.1))
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
    grid = stated(mapping([west, south, east, north], step))
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
    grid = stated(mapping(box, step))
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
    west = float(grid.west + columns[0] * grid.width)
    east = float(grid.west + columns[1] * grid.width)
    north = float(grid.north - rows[0] * grid.height)
    south = float(grid.north - rows[1] * grid.height)
    part = grid.cut((west, south, east, north))
    assert part.shape == (rows[1] - rows[0], columns[1] - columns[0])
    assert part == grid.part((slice(*rows), slice(*columns)))


SCS2 = scs2()


# --- any grid of pixels ---------------------------------------------------------------------------

ROTATED = PixelGrid("EPSG:3035", (26.0, 15.0, 100.0, 15.0, -26.0, 50.0), (3, 4))


def test_a_grid_of_an_item() -> None:
    fields = {
        "proj:code": "EPSG:3035",
        "proj:shape": [3, 4],
        "proj:transform": [1, 0, 5, 0, -1, 9, 0, 0, 1],
    }
    found = PixelGrid.from_properties(fields)
    assert found == PixelGrid("EPSG:3035", (1, 0, 5, 0, -1, 9), (3, 4))
    assert {type(number) for number in found.transform} == {float}
    assert PixelGrid.from_properties({**fields, "proj:code": None, "proj:wkt2": "W"}).crs == "W"
    assert PixelGrid.from_properties(projection_fields(ROTATED)) == ROTATED


@pytest.mark.parametrize("grid", [ROTATED, PixelGrid("EPSG:4326", (1, 0, 5, 0, 1, 9), (3, 4))])
def test_a_grid_to_odc_and_back(grid: PixelGrid) -> None:
    assert grid.geobox.shape == grid.shape
    assert grid.geobox.affine == grid.affine
    assert PixelGrid.from_geobox(grid.geobox) == grid
    with pytest.raises(ValueError, match="has no CRS"):
        PixelGrid.from_geobox(GeoBox((3, 4), grid.affine, None))


def test_the_grid_of_a_cube_to_odc_and_back() -> None:
    grid = scs2()
    back = Grid.from_pixels(PixelGrid.from_geobox(grid.geobox), grid.tile)
    assert back == grid
    assert back.coords()[0].tolist() == grid.coords()[0].tolist()


def test_bounds_hold_all_corners() -> None:
    corners = [(100, 50), (100 + 26 * 4, 50 + 15 * 4), (100 + 15 * 3, 50 - 26 * 3), (249, 32)]
    xs, ys = zip(*corners, strict=True)
    assert ROTATED.bounds == (min(xs), min(ys), max(xs), max(ys))
    mirrored = PixelGrid("EPSG:4326", (-1.0, 0.0, 5.0, 0.0, 1.0, 0.0), (3, 4))
    assert mirrored.bounds == (1, 0, 5, 3)
    assert not ROTATED.is_aligned
    assert mirrored.is_aligned


def test_a_part_lies_where_its_pixels_lie_in_the_whole() -> None:
    for grid in (ROTATED, scs2()):
        part = grid.part((slice(1, 3), slice(2, 4)))
        assert part.shape == (2, 2)
        assert part.affine @ (0, 0) == pytest.approx(grid.affine @ (2, 1), rel=1e-12)
        assert type(part) is type(grid)


def test_a_window_of_a_bbox_by_centres() -> None:
    up = PixelGrid("EPSG:3035", (10.0, 0.0, 0.0, 0.0, 10.0, 0.0), (10, 10))
    down = PixelGrid("EPSG:3035", (10.0, 0.0, 0.0, 0.0, -10.0, 100.0), (10, 10))
    # Centres at 5, 15, ...: the west and north edges count, the east and south ones do not.
    assert up.window_of((15, 15, 35, 45)) == (slice(2, 5), slice(1, 3))
    assert down.window_of((15, 15, 35, 45)) == (slice(5, 8), slice(1, 3))
    assert up.window_of((16, 0, 24, 100)) is None
    assert up.window_of((15 + 1e-9, 0, 25, 100)) is None
    assert up.window_of((15 + 1e-9, 0, 25, 100), slack=1e-6) == (slice(0, 10), slice(1, 2))
