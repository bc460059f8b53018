"""Masks and alpha bands of GeoTIFFs count as GDAL's dataset mask says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp, Resampling

from tests.support.built import variable_of
from tests.support.rasters import (
    GRIDS,
    INSIDE,
    Values,
    build_raster,
    cube,
    decoded,
    noise,
    warped,
    write,
)


def masked(path: Path, values: Values, *, overviews: bool = False, **profile: Any) -> Path:
    """Write a raster with a mask of its own, which hides every third column and a block."""
    mask = np.full(values.shape[1:], 255, "uint8")
    mask[:, ::3] = 0
    mask[12:20, 12:20] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        write(path, values, **profile)
        with rasterio.open(path, "r+") as file:
            file.write_mask(mask)
            if overviews:
                file.build_overviews([2, 4], Resampling.nearest)
    assert not path.with_name("one.tif.msk").exists()
    return path


@pytest.mark.parametrize(
    ("dtype", "profile"),
    [
        ("uint8", {}),
        ("int8", {}),
        ("uint16", {"compress": "deflate"}),
        ("int32", {"tiled": True, "blockxsize": 16, "blockysize": 16}),
        ("float32", {}),
        ("float64", {"nodata": 7}),
        ("uint8", {"nodata": 7}),
    ],
)
def test_a_mask_in_the_file_masks(tmp_path: Path, dtype: str, profile: dict[str, Any]) -> None:
    path = masked(tmp_path / "src" / "one.tif", noise(dtype), **profile)
    expected = decoded(path)[0][INSIDE]
    assert np.isnan(expected).any()
    np.testing.assert_array_equal(variable_of(cube(tmp_path)), expected)


@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_a_mask_is_that_of_every_band(tmp_path: Path, interleave: str) -> None:
    path = tmp_path / "src" / "one.tif"
    masked(path, noise("uint8", 5), overviews=True, interleave=interleave, photometric="minisblack")
    expected = decoded(path)[:, *INSIDE]
    np.testing.assert_array_equal(variable_of(cube(tmp_path)), expected)
    apart = cube(tmp_path, open_params={"band_as_variable": True})
    for band in range(5):
        np.testing.assert_array_equal(apart[f"band_{band + 1}"], expected[band])


def test_valid_pixels_of_any_value_stay_beside_masked_ones(tmp_path: Path) -> None:
    values = np.arange(1600).reshape(1, 40, 40).astype("uint8")
    path = masked(tmp_path / "src" / "one.tif", values)
    result, told = build_raster(tmp_path)
    assert result.status == "COMPLETED", result.message
    found = variable_of(cube(tmp_path, raw=True))
    assert found.dtype == "int16"
    assert int(found.attrs["_FillValue"]) == -(2**15)
    expected = decoded(path)[0][INSIDE]
    np.testing.assert_array_equal(found, np.where(np.isnan(expected), -(2**15), expected))
    [line] = [line for line in told.warnings if "mask" in line]
    assert "int16 and not uint8" in line


@pytest.mark.parametrize(("fill", "dtype"), [(200, "uint8"), (-1, "int16")])
def test_a_fill_value_is_what_is_masked(tmp_path: Path, fill: int, dtype: str) -> None:
    path = masked(tmp_path / "src" / "one.tif", noise("uint8"))
    expected = decoded(path)[0][INSIDE]
    found = variable_of(cube(tmp_path, raw=True, spatial_resample_params={"fill_values": fill}))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.where(np.isnan(expected), fill, expected))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(
    ("grid", "method", "gdal"),
    [
        (1, {"agg_methods": "mean"}, Resampling.average),
        (1, {"agg_methods": "max"}, Resampling.max),
        (2, {"interp_methods": "bilinear"}, Resampling.bilinear),
    ],
)
def test_what_is_masked_does_not_weigh_in(
    tmp_path: Path, dtype: str, grid: int, method: dict[str, str], gdal: Resampling
) -> None:
    path = masked(tmp_path / "src" / "one.tif", noise(dtype, low=1))
    expected = warped(path, GRIDS[grid], gdal)
    params = {"spatial_resample_params": method}
    found = variable_of(cube(tmp_path, GRIDS[grid]["identifier"], **params)).values
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    known = ~np.isnan(expected)
    atol = 0.51 if dtype == "uint8" else 1e-4
    np.testing.assert_allclose(found[known], expected[known], atol=atol)


def test_integers_of_64_bits_with_a_mask_need_a_fill_value(tmp_path: Path) -> None:
    path = masked(tmp_path / "src" / "one.tif", noise("uint64"))
    result, _ = build_raster(tmp_path)
    assert result.status == "FAILED"
    assert "fill_values" in result.message
    found = cube(tmp_path, spatial_resample_params={"fill_values": 2**64 - 1}, raw=True)
    expected = decoded(path)[0][INSIDE]
    hidden = variable_of(found) == np.uint64(2**64 - 1)
    np.testing.assert_array_equal(hidden, np.isnan(expected))


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("alpha", ["YES", "PREMULTIPLIED"])
def test_an_alpha_band_masks_and_is_no_variable(
    tmp_path: Path, interleave: str, alpha: str
) -> None:
    values = noise("uint8", 4)
    values[3] = np.where(values[3] > 40, values[3], 0)
    path = tmp_path / "src" / "one.tif"
    write(path, values, interleave=interleave, photometric="rgb", alpha=alpha)
    expected = decoded(path, [1, 2, 3])[:, *INSIDE]
    assert np.isnan(expected).any()
    found = variable_of(cube(tmp_path))
    assert list(found["band"]) == [1, 2, 3]
    np.testing.assert_array_equal(found, expected)
    apart = cube(tmp_path, open_params={"band_as_variable": True})
    assert set(apart.data_vars) == {"band_1", "band_2", "band_3"}
    np.testing.assert_array_equal(apart["band_2"], expected[1])
    names = ["band_1", "band_4"]
    asked = cube(
        tmp_path, raw=True, open_params={"band_as_variable": True, "variable_names": names}
    )
    assert set(asked.data_vars) == set(names)
    assert asked["band_4"].dtype == "uint8"
    np.testing.assert_array_equal(asked["band_4"], values[3][INSIDE])


def test_one_band_beside_alpha_has_no_dimension_of_bands(tmp_path: Path) -> None:
    values = noise("float32", 2)
    values[1] = values[1] > 30
    path = write(tmp_path / "src" / "one.tif", values, alpha="YES")
    with rasterio.open(path) as file:
        assert file.colorinterp[1] == ColorInterp.alpha
    found = variable_of(cube(tmp_path))
    assert found.dims == ("lat", "lon")
    np.testing.assert_array_equal(found, decoded(path, [1])[0][INSIDE])


def test_nodata_counts_before_alpha(tmp_path: Path) -> None:
    values = noise("uint8", 4)
    path = tmp_path / "src" / "one.tif"
    write(path, values, photometric="rgb", alpha="YES", nodata=7)
    found = variable_of(cube(tmp_path, raw=True))
    assert found.dtype == "uint8"
    assert found.sizes["band"] == 3
    np.testing.assert_array_equal(found, values[:3, *INSIDE])
    assert int(found.attrs["_FillValue"]) == 7


def test_nodata_of_several_values_masks_where_all_match(tmp_path: Path) -> None:
    values = noise("uint8", 3, high=3)
    path = write(tmp_path / "src" / "one.tif", values, photometric="rgb")
    with rasterio.open(path, "r+") as file:
        file.update_tags(NODATA_VALUES="1 2 0")
    expected = decoded(path)[:, *INSIDE]
    assert np.isnan(expected).any()
    np.testing.assert_array_equal(variable_of(cube(tmp_path)), expected)


def test_a_mask_beside_the_file_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "src" / "one.tif"
    values = noise("uint8")
    write(path, values)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
        file.write_mask(np.zeros(values.shape[1:], "uint8"))
    assert path.with_name("one.tif.msk").exists()
    result, told = build_raster(tmp_path)
    assert result.error is None
    [line] = told.warnings[-1:]
    assert "one.tif: has a sidecar mask (one.tif.msk), which is not read" in line
    np.testing.assert_array_equal(variable_of(cube(tmp_path)), values[0][INSIDE])
