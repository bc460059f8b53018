"""GeoTIFFs of several pages, placed by points, skewed by rounding, south up, of few bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.rpc import RPC

from tests.support.built import variable_of
from tests.support.rasters import INSIDE, TRANSFORM, build_raster, cube, decoded, noise, write


def test_further_pages_are_told_of(tmp_path: Path) -> None:
    values = noise("int16", 2)
    path = write(tmp_path / "src" / "one.tif", values[:1])
    with rasterio.open(path) as file:
        profile = file.profile
    for _ in range(2):
        with rasterio.open(path, "w", **profile, APPEND_SUBDATASET="YES") as file:
            file.write(values[1:])
    result, told = build_raster(tmp_path)
    assert result.error is None
    [line] = [line for line in told.warnings if "(subdatasets)" in line]
    assert "3 pages" in line
    np.testing.assert_array_equal(variable_of(cube(tmp_path)), values[0][INSIDE])


def test_overviews_and_masks_are_no_pages(tmp_path: Path) -> None:
    path = write(tmp_path / "src" / "one.tif", noise("int16"))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(np.full((40, 40), 255, "uint8"))
        file.build_overviews([2, 4], Resampling.nearest)
    _, told = build_raster(tmp_path)
    assert not [line for line in told.warnings if "(subdatasets)" in line]


def test_a_mask_beside_nodata_is_told_of(tmp_path: Path) -> None:
    path = write(tmp_path / "src" / "one.tif", noise("int16"), nodata=7)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(np.full((40, 40), 255, "uint8"))
    result, told = build_raster(tmp_path)
    assert result.error is None
    assert [line for line in told.warnings if "a mask and a nodata value (7" in line]
    np.testing.assert_array_equal(variable_of(cube(tmp_path)), decoded(path)[0][INSIDE])


def corners(*, rpcs: bool) -> dict[str, object]:
    """Return what places a raster of 40 x 40 without a transform."""
    if not rpcs:
        points = [
            GroundControlPoint(row, col, 10 + col / 100, 50 - row / 100)
            for row in (0, 40)
            for col in (0, 40)
        ]
        return {"gcps": points, "crs": CRS.from_epsg(4326)}
    zeros = [0.0] * 18
    return {
        "rpcs": RPC(
            height_off=0, height_scale=1, lat_off=50, lat_scale=1, long_off=10, long_scale=1,
            line_off=20, line_scale=20, samp_off=20, samp_scale=20,
            line_num_coeff=[0.0, 0.0, 1.0, *zeros[1:]], line_den_coeff=[1.0, 0.0, *zeros],
            samp_num_coeff=[0.0, 1.0, *zeros], samp_den_coeff=[1.0, 0.0, *zeros],
        )
    }  # fmt: skip


@pytest.mark.parametrize(("rpcs", "said"), [(False, "ground control points"), (True, "RPCs")])
def test_what_is_on_no_grid_is_to_be_warped_first(tmp_path: Path, rpcs: bool, said: str) -> None:
    place = {"crs": None, "transform": None} | corners(rpcs=rpcs)
    write(tmp_path / "src" / "one.tif", noise("int16"), **place)
    result, _ = build_raster(tmp_path)
    assert said in result.message
    assert "gdalwarp" in result.message


@pytest.mark.parametrize(
    "transform",
    [
        Affine(0.01, 1e-19, 10, -1e-19, -0.01, 50),
        Affine(0.01, 0, 10, 1e-17, -0.01, 50),
    ],
)
@pytest.mark.parametrize("params", [{}, {"bbox": [10.1, 49.7, 10.3, 49.9]}])
def test_a_skew_of_rounding_is_none(
    tmp_path: Path, transform: Affine, params: dict[str, list[float]]
) -> None:
    values = noise("int16")
    write(tmp_path / "src" / "one.tif", values, transform=transform)
    found = variable_of(cube(tmp_path, None, open_params=params))
    np.testing.assert_array_equal(found, values[0][INSIDE] if params else values[0])


def test_a_raster_south_up_is_turned(tmp_path: Path) -> None:
    values = noise("float32")
    write(tmp_path / "src" / "one.tif", values, transform=Affine(0.01, 0, 10, 0, 0.01, 49.6))
    np.testing.assert_array_equal(variable_of(cube(tmp_path)), values[0, ::-1][INSIDE])


def test_pixels_that_are_points_lie_where_gdal_has_them(tmp_path: Path) -> None:
    values = noise("int16")
    path = write(tmp_path / "src" / "one.tif", values)
    with rasterio.open(path, "r+") as file:
        file.update_tags(AREA_OR_POINT="Point")
    with rasterio.open(path) as file:
        assert file.transform == TRANSFORM
    np.testing.assert_array_equal(variable_of(cube(tmp_path)), values[0][INSIDE])


@pytest.mark.parametrize(
    "profile",
    [
        {"nbits": 1},
        {"nbits": 4},
        {"nbits": 4, "nodata": 1},
        {"compress": "lzma"},
        {"compress": "lerc"},
        {"compress": "zstd", "predictor": 2},
        {"compress": "webp", "webp_lossless": True, "photometric": "rgb"},
    ],
)
def test_values_of_few_bits_and_any_codec(tmp_path: Path, profile: dict[str, object]) -> None:
    values = noise("uint8", 3 if "photometric" in profile else 1, high=2)
    path = write(tmp_path / "src" / "one.tif", values, **profile)
    expected = decoded(path)[:, *INSIDE]
    np.testing.assert_array_equal(variable_of(cube(tmp_path)), expected.squeeze())


def test_a_palette_with_nodata(tmp_path: Path) -> None:
    path = write(tmp_path / "src" / "one.tif", noise("uint8", high=4), nodata=3)
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {0: (255, 0, 0, 255), 3: (0, 0, 0, 0)})
        file.update_tags(1, STATISTICS_MINIMUM="0", STATISTICS_MAXIMUM="3")
    np.testing.assert_array_equal(variable_of(cube(tmp_path)), decoded(path)[0][INSIDE])
