"""Grids in oblique Mercator CRSs, which CF cannot state by figures alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
from rasterio import Affine

from tests.support.built import made
from tests.support.cli import geotiff


def test_cube_in_swiss_coordinates_states_its_crs_by_its_text_only(tmp_path: Path) -> None:
    geotiff(
        tmp_path / "src" / "one.tif", "EPSG:2056", transform=Affine(10, 0, 2.6e6, 0, -10, 1.2e6)
    )
    # pyproj warns of the parameter that is lost in CF's figures; here a warning is an error.
    cube = made(tmp_path, {"grid_mapping": None})
    mapping = cube["spatial_ref"].attrs
    assert mapping["grid_mapping_name"] == "unknown"
    assert "azimuth_of_central_line" not in mapping
    assert pyproj.CRS.from_cf(mapping).to_epsg() == 2056
    assert mapping["semi_major_axis"] == 6377397.155
    np.testing.assert_array_equal(cube["x"], 2.6e6 + 10 * (np.arange(120) + 0.5))
