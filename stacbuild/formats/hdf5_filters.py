"""Decoding of the chunks of an HDF5 dataset.

Filters by their number in https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numcodecs import Blosc, Shuffle, Zstd
from numcodecs.fletcher32 import Fletcher32

from stacbuild.formats.zarr_bounds import decoded_bytes

DEFLATE, SHUFFLE, FLETCHER32, BLOSC, ZSTD = 1, 2, 3, 32001, 32015
DECODED = frozenset({DEFLATE, SHUFFLE, FLETCHER32, BLOSC, ZSTD})
"""Filters that are decoded here; others by HDF5, if it has them."""

NAMES = {
    4: "szip",
    5: "nbit",
    6: "scaleoffset",
    32000: "lzf",
    32002: "lzo",
    32004: "lz4",
    32008: "bitshuffle",
    32013: "zfp",
    32017: "sz",
    32022: "granular bitround",
    32026: "blosc2",
}
"""Names of some other filters."""

# Filters may make data larger than they were.
_WIDER = 1 << 16


@dataclass(frozen=True)
class Filter:
    """A filter of a pipeline, and its parameters."""

    code: int
    values: tuple[int, ...]


def decode(data: bytes, filters: Sequence[Filter], mask: int, length: int) -> bytes:
    """Return the values of a chunk.

    Parameters
    ----------
    filters
        In the order in which they were applied.
    mask
        Bits of the filters that this chunk was written without.
    length
        Number of bytes of the chunk's values.

    Raises
    ------
    ValueError
        The chunk is damaged.
    """
    for number in reversed(range(len(filters))):
        if not mask & (1 << number):
            data = _undone(data, filters[number], length)
    if len(data) != length:
        msg = f"it has {len(data)} bytes where {length} are expected"
        raise ValueError(msg)
    return data


def _undone(data: bytes, used: Filter, length: int) -> bytes:
    try:
        if used.code == DEFLATE:
            stream = zlib.decompressobj()
            found = stream.decompress(data, length + _WIDER)
            if not stream.eof:
                what = "is cut off" if not stream.unconsumed_tail else "is longer than a chunk"
                msg = f"its compressed data {what}"
                raise ValueError(msg)
            return found
        if used.code == SHUFFLE:
            size = used.values[0] if used.values else 1
            # Bytes beyond the last whole value are not shuffled.
            whole = len(data) // size * size
            return bytes(Shuffle(size).decode(data[:whole])) + data[whole:] if size > 1 else data
        if used.code == FLETCHER32:
            return bytes(Fletcher32().decode(np.frombuffer(data, "u1")))
        if used.code == BLOSC:
            _check(int.from_bytes(data[4:8], "little"), length)
            return bytes(Blosc().decode(data))
        _check(decoded_bytes(data[:18], len(data)) or 0, length)
        return bytes(Zstd().decode(data))
    except (zlib.error, RuntimeError) as error:
        raise ValueError(str(error)) from error


def _check(stated: int, length: int) -> None:
    if stated > length + _WIDER:
        msg = f"it decompresses to {stated} bytes where {length} are expected"
        raise ValueError(msg)
