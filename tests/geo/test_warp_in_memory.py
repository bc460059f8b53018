"""Blocks are resampled where they lie in memory, in exactly their own coordinate system."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import pytest
import xarray as xr

from stacbuild.building import build
from stacbuild.config import load_config
from tests.support.built import SOURCES
from tests.support.cli import Json, configuration

KILOMETRES = pyproj.CRS("+proj=laea +lat_0=52 +lon_0=10 +datum=WGS84 +units=km")
ONTO: Json = {
    "identifier": "own",
    "crs": "EPSG:3035",
    "bbox": [4_300_000, 3_190_000, 4_340_000, 3_230_000],
    "spatial_res": 5_000,
}


def test_a_source_in_kilometres_is_resampled_without_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As a GeoTIFF in memory each block made PROJ say that it had no database, in all threads."""
    at = np.arange(-60, 60) + 0.5
    x, y = np.meshgrid(at, at[::-1])
    values = xr.DataArray(3 * x + 2 * y, {"y": at[::-1], "x": at}, ("y", "x"))
    values = values.assign_coords(
        spatial_ref=xr.DataArray(0, attrs={"crs_wkt": KILOMETRES.to_wkt()})
    )
    for name in "xy":
        values[name].attrs = {"standard_name": f"projection_{name}_coordinate", "units": "km"}
    values.attrs["grid_mapping"] = "spatial_ref"
    stored = values.to_dataset(name="sloped")
    stored.to_zarr(tmp_path / "src" / "one.zarr", zarr_format=2, consolidated=True)
    one = {"identifier": "cube", "store": "files", "data_id": "one.zarr", "grid_mapping": "own"}
    config = load_config(configuration(tmp_path, [one], [SOURCES], grids=[ONTO]))
    [result] = build(config, tmp_path / "catalogs")
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(tmp_path / "data" / "cube.zarr") as cube:
        found = cube.sloped.squeeze().load()
    to_kilometres = pyproj.Transformer.from_crs(3035, KILOMETRES, always_xy=True)
    u, v = to_kilometres.transform(*np.meshgrid(found.x, found.y))
    np.testing.assert_allclose(found, 3 * u + 2 * v, atol=0.1)
    assert "proj.db" not in capfd.readouterr().err
