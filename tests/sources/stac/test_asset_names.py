"""Names of assets are forgiving, and never ambiguous."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stacbuild.errors import StacbuildError
from stacbuild.sources.stac.asset_names import key_of
from tests.support.scenes import items as scenes

EARTH_SEARCH, CDSE = scenes.earth_search()["assets"], scenes.cdse()["assets"]
PC, USGS = scenes.planetary_computer()["assets"], scenes.usgs()["assets"]


@pytest.mark.parametrize(
    ("assets", "name", "resolution", "key"),
    [
        (EARTH_SEARCH, "red", None, "red"),
        (EARTH_SEARCH, "SCL", None, "scl"),
        (EARTH_SEARCH, "red-jp2", None, "red-jp2"),
        (CDSE, "B04", None, "B04_10m"),
        (CDSE, "b04", 20, "B04_20m"),
        (CDSE, "B04", 15, "B04_10m"),
        (CDSE, "B04", 41, "B04_60m"),
        (CDSE, "B04_60m", 10, "B04_60m"),
        (CDSE, "red", 10, "B04_10m"),
        (CDSE, "nir08", None, "B8A_20m"),
        (CDSE, "scl", None, "SCL_20m"),
        (PC, "red", None, "B04"),
        (PC, "Swir16", None, "B11"),
        (USGS, "B4", None, "red"),
        (USGS, "QA_PIXEL", 30, "qa_pixel"),
        (PC, "B4", None, None),
        (CDSE, "green", None, None),  # only in the image of several bands
    ],
)
def test_names_as_people_know_them(
    assets: Any, name: str, resolution: float | None, key: str | None
) -> None:
    assert key_of(assets, name, resolution) == key


def test_the_first_way_that_matches_decides() -> None:
    band = {"bands": [{"name": "B8A", "eo:common_name": "nir"}]}
    assert key_of({"B8A": {}, "x": band}, "B8A") == "B8A"
    assert key_of({"NIR": {}, "x": band}, "nir") == "NIR"
    assert key_of({"nir_10m": {}, "x": band}, "nir") == "nir_10m"
    assert key_of({"x": {"eo:common_name": "nir"}, "y": {}}, "nir") == "x"


@pytest.mark.parametrize(
    "assets",
    [
        {"RED": {}, "Red": {}},
        {"B04_10m": {}, "B04-10m": {}},
        {"a": {"eo:common_name": "red", "gsd": 30}, "b": {"eo:common_name": "red"}},
        {
            "a": {"eo:bands": [{"common_name": "red"}], "gsd": 10},
            "b": {"eo:bands": [{"common_name": "red"}], "gsd": 10},
        },
    ],
)
def test_several_that_are_not_resolutions_are_refused(assets: Any) -> None:
    name = "B04" if "B04_10m" in assets else "red"
    listed = re.escape(", ".join(sorted(assets)))
    with pytest.raises(StacbuildError, match=f"'{name}' matches several assets: {listed};"):
        key_of(assets, name, 10)
