"""Whether pixels get larger is seen where a grid lies on the earth, however little of it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio import Affine

from stacbuild.building import build
from stacbuild.config import load_config
from tests.support.built import SOURCES, variable_of
from tests.support.cli import Json, configuration

# Rows beyond the south pole, which lies 15 rows down: as seen from the first rows, sixteen pixels
# on is no place at all.
POLE: Json = {
    "crs": "EPSG:6933",
    "bbox": [11_400_000, -7_600_000, 11_700_000, -6_550_000],
    "spatial_res": 50_000,
}
# All of the earth in few pixels; its corners, and the middles of its edges, are off the earth.
WORLD: Json = {
    "crs": "EPSG:8857",
    "bbox": [-18_200_000, -9_100_000, 18_200_000, 9_100_000],
    "spatial_res": 1_820_000,
}


def noise(path: Path) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    path.parent.mkdir(parents=True)
    values = np.random.default_rng(3).random((720, 180), np.float32)
    # Wide pixels: along rows those of the grid by the pole are the smaller ones.
    profile = {
        "driver": "GTiff", "width": 180, "height": 720, "count": 1, "dtype": "float32",
        "crs": "EPSG:4326", "transform": Affine(2, 0, -180, 0, -0.25, 90),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(values, 1)
    return values


def test_pixels_that_reach_beyond_a_pole_have_what_lies_before_it(tmp_path: Path) -> None:
    noise(tmp_path / "src" / "one.tif")
    with rasterio.open(tmp_path / "src" / "one.tif", "r+") as file:
        latitudes = 89.875 - 0.25 * np.arange(720, dtype="float32")
        file.write(np.broadcast_to(latitudes[:, None], (720, 180)), 1)
    one = {"store": "files", "data_id": "one.tif", "grid_mapping": "own"}
    path = configuration(
        tmp_path,
        [
            one | {"identifier": name, "spatial_resample_params": {"agg_methods": name}}
            for name in ("min", "sum")
        ],
        [SOURCES],
        grids=[POLE | {"identifier": "own"}],
    )
    least, total = build(load_config(path), tmp_path / "catalogs")
    assert total.status == "FAILED"
    assert "sum cannot be computed around a pole" in total.message
    assert least.status == "COMPLETED", least.message
    cube = variable_of(xr.open_zarr(tmp_path / "data" / "min.zarr")).squeeze()
    last = np.flatnonzero(np.isfinite(cube).any(axis=1))[-1]
    # The pole is a line within this row of pixels, whose edge to the north is at 83.9 degrees.
    assert abs(float(cube.y[last]) + 7_342_230.1) < POLE["spatial_res"] / 2
    assert (cube[last] < -87.5).all()


@pytest.mark.parametrize("grid", [POLE, WORLD])
def test_larger_pixels_are_aggregated(tmp_path: Path, grid: Json) -> None:
    values = noise(tmp_path / "src" / "one.tif")
    one = {"store": "files", "data_id": "one.tif", "grid_mapping": "own"}
    stated = {"spatial_resample_params": {"agg_methods": "max"}}
    path = configuration(
        tmp_path,
        [one | {"identifier": "largest"} | stated, one | {"identifier": "usual"}],
        [SOURCES],
        grids=[grid | {"identifier": "own"}],
    )
    results = build(load_config(path), tmp_path / "catalogs")
    assert [each.status for each in results] == ["COMPLETED"] * 2, results
    largest, usual = (
        variable_of(xr.open_zarr(tmp_path / "data" / f"{name}.zarr")).squeeze().to_numpy()
        for name in ("largest", "usual")
    )
    known = np.isfinite(largest)
    assert known.any()
    assert not known.all()
    # Interpolated between four pixels a value is none of them, as a rule; a maximum is one.
    assert np.isin(largest[known], values).all()
    if grid is WORLD:
        # Of some thousand pixels of noise each.
        assert (largest[known] > 0.95).mean() > 0.9
        assert usual[known].std() < 0.1
