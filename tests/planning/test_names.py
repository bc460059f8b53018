"""Names of dimensions and variables that a cube lacks are refused, if possible by a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.planning.planner import plan
from stacbuild.sources import harvest
from tests.support.built import SOURCES, zarr_store
from tests.support.cli import configuration

SINGLE = {"identifier": "cube", "store": "files", "data_id": "one.zarr"}
MULTI = {
    "identifier": "cube",
    "variables": [{"identifier": "a", "store": "files", "data_id": "one.zarr"}],
}
STEPS = {"frequency": "YS", "agg_methods": "first"}


@pytest.mark.parametrize("format_id", ["zarr", "levels"])
@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        (SINGLE | {"chunksize": {"tme": 2}}, "chunksize names 'tme', which is not a dimension"),
        (SINGLE | {"chunksize": {"lat": 5, "y": 2}}, "there are: time, lat, lon"),
        (
            MULTI | {"xr_merge_params": {"fill_value": {"b": 1}}},
            "cube: xr_merge_params.fill_value names 'b', which is",
        ),
        (
            SINGLE | {"temporal_resample_params": STEPS | {"variables": ["w"]}},
            "one.zarr: temporal_resample_params.variables names 'w', which is not a variable",
        ),
        (
            SINGLE | {"temporal_resample_params": STEPS | {"agg_methods": {"w": "first"}}},
            "agg_methods names 'w', which is not a variable of the cube with times; there are: v",
        ),
        (
            SINGLE | {"open_params": {"variable_names": ["w"]}},
            "open_params.variable_names names 'w', which is not a variable of it; there are: v",
        ),
    ],
)  # fmt: skip
def test_a_name_that_is_not_there(
    tmp_path: Path, dataset: dict[str, Any], said: str, format_id: str
) -> None:
    times = pd.date_range("2020-01-01", periods=3, freq="MS")
    zarr_store(tmp_path / "src" / "one.zarr", times, v=np.zeros((3, 120, 120), "float32"))
    config = load_config(configuration(tmp_path, [dataset | {"format_id": format_id}], [SOURCES]))
    # What is not harvested is only known by the build.
    (built,) = build(config, tmp_path / "catalogs")
    assert said in built.message
    harvest(config, tmp_path / "catalogs")
    (planned,) = plan(config, tmp_path / "catalogs")
    assert said in str(planned.error)
    assert not (tmp_path / "data" / "cube.zarr").exists()


def test_a_custom_function_may_add_a_dimension(tmp_path: Path) -> None:
    times = pd.date_range("2020-01-01", periods=3, freq="MS")
    zarr_store(tmp_path / "src" / "one.zarr", times, v=np.zeros((3, 120, 120), "float32"))
    (tmp_path / "own.py").write_text(
        "def member(data):\n    return data.expand_dims(member=[0, 1]).copy()\n"
    )
    custom = {"module_path": "own", "function_name": "member"}
    dataset = SINGLE | {"chunksize": {"member": 2}, "custom_processing": custom}
    config = load_config(configuration(tmp_path, [dataset], [SOURCES]))
    harvest(config, tmp_path / "catalogs")
    (planned,) = plan(config, tmp_path / "catalogs")
    assert planned.error is None
    (built,) = build(config, tmp_path / "catalogs")
    assert built.status == "COMPLETED", built.message
