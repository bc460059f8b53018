"""Aggregates pick values that are there, in every type and however near "no data" they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from stacbuild.building import build
from stacbuild.config import load_config
from tests.support.built import SOURCES
from tests.support.cli import NORTH, WEST, Json, configuration

SIZE = 20
GRID: Json = {
    "identifier": "small",
    "bbox": [WEST, NORTH - SIZE * 0.001, WEST + SIZE * 0.001, NORTH],
    "spatial_res": 0.001,
    "crs": "EPSG:4326",
}
# 2 x 2 pixels lie under each of the grid's, and these of them hold another value.
OTHER = np.tile([[True, False], [False, False]], (SIZE, SIZE))


def aggregated(directory: Path, how: str, arrays: dict[str, np.ndarray], fills: Json) -> xr.Dataset:
    """Build a store of arrays on the grid's pixels' quarters, "no data" as *fills* has it."""
    at = 0.0005 * (np.arange(2 * SIZE) + 0.5)
    data = xr.Dataset(
        {name: (("lat", "lon"), each) for name, each in arrays.items()},
        {"lat": NORTH - at, "lon": WEST + at},
    )
    for name, fill in fills.items():
        data[name].attrs["_FillValue"] = fill
    data.to_zarr(directory / "src" / "one.zarr", zarr_format=2, consolidated=True)
    dataset = {
        "identifier": "cube", "store": "files", "data_id": "one.zarr", "grid_mapping": "small",
        "spatial_resample_params": {"agg_methods": how},
    }  # fmt: skip
    config = load_config(configuration(directory, [dataset], [SOURCES], grids=[GRID]))
    [result] = build(config, directory / "catalogs")
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(directory / "data" / "cube.zarr", mask_and_scale=False) as cube:
        loaded: xr.Dataset = cube.load()
    return loaded


def test_mode_is_the_most_frequent_value(tmp_path: Path) -> None:
    firsts = {
        "int8": -1, "int16": -1, "uint16": 65000, "int32": 250_000_001, "uint32": 2**32 - 20_000,
        "int64": 2**53 - 20_000, "uint64": 2**40 + 1, "float32": -1, "float64": 250_000_001.5,
    }  # fmt: skip
    arrays, wanted = {}, {}
    for dtype, first in firsts.items():
        most = np.full((SIZE, SIZE), first, dtype)
        most[::2] += np.dtype(dtype).type(3)
        others = np.arange(OTHER.size).reshape(OTHER.shape) % 90
        arrays[dtype] = np.where(OTHER, others, np.kron(most, np.ones((2, 2), "u1"))).astype(dtype)
        wanted[dtype] = most
    cube = aggregated(tmp_path, "mode", arrays, {"int16": -32768, "int32": -1, "uint32": 2**32 - 1})
    for dtype, most in wanted.items():
        np.testing.assert_array_equal(cube[dtype].values, most, err_msg=dtype)


@pytest.mark.parametrize("how", ["max", "min", "median", "mean"])
def test_values_near_no_data_count(tmp_path: Path, how: str) -> None:
    ends = {"int32": -(2**31), "uint32": 2**32 - 1}
    values = {"int32": 20 - 2**31, "uint32": 2**32 - 21}
    arrays = {name: np.where(OTHER, ends[name], values[name]).astype(name) for name in ends}
    # A double holds it, and not what is half of one more.
    arrays["int64"] = np.full(OTHER.shape, 2**53 - 3, "int64")
    cube = aggregated(tmp_path, how, arrays, ends)
    for name, value in values.items():
        assert (cube[name].values == value).all(), name
    if how != "mean":
        assert (cube["int64"].values == 2**53 - 3).all()
