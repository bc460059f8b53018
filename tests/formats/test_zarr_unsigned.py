"""The attribute ``_Unsigned`` of Zarr variables, as others than netCDF-C write it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from stacbuild.formats.zarr_decode import decoded

NUMBERS = np.array([0, 1, 127, 128, 254, 255])


@pytest.mark.parametrize("true", ["true", "True", "TRUE", True])
def test_signed_bytes_that_are_unsigned(true: Any) -> None:
    stored = NUMBERS.astype("uint8").view("int8")
    attrs = {"_Unsigned": true, "_FillValue": -1}
    coordinate = xr.Variable("x", stored, {"_Unsigned": true, "scale_factor": 0.5})
    raw = xr.Dataset({"v": ("x", stored, attrs)}, {"x": coordinate})
    found = decoded(raw, 3)
    assert found["v"].dtype == np.uint8
    assert np.array_equal(found["v"].values, NUMBERS)
    assert found["v"].attrs == {"_FillValue": 255}
    assert np.array_equal(found["x"].values, NUMBERS / 2)


@pytest.mark.parametrize("false", ["false", "False", False])
def test_unsigned_bytes_that_are_signed(false: Any) -> None:
    signed = NUMBERS - 128
    raw = xr.Dataset({"v": ("x", signed.astype("int8").view("uint8"), {"_Unsigned": false})})
    assert np.array_equal(decoded(raw, 3)["v"].values, signed)
