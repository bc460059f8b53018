"""Resample in time: aggregate to longer steps, or interpolate to shorter ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr

from stacbuild import progress
from stacbuild.config.time_resampling import MEDOID, By
from stacbuild.errors import BuildError
from stacbuild.formats.cf_flags import FLAGS
from stacbuild.loading.aggregate import PICKING, aggregate, float_of, missing_value, reduced_dtype
from stacbuild.loading.observations import check_alike, choices, compared, taken
from stacbuild.loading.packing import Stored, commutes, packing_of, without_packing
from stacbuild.loading.temporal_fill import Fills, refuse_value
from stacbuild.loading.temporal_select import SELECTING, at, interpolated, nearby, selected
from stacbuild.loading.time_steps import (
    check_temporal_names,
    counts_of,
    is_upsampling,
    method_of,
    step_sizes,
)

if TYPE_CHECKING:
    from stacbuild.config.time_resampling import TemporalResampleParams

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


@dataclass(frozen=True)
class _Series:
    """A variable to resample.

    Parameters
    ----------
    array
        With the attributes and the encoding of the result.
    by_time
        Its lazy numbers with the dimensions ``(time, ...)``, as they are stored.
    fills
        The nodata value of *array*, and the fill value of the result.
    unpack
        How the numbers are packed, if the method needs their values.
    """

    array: xr.DataArray
    by_time: xr.DataArray
    fills: Fills
    unpack: Stored | None = None


def resample_in_time(
    dataset: xr.Dataset,
    params: TemporalResampleParams,
    data_id: str,
    classes: Collection[str] = (),
) -> xr.Dataset:
    """Resample variables in time to the configured frequency.

    Parameters
    ----------
    dataset
        Lazy, with a dimension ``time`` (UTC), and the nodata value in ``encoding["_FillValue"]``.
    params
        The configured parameters; the variables they name are variables of *dataset*.
    classes
        Names of variables with classes or bits, beside those that state them: they do not weigh in
        the medoid, and a method for all variables that averages them is a warning.

    Returns
    -------
    Lazy dataset. Each step is labelled with its start; a step without values is nodata. Methods
    that pick a value (nearest, first, last, min, max, ffill, bfill, medoid, by another variable)
    preserve the dtype; ``count`` is int32; other results from integers are float32 (up to 16 bits)
    or float64. The CF attribute ``cell_methods`` states the method. With ``counts``, a variable
    ``<name>_count`` (int32) follows each, and is named by its attribute ``ancillary_variables``.

    Raises
    ------
    BuildError
        If there is no time dimension, times are irregular and no method is given, or variables
        that are taken from one observation differ in their dimensions.
    """
    if not isinstance(dataset.indexes.get("time"), pd.DatetimeIndex):
        raise BuildError(
            f"{data_id}: has no times; leave temporal_resample_params out, or date its bands in a "
            "profile or a custom_processing function"
        )
    names = [str(name) for name, array in dataset.data_vars.items() if "time" in array.dims]
    check_temporal_names(params, names, data_id)
    dataset = dataset[names].sortby("time")
    if not dataset.indexes["time"].is_unique:
        raise BuildError(f"{data_id}: has a time twice; leave temporal_resample_params out")
    upsampling = is_upsampling(dataset.indexes["time"], params, data_id)
    if params.counts and upsampling:
        raise BuildError(
            f"{data_id}: temporal_resample_params.counts counts values of longer steps, but its "
            "times are further apart than the new ones; leave it out"
        )
    methods = {
        name: method_of(name, dataset[name].dtype, dataset[name].attrs, params, upsampling)
        for name in names
        if params.variables is None or name in params.variables
    }
    _warn_of_averaged(methods, params, data_id, classes)
    steps = step_sizes(dataset.indexes["time"], params)
    resampled: dict[str, xr.DataArray] = {}
    observations: list[str | By] = [MEDOID, *_by_others(methods)]
    for method in observations:
        if together := [name for name, each in methods.items() if each == method]:
            observed = dataset[list(dict.fromkeys(together + _others(method)))]
            deciding = _deciding(observed, method, data_id, classes)
            series = _observed(observed, deciding, steps)
            resampled |= _from_observations(series, together, deciding, method, steps)
    for name, stated in methods.items():
        if not isinstance(stated, By) and stated != MEDOID:
            one = _series(dataset[name], steps, params, stated)
            resampled[name] = _resampled(one, steps, params, stated)
    resampled = {name: resampled[name] for name in methods}
    if params.counts:
        resampled = dict(_counted(resampled, dataset, params, steps, data_id))
    return xr.Dataset(resampled, attrs=dataset.attrs)


def _warn_of_averaged(
    methods: Mapping[str, str | By],
    params: TemporalResampleParams,
    data_id: str,
    classes: Collection[str],
) -> None:
    """Warn of classes and bits that a method for all variables makes numbers of."""
    chosen = {*params.names("agg_methods"), *params.names("interp_methods")}
    for name, method in methods.items():
        picks = isinstance(method, By) or method in (*PICKING, "count")
        if name in classes and name not in chosen and not picks:
            progress.warn(
                f"{data_id}: {name} has classes or bits, whose {method} has no meaning; state "
                f"methods by name in temporal_resample_params, such as {name}: first, or leave it "
                "out of variables"
            )


def _series(
    array: xr.DataArray, steps: pd.Series[int], params: TemporalResampleParams, method: str
) -> _Series:
    found = _read(array, empty=_empty(array, steps, params, method))
    if commutes(method, packing_of(array.attrs)):
        return found
    # Unpacked when they are computed with, so that they are held in the type of the source.
    scale, offset = packing_of(array.attrs)
    missing = found.fills.missing
    nodata = () if np.isnan(missing) else (missing,)
    dtype = float_of(array.dtype)
    unpacked = array.astype(dtype)
    unpacked.attrs = without_packing(array.attrs)
    unpacked.encoding = {"_FillValue": dtype.type(np.nan)}
    return _Series(
        unpacked,
        found.by_time,
        Fills.of(unpacked, empty=False),
        Stored(nodata, False, scale, offset, tolerant=False),
    )


def _read(array: xr.DataArray, *, empty: bool) -> _Series:
    """Return a variable as it is stored; *empty*: whether steps may have no value."""
    by_time = array.chunk().transpose("time", ...)
    fills = Fills.of(array, empty=empty)
    if empty and fills.is_new:
        by_time = by_time.copy(
            data=by_time.data.map_blocks(
                refuse_value, value=fills.written, name_of=str(array.name), dtype=array.dtype
            )
        )
    return _Series(array, by_time, fills)


def _resampled(
    series: _Series, steps: pd.Series[int], params: TemporalResampleParams, method: str
) -> xr.DataArray:
    by_time, fills = series.by_time, series.fills
    if method == "linear":
        found = interpolated(by_time, steps.index, fills.missing)
    elif method in SELECTING:
        found = selected(by_time, steps.index, fills.written, method, params.tolerance)
    else:
        found = _aggregated(series, steps, method)
    return _with_metadata(found.transpose(*series.array.dims), series.array, fills, method)


def _by_others(methods: Mapping[str, str | By]) -> list[By]:
    """Return the different choices by another variable."""
    found: list[By] = []
    for method in methods.values():
        if isinstance(method, By) and method not in found:
            found.append(method)
    return found


def _others(method: str | By) -> list[str]:
    return [method.variable] if isinstance(method, By) else []


def _deciding(
    dataset: xr.Dataset, method: str | By, data_id: str, classes: Collection[str]
) -> list[str]:
    """Return the variables by which an observation is chosen."""
    arrays = {str(name): array for name, array in dataset.data_vars.items()}
    check_alike(arrays, method, data_id)
    if isinstance(method, By):
        return [method.variable]
    numbers = {name: array for name, array in arrays.items() if name not in classes}
    return list(compared(numbers, data_id))


def _observed(
    dataset: xr.Dataset, deciding: Sequence[str], steps: pd.Series[int]
) -> dict[str, _Series]:
    """Return the variables that are taken from one observation, and those that decide."""
    # Of a pixel, no observation may be complete.
    lacking = any(Fills.of(dataset[name], empty=False).is_used for name in deciding)
    return {
        str(name): _read(array, empty=lacking or bool((steps == 0).any()))
        for name, array in dataset.data_vars.items()
    }


def _from_observations(
    series: Mapping[str, _Series],
    together: Sequence[str],
    deciding: Sequence[str],
    method: str | By,
    steps: pd.Series[int],
) -> dict[str, xr.DataArray]:
    chosen = choices(
        {name: series[name].by_time for name in deciding},
        {name: series[name].fills for name in deciding},
        method,
        steps,
    )
    found = {}
    for name in together:
        each = series[name]
        data = taken(each.by_time, chosen, steps, each.fills.written)
        array = at(each.by_time, steps.index, data).transpose(*each.array.dims)
        label = "by" if isinstance(method, By) else method
        found[name] = _with_metadata(array, each.array, each.fills, label)
    return found


def _counted(
    resampled: Mapping[str, xr.DataArray],
    dataset: xr.Dataset,
    params: TemporalResampleParams,
    steps: pd.Series[int],
    data_id: str,
) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield each variable, followed by the number of its valid values."""
    for name, array in resampled.items():
        if (counted := counts_of(name, params)) is None:
            yield name, array
            continue
        if counted in resampled:
            raise BuildError(
                f"{data_id}: temporal_resample_params.counts would make {counted}, which is a "
                "variable already"
            )
        ancillary = f"{array.attrs.get('ancillary_variables', '')} {counted}".strip()
        yield name, array.assign_attrs(ancillary_variables=ancillary)
        raw = _read(dataset[name], empty=False)
        counts = _aggregated(raw, steps, "count").transpose(*raw.array.dims)
        yield counted, _with_metadata(counts.rename(counted), raw.array, raw.fills, "count")


