"""Fill values of resampled time series, in which steps may have no value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stacbuild.errors import BuildError


@dataclass(frozen=True)
class Fills:
    """The nodata value of the source, and the fill value of the result.

    Parameters
    ----------
    missing
        Nodata value of the source; NaN if only NaN is nodata.
    written
        Value of a step without values.
    is_new
        Whether the source has no nodata value, so that *written* may also be a valid value.
    is_used
        Whether the result may contain nodata.
    """

    missing: Any
    written: Any
    is_new: bool
    is_used: bool

    @classmethod
    def of(cls, array: xr.DataArray, *, empty: bool) -> Fills:
        """Return the fill values of an array; *empty*: whether steps may have no value."""
        declared = array.encoding.get("_FillValue")
        if array.dtype.kind == "f" or declared is not None:
            fill = np.nan if declared is None else declared
            return cls(fill, fill, is_new=False, is_used=True)
        fill = array.encoding.get("fill_value")
        if fill is None and array.dtype.kind in "iu":
            limits = np.iinfo(array.dtype)
            fill = array.dtype.type(limits.max if array.dtype.kind == "u" else limits.min)
        return cls(np.nan, False if fill is None else fill, is_new=True, is_used=empty)


def refuse_value(block: NDArray[Any], value: Any, name_of: str) -> NDArray[Any]:
    """Raise `BuildError` if a block has the fill value as a valid value."""
    if (block == value).any():
        raise BuildError(
            f"{name_of}: holds {value} as a value, which steps without one would be; state another "
            "by spatial_resample_params.fill_values"
        )
    return block
