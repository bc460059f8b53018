"""Boxes and CRSs of a configuration are checked, with decimals as they are written."""

from __future__ import annotations

from fractions import Fraction

import pyproj
import pytest

from stacbuild.geo.bbox import Resolution, check_bbox, count_pixels, exact, square, unskewed

SIZE = 0.00025


def test_decimals_are_what_is_written() -> None:
    assert exact(SIZE) == Fraction(1, 4000)
    assert count_pixels(1.45, 1.75, 0.1) == (3, True)
    assert count_pixels(0, 1, 0.3) == (4, False)
    # Less than one step is one step that does not fit.
    assert count_pixels(0, 1e-9, 1) == (1, False)


@pytest.mark.parametrize(
    ("box", "crs", "resolution", "said"),
    [
        ((170, 0, 190, 1), "EPSG:4326", 0.1, "across the antimeridian, west is more than east"),
        ((1, 0, 0, 1), "EPSG:4326", 0.1, "across the antimeridian, a bbox spans at most 270 deg"),
        ((170, 0, -185, 1), "EPSG:4326", 0.1, r"west \(170\) has to be less than east \(-185\)"),
        ((90, 0, -1, 1), "EPSG:4326", (268, 1), "covers more than all longitudes"),
        ((5, 0, 1, 1), "EPSG:3035", 10, r"west \(5\) has to be less than east \(1\)$"),
        ((0, 2, 1, 1), "EPSG:4326", 0.1, "south .* has to be less than north"),
        ((0, 0, 1, 1), "EPSG:4326", 2, "its width of 1 is less than one pixel of 2"),
        ((0, 0, 1, 1), "EPSG:4326", 1e-12, "too many"),
        ((0, 0, 1, 91), "EPSG:4326", 0.1, "reaches beyond longitude -180 to 180"),
        ((179.5, 0, 180, 1), "EPSG:4326", 0.3, "grown to whole pixels"),
        ((1.4, 42.4, 1.8, 42.7), "EPSG:3035", 0.1, "check the units and the order"),
        ((1e9, 0, 2e9, 1e9), "EPSG:32631", 1e6, "lies outside of what EPSG:32631"),
    ],
)
def test_boxes_that_cannot_be_meant_are_refused(
    box: tuple[float, float, float, float], crs: str, resolution: Resolution, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        check_bbox(box, crs, resolution)


def test_sound_boxes_are_taken() -> None:
    check_bbox((-180, -90, 180, 90), "EPSG:4326", 0.1)
    check_bbox((0, 0, 360, 90), "EPSG:4326", 0.5, beyond=180)
    # Points of a model: the pole is the centre of its pixels.
    check_bbox((-180, -90.5, 180, 90.5), "EPSG:4326", 1)
    check_bbox((500_000, 4_600_000, 510_000, 4_610_000), "EPSG:32631", 10)
    check_bbox((5, 0, 6, 1), None, None)


def test_a_square_is_as_wide_on_the_ground() -> None:
    assert square((10.0, 20.0), 4, "EPSG:3035") == (8, 18, 12, 22)
    west, south, east, north = square((10, 60), 2000, "EPSG:4326")
    geod = pyproj.Geod(ellps="WGS84")
    assert geod.line_length([west, 10, east], [60, 60, 60]) == pytest.approx(2000, rel=1e-6)
    assert geod.line_length([10, 10], [south, north]) == pytest.approx(2000, rel=1e-6)


def test_a_skew_of_rounding_is_none() -> None:
    skewed = (10.0, 1e-7, 0.0, 1e-7, -10.0, 0.0)
    found = unskewed(skewed, (1000, 1000))
    assert found is not None
    assert (found.b, found.d) == (0, 0)
    assert unskewed(skewed, (10**6, 10**6)) is None
    assert unskewed((10, 1, 0, 0, -10, 0), (100, 100)) is None
