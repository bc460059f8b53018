"""Target pixels beyond the earth's limb hold no data, also where PROJ gives them a longitude."""

from __future__ import annotations

import numpy as np
import pytest

from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.mapping import index_map
from stacbuild.geo.positions import positions

WORLD = PixelGrid("EPSG:4326", (1.0, 0.0, -180.0, 0.0, -1.0, 90.0), (180, 360))
EARTH = PixelGrid(
    "EPSG:8857", (50_000.0, 0.0, -17_500_000.0, 0.0, -50_000.0, 8_500_000.0), (340, 700)
)


def test_nothing_repeats_beyond_the_limb_of_equal_earth() -> None:
    mapping = index_map(WORLD, EARTH, (slice(0, 340), slice(0, 700)))
    assert mapping is not None
    mapping.source_indices()  # Fills the map.
    outside = mapping.outside
    assert outside is not None
    # The poles are lines of 0.59 of the equator's length.
    assert outside[0].all()
    assert outside[5, :100].all()
    assert outside[5, -100:].all()
    assert not outside[170, 10:690].any()
    # A row has each longitude once.
    cols = positions(WORLD, EARTH, np.full(700, 20.0), np.arange(700.0))[1]
    known = cols[np.isfinite(cols)]
    assert (np.diff(known) > 0).all()


@pytest.mark.parametrize("x", [19e6, 21e6])
def test_mercator_goes_on_around_the_earth(x: float) -> None:
    grid = PixelGrid("EPSG:3857", (1000.0, 0.0, x, 0.0, -1000.0, 0.0), (10, 10))
    assert np.isfinite(positions(WORLD, grid, np.arange(10.0), np.arange(10.0))[1]).all()
