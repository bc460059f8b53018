"""Reduce time series to one value, ignoring nodata."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.config.time_resampling import percentile_of

if TYPE_CHECKING:
    from stacbuild.loading.packing import Stored

PICKING = frozenset({"bfill", "ffill", "by", "first", "last", "max", "medoid", "min", "nearest"})
"""Methods whose results are values of the source, which therefore preserve classes."""

# Number of values to reduce at a time.
_PART = 2**20


def aggregate(
    blocks: Sequence[NDArray[Any]], fill: Any, method: str, unpack: Stored | None = None
) -> NDArray[Any]:
    """Reduce each series along the first axis to one value, ignoring nodata.

    Parameters
    ----------
    blocks
        Arrays of one dtype and at least three dimensions, consecutive along the first axis.
    fill
        The nodata value; NaN if only NaN is nodata.
    method
        One of max, min, first, last (the blocks' dtype, *fill* if there are no values), count
        (int32), mean, median, prod, std, sum, var, or a percentile such as p25 (float, NaN if there
        are no values). Standard deviation and variance are those of the population (``ddof=0``).
        Percentiles between two values are interpolated linearly, as NumPy does by default
        (definition 7 of Hyndman and Fan 1996, doi:10.2307/2684934).
    unpack
        How the blocks are packed, if the method needs their values; their nodata is then NaN.

    Returns
    -------
    Array of the blocks' shape, with a length of 1 along the first axis.
    """
    parts = []
    for rows in row_parts(blocks):
        block = np.concatenate([each[:, rows] for each in blocks])
        parts.append(_aggregated_rows(_unpacked(block, unpack), fill, method))
    return np.concatenate(parts, axis=1)


def row_parts(blocks: Sequence[NDArray[Any]]) -> Iterator[slice]:
    """Yield a few rows at a time of the second axis of blocks that are reduced together.

    Temporary copies of whole blocks would add up to many times the input.
    """
    size = sum(block[:, :1].size for block in blocks)
    rows, length = max(1, _PART // max(1, size)), blocks[0].shape[1]
    for top in range(0, length, rows):
        yield slice(top, top + rows)


def _unpacked(block: NDArray[Any], unpack: Stored | None) -> NDArray[Any]:
    if unpack is None:
        return block
    values = np.empty(block.shape, float_of(block.dtype))
    unpack.convert(block, values, np.nan)
    return values


def _aggregated_rows(block: NDArray[Any], fill: Any, method: str) -> NDArray[Any]:
    valid = block != fill
    if block.dtype.kind == "f":
        valid &= ~np.isnan(block)
    count = valid.sum(axis=0, keepdims=True)
    if method == "count":
        return np.asarray(count.astype(np.int32))
    if method in PICKING:
        if method in ("first", "last"):
            index = valid.argmax(axis=0, keepdims=True)
            if method == "last":
                index = len(block) - 1 - valid[::-1].argmax(axis=0, keepdims=True)
            picked = np.take_along_axis(block, index, axis=0)
        else:
            never = _limits(block.dtype)[0 if method == "max" else 1]
            reduce = np.max if method == "max" else np.min
            picked = reduce(np.where(valid, block, never), axis=0, keepdims=True)
        if block.dtype.kind != "f" and np.isnan(fill):
            return np.asarray(picked)  # every value is valid
        return np.asarray(np.where(count > 0, picked, fill).astype(block.dtype))
    some = np.maximum(count, 1)
    percentile = 50.0 if method == "median" else percentile_of(method)
    result: NDArray[Any]
    if percentile is not None:
        result = _percentile(block, valid, some, percentile)
        return np.asarray(np.where(count > 0, result, np.nan).astype(float_of(block.dtype)))
    values = block.astype(np.float64)
    if method == "prod":
        result = np.where(valid, values, 1).prod(axis=0, keepdims=True)
    else:
        result = np.where(valid, values, 0).sum(axis=0, keepdims=True)
        if method != "sum":
            result = result / some
        if method in ("std", "var"):
            off = np.where(valid, values - result, 0)
            result = (off**2).sum(axis=0, keepdims=True) / some
            result = np.sqrt(result) if method == "std" else result
    return np.asarray(np.where(count > 0, result, np.nan).astype(float_of(block.dtype)))


def _percentile(
    block: NDArray[Any], valid: NDArray[np.bool_], count: NDArray[Any], percentile: float
) -> NDArray[np.float64]:
    """Return a percentile of the valid values, of which there are *count*, as float64."""
    # Sorted in their own dtype, which for 16 bits takes a third of the time of float64.
    last = np.nan if block.dtype.kind == "f" else _limits(block.dtype)[1]
    ordered = np.sort(np.where(valid, block, block.dtype.type(last)), axis=0)
    # Multiplied first: position 7 of 70 % of 10 is whole then.
    position = (count - 1) * percentile / 100
    below = np.floor(position).astype(np.intp)
    low, high = (
        np.take_along_axis(ordered, at, axis=0).astype(np.float64)
        for at in (below, np.minimum(below + 1, count - 1))
    )
    share = position - below
    with np.errstate(invalid="ignore"):  # of infinite values
        between = np.where(share == 0.5, (low + high) / 2, low + share * (high - low))
    return np.where(share == 0, low, between)


def _limits(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    if dtype.kind == "b":
        return False, True
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return limits.min, limits.max


def float_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the float dtype of computed results: float32 for up to 16 bits, else float64."""
    if dtype.kind == "f" and dtype.itemsize > 2:
        return dtype
    return np.dtype(np.float32 if dtype.itemsize <= 2 else np.float64)


def reduced_dtype(dtype: np.dtype[Any], method: str) -> np.dtype[Any]:
    """Return the dtype of the result of `aggregate` for an input dtype."""
    if method == "count":
        return np.dtype(np.int32)
    return dtype if method in PICKING else float_of(dtype)


def missing_value(dtype: np.dtype[Any], fill: Any, method: str) -> Any:
    """Return the result of a method if there are no values."""
    return 0 if method == "count" else fill if method in PICKING else dtype.type(np.nan)
