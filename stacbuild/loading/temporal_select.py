"""Values at new times: selected by their distance in time, or interpolated between two."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from stacbuild.config.times import length_of_time
from stacbuild.loading.aggregate import float_of

SELECTING = frozenset({"bfill", "ffill", "nearest"})
"""Methods that select a value by its distance to the start of a step, whether or not it lies in the
step."""


def selected(
    array: xr.DataArray, times: pd.DatetimeIndex, fill: Any, method: str, tolerance: str | None
) -> xr.DataArray:
    """Return the values that a method of `SELECTING` takes; *fill* where there is none."""
    index = nearby(array, times, method, tolerance)
    chosen = at(array, times, array.data[np.maximum(index, 0)])
    found = xr.DataArray(index >= 0, dims="time", coords={"time": times})
    return chosen if (index >= 0).all() else chosen.where(found, array.dtype.type(fill))


def nearby(
    array: xr.DataArray, times: pd.DatetimeIndex, method: str, tolerance: str | None
) -> NDArray[Any]:
    """Return the index of the source time for each new time, -1 if there is none."""
    within = length_of_time(tolerance) if tolerance else None
    return np.asarray(array.indexes["time"].get_indexer(times, method=method, tolerance=within))


def interpolated(array: xr.DataArray, times: pd.DatetimeIndex, fill: Any) -> xr.DataArray:
    """Interpolate linearly in time; NaN before the first and after the last source time.

    Each value depends only on its two neighbours, whatever the length of the series.
    """
    dtype = float_of(array.dtype)
    valid = array.astype(dtype)
    if not np.isnan(fill):
        valid = valid.where(array != fill)
    known = array.indexes["time"].to_numpy().astype("datetime64[ns]").astype(np.int64)
    wanted = times.to_numpy().astype("datetime64[ns]").astype(np.int64)
    after = np.clip(np.searchsorted(known, wanted), 1, max(len(known) - 1, 1)) % len(known)
    share = (wanted - known[after - 1]) / np.maximum(known[after] - known[after - 1], 1)
    share = np.where((share < 0) | (share > 1), np.nan, share).astype(dtype)
    weight = xr.DataArray(share, dims="time", coords={"time": times})
    low, high = (at(array, times, valid.data[index]) for index in (after - 1, after))
    # At a source time, only that value counts: the other neighbour may be nodata.
    between = low + weight * (high - low)
    return between.where(weight != 0, low).where(weight != 1, high)


def at(array: xr.DataArray, times: pd.DatetimeIndex, data: Any) -> xr.DataArray:
    """Return a copy of an array with new times and values."""
    coords = {name: coord for name, coord in array.coords.items() if "time" not in coord.dims}
    return xr.DataArray(data, dims=array.dims, coords={**coords, "time": times}, name=array.name)
