"""Quality layers: which they are, and their bit fields as stated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stacbuild.sources.stac.asset import Data
from stacbuild.sources.stac.quality import bitfields_of, is_quality
from tests.support.scenes.items import BITFIELDS, harvested, usgs


def data(key: str, **content: Any) -> Data:
    return Data(key, "raster", "/a.tif", None, content)


@pytest.mark.parametrize(
    ("key", "content", "expected"),
    [
        ("scl", {}, True),
        ("SCL_20m", {}, True),
        ("Fmask", {}, True),
        ("qa_pixel", {}, True),
        ("SR_QA_AEROSOL", {}, True),
        ("clouds", {"roles": ["cloud"]}, True),
        ("m", {"classification:classes": [{"value": 1, "name": "a"}]}, True),
        ("m", {"raster:bands": [{"classification:bitfields": BITFIELDS}]}, True),
        ("B04", {"roles": ["data", "reflectance"]}, False),
        ("aot", {}, False),
        ("aqua", {}, False),
        ("squall", {}, False),
    ],
)
def test_which_assets_are_quality_layers(key: str, content: Any, *, expected: bool) -> None:
    assert is_quality(data(key, **content)) is expected


@pytest.mark.parametrize(
    "stated",
    [
        None,
        [],
        "bits",
        [{"offset": -1, "length": 1, "classes": []}],
        [{"offset": 0, "length": True, "classes": []}],
        [{"offset": 0, "length": 1, "classes": [{"value": "1"}]}],
        [*BITFIELDS, None],
    ],
)
def test_bit_fields_that_are_none_are_left_out(stated: Any) -> None:
    assert bitfields_of(data("qa", **{"classification:bitfields": stated})) == {}


def test_names_of_bits_are_as_the_schema_has_them() -> None:
    classes = [{"value": 0}, {"value": 1, "description": "High confidence", "name": ""}]
    stated = [{"name": "cloud shadow", "offset": 4, "length": 1, "classes": classes, "x": 1}]
    high = {"value": 1, "name": "High_confidence", "description": "High confidence"}
    assert bitfields_of(data("qa", **{"classification:bitfields": stated})) == {
        "classification:bitfields": [
            {
                "name": "cloud_shadow",
                "offset": 4,
                "length": 1,
                "classes": [{"value": 0, "name": "value_0"}, high],
            }
        ]
    }


def test_bit_fields_are_in_the_item_as_stated(tmp_path: Path) -> None:
    (item,), _ = harvested(tmp_path, "landsat-c2l2-sr?asset_names=red,qa_pixel", usgs())
    assert item.assets["qa_pixel"].extra_fields["classification:bitfields"] == BITFIELDS
    assert "classification:bitfields" not in item.assets["red"].extra_fields
