"""Any way to write a CRS: codes, WKT, PROJJSON and PROJ strings."""

from __future__ import annotations

import pyproj
import pytest

from stacbuild.geo.crs_text import canonical_crs, is_code, registered_text, spatial_dims

MOLLWEIDE = pyproj.CRS("ESRI:54009")
ALBERS = "+proj=aea +lat_1=40 +lat_2=50 +datum=WGS84"
POLE = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +R=6371229"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EPSG:4326", "EPSG:4326"), (" epsg:3035 ", "EPSG:3035"), ("32630", "EPSG:32630"),
        ("EPSG:4979", "EPSG:4326"), ("EPSG:5698", "EPSG:2154"), ("OGC:CRS84", "EPSG:4326"),
        ("esri:54009", "ESRI:54009"), ("IGNF:LAMB93", "EPSG:2154"),
        (MOLLWEIDE.to_wkt(pretty=True), "ESRI:54009"), (MOLLWEIDE.to_json(), "ESRI:54009"),
        (pyproj.CRS(3035).to_wkt("WKT1_ESRI"), "EPSG:3035"),
        (pyproj.CRS(3035).to_json(), "EPSG:3035"),
        ("+proj=utm +zone=30 +datum=WGS84 +units=m +no_defs", "EPSG:32630"),
        ("proj=utm zone=30 datum=WGS84", "EPSG:32630"),
    ],
)  # fmt: skip
def test_a_registered_crs_has_its_code(text: str, expected: str) -> None:
    assert canonical_crs(text) == expected
    assert is_code(expected)


@pytest.mark.parametrize("text", [ALBERS, POLE, pyproj.CRS(ALBERS).to_json()])
def test_any_other_is_wkt_that_means_the_same(text: str) -> None:
    found = canonical_crs(text)
    assert not is_code(found)
    one, other = (
        pyproj.Transformer.from_crs(crs, 4326, always_xy=True).transform([1, 7], [-3, 5])
        for crs in (text, found)
    )
    assert one == other
    assert canonical_crs(found) == found


def test_an_id_that_is_a_lie_is_left_out() -> None:
    wkt = pyproj.CRS(ALBERS).to_wkt().removesuffix("]") + ',ID["ESRI",54009]]'
    assert '"ESRI",54009' not in registered_text(pyproj.CRS(wkt))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("WGS84", "'WGS84' is not an EPSG code; write it like EPSG:4326"),
        ("EPSG:WGS84", "is not an EPSG code; write it like"),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", "is not an EPSG code; write it like"),
        ("EPSG:999999", "the installed PROJ knows"), ("ESRI:1", "the installed PROJ knows"),
        ("EPSG:5703", "has no two horizontal axes"),
        ("+proj=geocent +datum=WGS84", "has no two horizontal axes"),
        ("+init=epsg:4326", r"\+init is obsolete"),
        ("+proj=nothing", r"'\+proj=nothing' is not valid PROJ string: .*Unknown projection$"),
        ('PROJCRS["x",', "is not valid WKT: "), ('{"type": "no"}', "is not valid PROJJSON: "),
        ('{"type"', "is not valid PROJJSON: "), ("IAU_2015:30100", "is not of the earth"),
        ("+proj=lask +R=6371000", "cannot transform its coordinates to longitude and latitude"),
    ],
)  # fmt: skip
def test_what_is_no_crs_of_a_grid_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        canonical_crs(text)
    assert len(str(caught.value).splitlines()) == 1


def test_only_latitudes_are_called_so() -> None:
    assert spatial_dims("EPSG:4326") == ("lat", "lon")
    assert spatial_dims("ESRI:54009") == spatial_dims(canonical_crs(POLE)) == ("y", "x")
