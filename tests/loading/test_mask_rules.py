"""Rules of masks: values and bits of any type, and discs around masked pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stacbuild.loading.mask_rules import Rule, dilated

NOISE = np.random.default_rng(5)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", ">u2", "i2", ">i2", "u4", "i4", "i8"])
@pytest.mark.parametrize("invert", [False, True])
def test_values_and_bits_of_integers(dtype: str, invert: bool) -> None:
    limits = np.iinfo(dtype)
    pixels = NOISE.integers(
        limits.min, limits.max, (40, 30), dtype=np.dtype(dtype).newbyteorder("=")
    )
    pixels[0, :2] = limits.max, limits.min
    pixels = pixels.astype(dtype)
    rule = Rule((3, int(limits.max)), ((0b100, 0b100), (0b11000, 0b10000)), invert)
    want = (pixels == 3) | (pixels == limits.max)
    want |= (pixels & 4).astype(bool) | ((pixels >> 3) & 3 == 2)
    np.testing.assert_array_equal(rule.masked(pixels), want ^ invert)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4"])
def test_the_highest_bit_is_the_sign(dtype: str) -> None:
    pixels = np.array([-128, -1, 0, 1, 127], dtype)
    highest = 1 << 8 * pixels.itemsize - 1
    assert Rule((), ((highest, highest),)).masked(pixels).tolist() == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("invert", [False, True])
def test_nan_is_masked(invert: bool) -> None:
    found = Rule((1,), invert=invert).masked(np.array([np.nan, 1, 2], "f4"))
    assert found.tolist() == [True, not invert, invert]


def test_booleans() -> None:
    assert Rule((1,)).masked(np.array([True, False])).tolist() == [True, False]
    assert Rule((), ((1, 1),)).masked(np.array([True, False])).tolist() == [True, False]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (20, 33)])
@pytest.mark.parametrize("distance", [0, 1, 2, 3, 7, 40])
def test_masked_pixels_grow_by_a_disc(shape: tuple[int, int], distance: int) -> None:
    masked = NOISE.random(shape) < 0.03
    masked.flat[-1] = True
    rows, cols = np.indices(shape)
    near: Any = [(rows - r) ** 2 + (cols - c) ** 2 <= distance**2 for r, c in np.argwhere(masked)]
    np.testing.assert_array_equal(dilated(masked, distance), np.any(near, axis=0))


def test_nothing_grows_of_nothing() -> None:
    masked = np.zeros((4, 5), bool)
    assert not dilated(masked, 3).any()
