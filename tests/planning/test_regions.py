"""The how-to on regions of interest does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyproj
import rasterio
import shapely
import xarray as xr
from rasterio import Affine

import stacbuild
from tests.support.paths import ROOT


def test_the_page_on_regions(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "howto" / "regions.md").read_text()
    [json_text] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    [yaml_text] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "lake.geojson").write_text(json_text)
    (tmp_path / "lake.yml").write_text(yaml_text)
    (tmp_path / "maps").mkdir()
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": 60, "width": 80}
    place = {"crs": "EPSG:4326", "transform": Affine(0.01, 0, 10, 0, -0.01, 45.6)}
    with rasterio.open(tmp_path / "maps" / "elevation.tif", "w", **profile, **place) as file:
        file.write(np.ones((1, 60, 80), "float32"))
    config = stacbuild.load_config(tmp_path / "lake.yml")
    (result,) = stacbuild.build(config)
    with xr.open_zarr(result.href) as cube:
        array = cube[next(iter(cube.data_vars))].load()
    lake = shapely.get_parts(shapely.from_geojson(json_text))[0]
    x, y = np.meshgrid(array.x, array.y)
    to_degrees = pyproj.Transformer.from_crs(32632, 4326, always_xy=True)
    inside = shapely.intersects_xy(lake, *to_degrees.transform(x, y))
    assert 0.5 < inside.mean() < 1
    assert (array.notnull().values == inside).all()
    # The grid is the least of whole pixels around the region.
    to_grid = pyproj.Transformer.from_crs(4326, 32632, always_xy=True)
    dense = shapely.transform(shapely.segmentize(lake, 1e-4), to_grid.transform, interleaved=False)
    west, south, east, north = dense.bounds
    assert (array.x[0] - 50) % 100 == (array.y[0] - 100) % 200 == 0
    assert 0 <= west - (array.x[0] - 50) < 100
    assert 0 <= (array.x[-1] + 50) - east < 100
    assert 0 <= south - (array.y[-1] - 100) < 200
    assert 0 <= (array.y[0] + 100) - north < 200
