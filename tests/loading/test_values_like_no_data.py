"""Valid values that are those which stand for "no data": kept, or refused, and never lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio import Affine
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from stacbuild.building import build
from stacbuild.config import load_config
from tests.support.built import SOURCES, variable_of
from tests.support.cli import Json, configuration
from tests.support.rasters import GRIDS, INSIDE, build_raster, cube, noise, write

METHODS = {
    "bilinear": Resampling.bilinear,
    "mean": Resampling.average,
    "max": Resampling.max,
    "min": Resampling.min,
    "mode": Resampling.mode,
    "median": Resampling.med,
}


def extreme(dtype: str) -> Any:
    """Return whole numbers, a third of them the largest of an unsigned or smallest of a signed."""
    limits = np.iinfo(dtype)
    values = noise(dtype)
    values[noise("uint8") < 33] = limits.max if limits.kind == "u" else limits.min
    return values


def plain(path: Path, grid: Json, method: Resampling) -> Any:
    """Return what GDAL makes of a file that states no value for no data."""
    west, south, east, north = grid["bbox"]
    step = grid["spatial_res"]
    with (
        rasterio.open(path) as file,
        WarpedVRT(
            file,
            crs="EPSG:4326",
            transform=Affine(step, 0, west, 0, -step, north),
            width=round((east - west) / step),
            height=round((north - south) / step),
            resampling=method,
            tolerance=0.001,
            XSCALE=1,
            YSCALE=1,
        ) as vrt,
    ):
        return vrt.read(1)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32"])
@pytest.mark.parametrize("method", METHODS)
def test_extreme_values_weigh_in(tmp_path: Path, dtype: str, method: str) -> None:
    path = write(tmp_path / "src" / "one.tif", extreme(dtype))
    key, grid = ("interp_methods", GRIDS[2]) if method == "bilinear" else ("agg_methods", GRIDS[1])
    found = variable_of(
        cube(tmp_path, grid["identifier"], raw=True, spatial_resample_params={key: method})
    )
    assert found.dtype == dtype
    assert "_FillValue" not in found.attrs
    expected = plain(path, grid, METHODS[method])
    off = np.abs(found.values.astype("int64") - expected.astype("int64"))
    if dtype == "uint8" and method in ("bilinear", "mean"):
        # Halves are rounded one way or the other by GDAL: all are next to what is not rounded.
        exact = plain(
            write(tmp_path / "exact.tif", extreme(dtype).astype("float64")), grid, METHODS[method]
        )
        assert np.abs(found.values - exact).max() <= 0.5 + 1e-9
    else:
        # GDAL's own rounding of its own types.
        assert off.max() <= (0 if dtype == "uint8" else 1)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint32"])
def test_means_of_what_gdal_has_no_type_for(tmp_path: Path, dtype: str) -> None:
    values = noise(dtype)
    limits = np.iinfo(dtype)
    top = limits.max if limits.kind == "u" else limits.min if dtype == "int8" else -(2**53)
    values[noise("uint8") < 33] = top
    write(tmp_path / "src" / "one.tif", values)
    found = cube(tmp_path, "coarse", raw=True, spatial_resample_params={"agg_methods": "mean"})
    inside = values[0][INSIDE].astype("float64").reshape(10, 2, 10, 2)
    # Weights of floats do not add up to the last digit.
    np.testing.assert_allclose(variable_of(found), inside.mean(axis=(1, 3)), rtol=1e-12, atol=1)


def test_sums_with_extreme_values(tmp_path: Path) -> None:
    values = np.zeros((1, 40, 40), "uint8")
    values[0, ::2, ::2] = 255
    write(tmp_path / "src" / "one.tif", values)
    params = {"spatial_resample_params": {"agg_methods": "sum"}}
    assert (variable_of(cube(tmp_path, "coarse", raw=True, **params)) == 255).all()
    values[0, 1::2, 1::2] = 1
    write(tmp_path / "src" / "one.tif", values)
    result, _ = build_raster(tmp_path, "coarse", **params)
    assert result.status == "FAILED"
    assert "sum gives 256, which uint8 cannot hold" in result.message


@pytest.mark.parametrize("method", ["center", "mean"])
def test_a_grid_that_reaches_beyond_such_values_is_refused(tmp_path: Path, method: str) -> None:
    path = write(tmp_path / "src" / "one.tif", extreme("uint8"))
    wide = GRIDS[3] | {"spatial_res": 0.02 if method == "mean" else 0.01}
    params: Json = {"agg_methods": method}
    result = on(tmp_path, wide, spatial_resample_params=params)
    assert result.status == "FAILED"
    assert "one.tif: has pixels of the value 255, which is no data in the cube" in result.message
    assert "fill_values" in result.message
    assert "-32768 makes it int16" in result.message
    # What the message says.
    result = on(tmp_path, wide, spatial_resample_params=params | {"fill_values": -32768})
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(tmp_path / "data" / "cube.zarr", mask_and_scale=False) as opened:
        found = variable_of(opened).load()
    assert found.dtype == "int16"
    assert found.attrs["_FillValue"] == -32768
    if method == "center":
        with rasterio.open(path) as file:
            np.testing.assert_array_equal(found[10:50, 10:50], file.read(1))
        assert (found[:10] == -32768).all()


def on(directory: Path, grid: Json, **dataset: Any) -> Any:
    one = {"identifier": "cube", "store": "files", "data_id": "one.tif", "grid_mapping": "own"}
    grids = [grid | {"identifier": "own"}]
    path = configuration(directory, [one | dataset], [SOURCES], grids=grids)
    [result] = build(load_config(path), directory / "catalogs")
    return result


def test_types_stay_beyond_a_source_that_lacks_the_value(tmp_path: Path) -> None:
    values = noise("uint8")
    write(tmp_path / "src" / "one.tif", values)
    found = variable_of(cube(tmp_path, "wide", raw=True))
    assert found.dtype == "uint8"
    assert found.attrs["_FillValue"] == 255
    np.testing.assert_array_equal(found[10:50, 10:50], values[0])
    assert (found[:10] == 255).all()


@pytest.mark.parametrize("nodata", [None, 7])
def test_a_chosen_value_that_pixels_have_is_refused(tmp_path: Path, nodata: int | None) -> None:
    values = noise("uint8")
    write(tmp_path / "src" / "one.tif", values, nodata=nodata)
    result, _ = build_raster(tmp_path, "same", spatial_resample_params={"fill_values": 8})
    assert result.status == "FAILED"
    assert "one.tif: has pixels of the value 8, which" in result.message
    found = variable_of(cube(tmp_path, raw=True, spatial_resample_params={"fill_values": 100}))
    inside = values[0][INSIDE]
    np.testing.assert_array_equal(found, np.where(inside == (nodata or 255), 100, inside))


def test_a_chosen_value_of_floats_that_pixels_have_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "src" / "one.tif", noise("float32"))
    result, _ = build_raster(tmp_path, spatial_resample_params={"fill_values": 8})
    assert result.status == "FAILED"
    assert "one.tif: has pixels of the value 8" in result.message


@pytest.mark.parametrize("method", ["mean", "bilinear"])
def test_results_are_not_no_data_by_rounding(tmp_path: Path, method: str) -> None:
    """Means of -1 and 1 where 0 is no data: 1 or -1, one off, as in GDAL."""
    values = np.where(np.indices((40, 40)).sum(axis=0) % 2, 1, -1).astype("int8")[None]
    write(tmp_path / "src" / "one.tif", values, nodata=0)
    key, grid = ("interp_methods", "fine") if method == "bilinear" else ("agg_methods", "coarse")
    found = variable_of(cube(tmp_path, grid, raw=True, spatial_resample_params={key: method}))
    assert found.attrs["_FillValue"] == 0
    assert (np.abs(found) == 1).all()


def zarr_store(path: Path, values: Any) -> None:
    x = 10 + 0.01 * (np.arange(40) + 0.5)
    y = 50 - 0.01 * (np.arange(40) + 0.5)
    data = xr.Dataset({"v": (("lat", "lon"), values)}, {"lat": y, "lon": x})
    data.to_zarr(path, zarr_format=2, encoding={"v": {"_FillValue": None, "chunks": (16, 16)}})


def test_zarr_values_weigh_in_or_are_refused(tmp_path: Path) -> None:
    values = extreme("uint8")[0]
    zarr_store(tmp_path / "src" / "one.zarr", values)
    grid = GRIDS[1]
    one: Json = {"data_id": "one.zarr", "spatial_resample_params": {"agg_methods": "mean"}}
    result = on(tmp_path, grid, **one)
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(tmp_path / "data" / "cube.zarr", mask_and_scale=False) as opened:
        inside = values[INSIDE].reshape(10, 2, 10, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(opened["v"], inside, rtol=0, atol=0.51)
    result = on(tmp_path, GRIDS[3], data_id="one.zarr")
    assert result.status == "FAILED"
    assert "one.zarr: v: has pixels of the value 255, which is no data" in result.message
    result = on(tmp_path, GRIDS[3], data_id="one.zarr", spatial_resample_params={"fill_values": -1})
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(tmp_path / "data" / "cube.zarr", mask_and_scale=False) as opened:
        assert opened["v"].dtype == "int16"
        np.testing.assert_array_equal(opened["v"][10:50, 10:50], values)
        assert (opened["v"][:10] == -1).all()


def with_times(path: Path, name: str, days: list[str], values: Any) -> None:
    lat, lon = 50 - 0.01 * (np.arange(40) + 0.5), 10 + 0.01 * (np.arange(40) + 0.5)
    full = np.broadcast_to(np.asarray(values, "uint8")[:, None, None], (len(days), 40, 40))
    coords = {"time": np.array(days, "datetime64[ns]"), "lat": lat, "lon": lon}
    data = xr.Dataset({name: (("time", "lat", "lon"), full)}, coords)
    data.to_zarr(path, zarr_format=2, encoding={name: {"_FillValue": None}})


DAYS = ["2000-01-01", "2000-01-02", "2000-01-05", "2000-01-06"]


def test_extreme_values_count_in_time(tmp_path: Path) -> None:
    with_times(tmp_path / "src" / "one.zarr", "v", DAYS, [255, 5, 7, 255])
    for method, expected in (("mean", [130, 131]), ("max", [255, 255]), ("last", [5, 255])):
        steps = {"frequency": "3D", "agg_methods": method}
        result = on(tmp_path, GRIDS[0], data_id="one.zarr", temporal_resample_params=steps)
        assert result.status == "COMPLETED", result.message
        with xr.open_zarr(tmp_path / "data" / "cube.zarr") as opened:
            np.testing.assert_array_equal(opened["v"][:, 3, 3], expected)
    steps = {"frequency": "1D", "agg_methods": "max"}
    result = on(tmp_path, GRIDS[0], data_id="one.zarr", temporal_resample_params=steps)
    assert result.status == "FAILED"
    assert "v: holds 255 as a value" in result.message


def test_extreme_values_are_not_lost_where_variables_are_joined(tmp_path: Path) -> None:
    with_times(tmp_path / "src" / "a.zarr", "a", DAYS[:2], [255, 5])
    with_times(tmp_path / "src" / "b.zarr", "b", DAYS[1:3], [6, 7])
    variables = [{"store": "files", "data_id": f"{name}.zarr", "identifier": name} for name in "ab"]

    def join(**params: Any) -> Any:
        one = {"identifier": "cube", "variables": variables, "grid_mapping": "same"}
        merged = {"xr_merge_params": {"join": "outer"} | params}
        path = configuration(tmp_path, [one | merged], [SOURCES], grids=GRIDS)
        [result] = build(load_config(path), tmp_path / "catalogs")
        return result

    result = join()
    assert result.status == "FAILED"
    assert "a: has 255 as a valid value, so it cannot be the fill value" in result.message
    result = join(fill_value=99)
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(tmp_path / "data" / "cube.zarr") as opened:
        np.testing.assert_array_equal(opened["a"][:, 3, 3], [255, 5, np.nan])


@pytest.mark.parametrize("how", ["left", "right", "inner", "outer"])
def test_joined_variables_say_where_they_have_no_value(tmp_path: Path, how: str) -> None:
    """Also where they have as many times after joining as before."""
    held = {
        "a": dict(zip(DAYS[:2], [0, 5], strict=True)),
        "b": dict(zip(DAYS[1:3], [6, 7], strict=True)),
    }
    for name, values in held.items():
        with_times(tmp_path / "src" / f"{name}.zarr", name, list(values), list(values.values()))
    one = {
        "identifier": "cube",
        "variables": [
            {"store": "files", "data_id": f"{name}.zarr", "identifier": name} for name in "ab"
        ],
        "grid_mapping": "same",
        "xr_merge_params": {"join": how, "fill_value": 99},
    }
    path = configuration(tmp_path, [one], [SOURCES], grids=GRIDS)
    [result] = build(load_config(path), tmp_path / "catalogs")
    assert result.status == "COMPLETED", result.message
    days = {"left": DAYS[:2], "right": DAYS[1:3], "inner": DAYS[1:2], "outer": DAYS[:3]}[how]
    with xr.open_zarr(tmp_path / "data" / "cube.zarr") as opened:
        assert list(opened.time.values) == [np.datetime64(day) for day in days]
        for name, values in held.items():
            expected = [values.get(day, np.nan) for day in days]
            np.testing.assert_array_equal(opened[name][:, 3, 3], expected)
