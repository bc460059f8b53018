"""Shards in a configuration: what is understood, and what is refused and where."""

from __future__ import annotations

from typing import Any

import pytest

from stacbuild.config import load_config
from stacbuild.config.shards import inner_length
from stacbuild.errors import ConfigError


def config(general: dict[str, Any], **grid: Any) -> dict[str, Any]:
    return {
        "datasets": [{"identifier": "a", "store": "f", "data_id": "a.tif", "grid_mapping": "g"}],
        "data_stores": [
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "data"}},
            {"identifier": "f", "store_id": "file", "store_params": {"root": "src"}},
        ],
        "grid_mappings": [
            {"identifier": "g", "bbox": [0, 0, 9, 9], "spatial_res": 1, "crs": "EPSG:4326", **grid}
        ],
        "general": general,
    }


@pytest.mark.parametrize(
    ("tile", "asked", "single", "expected"),
    [
        (4000, None, False, 500),
        (2048, None, False, 512),
        (1024, None, False, 512),
        (2000, None, False, 500),
        (3000, None, False, 500),
        (512, None, False, 512),
        (100, None, False, 100),
        (1021, None, False, None),
        (1021, None, True, 512),
        (4000, 250, False, 250),
        (4000, 4000, False, 4000),
        (4000, 300, False, None),
        (701, 300, True, 300),
        (200, 300, True, 200),
    ],
)
def test_length_of_a_chunk_in_a_tile(
    tile: int, asked: int | None, single: bool, expected: int | None
) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="tile"):
            inner_length(tile, asked, single=single)
    else:
        assert inner_length(tile, asked, single=single) == expected


@pytest.mark.parametrize(
    ("general", "grid", "expected"),
    [
        ({}, {}, False),
        ({"shards": True}, {}, True),
        ({"shards": 256}, {}, (256, 256)),
        ({"shards": [256, 512]}, {}, (256, 512)),
        ({"shards": True}, {"shards": False}, False),
        ({}, {"shards": 128}, (128, 128)),
        ({"zarr_format": 2, "shards": False}, {"shards": False}, False),
    ],
)
def test_the_grid_goes_before_general(
    general: dict[str, Any], grid: dict[str, Any], expected: object
) -> None:
    found = load_config(config(general, **grid))
    assert found.shards_of(found.dataset("a")) == expected


def test_netcdf_files_have_none() -> None:
    stated = config({"shards": True})
    stated["datasets"][0]["format_id"] = "netcdf"
    found = load_config(stated)
    assert found.shards_of(found.dataset("a")) is False


@pytest.mark.parametrize(
    ("general", "grid", "message"),
    [
        ({"zarr_format": 2, "shards": True}, {}, "general.shards: Zarr format 2 has no shards"),
        (
            {"zarr_format": 2},
            {"shards": 256},
            "grid_mappings.0.shards: Zarr format 2 has no shards; use zarr_format 3",
        ),
        (
            {"shards": True},
            {"tile_size": 1021},
            "grid_mappings.0.tile_size: no length from 256 to 512 divides a tile of 1021 pixels",
        ),
        (
            {},
            {"shards": [256, 300]},
            "grid_mappings.0.shards: chunks of 300 pixels do not divide a tile of 1024",
        ),
        ({"shards": 0}, {}, "general.shards: has to be a whole number"),
        ({"shards": [1, 2, 3]}, {}, "general.shards: has to be true, false"),
        ({"shards": "many"}, {}, "general.shards: has to be a number"),
    ],
)
def test_what_cannot_be_is_refused(
    general: dict[str, Any], grid: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(config(general, **grid))
    assert message in str(refused.value)
