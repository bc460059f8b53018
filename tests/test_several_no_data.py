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
