"""Resampling where the earth is not flat: compared with pixels counted one by one."""

from __future__ import annotations

import numpy as np
import pytest

from stacbuild.errors import BuildError
from stacbuild.geo.block import Block, Onto
from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.positions import positions
from stacbuild.geo.spherical import resample

WORLD = PixelGrid("EPSG:4326", (5.0, 0.0, -180.0, 0.0, -5.0, 90.0), (36, 72))
ARCTIC = PixelGrid("EPSG:3413", (8e5, 0.0, -32e5, 0.0, -8e5, 32e5), (8, 8))
WINDOW = (slice(0, 8), slice(0, 8))


def block(values: np.ndarray, fill: float = np.nan) -> Block:
    return Block(values, WORLD, (slice(0, 36), slice(0, 72)), fill, period=72)


def test_a_constant_stays_one_around_the_pole() -> None:
    for method in ("bilinear", "mean", "max", "min", "median", "mode"):
        found = resample(block(np.full((36, 72), 7.0)), Onto(ARCTIC, WINDOW, method))
        np.testing.assert_allclose(found, np.full((8, 8), 7.0), rtol=1e-15)


def test_bilinear_of_latitudes_is_the_latitude() -> None:
    latitudes = np.repeat(87.5 - 5.0 * np.arange(36)[:, None], 72, axis=1)
    found = resample(block(latitudes), Onto(ARCTIC, WINDOW, "bilinear"))
    at = np.meshgrid(np.arange(8.0), np.arange(8.0), indexing="ij")
    row, _ = positions(WORLD, ARCTIC, *at)
    # Beyond the last centre there is nothing between that and the pole.
    np.testing.assert_allclose(found, np.minimum(90 - 5 * row, 87.5), atol=1e-6)


def test_aggregates_of_classes_are_classes() -> None:
    random = np.random.default_rng(7)
    codes = random.choice(np.array([1, 4, 9], "uint8"), (36, 72))
    for method in ("mode", "median", "max", "min"):
        found = resample(block(codes, 0), Onto(ARCTIC, WINDOW, method))
        assert found.dtype == np.uint8
        assert set(np.unique(found)) <= {1, 4, 9}


def test_what_has_no_data_does_not_count() -> None:
    values = np.full((36, 72), -1, "int16")
    values[:, :36] = 5
    found = resample(block(values, -1), Onto(ARCTIC, WINDOW, "mean"))
    # The western half of the earth has data; pixels on both halves have its mean.
    assert set(np.unique(found)) == {-1, 5}
    assert (found == 5).sum() >= 32


def test_a_sum_is_refused() -> None:
    with pytest.raises(BuildError, match=r"sum cannot be computed around a pole.*max, mean"):
        resample(block(np.ones((36, 72))), Onto(ARCTIC, WINDOW, "sum"))
