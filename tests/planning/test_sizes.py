"""Sizes of sources and cubes are told by their items."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pystac
import pytest

from stacbuild.formats.zarr_chunks import CHUNKS
from stacbuild.planning.sizes import bytes_to_fetch, compression_ratio, length_of
from stacbuild.stac.datacube import LENGTH


@pytest.mark.parametrize(
    ("dimension", "length"),
    [
        ({"type": "other", "values": ["a", "b"]}, 2),
        ({"type": "temporal", "extent": ["2000", "2020"], LENGTH: 5000}, 5000),
        ({"type": "temporal", "extent": ["2000", "2020"]}, 101),
        ({"type": "other", "extent": [0, 9], "step": 3}, 4),
        ({"type": "other", "extent": [5, 5]}, 1),
    ],
)
def test_lengths_of_dimensions(dimension: dict[str, Any], length: int) -> None:
    assert length_of(dimension) == length


def raster(href: str = "https://host.example/a.tif", **fields: Any) -> pystac.Item:
    when = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    item = pystac.Item("a", None, None, when, {"proj:shape": [100, 200]})
    item.add_asset("data", pystac.Asset(href, extra_fields={"data_type": "int16", **fields}))
    return item


def test_a_share_of_a_remote_file_is_fetched() -> None:
    window = slice(0, 50), slice(0, 100)
    item = raster(**{"file:size": 1000})
    assert bytes_to_fetch(item, window) == 250
    assert bytes_to_fetch(item, None) == 0
    assert bytes_to_fetch(raster("/data/a.tif"), window) == 0
    # Of unknown size: half of what is decoded.
    assert bytes_to_fetch(raster(), window) == 50 * 100 * 2 // 2


def test_the_ratio_of_a_source() -> None:
    assert compression_ratio(["v"], [raster(**{"file:size": 10_000})], None) == 0.25
    assert compression_ratio(["v"], [raster(**{"file:size": 10**9})], None) == 1
    assert compression_ratio(["v"], [raster()], None) == 0.5
    counted = {CHUNKS: {"v": {"count": 1, "bytes": 4000}}}
    assert compression_ratio(["v"], [raster(**counted)], None) == 0.1
