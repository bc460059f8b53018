"""Floats with several values for "no data" are measured quantities, not classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.built import INSIDE
from tests.support.cli import Json
from tests.support.raw_zarr import GRID, Raw, made, write

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


@pytest.mark.parametrize(
    ("dtype", "attrs", "masked"),
    [
        ("uint16", {"nodata": 0}, True),
        ("float32", {"nodata": 0.0, "_FillValue": "NaN"}, True),
        ("float32", {"nodatavals": [0.0, 0.0]}, True),
        ("float32", {"nodatavals": [0.0, 1.0]}, False),
        ("uint16", {"nodata": 0, "_FillValue": 65535}, False),
        ("uint16", {"nodata": "nan"}, False),
    ],
    ids=str,
)
@pytest.mark.parametrize("fmt", [2, 3])
def test_what_programs_for_rasters_state(
    tmp_path: Path, fmt: int, dtype: str, attrs: Json, masked: bool
) -> None:
    values = (VALUES * 100 + 1).astype(dtype)
    values[:, 60:] = 0
    # In format 2 a fill value of 0 stands where nobody chose one; so none is written.
    write(tmp_path / "src" / "one.zarr", {"v": Raw(["lat", "lon"], values, attrs), **GRID}, fmt)
    cube = made(tmp_path)["v"]
    fill = cube.attrs.get("_FillValue")
    holes = np.isnan(cube.values) if dtype == "float32" else cube.values == (0 if masked else -1)
    assert np.array_equal(holes, masked & (values == 0)[INSIDE])
    assert fill is None or masked or fill != 0
    assert "nodata" not in cube.attrs
