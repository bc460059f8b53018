"""Longitudes and latitudes of each pixel beside x and y: places of the source, no data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import pytest

from tests.support.built import INSIDE
from tests.support.raw_zarr import GRID, Raw, made, write

POLE = {
    "grid_mapping_name": "rotated_latitude_longitude",
    "grid_north_pole_latitude": 45.0,
    "grid_north_pole_longitude": -170.0,
}
VALUES = np.arange(100 * 100, dtype="int16").reshape(100, 100)


@pytest.mark.parametrize("linked", [True, False])
def test_a_rotated_pole_with_places_and_corners_of_pixels(tmp_path: Path, linked: bool) -> None:
    axis = np.arange(100) * 0.01 - 0.5
    to_pole = pyproj.Transformer.from_crs(4326, pyproj.CRS.from_cf(POLE), always_xy=True)
    lon, lat = to_pole.transform(*np.meshgrid(axis, axis), direction="INVERSE")
    corners = np.repeat(lon[..., None], 4, axis=2)
    both = ["rlat", "rlon"]
    names = {"coordinates": "lon lat"} if linked else {}
    north = {"units": "degrees_north"}
    east = {"units": "degrees_east"} | ({"bounds": "lon_vertices"} if linked else {})
    variables = {
        "rlat": Raw(["rlat"], axis, {"units": "degrees", "standard_name": "grid_latitude"}),
        "rlon": Raw(["rlon"], axis, {"units": "degrees", "standard_name": "grid_longitude"}),
        "lat": Raw(both, lat, north),
        "lon": Raw(both, lon, east),
        "v": Raw(both, VALUES, {"grid_mapping": "pole", **names}),
        "pole": Raw([], np.int32(0), POLE),
    }
    if linked:
        variables["lon_vertices"] = Raw([*both, "vertices"], corners)
    write(tmp_path / "src" / "one.zarr", variables)
    cube = made(tmp_path, grid={"bbox": [9.9, 44.9, 10.1, 45.1], "spatial_res": 0.01})
    assert list(cube.data_vars) == ["v"]
    x, y = to_pole.transform(*np.meshgrid(cube["lon"].values, cube["lat"].values))
    row, col = (np.floor((each + 0.505) / 0.01).astype(int) for each in (y, x))
    assert np.array_equal(cube["v"].values, VALUES[row, col])


def test_they_are_a_variable_where_they_are_asked_for(tmp_path: Path) -> None:
    places = np.random.default_rng(3).random((120, 120))
    variables = {
        "latitude": Raw(["lat", "lon"], places, {"units": "degrees_north"}),
        "v": Raw(["lat", "lon"], places, {"coordinates": "latitude"}),
    }
    write(tmp_path / "src" / "one.zarr", variables | GRID)
    cube = made(tmp_path, {"open_params": {"variable_names": ["latitude"]}})
    assert np.array_equal(cube["latitude"].values, places[INSIDE])
