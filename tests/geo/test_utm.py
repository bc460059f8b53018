"""Zones of UTM, with the exceptions that the tiles of imagery have."""

from __future__ import annotations

import numpy as np
import pytest
from pyproj import Geod, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_utm_crs_info

from stacbuild.geo.utm import is_utm, utm_bounds, utm_crs, utm_shift, utm_square
from tests.support.sites import FLUX_TOWERS


@pytest.mark.parametrize(
    ("lon", "lat", "epsg"),
    [
        (5.32, 60.39, 32632),  # Bergen, in 32V
        (2.99, 60.39, 32631),
        (5.32, 55.99, 32631),
        (5.32, 64.0, 32631),
        (15.6, 78.2, 32633),  # Longyearbyen, in 33X
        (8.99, 78.2, 32631),
        (9.0, 78.2, 32633),
        (21.0, 78.2, 32635),
        (33.0, 78.2, 32637),
        (42.0, 78.2, 32638),
        (-1e-9, 78.2, 32630),
        (15.6, 71.99, 32633),
        (0.0, 0.0, 32631),
        (0.0, -1e-9, 32731),
        (180.0, 10.0, 32601),
        (-180.0, 10.0, 32601),
        (179.999, -10.0, 32760),
        (190.0, -10.0, 32702),
        (-6.0, 45.0, 32630),
        (20.0, 84.0, 32634),
        (20.0, -80.0, 32734),
    ],
)
def test_zones_of_points(lon: float, lat: float, epsg: int) -> None:
    assert utm_crs(lon, lat) == f"EPSG:{epsg}"


@pytest.mark.parametrize("line", FLUX_TOWERS.splitlines()[1:])
def test_away_from_the_exceptions_zones_are_those_of_the_registry(line: str) -> None:
    _, lat, lon, _ = line.split(",")
    area = AreaOfInterest(float(lon), float(lat), float(lon), float(lat))
    (found,) = query_utm_crs_info(datum_name="WGS 84", area_of_interest=area)
    assert utm_crs(float(lon), float(lat)) == f"EPSG:{found.code}"


@pytest.mark.parametrize("lat", [84.1, -80.1, 90])
def test_the_poles_are_beyond(lat: float) -> None:
    with pytest.raises(ValueError, match="beyond the zones of UTM"):
        utm_crs(0, lat)


def test_the_hemispheres_of_a_zone_differ_by_their_northing() -> None:
    assert utm_shift("EPSG:32652", "EPSG:32752") == 1e7
    assert utm_shift("EPSG:32752", "EPSG:32652") == -1e7
    assert utm_shift("EPSG:32652", "EPSG:32652") == 0
    north, south = (Transformer.from_crs(4326, epsg, always_xy=True) for epsg in (32652, 32752))
    (x, y), (same, shifted) = north.transform(130, -15), south.transform(130, -15)
    assert (same, shifted) == pytest.approx((x, y + 1e7), abs=1e-6)
    for other in ("EPSG:32653", "EPSG:25832", "EPSG:32600", "EPSG:32661", "EPSG:4326"):
        assert utm_shift("EPSG:32652", other) is None
    assert [is_utm(each) for each in ("EPSG:32660", "EPSG:32761", "EPSG:3035")] == [
        True,
        False,
        False,
    ]


def test_a_square_is_along_the_axes() -> None:
    crs, (west, south, east, north) = utm_square((132.3706, -15.2588), 4000, "EPSG:4326")
    assert crs == "EPSG:32753"
    assert (east - west, north - south) == pytest.approx((4000, 4000), abs=1e-6)
    back = Transformer.from_crs(32753, 4326, always_xy=True)
    middle = back.transform((west + east) / 2, (south + north) / 2)
    assert middle == pytest.approx((132.3706, -15.2588), abs=1e-9)
    edge = back.transform(east, (south + north) / 2)
    assert Geod(ellps="WGS84").inv(*middle, *edge)[2] == pytest.approx(2000, rel=1e-3)


def test_bounds_have_all_of_a_box() -> None:
    crs, bounds = utm_bounds((8.9, 48.9, 9.3, 49.2), "EPSG:4326")
    assert crs == "EPSG:32632"
    lon, lat = np.meshgrid(np.linspace(8.9, 9.3, 50), np.linspace(48.9, 49.2, 50))
    x, y = Transformer.from_crs(4326, 32632, always_xy=True).transform(lon, lat)
    assert bounds == pytest.approx((x.min(), y.min(), x.max(), y.max()), abs=1)


def test_a_box_in_its_own_zone_stays() -> None:
    box = (500000.0, 5400000.0, 501000.0, 5402000.0)
    assert utm_bounds(box, "EPSG:32632") == ("EPSG:32632", box)


def test_a_box_across_the_antimeridian() -> None:
    crs, (west, _, east, _) = utm_bounds((179.9, -17.1, -179.8, -17.0), "EPSG:4326")
    assert crs == "EPSG:32701"
    assert 30_000 < east - west < 33_000


@pytest.mark.parametrize(
    ("box", "crs", "said"),
    [
        ((0, 84.5, 1, 85.5), "EPSG:4326", "beyond the zones of UTM"),
        ((-30, 0, 30, 10), "EPSG:4326", "too wide for a zone of UTM"),
        ((1e9, 1e9, 2e9, 2e9), "EPSG:3035", "lies outside of what EPSG:3035"),
    ],
)
def test_boxes_that_no_zone_has(box: tuple[float, ...], crs: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        utm_bounds(box, crs)  # type: ignore[arg-type]
