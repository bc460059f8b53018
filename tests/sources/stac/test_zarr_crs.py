"""The CRS of a Zarr store that states none, in all the ways of a STAC item."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import pytest

from tests.support.raw_zarr import Raw, write
from tests.support.stac_documents import Json
from tests.support.stac_rasters import catalog, described, zarr_item

LAEA = pyproj.CRS(3035)
AXIS = {"type": "spatial", "axis": "x", "extent": [0, 1]}


@pytest.mark.parametrize(
    ("place", "fields"),
    [
        ("properties", {"proj:code": None, "proj:wkt2": LAEA.to_wkt()}),
        ("properties", {"proj:code": None, "proj:projjson": LAEA.to_json_dict()}),
        ("asset", {"proj:wkt2": LAEA.to_wkt()}),
        ("properties", {"cube:dimensions": {"x": AXIS | {"reference_system": 3035}}}),
        ("asset", {"cube:dimensions": {"x": AXIS | {"reference_system": LAEA.to_json_dict()}}}),
        ("collection", {"cube:dimensions": {"x": AXIS | {"reference_system": LAEA.to_wkt()}}}),
        ("properties", {"proj:wkt2": "nonsense", "proj:epsg": 3035}),
        ("properties", {"proj:projjson": {"type": "none"}, "cube:dimensions": {
            "x": AXIS | {"reference_system": 3035}}}),
    ],
)  # fmt: skip
def test_it_may_stand_anywhere(tmp_path: Path, place: str, fields: Json) -> None:
    steps = 1000 * (np.arange(8) + 0.5)
    write(
        tmp_path / "a.zarr",
        {
            "y": Raw(["y"], 3e6 - steps, {"units": "m"}),
            "x": Raw(["x"], 4e6 + steps, {"units": "m"}),
            "v": Raw(["y", "x"], np.zeros((8, 8), "int16")),
        },
    )
    one = zarr_item(**(fields if place == "asset" else {}))
    del one["properties"]["proj:epsg"]
    one["properties"] |= fields if place == "properties" else {}
    catalog(tmp_path, one, **(fields if place == "collection" else {}))
    (item,), _ = described(tmp_path)
    assert item.properties["proj:code"] == "EPSG:3035"
