"""Bands that differ in unit, scale and offset: each its own, or values unpacked and a warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from tests.support.built import variable_of
from tests.support.rasters import INSIDE, build_raster, cube, decoded, noise, write


def bands(path: Path, dtype: str = "int16", count: int = 2, **changes: Any) -> Path:
    """Write a raster and what its bands say of themselves."""
    write(path, noise(dtype, count), nodata=7)
    with rasterio.open(path, "r+") as file:
        for name, values in changes.items():
            setattr(file, name, values)
    return path


def test_each_variable_has_what_its_band_says(tmp_path: Path) -> None:
    path = bands(
        tmp_path / "src" / "one.tif",
        units=("K", "mm"),
        scales=(0.1, -0.01),
        offsets=(200.0, 0.0),
        descriptions=("temperature", "rain"),
    )
    found = cube(tmp_path, open_params={"band_as_variable": True})
    expected = decoded(path)[:, *INSIDE]
    for name, band, unit, text in (
        ("temperature", 0, "K", "temperature"),
        ("rain", 1, "mm", "rain"),
    ):
        np.testing.assert_allclose(found[name], expected[band], atol=1e-4)
        assert found[name].attrs["units"] == unit
        assert found[name].attrs["long_name"] == text
    assert found["rain"].encoding["scale_factor"] == -0.01
    assert found["temperature"].encoding["dtype"] == "int16"


@pytest.mark.parametrize(("dtype", "wanted"), [("uint8", "float32"), ("int32", "float64")])
def test_along_a_dimension_values_are_unpacked(tmp_path: Path, dtype: str, wanted: str) -> None:
    path = bands(
        tmp_path / "src" / "one.tif", dtype, units=("K", "mm"), scales=(0.1, 0.5), offsets=(9, 0)
    )
    result, told = build_raster(tmp_path)
    assert result.error is None
    assert any("scale or offset" in line and "unpacked" in line for line in told.warnings)
    assert any("unit (K, mm)" in line and "band_as_variable" in line for line in told.warnings)
    found = variable_of(cube(tmp_path, raw=True))
    assert found.dtype == wanted
    assert not {"units", "scale_factor", "add_offset"} & set(found.attrs)
    np.testing.assert_allclose(found, decoded(path)[:, *INSIDE], rtol=1e-6)


def test_what_all_bands_share_stays_packed(tmp_path: Path) -> None:
    path = bands(
        tmp_path / "src" / "one.tif", units=("K", "K"), scales=(0.1, 0.1), offsets=(-5, -5)
    )
    result, told = build_raster(tmp_path)
    assert result.error is None
    assert not [line for line in told.warnings if "band_as_variable" in line]
    found = variable_of(cube(tmp_path))
    assert found.encoding["dtype"] == "int16"
    assert found.attrs["units"] == "K"
    np.testing.assert_allclose(found, decoded(path)[:, *INSIDE])


def test_a_single_unit_is_that_of_its_band_only(tmp_path: Path) -> None:
    bands(tmp_path / "src" / "one.tif", units=("K", None))
    assert "units" not in variable_of(cube(tmp_path)).attrs
    apart = cube(tmp_path, open_params={"band_as_variable": True})
    assert apart["band_1"].attrs["units"] == "K"
    assert "units" not in apart["band_2"].attrs


def test_means_of_packed_bands_are_unpacked(tmp_path: Path) -> None:
    path = bands(tmp_path / "src" / "one.tif", scales=(0.1, 10), offsets=(0, 1))
    params = {"spatial_resample_params": {"agg_methods": "max"}}
    found = variable_of(cube(tmp_path, "coarse", **params)).values
    source = decoded(path)[:, *INSIDE].reshape(2, 10, 2, 10, 2)
    np.testing.assert_allclose(found, np.nanmax(source, axis=(2, 4)), rtol=1e-6)


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"scales": (0.0, 0.0)}, "a scale of 0.0"),
        ({"scales": (np.nan, np.nan)}, "a scale of nan"),
        ({"scales": (1.0, np.inf)}, "a scale of inf"),
        ({"offsets": (np.inf, 0.0)}, "an offset of inf"),
    ],
)
def test_what_no_value_can_be_unpacked_with_is_not_used(
    tmp_path: Path, tags: Any, said: str
) -> None:
    path = bands(tmp_path / "src" / "one.tif", **tags)
    result, told = build_raster(tmp_path)
    assert result.error is None
    assert any(f"one.tif: has {said}, which is none; not used" in line for line in told.warnings)
    found = variable_of(cube(tmp_path, raw=True))
    assert found.dtype == "int16"
    assert not {"scale_factor", "add_offset"} & set(found.attrs)
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(found, file.read()[:, *INSIDE])


@pytest.mark.parametrize("transform", [(0, 0, 10, 0, 0, 50), (0.01, 0.01, 10, 0.01, 0.01, 50)])
def test_pixels_without_a_size_are_refused(tmp_path: Path, transform: Any) -> None:
    write(tmp_path / "src" / "one.tif", noise("uint8"), transform=rasterio.Affine(*transform))
    result, _ = build_raster(tmp_path)
    assert "its pixels have no size" in result.message
    assert "report" not in result.message


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
def test_jpeg_is_what_gdal_decodes(tmp_path: Path, photometric: str) -> None:
    smooth = np.add.outer(np.arange(40), np.arange(40)).astype("uint8")
    path = tmp_path / "src" / "one.tif"
    options = {"compress": "jpeg", "photometric": photometric, "interleave": "pixel"}
    write(path, np.stack([smooth, smooth * 2, smooth * 3]), **options)
    np.testing.assert_array_equal(variable_of(cube(tmp_path)), decoded(path)[:, *INSIDE])