def _empty(
    array: xr.DataArray, steps: pd.Series[int], params: TemporalResampleParams, method: str
) -> bool:
    """Return whether a step may have no value, even if the source has no nodata.

    Only for methods that preserve the dtype: the results of the others have NaN there.
    """
    if method in SELECTING:
        return bool((nearby(array, steps.index, method, params.tolerance) < 0).any())
    return method in PICKING and bool((steps == 0).any())


def _aggregated(series: _Series, steps: pd.Series[int], method: str) -> xr.DataArray:
    array = series.by_time
    ends = np.cumsum(steps.to_numpy())
    dtype = reduced_dtype(series.array.dtype, method)
    others = tuple(range(1, array.ndim))
    # One block per step, so that only the values of one step are in memory, and only once.
    parts = [
        da.blockwise(
            aggregate, (-1, *others), array.data[end - size : end], (0, *others),
            concatenate=False, new_axes={-1: 1}, fill=series.fills.missing, method=method,
            unpack=series.unpack, dtype=dtype, meta=np.empty((0,) * array.ndim, dtype),
        )
        if size
        else da.full(
            (1, *array.shape[1:]), missing_value(dtype, series.fills.written, method), dtype=dtype,
            chunks=((1,), *array.data.chunks[1:]),
        )
        for end, size in zip(ends, steps, strict=True)
    ]  # fmt: skip
    return at(array, steps.index, da.concatenate(parts))


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
