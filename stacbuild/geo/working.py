"""Convert pixels to types in which GDAL's warper computes exactly, and back to the source's.

Seen in GDAL 3.10: ``mode`` treats a majority of -1 in integers of 8 and 16 bits as missing, and
converts all larger types to float32, which is not exact for classes from 2**24 on; integers of 32
bits within about a hundred of nodata count as nodata (they are compared as float32). The
conversions of this module avoid both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.errors import BuildError
from stacbuild.geo.validity import Layer, avoid_fill, is_fill
from stacbuild.nodata import Number, wider

# Types that replace those that GDAL's warper does not support, or is not exact in. Floats of 64
# bits are exact for integers up to 2**53; larger ones are refused.
_WORKING = {
    "bool": "uint8",
    "int8": "int16",
    "int32": "float64",
    "uint32": "float64",
    "int64": "float64",
    "uint64": "float64",
    "float16": "float32",
}
# Distinct values that fit into a byte.
_BYTE_VALUES = 256
# Limits beyond which float32 does not hold every integer, and float64 not every half-integer.
_EXACT_FLOAT32, _EXACT_HALVES = 2**24, 2.0**52


@dataclass(frozen=True)
class Working:
    """A block of pixels, converted to a type in which GDAL is exact.

    Parameters
    ----------
    values
        2-D.
    fill
        Nodata value in *values*.
    first
        Offset that was subtracted from the source's values.
    ranked
        Sorted distinct values of the source, if *values* are indices into them.
    """

    values: NDArray[Any]
    fill: Number
    first: int = 0
    ranked: NDArray[Any] | None = None

    @classmethod
    def of(cls, values: NDArray[Any], fill: Number, method: str) -> Working:
        """Return a block converted for resampling.

        Raises
        ------
        BuildError
            The block has more distinct values than ``mode`` can distinguish.
        """
        if method == "mode":
            return cls._counted(values, fill)
        dtype = np.dtype(_WORKING.get(values.dtype.name, values.dtype))
        if method == "sum" and dtype.kind in "iu":
            dtype = np.dtype("float64")
        return cls._typed(values, fill, dtype)

    @classmethod
    def _typed(cls, values: NDArray[Any], fill: Number, dtype: np.dtype[Any]) -> Working:
        working = values.astype(dtype, copy=False)
        if dtype.kind != "f" or np.isnan(fill):
            return cls(working, fill)
        # GDAL compares floats with a tolerance, within which there may be valid values.
        return cls(np.where(values == fill, dtype.type(np.nan), working), np.nan)

    @classmethod
    def _counted(cls, values: NDArray[Any], fill: Number) -> Working:
        if values.dtype.itemsize <= 2 and values.dtype.kind != "f":
            return cls._binned(values, int(fill))
        valid = ~is_fill(values, fill)
        if _are_single(values[valid]):
            return cls._typed(values, fill, np.dtype("float32"))
        ranked, numbers = np.unique(values[valid], return_inverse=True)
        if len(ranked) > _EXACT_FLOAT32:
            raise BuildError(
                f"mode cannot be computed of more than {_EXACT_FLOAT32} different values; state "
                "agg_methods: center, mean or median"
            )
        working = np.full(values.shape, np.nan, "float32")
        working[valid] = numbers
        return cls(working, np.nan, ranked=ranked)

    @classmethod
    def _binned(cls, values: NDArray[Any], fill: int) -> Working:
        """Return integers, which GDAL counts in bins, shifted to start at 0, so that none is -1."""
        dtype = values.dtype
        first = int(np.iinfo(dtype).min) if dtype.kind == "i" else 0
        counted = values.astype(f"u{dtype.itemsize}")
        counted -= counted.dtype.type(first % 2 ** (8 * dtype.itemsize))
        if dtype.itemsize == 1:
            return cls(counted, fill - first, first)
        # GDAL iterates over all bins for each pixel, so limit them to the values present.
        present = np.zeros(2**16, np.bool_)
        present[fill - first] = True
        for row in counted:
            present[row] = True
        ranked = np.flatnonzero(present)
        if len(ranked) > _BYTE_VALUES:
            return cls(counted, fill - first, first)
        table = (np.cumsum(present) - 1).astype("uint8")
        ranks = np.empty(counted.shape, "uint8")
        for row, numbers in zip(counted, ranks, strict=True):
            numbers[:] = table[row]
        return cls(ranks, int(table[fill - first]), ranked=(ranked + first).astype(dtype))

    def restored(self, found: NDArray[Any], dtype: np.dtype[Any], fill: Number) -> NDArray[Any]:
        """Return GDAL's result as *dtype*, with nodata as *fill*."""
        if self.ranked is None and not self.first:
            return _restored(found, dtype, fill)
        missing = is_fill(found, self.fill)
        result = np.full(found.shape, fill, dtype)
        if self.ranked is not None:
            result[~missing] = self.ranked[found[~missing].astype(np.intp)]
        else:
            result[~missing] = found[~missing].astype("int32") + self.first
        return result


