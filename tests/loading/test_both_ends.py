"""A store both of whose ends lie under one window of the grid, read block by block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tests.support.raw_zarr import made

GRID = {"crs": "EPSG:4326", "bbox": [-8, -4, 8, 4], "spatial_res": 1}


def test_each_end_has_its_own_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps decoded together are kept; what is kept of one end is not taken for the other."""
    monkeypatch.setattr("stacbuild.loading.regrid.WINDOW_BYTES", 10)
    path = tmp_path / "src" / "one.zarr"
    values = np.random.default_rng(5).integers(1, 250, (5, 180, 360)).astype("uint8")
    xr.Dataset(
        {"v": (("time", "lat", "lon"), values)},
        {
            "time": pd.date_range("2000", periods=5),
            "lat": 89.5 - np.arange(180),
            "lon": 0.5 + np.arange(360),
        },
    ).to_zarr(path, zarr_format=2, encoding={"v": {"chunks": (5, 90, 60)}})
    cube = made(tmp_path, {}, GRID)
    expected = np.concatenate([values[:, 86:94, -8:], values[:, 86:94, :8]], axis=2)
    np.testing.assert_array_equal(cube["v"].values, expected)
