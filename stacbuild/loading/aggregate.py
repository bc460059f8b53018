"""Reduce time series to one value, ignoring nodata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PICKING = frozenset({"bfill", "ffill", "first", "last", "max", "min", "nearest"})
"""Methods whose results are values of the source, which therefore preserve classes."""

# Number of values to reduce at a time.
_PART = 2**20


def aggregate(blocks: Sequence[NDArray[Any]], fill: Any, method: str) -> NDArray[Any]:
    """Reduce each series along the first axis to one value, ignoring nodata.

    Parameters
    ----------
    blocks
        Arrays of one dtype and at least three dimensions, consecutive along the first axis.
    fill
        The nodata value; NaN if only NaN is nodata.
    method
        One of max, min, first, last (the blocks' dtype, *fill* if there are no values), count
        (int32), mean, median, prod, std, sum, var (float, NaN if there are no values). Standard
        deviation and variance are those of the population (``ddof=0``).

    Returns
    -------
    Array of the blocks' shape, with a length of 1 along the first axis.
    """
    size = sum(block[:, :1].size for block in blocks)
    rows = max(1, _PART // max(1, size))
    length = blocks[0].shape[1]
    # A few rows at a time: temporary copies would otherwise add up to many times the input.
    parts = [
        _aggregated_rows(
            np.concatenate([block[:, top : top + rows] for block in blocks]), fill, method
        )
        for top in range(0, length, rows)
    ]
    return np.concatenate(parts, axis=1)


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
    values = block.astype(np.float64)
    some = np.maximum(count, 1)
    result: NDArray[Any]
    if method == "median":
        ordered = np.sort(np.where(valid, values, np.nan), axis=0)
        low, high = (np.take_along_axis(ordered, at, axis=0) for at in ((some - 1) // 2, some // 2))
        result = (low + high) / 2
    elif method == "prod":
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
