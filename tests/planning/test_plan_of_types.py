"""The types that `plan` names are those of the cube."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.planning.planner import plan
from tests.support.built import SOURCES
from tests.support.cli import BOX, configuration, geotiff

BY_MONTH = {"frequency": "1MS"}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, {"n": "int16", "p": "int16", "still": "float64"}),
        (
            {"temporal_resample_params": BY_MONTH | {"agg_methods": "mean"}},
            {"n": "float32", "p": "float32"},
        ),
        (
            {"temporal_resample_params": BY_MONTH | {"agg_methods": "max", "variables": ["p"]}},
            {"p": "int16"},
        ),
        (
            {"temporal_resample_params": BY_MONTH | {"agg_methods": "count"}},
            {"n": "int32", "p": "int32"},
        ),
        (
            {
                "temporal_resample_params": BY_MONTH
                | {"agg_methods": {"n": "p25", "p": {"max_by": "n"}}, "counts": True}
            },
            {"n": "float32", "n_count": "int32", "p": "int16", "p_count": "int32"},
        ),
    ],
)
def test_of_a_zarr_store(tmp_path: Path, params: dict[str, Any], expected: dict[str, str]) -> None:
    lat, lon = 45.0975 - 0.005 * np.arange(20), 10.0025 + 0.005 * np.arange(20)
    values = np.arange(60 * 400).reshape(60, 20, 20).astype(np.int16)
    dims = ("time", "lat", "lon")
    data = xr.Dataset(
        {
            "n": (dims, values),
            "p": (dims, values, {"scale_factor": 0.1, "add_offset": 5.0}),
            "still": (dims[1:], values[0].astype(np.float64)),
        },
        {"time": pd.date_range("2021-01-01", periods=60), "lat": lat, "lon": lon},
    )
    (tmp_path / "src").mkdir()
    data.to_zarr(tmp_path / "src" / "one.zarr", zarr_format=2, consolidated=True)
    dataset = {"identifier": "cube", "store": "files", "data_id": "one.zarr"}
    assert _types(tmp_path, dataset | params) == expected


@pytest.mark.parametrize(("method", "expected"), [("max", "uint8"), ("sum", "float32")])
def test_of_a_packed_raster(tmp_path: Path, method: str, expected: str) -> None:
    (tmp_path / "src").mkdir()
    path = geotiff(tmp_path / "src" / "one.tif")
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.5,), (2.0,)
    dataset = {"identifier": "cube", "store": "files", "data_id": "one.tif"}
    params = {"spatial_resample_params": {"agg_methods": method}}
    assert _types(tmp_path, dataset | params) == {"cube": expected}


def _types(folder: Path, dataset: dict[str, Any]) -> dict[str, str]:
    """Build a cube and return its types, which are those that were planned."""
    grid = {"identifier": "coarse", "bbox": list(BOX), "spatial_res": 0.02, "crs": "EPSG:4326"}
    dataset["grid_mapping"] = "coarse"
    config = load_config(configuration(folder, [dataset], [SOURCES], grids=[grid]))
    (result,) = build(config, folder / "catalogs")
    assert result.status == "COMPLETED", result.message
    (planned,) = plan(config, folder / "catalogs", force=True)
    with xr.open_zarr(folder / "data" / "cube.zarr", mask_and_scale=False) as cube:
        of_cube = {str(name): array.dtype.name for name, array in cube.data_vars.items()}
    of_cube.pop("spatial_ref", None)
    assert {each.name: each.dtype for each in planned.expected.variables} == of_cube
    return of_cube
