"""Pipelines of HDF5 filters: undone in reverse, bounded, and damage is an error."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from numcodecs import Blosc, Shuffle, Zstd
from numcodecs.fletcher32 import Fletcher32

from stacbuild.formats.hdf5_filters import (
    BLOSC,
    DEFLATE,
    FLETCHER32,
    SHUFFLE,
    ZSTD,
    Filter,
    decode,
)

VALUES = np.arange(1000, dtype="<i4").tobytes()


def used(*codes: int) -> list[Filter]:
    return [Filter(code, (4,) if code == SHUFFLE else ()) for code in codes]


def test_filters_are_undone_in_reverse() -> None:
    shuffled = bytes(Shuffle(4).encode(VALUES))
    stored = bytes(Fletcher32().encode(np.frombuffer(zlib.compress(shuffled), "u1")))
    filters = used(SHUFFLE, DEFLATE, FLETCHER32)
    assert decode(stored, filters, 0, len(VALUES)) == VALUES
    # A chunk may have been written without some of them.
    assert decode(zlib.compress(VALUES), filters, 0b101, len(VALUES)) == VALUES
    assert decode(VALUES, filters, 0b111, len(VALUES)) == VALUES
    assert decode(VALUES, [], 0, len(VALUES)) == VALUES


def test_bytes_beyond_the_last_value_are_not_shuffled() -> None:
    stored = bytes(Shuffle(4).encode(VALUES[:8])) + b"abc"
    assert decode(stored, used(SHUFFLE), 0, 11) == VALUES[:8] + b"abc"
    assert decode(VALUES, [Filter(SHUFFLE, (1,))], 0, len(VALUES)) == VALUES
    assert decode(VALUES, [Filter(SHUFFLE, ())], 0, len(VALUES)) == VALUES


@pytest.mark.parametrize(("code", "codec"), [(BLOSC, Blosc()), (ZSTD, Zstd())])
def test_filters_of_plugins(code: int, codec: Blosc | Zstd) -> None:
    stored = bytes(codec.encode(VALUES))
    assert decode(stored, used(code), 0, len(VALUES)) == VALUES
    # What decompresses to far more than a chunk is not decompressed.
    large = bytes(codec.encode(bytes(1 << 20)))
    with pytest.raises(ValueError, match="decompresses to 1048576 bytes where 4000 are expected"):
        decode(large, used(code), 0, len(VALUES))


@pytest.mark.parametrize(
    ("stored", "code", "why"),
    [
        (zlib.compress(VALUES)[:-9], DEFLATE, "is cut off"),
        (zlib.compress(bytes(1 << 20)), DEFLATE, "is longer than a chunk"),
        (b"no zlib", DEFLATE, "incorrect header"),
        (zlib.compress(VALUES[:-4]), DEFLATE, "it has 3996 bytes where 4000 are expected"),
        (VALUES + b"\1\2\3\4", FLETCHER32, "checksum"),
        (b"", BLOSC, "."),
        (b"", ZSTD, "."),
    ],
)
def test_damage_is_an_error(stored: bytes, code: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode(stored, used(code), 0, len(VALUES))
