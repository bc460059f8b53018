"""Pictures of cubes of one pixel, one row or one column, and of nothing but no data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from rasterio import Affine

from stacbuild.building import build
from stacbuild.cli import run
from stacbuild.config import load_config
from tests.support.built import SOURCES
from tests.support.cli import configuration


@pytest.mark.parametrize(
    ("shape", "value"), [((1, 1), 7), ((1, 1), 255), ((1, 900), 7), ((900, 1), 7), ((9, 9), 255)]
)
@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.slow), "uint8"])
def test_they_are_drawn(tmp_path: Path, shape: tuple[int, int], value: int, dtype: str) -> None:
    (tmp_path / "src").mkdir()
    with rasterio.open(
        tmp_path / "src" / "one.tif", "w", driver="GTiff", height=shape[0], width=shape[1], count=1,
        dtype=dtype, nodata=255, crs="EPSG:4326", transform=Affine(0.001, 0, 10, 0, -0.001, 45),
    ) as file:  # fmt: skip
        file.write(np.full((1, *shape), value, dtype))
    path = configuration(
        tmp_path, [{"identifier": "cube", "store": "files", "data_id": "one.tif"}], [SOURCES]
    )
    content = yaml.safe_load(path.read_text())
    del content["datasets"][0]["grid_mapping"]
    path.write_text(yaml.safe_dump(content))
    [result] = build(load_config(path), tmp_path / "catalogs")
    assert result.status == "COMPLETED", result.message
    [picture] = (tmp_path / "catalogs").glob("c/cube/*.png")
    drawn = tmp_path / "drawn.png"
    assert run(["preview", str(tmp_path / "data" / "cube.zarr"), "-o", str(drawn)]) == 0
    for each in (picture, drawn):
        assert each.read_bytes().startswith(b"\x89PNG")
