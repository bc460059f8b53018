"""A block of a grid is a grid of its own, where its pixels are."""

from __future__ import annotations

import numpy as np

from stacbuild.geo.block import Block
from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.positions import centres


def test_pixels_of_a_block_stay_where_they_are() -> None:
    rotated = PixelGrid("EPSG:3035", (10.0, 2.0, 100.0, -3.0, -10.0, 900.0), (50, 60))
    block = Block(np.zeros((4, 5)), rotated, (slice(7, 11), slice(20, 25)), 0)
    own = block.as_grid()
    assert own.shape == (4, 5)
    rows, cols = np.meshgrid(np.arange(4.0), np.arange(5.0), indexing="ij")
    np.testing.assert_allclose(centres(own, rows, cols), centres(rotated, rows + 7, cols + 20))


def test_a_block_may_begin_before_the_first_column() -> None:
    world = PixelGrid("EPSG:4326", (1.0, 0.0, -180.0, 0.0, -1.0, 90.0), (180, 360))
    block = Block(np.zeros((2, 3)), world, (slice(0, 2), slice(-2, 1)), 0, period=360)
    assert block.as_grid().transform == (1, 0, -182, 0, -1, 90)
