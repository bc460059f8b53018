"""What "no data" is in a series, and in steps that come to have none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from stacbuild.errors import BuildError
from stacbuild.loading.temporal_fill import Fills, refuse_value


def fills(dtype: str, *, empty: bool = True, **encoding: Any) -> Fills:
    array = xr.DataArray(np.zeros(2, dtype))
    array.encoding = encoding
    return Fills.of(array, empty=empty)


def test_what_is_declared_is_kept() -> None:
    assert fills("uint8", _FillValue=255) == Fills(255, 255, is_new=False, is_used=True)
    found = fills("float32")
    assert np.isnan(found.missing)
    assert not found.is_new


@pytest.mark.parametrize(("dtype", "written"), [("uint8", 255), ("int16", -32768), ("bool", False)])
def test_integers_without_one_get_a_value_only_if_needed(dtype: str, written: int) -> None:
    for empty in (True, False):
        found = fills(dtype, empty=empty)
        assert (found.written, found.is_new, found.is_used) == (written, True, empty)
    assert fills("uint8", fill_value=7).written == 7


def test_a_valid_value_is_not_taken_for_none() -> None:
    block = np.array([1, 2])
    assert refuse_value(block, 3, "v") is block
    with pytest.raises(BuildError, match=r"v: .*fill_values"):
        refuse_value(block, 2, "v")
