"""What readers of files of arrays have in common: chunks, attributes, fill values."""

from __future__ import annotations

import base64
import struct
from typing import Any

import numpy as np
import pytest

from stacbuild.formats.array_file import Array, attribute, fill_value, padded, parts


def array(shape: tuple[int, ...], chunks: tuple[int, ...], dtype: str = "<i2") -> Array:
    return Array("/v", shape, chunks, np.dtype(dtype), ("y", "x"), {})


@pytest.mark.parametrize(
    ("shape", "itemsize", "whole", "expected"),
    [
        ((100, 100), 4, 0, (100, 100)),
        ((2000, 2000), 4, 0, (524, 2000)),
        ((5, 2000, 2000), 4, 0, (1, 524, 2000)),
        ((5, 10, 10), 4, 1, (1, 10, 10)),
        ((9_000_000,), 1, 0, (4 << 20,)),
        ((0, 10), 4, 0, (1, 10)),
        ((3,), 8 << 20, 0, (1,)),
        ((), 4, 0, ()),
    ],
)
def test_parts_are_contiguous_and_small(
    shape: tuple[int, ...], itemsize: int, whole: int, expected: tuple[int, ...]
) -> None:
    assert parts(shape, itemsize, whole=whole) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"m s-1\0\0", "m s-1"),
        (b"\xff", "\ufffd"),
        ("K", "K"),
        (np.float32(0.5), 0.5),
        (np.array([1, 2], ">i2"), [1, 2]),
        (np.array([3], "u1"), 3),
        (np.array([b"a", b"b"]), ["a", "b"]),
        (np.array(["a", b"b"], object), ["a", "b"]),
        (np.array([], "f4"), ""),
        (np.array(["a", 1], object), None),
        (np.array([(1, 2)], [("a", "i4"), ("b", "i4")]), None),
        (1j, None),
    ],
)
def test_attributes_as_json(value: Any, expected: Any) -> None:
    assert attribute(value) == expected


def encoded(value: float) -> str:
    return base64.standard_b64encode(struct.pack("<d", value)).decode()


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (np.array([-1], ">i2"), ">i2", -1),
        (255, "u1", 255),
        (256, "u1", None),
        (-1, "u1", None),
        (7.0, "i2", 7),
        (7.5, "i2", None),
        (np.nan, "i2", None),
        (0.1, "<f4", encoded(float(np.float32(0.1)))),
        (np.float32(-9999), ">f8", encoded(-9999.0)),
        (b"x", "i2", None),
        ([1, 2], "i2", None),
        (1, "S1", None),
    ],
)
def test_fill_values_that_the_type_holds(value: Any, dtype: str, expected: Any) -> None:
    assert fill_value(value, np.dtype(dtype)) == expected


def test_nan_as_a_fill_value() -> None:
    found = fill_value(np.nan, np.dtype("f4"))
    assert np.isnan(struct.unpack("<d", base64.standard_b64decode(found))[0])


def test_chunks_are_whole_also_at_the_end() -> None:
    of = array((3, 3), (2, 2), ">i2")
    assert of.chunk_bytes == 8
    block = np.array([[1, 2], [3, 4]])
    assert padded(block, of) == block.astype(">i2").tobytes()
    assert padded(block[:1, :1], of) == np.array([[1, 0], [0, 0]], ">i2").tobytes()
