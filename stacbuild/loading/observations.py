"""Choose one observation of each time step, from which all variables are taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from stacbuild.config.time_resampling import MEDOID, By
from stacbuild.errors import BuildError
from stacbuild.formats.cf_flags import FLAGS
from stacbuild.loading.aggregate import row_parts
from stacbuild.loading.packing import packing_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from stacbuild.loading.temporal_fill import Fills

# What the chunks of an array of choices are called along time, as opposed to those of observations.
_STEP = -1


@dataclass(frozen=True)
class Weighed:
    """How a variable takes part in a choice.

    Parameters
    ----------
    nodata
        Its nodata value; NaN if only NaN is nodata.
    scale
        Factor from stored numbers to values.
    """

    nodata: Any
    scale: float

    def valid(self, block: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which numbers are not nodata."""
        valid: NDArray[np.bool_] = block != self.nodata
        return valid & ~np.isnan(block) if block.dtype.kind == "f" else valid


def choose(
    *series: Sequence[NDArray[Any]], weighed: Sequence[Weighed], sign: int | None
) -> NDArray[np.int32]:
    """Return the index of the observation to take for each pixel, -1 if there is none.

    Parameters
    ----------
    series
        For each of the variables that take part, its blocks, consecutive along the first axis.
    weighed
        How each of them takes part.
    sign
        1 for the observation with the largest value of the only variable, -1 for that with the
        smallest; None for the medoid: the one with the smallest sum of Euclidean distances to all
        others, in the space of the variables' values (Flood 2013, Seasonal Composite Landsat
        TM/ETM+ Images Using the Medoid, doi:10.3390/rs5126481). Observations that lack one of
        the variables do not take part. Of equal ones the earliest is taken.

    Returns
    -------
    Array of the blocks' shape, with a length of 1 along the first axis.
    """
    parts = []
    for rows in row_parts([block for blocks in series for block in blocks]):
        bands = [np.concatenate([block[:, rows] for block in blocks]) for blocks in series]
        valid = np.logical_and.reduce(
            [each.valid(band) for each, band in zip(weighed, bands, strict=True)]
        )
        if sign is None:
            values = [
                band.astype(np.float64) * each.scale
                for each, band in zip(weighed, bands, strict=True)
            ]
            best = _distances(values, valid).argmin(axis=0, keepdims=True)
        else:
            best = _extreme(bands[0], valid, largest=sign * weighed[0].scale > 0)
        parts.append(np.where(valid.any(axis=0, keepdims=True), best, -1).astype(np.int32))
    return np.concatenate(parts, axis=1)


def _extreme(band: NDArray[Any], valid: NDArray[np.bool_], *, largest: bool) -> NDArray[Any]:
    """Return the first index of the largest or smallest valid number along the first axis."""
    pick = np.max if largest else np.min
    if band.dtype.kind == "f":
        worst: Any = -np.inf if largest else np.inf
    else:
        limits = np.iinfo(band.dtype)
        worst = limits.min if largest else limits.max
    wanted = pick(np.where(valid, band, band.dtype.type(worst)), axis=0, keepdims=True)
    return np.asarray((valid & (band == wanted)).argmax(axis=0, keepdims=True))


