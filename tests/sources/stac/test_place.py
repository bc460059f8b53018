"""A foreign item that places its file elsewhere than the file does: told, and the file counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
import yaml
from rasterio import Affine

from stacbuild.building import build
from stacbuild.config import load_config
from tests.support.built import variable_of
from tests.support.raw_zarr import Warned

Json = dict[str, Any]

WEST, NORTH = 500_000.0, 5_000_000.0
BOX = [WEST, NORTH - 100, WEST + 100, NORTH]


def catalog(folder: Path, properties: Json, asset: Json, bbox: list[float]) -> None:
    """Write a catalog of one item, its file of ten by ten pixels, and a configuration."""
    (folder / "in").mkdir(parents=True)
    with rasterio.open(
        folder / "in" / "a.tif", "w", driver="GTiff", width=10, height=10, count=1, dtype="uint8",
        crs="EPSG:32632", transform=Affine(10, 0, WEST, 0, -10, NORTH),
    ) as file:  # fmt: skip
        file.write(np.arange(100, dtype="uint8").reshape(10, 10), 1)
    extent = {
        "spatial": {"bbox": [bbox]},
        "temporal": {"interval": [["2020-01-01T00:00:00Z", None]]},
    }
    documents: dict[str, Json] = {
        "catalog": {
            "type": "Catalog", "id": "cat", "description": "d",
            "links": [{"rel": "child", "href": "./c.json"}],
        },
        "c": {
            "type": "Collection", "id": "c", "description": "d", "license": "CC0-1.0",
            "links": [{"rel": "item", "href": "./i.json"}], "extent": extent,
        },
        "i": {
            "type": "Feature", "id": "i", "collection": "c", "links": [], "bbox": bbox,
            "geometry": None,
            "properties": {"datetime": "2020-01-01T00:00:00Z", **properties},
            "assets": {"d": {"href": "./a.tif", "type": "image/tiff", **asset}},
        },
    }  # fmt: skip
    for name, content in documents.items():
        text = json.dumps({"stac_version": "1.0.0", **content})
        (folder / "in" / f"{name}.json").write_text(text)
    content = {
        "datasets": [{"identifier": "out", "store": "src", "data_id": "c/i"}],
        "data_stores": [
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "data"}},
            {"identifier": "src", "store_id": "stac", "store_params": {"root": "in"}},
        ],
    }
    (folder / "c.yml").write_text(yaml.safe_dump(content))


THERE = [9.0, 45.15, 9.01, 45.16]
SHAPE = {"proj:shape": [10, 10]}


@pytest.mark.parametrize(
    ("properties", "asset", "bbox", "told"),
    [
        ({"proj:epsg": 32632, "proj:transform": [10, 0, WEST, 0, -10, NORTH], **SHAPE}, {}, THERE,
         None),
        # Of another band, twice as fine.
        ({"proj:transform": [5, 0, WEST, 0, -5, NORTH], "proj:shape": [20, 20]}, {}, THERE, None),
        ({"proj:bbox": BOX},
         {"proj:transform": [10, 0, WEST + 10, 0, -10, NORTH, 0, 0, 1], **SHAPE}, THERE,
         "its item states pixels within [500010"),
        ({"proj:transform": [10, 0, WEST, 0, -10, NORTH + 5], **SHAPE}, {}, THERE, "5000005"),
        ({"proj:bbox": [BOX[0] + 4, *BOX[1:]]}, {}, THERE, None),
        ({"proj:bbox": [BOX[0] + 40, *BOX[1:]]}, {}, THERE, "its item states pixels within"),
        ({"proj:epsg": 32633}, {}, THERE, "its catalog states EPSG:32633, but the file EPSG:32632"),
        ({"proj:code": "EPSG:32632"}, {}, [19.0, 45.15, 19.01, 45.16], "its item's bbox is [19"),
    ],
)  # fmt: skip
def test_the_file_counts(
    tmp_path: Path, properties: Json, asset: Json, bbox: list[float], told: str | None
) -> None:
    catalog(tmp_path, properties, asset, bbox)
    reporter = Warned()
    [result] = build(load_config(tmp_path / "c.yml"), tmp_path / "catalogs", reporter=reporter)
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(tmp_path / "data" / "out.zarr", mask_and_scale=False) as made:
        np.testing.assert_array_equal(variable_of(made).values.ravel(), np.arange(100))
        assert made["x"].values[0] == WEST + 5
    if told is None:
        assert reporter.warnings == []
        return
    [warning] = reporter.warnings
    assert told in warning
    assert "which is used" in warning
