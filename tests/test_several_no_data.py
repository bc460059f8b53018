"""Floats with several values for "no data" are measured quantities, not classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.built import INSIDE
from tests.cli import Json
from tests.raw_zarr import GRID, Raw, made, write

VALUES = np.random.default_rng(5).random((120, 120)).astype("float32")


@pytest.mark.parametrize(
    "attrs",
    [
        {"_FillValue": -777.0, "missing_value": -999.0},
        {"missing_value": [-999.0, -888.0]},
    ],
    ids=str,
)
def test_they_are_averaged_without_any_of_them(tmp_path: Path, attrs: Json) -> None:
    values = VALUES.copy()
    values[30, 30] = -999
    write(tmp_path / "src" / "one.zarr", {"v": Raw(["lat", "lon"], values, attrs), **GRID})
    cube = made(tmp_path, grid={"spatial_res": 0.002})
    valid = np.where(values == -999, np.nan, values)[INSIDE].astype("float64")
    expected = np.nanmean(valid.reshape(50, 2, 50, 2), axis=(1, 3))
    assert np.allclose(cube["v"].values, expected, atol=1e-6)


@pytest.mark.parametrize("stated", [-3.402823e38, "-3.402823e+38", np.float32(-3.402823e38)])
def test_the_lowest_float_in_few_digits_is_the_lowest_float(tmp_path: Path, stated: object) -> None:
    values = VALUES.copy()
    values[30, 30] = np.finfo("float32").min
    values[40, 40] = np.float32(-3.402823e38)
    values[50, 50] = -3.4e38
    attrs = {"_FillValue": float(stated) if isinstance(stated, np.generic) else stated}
    write(tmp_path / "src" / "one.zarr", {"v": Raw(["lat", "lon"], values, attrs), **GRID})
    expected = values.copy()
    expected[[30, 40], [30, 40]] = np.nan
    assert np.array_equal(made(tmp_path)["v"].values, expected[INSIDE], equal_nan=True)