def _are_single(values: NDArray[Any]) -> bool:
    """Return whether float32 holds all of these numbers of up to 53 bits exactly."""
    exact = values.astype("float64", copy=False)
    with np.errstate(over="ignore"):
        return np.array_equal(exact.astype("float32"), exact)


def _restored(found: NDArray[Any], dtype: np.dtype[Any], fill: Number) -> NDArray[Any]:
    if dtype.kind == "f" and np.isnan(fill):
        return np.asarray(found.astype(dtype, copy=False))
    if found.dtype.kind != "f":
        return np.asarray(found.astype(dtype, copy=False))
    result = np.full(found.shape, fill, dtype)
    known = ~np.isnan(found)
    values = found[known]
    if dtype.kind in "iu":
        result[known] = avoid_fill(whole(values, dtype), fill)
    else:
        result[known] = values
    return result


@dataclass(frozen=True)
class WiderType:
    """A wider type for integers of which every value may be valid.

    Parameters
    ----------
    source
        Type of the source.
    dtype
        Type to resample in.
    fill
        Nodata value in *dtype*; no valid pixel has it.
    method
        Resampling method.
    """

    source: np.dtype[Any]
    dtype: np.dtype[Any]
    fill: Number
    method: str

    @classmethod
    def of(cls, dtype: np.dtype[Any], method: str) -> WiderType:
        """Return the wider type for integers of *dtype*."""
        if method == "sum" or dtype.kind == "b" or dtype.itemsize > 2:
            return cls(dtype, np.dtype("float64"), np.nan, method)
        wide = wider(dtype)
        return cls(dtype, wide, int(np.iinfo(wide).min), method)

    def widened(self, block: NDArray[Any]) -> NDArray[Any]:
        """Return values of a source converted to the wider type."""
        check_exact(block, self.method)
        return block.astype(self.dtype)

    def narrowed(self, values: NDArray[Any], fill: Number) -> Layer:
        """Return resampled values in the source's type, *fill* where there is no data."""
        missing = is_fill(values, self.fill)
        if self.method == "sum":
            check_sum(values, self.source, None)
        values[missing] = 0
        in_floats = self.dtype.kind == "f"
        found = whole(values, self.source) if in_floats else values.astype(self.source)
        found[missing] = fill
        return found, missing


def whole(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return numbers rounded to an integer type and clipped to its limits."""
    limits = np.iinfo(dtype)
    # Adding a half to large numbers would round them to an even neighbour.
    values = np.where(np.abs(values) < _EXACT_HALVES, np.floor(values + 0.5), values)
    # The maximum of 64-bit integers is not a double; the nearest double is beyond it.
    low, high = (values <= limits.min), (values >= limits.max)
    found = np.where(low | high, 0.0, values).astype(dtype)
    found[low], found[high] = limits.min, limits.max
    return found


def check_exact(valid: NDArray[Any], method: str) -> None:
    """Raise BuildError for integers that a 64-bit float cannot hold exactly."""
    if valid.dtype not in (np.int64, np.uint64):
        return
    if valid.size and max(int(valid.max()), -int(valid.min())) > 2**53:
        raise BuildError(
            f"{method} cannot be computed of integers beyond 2**53 without rounding them; state "
            "spatial_resample_params.interp_methods: nearest and agg_methods: center"
        )


def check_sum(found: NDArray[Any], dtype: np.dtype[Any], fill: Number | None) -> None:
    """Raise BuildError for sums beyond an integer type; GDAL would clip them to its limits."""
    known = found[~np.isnan(found)]
    if dtype.kind not in "iu" or not known.size:
        return
    limits = np.iinfo(dtype)
    worst = max((np.rint(known.min()), np.rint(known.max())), key=abs)
    taken = fill is not None and bool((np.rint(known) == fill).any())
    if not limits.min <= worst <= limits.max or taken:
        raise BuildError(
            f"sum gives {worst:.0f}, which {dtype} cannot hold or stands for no data in it; state "
            "agg_methods: mean, or write the source with a wider type"
        )
