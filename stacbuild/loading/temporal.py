"""Resample in time: aggregate to longer steps, or interpolate to shorter ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from stacbuild.config.times import length_of_time
from stacbuild.errors import BuildError
from stacbuild.formats.cf_flags import FLAGS, is_categorical
from stacbuild.loading.aggregate import PICKING, aggregate, float_of, missing_value, reduced_dtype
from stacbuild.loading.packing import Stored, commutes, packing_of, without_packing
from stacbuild.loading.temporal_fill import Fills, refuse_value

if TYPE_CHECKING:
    from stacbuild.config.datasets import TemporalResampleParams

# Relative deviation of steps from their mean (as of years) up to which they count as regular.
_IRREGULAR = 0.05

# Methods that select a value by its distance to the start of a step, whether or not it lies in the
# step.
_SELECTING = frozenset({"bfill", "ffill", "nearest"})
_SAME = {"backfill": "bfill", "pad": "ffill", "slinear": "linear", "zero": "ffill"}

# CF appendix E has no names for the other methods.
_CELL_METHODS = {
    "max": "maximum",
    "mean": "mean",
    "median": "median",
    "min": "minimum",
    "std": "standard_deviation",
    "sum": "sum",
    "var": "variance",
}


def resample_in_time(
    dataset: xr.Dataset, params: TemporalResampleParams, data_id: str
) -> xr.Dataset:
    """Resample variables in time to the configured frequency.

    Parameters
    ----------
    dataset
        Lazy, with a dimension ``time`` (UTC), and the nodata value in ``encoding["_FillValue"]``.
    params
        The configured parameters; the variables they name are variables of *dataset*.

    Returns
    -------
    Lazy dataset. Each step is labelled with its start; a step without values is nodata. Methods
    that pick a value (nearest, first, last, min, max, ffill, bfill) preserve the dtype; ``count``
    is int32; other results from integers are float32 (up to 16 bits) or float64. The CF attribute
    ``cell_methods`` states the method.

    Raises
    ------
    BuildError
        If there is no time dimension, or times are irregular and no method is given.
    """
    if not isinstance(dataset.indexes.get("time"), pd.DatetimeIndex):
        raise BuildError(
            f"{data_id}: has no times; leave temporal_resample_params out, or date its bands in a "
            "profile or a custom_processing function"
        )
    names = [str(name) for name, array in dataset.data_vars.items() if "time" in array.dims]
    check_temporal_names(params, names, data_id)
    if params.variables is not None:
        names = [name for name in names if name in params.variables]
    dataset = dataset[names].sortby("time")
    if not dataset.indexes["time"].is_unique:
        raise BuildError(f"{data_id}: has a time twice; leave temporal_resample_params out")
    upsampling = _is_upsampling(dataset.indexes["time"], params, data_id)
    return xr.Dataset(
        {
            name: _resampled(
                array, params, _method(str(name), array.dtype, array.attrs, params, upsampling)
            )
            for name, array in dataset.data_vars.items()
        },
        attrs=dataset.attrs,
    )


def resampled_times(times: pd.DatetimeIndex, params: TemporalResampleParams) -> pd.DatetimeIndex:
    """Return the start of each time step after resampling."""
    return pd.DatetimeIndex(_steps(times.sort_values(), params).index)


def dtype_of_resampled(
    name: str,
    dtype: np.dtype[Any],
    attrs: Mapping[Any, Any],
    times: pd.DatetimeIndex,
    params: TemporalResampleParams,
) -> np.dtype[Any]:
    """Return the dtype of a variable after `resample_in_time`.

    Raises
    ------
    BuildError
        As `resample_in_time`, if times are irregular and no method is given.
    """
    upsampling = _is_upsampling(times.sort_values(), params, name)
    method = _method(name, dtype, attrs, params, upsampling)
    if not commutes(method, packing_of(attrs)):
        dtype = float_of(dtype)
    return reduced_dtype(dtype, method)


def check_temporal_names(params: TemporalResampleParams, names: list[str], data_id: str) -> None:
    """Raise a `BuildError` if the parameters name a variable that is not one with times.

    Parameters
    ----------
    names
        The cube's variables with times.
    """
    for section in ("variables", "agg_methods", "interp_methods"):
        stated = getattr(params, section)
        for name in () if isinstance(stated, str) else stated or ():
            if name not in names:
                raise BuildError(
                    f"{data_id}: temporal_resample_params.{section} names {name!r}, which is not a "
                    f"variable of the cube with times; there are: {', '.join(sorted(names))}"
                )


def _is_upsampling(times: pd.DatetimeIndex, params: TemporalResampleParams, data_id: str) -> bool:
    """Return whether the new time steps are shorter than those of *times*."""
    if params.agg_methods is not None or params.interp_methods is not None:
        return params.interp_methods is not None
    if params.frequency == "all" or len(times) == 1:
        return False
    steps = np.diff(times.to_numpy()).astype("timedelta64[ns]").astype(np.float64)
    if steps.std() > _IRREGULAR * steps.mean():
        raise BuildError(
            f"{data_id}: its times are irregular; give agg_methods or interp_methods in "
            "temporal_resample_params"
        )
    new = pd.date_range(times[0], periods=5, freq=params.frequency)
    step = (new[-1] - new[0]) / (len(new) - 1)
    return bool(step < pd.Timedelta(steps.mean()) * (1 - _IRREGULAR))


def _method(
    name: str,
    dtype: np.dtype[Any],
    attrs: Mapping[Any, Any],
    params: TemporalResampleParams,
    upsampling: bool,
) -> str:
    stated = params.interp_methods if upsampling else params.agg_methods
    method = stated.get(name) if isinstance(stated, dict) else stated
    if method is None:
        categorical = is_categorical(dtype, attrs)
        method = "nearest" if categorical else "linear" if upsampling else "mean"
    return _SAME.get(method, method)


def _resampled(array: xr.DataArray, params: TemporalResampleParams, method: str) -> xr.DataArray:
    if not commutes(method, packing_of(array.attrs)):
        array = _unpacked(array)
    by_time = array.chunk().transpose("time", ...)
    steps = _steps(array.indexes["time"], params)
    empty = _empty(array, steps, params, method)
    fills = Fills.of(array, empty=empty)
    if empty and fills.is_new:
        by_time = by_time.copy(
            data=by_time.data.map_blocks(
                refuse_value, value=fills.written, name_of=str(array.name), dtype=array.dtype
            )
        )
    if method == "linear":
        found = _interpolated(by_time, steps.index, fills.missing)
    elif method in _SELECTING:
        found = _selected(by_time, steps.index, fills.written, method, params.tolerance)
    else:
        found = _aggregated(by_time, steps, fills, method)
    return _with_metadata(found.transpose(*array.dims), array, fills, method)


def _unpacked(array: xr.DataArray) -> xr.DataArray:
    """Return the unpacked values of an array, with NaN for nodata."""
    scale, offset = packing_of(array.attrs)
    fills, dtype = Fills.of(array, empty=False), float_of(array.dtype)
    nodata = () if np.isnan(fills.missing) else (fills.missing,)
    stored = Stored(nodata, False, scale, offset, tolerant=False)

    def unpack(block: NDArray[Any]) -> NDArray[Any]:
        values = np.empty(block.shape, dtype)
        stored.convert(block, values, np.nan)
        return values

    data = array.chunk().data.map_blocks(
        unpack, dtype=dtype, meta=np.empty((0,) * array.ndim, dtype)
    )
    unpacked = array.copy(data=data)
    unpacked.attrs = without_packing(array.attrs)
    unpacked.encoding = {"_FillValue": dtype.type(np.nan)}
    return unpacked


def _empty(
    array: xr.DataArray, steps: pd.Series[int], params: TemporalResampleParams, method: str
) -> bool:
    """Return whether a step may have no value, even if the source has no nodata.

    Only for methods that preserve the dtype: the results of the others have NaN there.
    """
    if method in _SELECTING:
        return bool((_nearby(array, steps.index, method, params.tolerance) < 0).any())
    return method in PICKING and bool((steps == 0).any())


def _steps(times: pd.DatetimeIndex, params: TemporalResampleParams) -> pd.Series[int]:
    """Return the start of each step (closed on the left), with the number of times in it."""
    if params.frequency == "all":
        return pd.Series([len(times)], times[:1])
    sizes = pd.Series(1, times).resample(
        params.frequency,
        closed="left",
        label="left",
        offset=length_of_time(params.offset) if params.offset else None,
    )
    return sizes.size()


def _aggregated(
    array: xr.DataArray, steps: pd.Series[int], fills: Fills, method: str
) -> xr.DataArray:
    ends = np.cumsum(steps.to_numpy())
    dtype = reduced_dtype(array.dtype, method)
    others = tuple(range(1, array.ndim))
    # One block per step, so that only the values of one step are in memory, and only once.
    parts = [
        da.blockwise(
            aggregate, (-1, *others), array.data[end - size : end], (0, *others),
            concatenate=False, new_axes={-1: 1}, fill=fills.missing, method=method, dtype=dtype,
            meta=np.empty((0,) * array.ndim, dtype),
        )
        if size
        else da.full(
            (1, *array.shape[1:]), missing_value(dtype, fills.written, method), dtype=dtype,
            chunks=((1,), *array.data.chunks[1:]),
        )
        for end, size in zip(ends, steps, strict=True)
    ]  # fmt: skip
    return _at(array, steps.index, da.concatenate(parts))


def _selected(
    array: xr.DataArray, times: pd.DatetimeIndex, fill: Any, method: str, tolerance: str | None
) -> xr.DataArray:
    index = _nearby(array, times, method, tolerance)
    chosen = _at(array, times, array.data[np.maximum(index, 0)])
    found = xr.DataArray(index >= 0, dims="time", coords={"time": times})
    return chosen if (index >= 0).all() else chosen.where(found, array.dtype.type(fill))


def _nearby(
    array: xr.DataArray, times: pd.DatetimeIndex, method: str, tolerance: str | None
) -> NDArray[Any]:
    """Return the index of the source time for each new time, -1 if there is none."""
    within = length_of_time(tolerance) if tolerance else None
    return np.asarray(array.indexes["time"].get_indexer(times, method=method, tolerance=within))


def _interpolated(array: xr.DataArray, times: pd.DatetimeIndex, fill: Any) -> xr.DataArray:
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
    low, high = (_at(array, times, valid.data[index]) for index in (after - 1, after))
    # At a source time, only that value counts: the other neighbour may be nodata.
    between = low + weight * (high - low)
    return between.where(weight != 0, low).where(weight != 1, high)


def _at(array: xr.DataArray, times: pd.DatetimeIndex, data: Any) -> xr.DataArray:
    """Return a copy of an array with new times and values."""
    coords = {name: coord for name, coord in array.coords.items() if "time" not in coord.dims}
    return xr.DataArray(data, dims=array.dims, coords={**coords, "time": times}, name=array.name)


def _with_metadata(
    found: xr.DataArray, array: xr.DataArray, fills: Fills, method: str
) -> xr.DataArray:
    """Set attributes and fill value of a result."""
    if method == "count":
        label = array.attrs.get("long_name", found.name)
        return found.assign_attrs(long_name=f"Number of values of {label}")
    found = found.assign_attrs(array.attrs)
    if method in _CELL_METHODS:
        found.attrs["cell_methods"] = f"time: {_CELL_METHODS[method]}"
    if method in PICKING:
        found.encoding = {"fill_value": fills.written}
        if fills.is_used:
            found.encoding["_FillValue"] = fills.written
        return found
    for name in (*FLAGS, "flag_colors"):
        found.attrs.pop(name, None)
    if method in ("prod", "var"):
        found.attrs.pop("units", None)
    found.encoding = {"_FillValue": found.dtype.type(np.nan)}
    return found
