"""Nodata values: in STAC's JSON, in a dtype, and in arrays.

In JSON of STAC 1.1 they are numbers, or the strings ``"nan"``, ``"inf"`` and ``"-inf"``. Integers
remain Python integers, since floats are not exact beyond 2**53.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Number = int | float

# GDAL compares with the epsilon of float32, even for float64.
_EPSILON = float(np.finfo(np.float32).eps)
# Wider than GDAL's tolerance: a prefilter, so that its rule is applied to few pixels only.
_TOLERANCE = 8 * _EPSILON


def from_json(value: Any) -> Number:
    """Return a ``nodata`` of an item, or the value of a class, as a number.

    Raises
    ------
    ValueError
        If it is neither a number nor one of STAC's strings.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        msg = f"{value!r} is not a number"
        raise ValueError(msg)
    if not isinstance(value, str):
        return value
    try:
        return int(value)
    except ValueError:
        return float(value)


def exact(value: Any) -> Any:
    """Return an integer as a float if that is exact; any other value unchanged."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**53:
        return float(value)
    return value


def to_json(value: Number) -> int | float | str:
    """Return a number as STAC writes it: 30.0 as 30, and NaN and the infinities as strings."""
    if isinstance(value, int):
        return value
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return int(value) if value.is_integer() else float(value)


def held(value: Number, dtype: np.dtype[Any]) -> Number | None:
    """Return a value in *dtype*; None if not representable (256 or 0.5 in uint8).

    Returns
    -------
    int for integers and booleans, exact; float for floats, rounded to their precision.
    """
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return float(dtype.type(value))
    if isinstance(value, float) and not value.is_integer():
        return None
    whole = int(value)
    if dtype.kind == "b":
        return whole if whole in (0, 1) else None
    limits = np.iinfo(dtype)
    return whole if limits.min <= whole <= limits.max else None


def wider(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a wider signed integer type for integers of up to 32 bits."""
    return np.dtype(f"int{16 * dtype.itemsize}")


def matches(block: NDArray[Any], value: Number, *, tolerant: bool = False) -> NDArray[np.bool_]:
    """Return where *block* equals a nodata value.

    Parameters
    ----------
    value
        The value in the block's dtype (see `held`).
    tolerant
        Compare floats as GDAL does, whose tags may be rounded: -3.402823e+38 stands for the lowest
        float32, -3.4028235e+38.
    """
    if block.dtype.kind != "f":
        return np.asarray(block == value)
    if math.isnan(value):
        return np.asarray(np.isnan(block))
    number = block.dtype.type(value)
    found = np.asarray(block == number)
    if not tolerant or value == 0 or math.isinf(value):
        return found
    low, high = sorted((value * (1 - _TOLERANCE), value * (1 + _TOLERANCE)))
    largest = float(np.finfo(block.dtype).max)
    if abs(value) > largest * _EPSILON / 2:
        # Sums may overflow to infinity, which compares equal to everything.
        low, high = (-largest, 0.0) if value < 0 else (0.0, largest)
    near = (block >= low) & (block <= high) & ~found
    if near.any():
        values = block[near]
        with np.errstate(over="ignore"):
            # ARE_REAL_EQUAL of GDAL's gdal_priv.h, with its two ULPs, in the type's precision.
            within = np.abs(values + number) * block.dtype.type(_EPSILON) * block.dtype.type(2)
            found[near] = np.abs(values - number) < within
    return found


def limits_meant(values: Sequence[Number], dtype: np.dtype[Any]) -> list[Number]:
    """Return the lowest or largest float if a rounded value stands for it, as in GDAL.

    Other values of Zarr stores are compared exactly, as xarray does.
    """
    if dtype.kind != "f":
        return []
    largest = float(np.finfo(dtype).max)
    return [
        limit
        for limit in (-largest, largest)
        if limit not in values
        and any(
            matches(np.array([limit], dtype), value, tolerant=True)[0]
            for value in values
            if not math.isnan(value)
        )
    ]


def fill_nodata(
    block: NDArray[Any], nodata: Sequence[Number], fill: Number, *, tolerant: bool = False
) -> None:
    """Replace every nodata value of a decoded block by the fill value, in place.

    In floats NaN is always nodata.
    """
    for value in nodata:
        if value != fill:
            block[matches(block, value, tolerant=tolerant)] = fill
    if block.dtype.kind == "f" and not math.isnan(fill):
        block[np.isnan(block)] = fill
