"""The steps, methods and types of variables that are resampled in time, before they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stacbuild.config.time_resampling import By
from stacbuild.config.times import length_of_time
from stacbuild.errors import BuildError
from stacbuild.formats.cf_flags import is_categorical
from stacbuild.loading.aggregate import float_of, reduced_dtype
from stacbuild.loading.packing import commutes, packing_of

if TYPE_CHECKING:
    from stacbuild.config.time_resampling import TemporalResampleParams

# Relative deviation of steps from their mean (as of years) up to which they count as regular.
_IRREGULAR = 0.05

_SAME = {"backfill": "bfill", "pad": "ffill", "slinear": "linear", "zero": "ffill"}


def counts_of(name: str, params: TemporalResampleParams) -> str | None:
    """Return the name of the variable with the number of values of another, if it is asked for."""
    stated = params.agg_methods
    method = stated.get(name) if isinstance(stated, dict) else stated
    return f"{name}_count" if params.counts and method != "count" else None


def resampled_times(times: pd.DatetimeIndex, params: TemporalResampleParams) -> pd.DatetimeIndex:
    """Return the start of each time step after resampling."""
    return pd.DatetimeIndex(step_sizes(times.sort_values(), params).index)


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
    upsampling = is_upsampling(times.sort_values(), params, name)
    method = method_of(name, dtype, attrs, params, upsampling)
    if isinstance(method, By):
        return dtype
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
        for name in params.names(section):
            if name not in names:
                raise BuildError(
                    f"{data_id}: temporal_resample_params.{section} names {name!r}, which is not a "
                    f"variable of the cube with times; there are: {', '.join(sorted(names))}"
                )


def is_upsampling(times: pd.DatetimeIndex, params: TemporalResampleParams, data_id: str) -> bool:
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


def method_of(
    name: str,
    dtype: np.dtype[Any],
    attrs: Mapping[Any, Any],
    params: TemporalResampleParams,
    upsampling: bool,
) -> str | By:
    """Return the method of a variable: as stated, else by its type."""
    stated = params.interp_methods if upsampling else params.agg_methods
    method = stated.get(name) if isinstance(stated, dict) else stated
    if method is None:
        categorical = is_categorical(dtype, attrs)
        method = "nearest" if categorical else "linear" if upsampling else "mean"
    return method if isinstance(method, By) else _SAME.get(method, method)


def step_sizes(times: pd.DatetimeIndex, params: TemporalResampleParams) -> pd.Series[int]:
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
