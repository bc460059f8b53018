"""What `plan` says of the times of a cube is what the cube has, and of large grids as soon."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.geo.beneath import covers
from stacbuild.geo.coverage import touches
from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.positions import reduction
from stacbuild.planning.planner import plan
from tests.support.built import SOURCES
from tests.support.cli import configuration


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, 365),
        ({"open_params": {"time_range": ["2021-02-01", "2021-03-15"]}}, 43),
        ({"temporal_resample_params": {"frequency": "1MS", "agg_methods": "mean"}}, 12),
        (
            {
                "open_params": {"time_range": ["2021-03-01", "2021-05-31"]},
                "temporal_resample_params": {"frequency": "1MS", "agg_methods": "mean"},
            },
            3,
        ),
    ],
)
def test_a_plan_counts_the_times_of_the_cube(
    tmp_path: Path, params: dict[str, Any], expected: int
) -> None:
    times = pd.date_range("2021-01-01", periods=365)
    lat, lon = 45.05 - 0.01 * np.arange(2), 10.05 + 0.01 * np.arange(2)
    data = xr.Dataset(
        {"v": (("time", "lat", "lon"), np.zeros((365, 2, 2), np.float32))},
        {"time": times, "lat": lat, "lon": lon},
    )
    (tmp_path / "src").mkdir()
    encoding = {"v": {"chunks": (365, 2, 2)}}
    path = tmp_path / "src" / "one.zarr"
    data.to_zarr(path, zarr_format=2, consolidated=True, encoding=encoding)
    dataset = {"identifier": "cube", "store": "files", "data_id": "one.zarr", "grid_mapping": None}
    config = load_config(configuration(tmp_path, [dataset | params], [SOURCES]))
    (result,) = build(config, tmp_path / "catalogs")
    assert result.status == "COMPLETED", result.message
    (planned,) = plan(config, tmp_path / "catalogs", force=True)
    (variable,) = planned.expected.variables
    with xr.open_zarr(tmp_path / "data" / "cube.zarr") as cube:
        assert variable.shape == cube.v.shape
        assert cube.sizes["time"] == expected


def test_nothing_looks_at_all_of_a_large_grid() -> None:
    """10^12 pixels on a source of as many: some megabytes tell how they lie."""
    target = PixelGrid("EPSG:3035", (5, 0, 2.5e6, 0, -5, 5.5e6), (10**6, 10**6))
    source = PixelGrid("EPSG:4326", (1e-4, 0, -60, 0, -1e-4, 85), (750_000, 1_600_000))
    tracemalloc.start()
    assert touches(source, target)
    assert 0.5 < reduction(source, target) < 2
    assert covers([source], target)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6
