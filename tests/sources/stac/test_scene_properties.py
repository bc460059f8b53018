"""What is kept of the properties of scenes, by standard names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stacbuild.sources.stac.found import Found
from stacbuild.sources.stac.scene_properties import band_properties, scene_properties
from tests.support.scenes import items as scenes
from tests.support.scenes.items import Json, harvested


def kept(properties: Json) -> Json:
    return scene_properties(Found({"id": "a", "properties": properties}, "", {}, ""))


def test_earth_search() -> None:
    assert kept(scenes.earth_search()["properties"]) == {
        "platform": "sentinel-2a",
        "constellation": "sentinel-2",
        "instruments": ["msi"],
        "eo:cloud_cover": 9.9852,
        "grid:code": "MGRS-32TMT",
        "processing:version": "05.00",
        "created": "2024-06-29T14:41:57.577000Z",
        "updated": "2024-06-29T14:41:57.577000Z",
        "view:sun_azimuth": 161.603259322557,
        "view:sun_elevation": 35.2267077658347,
    }


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        (scenes.planetary_computer()["properties"], "MGRS-32TMT"),
        (scenes.usgs()["properties"], "WRS2-193027"),
        ({"landsat:wrs_path": 7, "landsat:wrs_row": "30"}, "WRS2-007030"),
        ({"mgrs:utm_zone": 6, "mgrs:latitude_band": "V", "mgrs:grid_square": "VN"}, "MGRS-6VVN"),
        ({"grid:code": "MGRS-32TMT", "s2:mgrs_tile": "31TAB"}, "MGRS-32TMT"),
        ({"grid:code": "no code", "s2:mgrs_tile": "31TAB"}, "MGRS-31TAB"),
    ],
)
def test_the_tile_by_what_providers_state(properties: Json, code: str) -> None:
    assert kept(properties)["grid:code"] == code


def test_the_processing_of_the_planetary_computer() -> None:
    stated = {"s2:generation_time": "2020-10-06T08:05:31.830Z", "eo:cloud_cover": 0}
    found = kept(stated | {"s2:processing_baseline": "02.12"})
    assert found["processing:version"] == "02.12"
    assert found["processing:datetime"] == "2020-10-06T08:05:31.830000Z"


@pytest.mark.parametrize(
    "wrong",
    [
        {"eo:cloud_cover": -999},
        {"eo:cloud_cover": "9"},
        {"eo:cloud_cover": True},
        {"grid:code": ["MGRS-32TMT"]},
        {"landsat:wrs_path": None, "landsat:wrs_row": "30"},
        {"platform": "sentinel-2a"},
    ],
)
def test_an_item_without_clouds_and_tile_is_no_scene(wrong: Json) -> None:
    assert kept(wrong) == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("view:off_nadir", -1),
        ("view:sun_azimuth", float("nan")),
        ("sat:orbit_state", "sideways"),
        ("sat:relative_orbit", 0),
        ("instruments", "msi"),
        ("updated", "yesterday"),
        ("platform", 2),
    ],
)
def test_values_that_the_schemas_refuse_are_left_out(key: str, value: Any) -> None:
    assert kept({"eo:cloud_cover": 1, key: value}) == {"eo:cloud_cover": 1}


def test_a_scene_of_one_asset_states_them_too(tmp_path: Path) -> None:
    scene = scenes.planetary_computer()
    (item,), _ = harvested(tmp_path, "sentinel-2-l2a?asset_names=B04", scene)
    assert item.properties["grid:code"] == "MGRS-32TMT"
    assert item.properties["eo:cloud_cover"] == 0.314306


def test_bands() -> None:
    red = scenes.cdse()["assets"]["B04_10m"]
    assert band_properties(red) == {"eo:common_name": "red", "eo:center_wavelength": 0.665}
    assert band_properties({"eo:bands": [{"common_name": "puce"}]}) == {}
    assert band_properties({"eo:bands": [{"common_name": "red"}, {"common_name": "nir"}]}) == {}
