"""Types in which GDAL's warper computes exactly, to and from those of the source.

Seen in GDAL 3.10: ``mode`` takes a majority of -1 in integers of 8 and 16 bits for no value at all,
and rounds all larger types to float32, in which codes from 2**24 on are no longer themselves;
integers of 32 bits within about a hundred of "no data" count as "no data" (they are compared as
float32). Here neither is left to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.errors import BuildError
from stacbuild.geo.validity import Layer, avoid_fill, is_fill
from stacbuild.nodata import Number, wider

# What GDAL's warper computes in where it lacks a type, or is not exact in it. Floats of 64 bits
# hold integers up to 2**53; what is beyond is refused.
_WORKING = {
    "bool": "uint8",
    "int8": "int16",
    "int32": "float64",
    "uint32": "float64",
    "int64": "float64",
    "uint64": "float64",
    "float16": "float32",
}
# Values that have a bin each in a byte.
_FEW = 256
# From here on not every integer is a float32, and not every integer and a half a float64.
_SINGLE, _HALVES = 2**24, 2.0**52


@dataclass(frozen=True)
class Working:
    """A block of pixels in a type that GDAL computes in.

    Parameters
    ----------
    values
        2-D.
    fill
        What "no data" is in it.
    first
        What was subtracted from the source's values.
    ranked
        The source's values, in order, if *values* are their numbers in it.
    """

    values: NDArray[Any]
    fill: Number
    first: int = 0
    ranked: NDArray[Any] | None = None

    @classmethod
    def of(cls, values: NDArray[Any], fill: Number, method: str) -> Working:
        """Return a block as it is to be resampled.

        Raises
        ------
        BuildError
            The block has more different values than ``mode`` can tell apart.
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
        # GDAL compares floats with a tolerance, under which valid values may lie.
        return cls(np.where(values == fill, dtype.type(np.nan), working), np.nan)

    @classmethod
    def _counted(cls, values: NDArray[Any], fill: Number) -> Working:
        if values.dtype.itemsize <= 2 and values.dtype.kind != "f":
            return cls._binned(values, int(fill))
        valid = ~is_fill(values, fill)
        if _are_single(values[valid]):
            return cls._typed(values, fill, np.dtype("float32"))
        ranked, numbers = np.unique(values[valid], return_inverse=True)
        if len(ranked) > _SINGLE:
            raise BuildError(
                f"mode cannot be computed of more than {_SINGLE} different values; state "
                "agg_methods: center, mean or median"
            )
        working = np.full(values.shape, np.nan, "float32")
        working[valid] = numbers
        return cls(working, np.nan, ranked=ranked)

    @classmethod
    def _binned(cls, values: NDArray[Any], fill: int) -> Working:
        """Return integers that GDAL counts in bins: from 0 on, so that none is -1."""
        dtype = values.dtype
        first = int(np.iinfo(dtype).min) if dtype.kind == "i" else 0
        counted = values.astype(f"u{dtype.itemsize}")
        counted -= counted.dtype.type(first % 2 ** (8 * dtype.itemsize))
        if dtype.itemsize == 1:
            return cls(counted, fill - first, first)
        # GDAL goes through all of the bins for each pixel: as few as there are values.
        present = np.zeros(2**16, np.bool_)
        present[fill - first] = True
        for row in counted:
            present[row] = True
        ranked = np.flatnonzero(present)
        if len(ranked) > _FEW:
            return cls(counted, fill - first, first)
        table = (np.cumsum(present) - 1).astype("uint8")
        ranks = np.empty(counted.shape, "uint8")
        for row, numbers in zip(counted, ranks, strict=True):
            numbers[:] = table[row]
        return cls(ranks, int(table[fill - first]), ranked=(ranked + first).astype(dtype))

    def restored(self, found: NDArray[Any], dtype: np.dtype[Any], fill: Number) -> NDArray[Any]:
        """Return what GDAL computed as *dtype*, "no data" as *fill*."""
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
    """Return whether numbers of up to 53 bits are the same as float32."""
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
class Spare:
    """A wider type, for integers each value of which may be one with data.

    Parameters
    ----------
    source
        Their own type.
    dtype
        To resample in.
    fill
        What "no data" is in it; no pixel has this value.
    method
        Of resampling.
    """

    source: np.dtype[Any]
    dtype: np.dtype[Any]
    fill: Number
    method: str

    @classmethod
    def of(cls, dtype: np.dtype[Any], method: str) -> Spare:
        """Return the type for integers of *dtype*."""
        if method == "sum" or dtype.kind == "b" or dtype.itemsize > 2:
            return cls(dtype, np.dtype("float64"), np.nan, method)
        wide = wider(dtype)
        return cls(dtype, wide, int(np.iinfo(wide).min), method)

    def widened(self, block: NDArray[Any]) -> NDArray[Any]:
        """Return values of a source in the wider type."""
        check_exact(block, self.method)
        return block.astype(self.dtype)

    def narrowed(self, values: NDArray[Any], fill: Number) -> Layer:
        """Return what was computed in the source's type, *fill* where there is no data."""
        missing = is_fill(values, self.fill)
        if self.method == "sum":
            check_sum(values, self.source, None)
        values[missing] = 0
        in_floats = self.dtype.kind == "f"
        found = whole(values, self.source) if in_floats else values.astype(self.source)
        found[missing] = fill
        return found, missing


def whole(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return numbers rounded to a type of integers, within its limits."""
    limits = np.iinfo(dtype)
    # Half of one more would round large ones to their even neighbour.
    values = np.where(np.abs(values) < _HALVES, np.floor(values + 0.5), values)
    # The largest of 64 bits is no double; the next one is beyond.
    low, high = (values <= limits.min), (values >= limits.max)
    found = np.where(low | high, 0.0, values).astype(dtype)
    found[low], found[high] = limits.min, limits.max
    return found


def check_exact(valid: NDArray[Any], method: str) -> None:
    """Refuse integers that a float of 64 bits cannot hold."""
    if valid.dtype not in (np.int64, np.uint64):
        return
    if valid.size and max(int(valid.max()), -int(valid.min())) > 2**53:
        raise BuildError(
            f"{method} cannot be computed of integers beyond 2**53 without rounding them; state "
            "spatial_resample_params.interp_methods: nearest and agg_methods: center"
        )


def check_sum(found: NDArray[Any], dtype: np.dtype[Any], fill: Number | None) -> None:
    """Refuse sums that the type of integers cannot hold; GDAL would make its limits of them."""
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
