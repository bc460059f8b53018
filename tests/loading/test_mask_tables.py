"""Quality layers that are known by their name."""

from __future__ import annotations

from typing import Any

import pytest

from stacbuild.loading.mask_tables import known_table
from tests.support.scenes.masked import scene


@pytest.mark.parametrize(
    ("asset", "given", "name"),
    [
        ("scl", {"constellation": "sentinel-2"}, "the scene classification of Sentinel-2"),
        ("SCL_20m", {"platform": "Sentinel-2B"}, "the scene classification of Sentinel-2"),
        ("SCL", {}, "the scene classification of Sentinel-2"),
        ("QA_PIXEL", {"landsat:collection_number": "02"}, "the pixel quality of Landsat"),
        ("qa_pixel", {"platform": "LANDSAT_8"}, "the pixel quality of Landsat Collection 2"),
        ("Fmask", {"platform": "landsat-8"}, "the Fmask of HLS"),
    ],
)
def test_known_layers(asset: str, given: dict[str, Any], name: str) -> None:
    table = known_table(scene({}, **given), asset)
    assert table is not None
    assert table.name.startswith(name)


@pytest.mark.parametrize(
    ("asset", "given"),
    [
        ("scl", {"platform": "landsat-8"}),
        ("scl_2", {}),
        ("qa_pixel", {"landsat:collection_number": "01"}),
        ("qa_pixel", {"platform": "sentinel-2a"}),
        ("qa", {}),
    ],
)
def test_other_layers(asset: str, given: dict[str, Any]) -> None:
    assert known_table(scene({}, **given), asset) is None


def test_bits_follow_each_other() -> None:
    table = known_table(scene({}), "qa_pixel")
    assert table is not None
    fields = table.fields["classification:bitfields"]
    places = {each["name"]: (each["offset"], each["length"]) for each in fields}
    assert places["fill"] == (0, 1)
    assert places["cloud_shadow"] == (4, 1)
    assert places["water"] == (7, 1)
    assert places["cloud_confidence"] == (8, 2)
    assert places["cirrus_confidence"] == (14, 2)
