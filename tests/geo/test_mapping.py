"""The index map: as if every pixel centre had gone through PROJ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacbuild.geo.beneath import covers
from stacbuild.geo.block import Block, Onto
from stacbuild.geo.coverage import footprint, touches
from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.mapping import index_map
from stacbuild.geo.mosaic import MARGIN
from stacbuild.geo.positions import clip, reduction, span
from stacbuild.geo.warp import warp
from tests.support.mapping import assert_exact, looked_up

SCS2 = PixelGrid("EPSG:4326", (0.00025, 0, -1.25, 0, -0.00025, 44.8), (5200, 7000))
EUROPE = PixelGrid("EPSG:3035", (30, 0, 2_555_100, 0, -30, 5_820_000), (149_363, 170_397))


def test_map_is_exact_on_the_scs2_grid() -> None:
    assert_exact(EUROPE, SCS2, (slice(0, 700), slice(4000, 4900)))


@pytest.mark.parametrize(
    "source",
    [
        # A source that ends inside the window, one whose rows go up, one turned by 30 degrees.
        PixelGrid("EPSG:3035", (30, 0, 3_455_000, 0, -30, 2_420_000), (300, 200)),
        PixelGrid("EPSG:3035", (30, 0, 3_400_000, 0, 30, 2_340_000), (6000, 6000)),
        PixelGrid("EPSG:3035", (26, 15, 3_400_000, 15, -26, 2_400_000), (5000, 5000)),
        PixelGrid("EPSG:32630", (10, 0, 600_000, 0, -10, 4_970_000), (9000, 9000)),
        PixelGrid("EPSG:4326", (0.0009, 0, -1.2, 0, -0.0009, 44.7), (1000, 1000)),
        PixelGrid("EPSG:4326", (0.0001, 0, -1.2, 0, 0.0001, 43.7), (9000, 9000)),
    ],
    ids=["ends", "upwards", "turned", "utm", "same crs", "same crs, upwards"],
)
def test_map_is_exact_for_all_kinds_of_sources(source: PixelGrid) -> None:
    assert_exact(source, SCS2, (slice(1800, 2300), slice(1900, 2500)))


@settings(max_examples=20, deadline=None)
@given(
    west=st.floats(-9, 25),
    north=st.floats(38, 68),
    spanned=st.sampled_from([0.3, 1.0, 1.5, 10.0]),
    rows=st.integers(1, 70),
    cols=st.integers(1, 70),
    size=st.sampled_from([10.0, 30.0, 100.0, 1000.0]),
)
def test_map_is_exact_anywhere_in_europe(west, north, spanned, rows, cols, size) -> None:
    res = spanned * size / 111_000
    target = PixelGrid("EPSG:4326", (res, 0, west, 0, -res, north), (rows, cols))
    count = (int(4.5e6 / size), int(5.2e6 / size))
    source = PixelGrid("EPSG:3035", (size, 0, 2.5e6, 0, -size, 5.8e6), count)
    assert_exact(source, target, (slice(0, rows), slice(0, cols)))


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 31, 32, 33, 49])
def test_map_is_exact_for_windows_of_any_size(size: int) -> None:
    assert_exact(EUROPE, SCS2, (slice(100, 100 + size), slice(200, 200 + size)))


def test_a_window_maps_as_it_does_within_the_whole() -> None:
    whole = looked_up(EUROPE, SCS2, (slice(1000, 1200), slice(3000, 3300)))
    part = looked_up(EUROPE, SCS2, (slice(1100, 1150), slice(3150, 3160)))
    for big, small in zip(whole, part, strict=True):
        np.testing.assert_array_equal(big[100:150, 150:160], small)


def test_a_tie_falls_to_the_south_east_whatever_the_rounding() -> None:
    # Target pixels of twice the size: every centre is the corner of four source pixels.
    source = PixelGrid("EPSG:4326", (0.1, 0, 0, 0, -0.1, 60), (600, 600))
    target = PixelGrid("EPSG:4326", (0.2, 0, 0, 0, -0.2, 60), (300, 300))
    row, col = looked_up(source, target, (slice(0, 300), slice(0, 300)))
    np.testing.assert_array_equal(row[:, 0], 2 * np.arange(300) + 1)
    np.testing.assert_array_equal(col[0], 2 * np.arange(300) + 1)


def test_a_source_elsewhere_has_no_map() -> None:
    elsewhere = PixelGrid("EPSG:3035", (30, 0, 5_000_000, 0, -30, 3_000_000), (100, 100))
    assert index_map(elsewhere, SCS2, (slice(0, 100), slice(0, 100))) is None
    assert not touches(elsewhere, SCS2)
    assert touches(EUROPE, SCS2)


def test_covers_needs_every_part_of_the_grid() -> None:
    west = PixelGrid("EPSG:4326", (0.01, 0, -1.3, 0, -0.01, 45), (200, 100))
    east = PixelGrid("EPSG:4326", (0.01, 0, -0.3, 0, -0.01, 45), (200, 100))
    assert covers([west, east], SCS2)
    assert not covers([west], SCS2)


def test_reduction_counts_source_pixels_under_a_target_pixel() -> None:
    assert 0.5 < reduction(EUROPE, SCS2) < 1
    coarse = PixelGrid("EPSG:3035", (300, 0, 3_400_000, 0, -300, 2_500_000), (400, 400))
    fine = PixelGrid("EPSG:3035", (30, 0, 3_300_000, 0, -30, 2_600_000), (9000, 9000))
    assert reduction(fine, coarse) == pytest.approx(10)


def test_a_mean_of_many_pixels_looks_at_all_of_them() -> None:
    """20 x 20 source pixels in each, window by window: none is lost at a window's edges."""
    source = PixelGrid("EPSG:3035", (1, 0, 0, 0, -1, 0), (800, 800))
    target = PixelGrid("EPSG:3035", (20, 0, 0, 0, -20, 0), (40, 40))
    values = np.random.default_rng(3).random((800, 800), np.float32)
    exact = values.reshape(40, 20, 40, 20).mean(axis=(1, 3))
    for window in ((slice(7, 20), slice(0, 13)), (slice(20, 40), slice(13, 40))):
        row, col = footprint(source, target, window)
        part = clip(span(row, MARGIN), span(col, MARGIN), source.shape)
        assert part is not None
        block = Block(values[part], source, part, float("nan"))
        result = warp(block, Onto(target, window, "mean"))
        np.testing.assert_allclose(result, exact[window], rtol=1e-5)
