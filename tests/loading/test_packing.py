"""What is computed of packed numbers is, unpacked, what is computed of the values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.enums import Resampling

from stacbuild.building import build
from stacbuild.config import load_config
from tests.support.built import SOURCES, made, variable_of, zarr_store
from tests.support.cli import BOX, Json, configuration
from tests.support.rasters import GRIDS, INSIDE, build_raster, cube, decoded, noise, warped, write

METHODS = {
    "sum": Resampling.sum,
    "min": Resampling.min,
    "max": Resampling.max,
    "median": Resampling.med,
    "mode": Resampling.mode,
}


def packed(path: Path, dtype: str, scale: float, offset: float) -> Path:
    write(path, noise(dtype), nodata=7)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (scale,), (offset,)
    return path


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("dtype", "scale", "offset"),
    [("int16", 0.5, 200.0), ("uint8", -0.5, 10.0), ("float32", -2.0, 0.0), ("int32", 0.1, 0.0)],
)
def test_of_a_raster(tmp_path: Path, method: str, dtype: str, scale: float, offset: float) -> None:
    path = packed(tmp_path / "src" / "one.tif", dtype, scale, offset)
    found = cube(tmp_path, "coarse", spatial_resample_params={"agg_methods": method})
    expected = warped(path, GRIDS[1], METHODS[method])
    np.testing.assert_allclose(variable_of(found), expected, rtol=1e-6)


def test_of_bands_of_which_some_could_stay_packed(tmp_path: Path) -> None:
    path = write(tmp_path / "src" / "one.tif", noise("int16", 3))
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.5, -0.5, 1), (0, 20, 0)
    minima = {"spatial_resample_params": {"agg_methods": "min"}}
    found = cube(tmp_path, "coarse", open_params={"band_as_variable": True}, **minima)
    expected = decoded(path)[:, *INSIDE].reshape(3, 10, 2, 10, 2).min(axis=(2, 4))
    for band in range(3):
        np.testing.assert_allclose(found[f"band_{band + 1}"], expected[band])


def test_numbers_stay_packed_where_they_can(tmp_path: Path) -> None:
    packed(tmp_path / "src" / "one.tif", "int16", 0.5, 200.0)
    _, told = build_raster(tmp_path, "coarse", spatial_resample_params={"agg_methods": "max"})
    assert not [line for line in told.warnings if "numbers are packed" in line]
    _, told = build_raster(tmp_path, "coarse", spatial_resample_params={"agg_methods": "sum"})
    assert [line for line in told.warnings if "sum of packed numbers" in line]


def test_a_function_gets_values(tmp_path: Path) -> None:
    path = packed(tmp_path / "src" / "one.tif", "int16", 0.5, 200.0)
    (tmp_path / "own.py").write_text("def square(ds):\n    return ds ** 2\n")
    custom = {"module_path": "own", "function_name": "square"}
    _, told = build_raster(tmp_path, custom_processing=custom)
    assert any("custom_processing gets values" in line for line in told.warnings)
    found = variable_of(cube(tmp_path, custom_processing=custom))
    np.testing.assert_allclose(found, decoded(path)[0][INSIDE] ** 2, rtol=1e-6)


def store(folder: Path, scale: float, offset: float) -> np.ndarray[Any, Any]:
    """Write four days of numbers and return their values, NaN where there is no data."""
    numbers = np.random.default_rng(3).integers(0, 250, (4, 120, 120)).astype("uint8")
    numbers[:, ::9, ::7] = 255
    written = zarr_store(
        folder, ["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04"], a=numbers
    )
    written["a"].attrs.update({"_FillValue": 255, "scale_factor": scale, "add_offset": offset})
    written.to_zarr(folder, mode="w", zarr_format=2, consolidated=True)
    return np.where(numbers == 255, np.nan, numbers * scale + offset)


def built_on(folder: Path, grid: Json, dataset: Json) -> xr.Dataset:
    one = {"identifier": "cube", "grid_mapping": grid["identifier"]} | dataset
    config = load_config(configuration(folder, [one], [SOURCES], grids=[grid]))
    [result] = build(config, folder / "catalogs")
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(folder / "data" / "cube.zarr") as cube:
        return cube.load()


@pytest.mark.parametrize("method", ["sum", "min", "max"])
def test_of_a_zarr_store(tmp_path: Path, method: str) -> None:
    values = store(tmp_path / "src" / "one.zarr", -0.5, 10.0)[:, 10:110, 10:110]
    coarse = {"identifier": "coarse", "crs": "EPSG:4326", "bbox": list(BOX), "spatial_res": 0.002}
    params = {"agg_methods": method}
    dataset = {"store": "files", "data_id": "one.zarr", "spatial_resample_params": params}
    found = built_on(tmp_path, coarse, dataset)
    reduce = getattr(np, f"nan{method}")
    expected = reduce(values.reshape(4, 50, 2, 50, 2), axis=(2, 4))
    np.testing.assert_allclose(found["a"], expected, rtol=1e-6)
    assert not {"scale_factor", "add_offset"} & set(found["a"].encoding)


@pytest.mark.parametrize(
    "method", ["sum", "min", "max", "std", "var", "prod", "mean", "count", "p10"]
)
def test_in_time(tmp_path: Path, method: str) -> None:
    values = store(tmp_path / "src" / "one.zarr", -0.5, 10.0)[:, 10:110, 10:110]
    params = {"frequency": "2D", "agg_methods": method}
    found = made(tmp_path, {"temporal_resample_params": params}, masked=True)["a"]
    pairs = values.reshape(2, 2, 100, 100)
    missing = np.isnan(pairs).all(axis=1)
    if method == "count":
        expected = (~np.isnan(pairs)).sum(axis=1).astype(float)
    else:
        with np.errstate(invalid="ignore"):
            known = np.where(missing[:, None], 0, pairs)
        # Of one or two values, the percentile lies between the extremes.
        low, high = np.nanmin(known, axis=1), np.nanmax(known, axis=1)
        percentile = low + 0.1 * (high - low)
        reduced = percentile if method == "p10" else getattr(np, f"nan{method}")(known, axis=1)
        expected = np.where(missing, np.nan, reduced)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
