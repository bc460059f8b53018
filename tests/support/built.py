"""What tests of the configuration language share: one cube built from files in ``src``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from stacbuild.building import CubeResult, build
from stacbuild.config import load_config
from stacbuild.errors import StacbuildError
from tests.support.cli import NORTH, WEST, Json, configuration

SOURCES = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}

# Pixel centres of what `tests.support.cli.geotiff` writes, and the part of them on the grid.
LON = WEST - 0.01 + 0.001 * (np.arange(120) + 0.5)
LAT = NORTH + 0.01 - 0.001 * (np.arange(120) + 0.5)
INSIDE = (slice(10, 110), slice(10, 110))


def zarr_store(path: Path, times: Any, **arrays: np.ndarray[Any, Any]) -> xr.Dataset:
    """Write a store of (time, lat, lon); 255 is "no data" of integers. Return what is in it."""
    variables = {name: (("time", "lat", "lon"), values) for name, values in arrays.items()}
    data = xr.Dataset(variables, {"time": pd.DatetimeIndex(times), "lat": LAT, "lon": LON})
    encoding = {name: {"_FillValue": 255} for name in arrays if data[name].dtype.kind == "u"}
    # As they are: xarray would take 255 for what is to be written as such.
    for name, each in encoding.items():
        data[name].attrs.update(each)
    data.to_zarr(path, mode="w", zarr_format=2, consolidated=True)
    for name in encoding:
        del data[name].attrs["_FillValue"]
    return data


def built(directory: Path, dataset: Json) -> CubeResult:
    """Build one dataset: of ``src/one.zarr`` if there is one, else of ``src/one.tif``."""
    one = {"identifier": "cube"} | dataset
    if "variables" not in dataset:
        there = (directory / "src" / "one.zarr").exists()
        one = {"store": "files", "data_id": "one.zarr" if there else "one.tif"} | one
    config = load_config(configuration(directory, [one], [SOURCES]))
    [result] = build(config, directory / "catalogs")
    return result


def made(directory: Path, dataset: Json, *, masked: bool = False) -> xr.Dataset:
    """Build one dataset and open it."""
    result = built(directory, dataset)
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(directory / "data" / "cube.zarr", mask_and_scale=masked) as cube:
        return cube.load()


def refused(directory: Path, dataset: Json) -> str:
    """Return what is said of a dataset that cannot be built."""
    result = built(directory, dataset)
    assert isinstance(result.error, StacbuildError), result
    return result.message


def variable_of(cube: Any) -> Any:
    """Return the only variable of a cube, or of a mapping by names of variables."""
    coordinates = {"x", "y", "lat", "lon", "time", "band", "spatial_ref"}
    [name] = set(getattr(cube, "data_vars", cube)) - coordinates
    return cube[name]
