"""Boxes and addresses of foreign STAC items in other spellings than the usual ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from stacbuild.errors import StacbuildError
from tests.support.stac_documents import item
from tests.support.stac_rasters import catalog, described, raster, stated, values

TURNS = {
    "west of Greenwich": (-10.0, [350, 49, 351, 50]),
    "below -180": (170.0, [-190, 49, -189, 50]),
    "across Greenwich": (-0.5, [359.5, 49, 0.5, 50]),
    "beyond 360": (-0.5, [359.5, 49, 360.5, 50]),
    "beyond 180": (179.5, [179.5, 49, 180.5, 50]),
    "the whole earth": (20.0, [0, -90, 360, 90]),
}


def one_degree(path: Path, west: float) -> None:
    """Write ten by ten pixels of a tenth of a degree, from *west* and 50 N."""
    place: dict[str, Any] = {"crs": "EPSG:4326", "transform": Affine(0.1, 0, west, 0, -0.1, 50)}
    with rasterio.open(
        path, "w", driver="GTiff", width=10, height=10, count=1, dtype="uint8", **place
    ) as file:
        file.write(np.ones((1, 10, 10), "uint8"))


@pytest.mark.parametrize("name", TURNS)
def test_a_box_may_count_from_anywhere(tmp_path: Path, name: str) -> None:
    west, box = TURNS[name]
    one_degree(tmp_path / "a.tif", west)
    catalog(tmp_path, item("i", "./a.tif", box))
    assert described(tmp_path)[1] == []
    west, east = west + 0.2, west + 0.4
    items, warnings = described(tmp_path, f"c?bbox={west},49,{east},50")
    assert (len(items), warnings) == (1, [])
    if box[0] + 360 != box[2]:
        other = (west + 90 + 180) % 360 - 180
        with pytest.raises(StacbuildError, match="in the requested bbox and time"):
            described(tmp_path, f"c?bbox={other},49,{other},50")


def test_a_box_elsewhere_is_told_of_across_the_antimeridian_too(tmp_path: Path) -> None:
    raster(tmp_path / "a.tif")
    catalog(tmp_path, item("i", "./a.tif", [179, 45, -179, 46]))
    [warning] = described(tmp_path)[1]
    assert "its item's bbox is [179, 45, -179, 46], but the file" in warning


@pytest.mark.parametrize(
    ("name", "href"),
    [
        ("my map.tif", "./my%20map.tif"),
        ("my map.tif", "./my map.tif"),
        ("a#1.tif", "./a%231.tif"),
        ("für.tif", "./f%C3%BCr.tif"),
        # As it is written goes first.
        ("100%25.tif", "./100%25.tif"),
        ("100%.tif", "./100%.tif"),
    ],
)
def test_paths_may_be_percent_encoded(tmp_path: Path, name: str, href: str) -> None:
    raster(tmp_path / name)
    catalog(tmp_path, stated("i", href))
    items, _ = described(tmp_path)
    with rasterio.open(items[0].assets["data"].href) as file:
        assert np.array_equal(file.read(), values())


@pytest.mark.parametrize("href", ["%2e%2e/out.tif", "./a/..%2F../out.tif"])
def test_percent_encoding_does_not_lead_out_of_the_catalog(tmp_path: Path, href: str) -> None:
    raster(tmp_path / "out.tif")
    catalog(tmp_path / "in", stated("i", href))
    with pytest.raises(StacbuildError, match=r"is not below|leads out|refused"):
        described(tmp_path / "in")