def _distances(values: Sequence[NDArray[Any]], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the sum of distances of each observation to all others; infinite if it is not valid.

    The order of additions depends on the number of observations only, so the sums of a pixel do
    not depend on what is computed together.
    """
    sums = np.where(valid, 0.0, np.inf)
    for i in range(len(valid)):
        for j in range(i):
            with np.errstate(invalid="ignore", over="ignore"):  # of nodata
                square = sum((band[i] - band[j]) ** 2 for band in values)
                distance = np.where(valid[i] & valid[j], np.sqrt(square), 0)
            sums[i] += distance
            sums[j] += distance
    # Distances from infinite values are infinite or NaN; those observations are the last choice.
    most = np.finfo(np.float64).max
    return np.where(valid, np.nan_to_num(sums, nan=most, posinf=most), np.inf)


def take(chosen: NDArray[np.int32], blocks: Sequence[NDArray[Any]], fill: Any) -> NDArray[Any]:
    """Return the numbers of the chosen observations, *fill* where there is none.

    Parameters
    ----------
    chosen
        From `choose`.
    blocks
        Of a variable, consecutive along the first axis.
    """
    result = np.full(chosen.shape, fill, blocks[0].dtype)
    first = 0
    for block in blocks:
        for index in range(len(block)):
            np.copyto(result[0], block[index], where=chosen[0] == first + index)
        first += len(block)
    return result


def choices(
    arrays: Mapping[str, xr.DataArray],
    fills: Mapping[str, Fills],
    method: str | By,
    steps: pd.Series[int],
) -> list[da.Array | None]:
    """Return the lazy index of the observation to take in each time step; None if it has none.

    Parameters
    ----------
    arrays
        Lazy variables with the dimensions ``(time, ...)``: for the medoid those that are compared,
        else the one that decides.
    fills
        Their fill values.
    method
        ``medoid``, or by another variable.
    steps
        Number of times in each step.

    Raises
    ------
    BuildError
        If the variables do not have the same dimensions.
    """
    weighed = tuple(
        Weighed(fills[name].missing, packing_of(array.attrs)[0]) for name, array in arrays.items()
    )
    sign = None if not isinstance(method, By) else 1 if method.max_by else -1
    found: list[da.Array | None] = []
    end = 0
    for size in steps:
        start, end = end, end + size
        if not size:
            found.append(None)
            continue
        pairs: list[Any] = []
        for array in arrays.values():
            pairs += [array.data[start:end], tuple(range(array.ndim))]
        others = tuple(range(1, array.ndim))
        found.append(
            da.blockwise(
                choose, (_STEP, *others), *pairs,
                concatenate=False, new_axes={_STEP: 1}, weighed=weighed, sign=sign, dtype=np.int32,
                meta=np.empty((0,) * array.ndim, np.int32),
            )
        )  # fmt: skip
    return found


def taken(
    array: xr.DataArray, chosen: Sequence[da.Array | None], steps: pd.Series[int], fill: Any
) -> da.Array:
    """Return a variable of the chosen observations, lazily; *fill* where there is none."""
    others = tuple(range(1, array.ndim))
    ends = np.cumsum(steps.to_numpy())
    parts = [
        da.full(
            (1, *array.shape[1:]), fill, dtype=array.dtype, chunks=((1,), *array.data.chunks[1:])
        )
        if index is None
        else da.blockwise(
            take, (_STEP, *others), index, (_STEP, *others), array.data[end - size : end],
            (0, *others), concatenate=False, fill=fill, dtype=array.dtype,
            meta=np.empty((0,) * array.ndim, array.dtype),
        )
        for end, size, index in zip(ends, steps, chosen, strict=True)
    ]  # fmt: skip
    return da.concatenate(parts)


def compared(arrays: Mapping[str, xr.DataArray], data_id: str) -> dict[str, xr.DataArray]:
    """Return the variables by which the medoid is chosen: those that are not classes.

    Raises
    ------
    BuildError
        If there are none, or they have other dimensions.
    """
    found = {
        name: array
        for name, array in arrays.items()
        if not any(key in array.attrs for key in FLAGS) and array.dtype.kind in "iuf"
    }
    if not found:
        raise BuildError(f"{data_id}: {MEDOID} needs a variable of numbers; there are only classes")
    return found


def check_alike(arrays: Mapping[str, xr.DataArray], method: str | By, data_id: str) -> None:
    """Raise `BuildError` if variables of one observation have different dimensions.

    For the medoid, they have no others than time and the two of space: the bands of an array would
    not be compared with each other.
    """
    (first, one), *rest = arrays.items()
    label = f"the observation by {method.variable}" if isinstance(method, By) else method
    for name, array in rest:
        if (array.dims, array.shape) != (one.dims, one.shape):
            raise BuildError(
                f"{data_id}: {label} needs variables of the same dimensions, but {first} has "
                f"{one.dims} and {name} {array.dims}"
            )
    if method == MEDOID and (more := [str(dim) for dim in one.dims[1:-2]]):
        raise BuildError(
            f"{data_id}: {MEDOID} compares variables, but {first} has a dimension {more[0]}; "
            "open_params.band_as_variable: true gives each band its own variable"
        )
