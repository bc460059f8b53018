"""Files of arrays (NetCDF, HDF5): what their readers have in common.

A reader returns the arrays of each group, and the decoded bytes of one chunk. `array_store` makes a
Zarr group of them.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stacbuild.formats.zarr_members import Hidden

Json = dict[str, Any]
Dtype = np.dtype[Any]

# Parts of an array that is stored in one piece, so that a window does not need all of it.
_PART_BYTES = 4 << 20
MOST_TEXTS = 1_000_000
"""Limit on the texts of an array; larger ones are left out."""


@dataclass(frozen=True)
class Array:
    """An array of a file.

    Parameters
    ----------
    path
        Path in the file.
    shape, chunks
        Lengths of the array and of one chunk, which may reach beyond the array's end.
    dtype
        Stored type, with its byte order; of texts ``object``.
    dims
        Names of the dimensions.
    attrs
        Attributes as JSON, see `attribute`.
    """

    path: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: Dtype
    dims: tuple[str, ...]
    attrs: Json

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a decoded chunk."""
        return math.prod(self.chunks) * self.dtype.itemsize


@dataclass
class Members:
    """The content of one group: its arrays and attributes, and what cannot be read."""

    arrays: dict[str, Array] = field(default_factory=dict)
    attrs: Json = field(default_factory=dict)
    hidden: dict[str, Hidden] = field(default_factory=dict)


class ArrayFile(Protocol):
    """A reader of a format; thread-safe."""

    @property
    def name(self) -> str:
        """Name of the file in messages."""

    def groups(self) -> Mapping[str, Members]:
        """Return the content of each group by its path, ``""`` for the root."""

    def chunk(self, array: Array, index: tuple[int, ...]) -> bytes:
        """Return a chunk in C order, complete also at the array's end; blocks."""

    def texts(self, array: Array) -> list[str]:
        """Return the texts of an array in C order."""

    def keep(self) -> None:
        """Keep what another run would request again."""

    def close(self) -> None:
        """Close the file."""


def parts(shape: tuple[int, ...], itemsize: int, *, whole: int = 0) -> tuple[int, ...]:
    """Return chunks for an array that is stored in one piece.

    Each is contiguous: 1 along leading dimensions, then several, then whole dimensions.

    Parameters
    ----------
    whole
        Number of leading dimensions along which each index is apart from the others.
    """
    chunks = [1] * len(shape)
    size = itemsize
    for axis in range(len(shape) - 1, whole - 1, -1):
        length = max(1, shape[axis])
        chunks[axis] = min(length, max(1, _PART_BYTES // size))
        if chunks[axis] < length:
            break
        size *= length
    return tuple(chunks)


def attribute(value: Any) -> Any:
    """Return an attribute as JSON: a number, a text or a list of them; None if it is neither."""
    if isinstance(value, bytes):
        return value.rstrip(b"\0").decode("utf-8", "replace")
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind == "O":
        found = [attribute(each) for each in array.ravel()]
        if not all(isinstance(each, str) for each in found):
            return None
    elif array.dtype.kind in "biufU":
        found = array.ravel().tolist()
    else:
        return None
    if len(found) == 1:
        return found[0]
    return found or ""


def fill_value(value: Any, dtype: Dtype) -> Any:
    """Return ``_FillValue`` as xarray writes it in Zarr format 3; None if it is no such value."""
    numbers = np.asarray(value).ravel()
    if numbers.size != 1 or numbers.dtype.kind not in "biuf":
        return None
    number = numbers[0]
    if dtype.kind == "f":
        exact = float(number.astype(dtype.newbyteorder("=")))
        return base64.standard_b64encode(struct.pack("<d", exact)).decode()
    if dtype.kind not in "iu" or not np.isfinite(number) or number != int(number):
        return None
    limits = np.iinfo(dtype)
    return int(number) if limits.min <= int(number) <= limits.max else None


def padded(block: NDArray[Any], array: Array) -> bytes:
    """Return the bytes of a chunk of an array whose values may end before it does."""
    if block.shape == array.chunks:
        # NumPy's functions return values in native byte order.
        return block.astype(array.dtype, copy=False).tobytes()
    whole = np.zeros(array.chunks, array.dtype)
    whole[tuple(slice(length) for length in block.shape)] = block
    return whole.tobytes()
