"""Units of coordinates in the spellings that are in use."""

from __future__ import annotations

import math

import pyproj
import pytest

from stacbuild.formats.zarr_units import axis_of_unit, factor, is_degrees, unit_of

METRES, DEGREES = pyproj.CRS(3035), pyproj.CRS(4326)
SATELLITE = pyproj.CRS("+proj=geos +h=35785831 +lon_0=0 +sweep=y")


@pytest.mark.parametrize(
    ("unit", "crs", "expected"),
    [
        ("m", METRES, 1),
        ("km", METRES, 1000),
        ("100 km", METRES, 1e5),
        ("1000 m", METRES, 1000),
        ("10^3 m", METRES, 1000),
        ("kilometres", METRES, 1000),
        ("US_survey_foot", METRES, 1200 / 3937),
        ("", METRES, 1),
        ("unknown", METRES, 1),
        ("degrees_north", DEGREES, 1),
        ("radian", DEGREES, 180 / math.pi),
        ("rad", SATELLITE, 35785831),
        ("microradian", SATELLITE, 35.785831),
    ],
)
def test_what_coordinates_are_multiplied_by(unit: str, crs: pyproj.CRS, expected: float) -> None:
    assert factor(unit, crs) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("unit", "crs"),
    [("degrees", METRES), ("m", DEGREES), ("furlong", METRES), ("degrees_west", DEGREES)],
)
def test_units_that_cannot_be_of_the_crs(unit: str, crs: pyproj.CRS) -> None:
    with pytest.raises(ValueError, match=unit):
        factor(unit, crs)


def test_degrees_and_their_axes() -> None:
    assert is_degrees("Decimal Degrees")
    assert is_degrees("deg_N")
    assert not is_degrees("degrees Celsius")
    assert [axis_of_unit(text) for text in ("degrees_north", "degreeE", "degrees", "m")] == [
        "Y",
        "X",
        None,
        None,
    ]
    assert unit_of({"units": "m"}) == "m"
    assert unit_of({"units": 7}) == ""
