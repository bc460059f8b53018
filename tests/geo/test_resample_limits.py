"""Resampling at the limits: sums that a type cannot hold, sources of one row or column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasterio import Affine

from tests.support.built import made, refused, variable_of
from tests.support.cli import BOX, NORTH, WEST, Json
from tests.support.fine_rasters import FINE, written

COARSE: Json = {"identifier": "coarse", "bbox": list(BOX), "spatial_res": 0.002, "crs": "EPSG:4326"}


@pytest.mark.parametrize(("dtype", "value"), [("uint8", 200), ("int8", -100), ("uint16", 20000)])
def test_sum_that_the_type_cannot_hold_is_refused(tmp_path: Path, dtype: str, value: int) -> None:
    written(tmp_path, np.full((200, 200), value, dtype), FINE)
    said = refused(tmp_path, {"spatial_resample_params": {"agg_methods": "sum"}})
    # 2 x 2 pixels each.
    assert f"sum gives {4 * value}, which {dtype} cannot hold" in said
    assert "agg_methods: mean" in said


def test_sum_that_is_what_stands_for_no_data_is_refused(tmp_path: Path) -> None:
    written(tmp_path, np.full((200, 200), 50, "uint8"), FINE, nodata=200)
    said = refused(tmp_path, {"spatial_resample_params": {"agg_methods": "sum"}})
    assert "sum gives 200, which uint8 cannot hold or stands for no data in it" in said


def test_sum_that_the_type_can_hold_is_exact(tmp_path: Path) -> None:
    values = np.arange(200 * 200, dtype="int32").reshape(200, 200)
    written(tmp_path, values, FINE, nodata=-1)
    cube = made(tmp_path, {"spatial_resample_params": {"agg_methods": "sum"}})
    wanted = values.reshape(100, 2, 100, 2).sum(axis=(1, 3))
    np.testing.assert_array_equal(variable_of(cube).values, wanted)


@pytest.mark.parametrize("shape", [(4, 1), (1, 4)])
def test_bilinear_of_one_row_or_column_goes_along_it(
    tmp_path: Path, shape: tuple[int, int]
) -> None:
    written(
        tmp_path,
        np.array([10, 20, 30, 40], "float32").reshape(shape),
        Affine(0.025, 0, WEST, 0, -0.025, NORTH),
    )
    cube = made(tmp_path, {"spatial_resample_params": {"interp_methods": "bilinear"}})
    line = variable_of(cube).values[:, 3] if shape[1] == 1 else variable_of(cube).values[3]
    at = (np.arange(100) + 0.5) / 25 - 0.5
    np.testing.assert_allclose(line, 10 + 10 * np.clip(at, 0, 3), rtol=1e-3)
