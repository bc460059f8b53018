"""Values on regular times: aggregated to longer steps, interpolated to shorter ones."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from stacbuild.errors import BuildError

if TYPE_CHECKING:
    from stacbuild.config.datasets import TemporalResampleParams

# Steps of a source may differ by so much of their mean (as years do) and count as regular.
_IRREGULAR = 0.05

# Methods that give values which the source has, so that codes stay codes.
_PICKING = frozenset({"bfill", "ffill", "first", "last", "max", "min", "nearest"})
# Of these the value nearest to the beginning of a step is looked for, in the step or not.
_SELECTING = frozenset({"bfill", "ffill", "nearest"})
_SAME = {"backfill": "bfill", "pad": "ffill", "slinear": "linear", "zero": "ffill"}

# CF appendix E has no names for the others.
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
    """Put variables on times that are one step of the configured frequency apart.

    Parameters
    ----------
    dataset
        Lazy, with a dimension ``time`` (UTC), and "no data" in ``encoding["_FillValue"]``.
    params
        What the configuration says. The variables that it names are those of *dataset*.

    Returns
    -------
    Lazy dataset. A step has the time of its beginning; without a value it is "no data". Methods
    that pick a value (nearest, first, last, min, max, ffill, bfill) keep the dtype; ``count`` is
    int32, what is computed from integers float32 (of up to 16 bits) or float64. CF's
    ``cell_methods`` tells the method.

    Raises
    ------
    BuildError
        If there are no times, or they are irregular and no method is given.
    """
    if not isinstance(dataset.indexes.get("time"), pd.DatetimeIndex):
        raise BuildError(f"{data_id}: has no times; leave temporal_resample_params out")
    names = [str(name) for name, array in dataset.data_vars.items() if "time" in array.dims]
    for section in ("variables", "agg_methods", "interp_methods"):
        stated = getattr(params, section)
        _check_names(data_id, section, () if isinstance(stated, str) else stated or (), names)
    if params.variables is not None:
        names = [name for name in names if name in params.variables]
    dataset = dataset[names].sortby("time")
    if not dataset.indexes["time"].is_unique:
        raise BuildError(f"{data_id}: has a time twice; leave temporal_resample_params out")
    shorter = _goes_shorter(dataset.indexes["time"], params, data_id)
    return xr.Dataset(
        {
            name: _resampled(array, params, _method(str(name), array, params, shorter))
            for name, array in dataset.data_vars.items()
        },
        attrs=dataset.attrs,
    )


def _check_names(data_id: str, section: str, wanted: Iterable[str], names: list[str]) -> None:
    for name in wanted:
        if name not in names:
            raise BuildError(
                f"{data_id}: temporal_resample_params.{section} names {name!r}, which is no "
                f"variable of the cube with times; there are: {', '.join(sorted(names))}"
            )


def _goes_shorter(times: pd.DatetimeIndex, params: TemporalResampleParams, data_id: str) -> bool:
    """Tell whether the times to come are closer to each other than *times* are."""
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
    coming = pd.date_range(times[0], periods=5, freq=params.frequency)
    step = (coming[-1] - coming[0]) / (len(coming) - 1)
    return bool(step < pd.Timedelta(steps.mean()) * (1 - _IRREGULAR))


def _method(name: str, array: xr.DataArray, params: TemporalResampleParams, shorter: bool) -> str:
    stated = params.interp_methods if shorter else params.agg_methods
    method = stated.get(name) if isinstance(stated, dict) else stated
    if method is None:
        codes = array.dtype.kind != "f" or "flag_values" in array.attrs
        method = "nearest" if codes else "linear" if shorter else "mean"
    return _SAME.get(method, method)


def _resampled(array: xr.DataArray, params: TemporalResampleParams, method: str) -> xr.DataArray:
    fill = array.encoding.get("_FillValue", array.encoding.get("fill_value"))
    if params.frequency == "all":
        times = array.indexes["time"]
        # One step that begins with the first time and holds the last.
        steps: dict[Hashable, Any] = {"time": f"{(times[-1] - times[0]).days + 1}D"}
        resampler = _valid(array, fill).resample(steps, origin="start")
    else:
        resampler = _valid(array, fill).resample(time=params.frequency, offset=params.offset)
    found: xr.DataArray
    if method == "linear":
        found = _interpolated(_valid(array, fill), resampler.asfreq().indexes["time"])
    elif method in _SELECTING:
        found = getattr(resampler, method)(tolerance=params.tolerance)
    elif method in ("sum", "prod"):
        # Of nothing it is nothing, not 0 or 1.
        found = getattr(resampler, method)(min_count=1)
    else:
        found = getattr(resampler, method)()
    return _described(found.transpose(*array.dims), array, fill, method)


def _valid(array: xr.DataArray, fill: Any) -> xr.DataArray:
    """Give the values as floats, NaN where there is no data."""
    if array.dtype.kind == "f":
        return array if fill is None or np.isnan(fill) else array.where(array != fill)
    floats = array.astype("float32" if array.dtype.itemsize <= 2 else "float64")
    return floats if fill is None else floats.where(array != fill)


def _interpolated(array: xr.DataArray, times: pd.DatetimeIndex) -> xr.DataArray:
    """Give values on the straight line between two times; NaN before the first and after the last.

    Each value needs its two neighbours only, whatever the length of the series.
    """
    known = array.indexes["time"].to_numpy().astype("datetime64[ns]").astype(np.int64)
    wanted = times.to_numpy().astype("datetime64[ns]").astype(np.int64)
    after = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
    share = (wanted - known[after - 1]) / np.maximum(known[after] - known[after - 1], 1)
    share = np.where((share < 0) | (share > 1), np.nan, share).astype(array.dtype)
    weight = xr.DataArray(share, dims="time", coords={"time": times})
    low, high = (array.isel(time=place).assign_coords(time=times) for place in (after - 1, after))
    # Where a time is one of the source's, the other neighbour may well be "no data".
    between = low + weight * (high - low)
    return between.where(weight != 0, low).where(weight != 1, high)


def _described(found: xr.DataArray, array: xr.DataArray, fill: Any, method: str) -> xr.DataArray:
    """Put dtype, attributes and "no data" on a result."""
    found = found.assign_attrs(array.attrs)
    found.encoding = {}
    if method in _CELL_METHODS:
        found.attrs["cell_methods"] = f"time: {_CELL_METHODS[method]}"
    if method == "count":
        of = array.attrs.get("long_name", found.name)
        found.attrs = {"long_name": f"Number of values of {of}"}
        return found.astype("int32")
    if method in _PICKING and array.dtype.kind != "f":
        # A fill value is declared from here on: a step without a value may need one.
        found = found.fillna(fill).astype(array.dtype)
        found.encoding = {"_FillValue": fill, "fill_value": fill}
        return found
    if method not in _PICKING:
        for name in ("flag_values", "flag_meanings", "flag_colors"):
            found.attrs.pop(name, None)
        if method in ("prod", "var"):
            found.attrs.pop("units", None)
    if array.dtype.kind == "f" and fill is not None and not np.isnan(fill):
        found = found.fillna(fill)
        found.encoding = {"_FillValue": fill, "fill_value": fill}
    else:
        found.encoding = {"_FillValue": found.dtype.type(np.nan)}
    return found
