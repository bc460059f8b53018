"""Fields of the projection extension describe a grid, and are read as the same grid."""

from __future__ import annotations

import pytest
from pyproj import CRS

from stacbuild.geo.grid import PixelGrid
from stacbuild.stac.projection import projection_fields


@pytest.mark.parametrize("crs", ["EPSG:3035", CRS("+proj=moll").to_wkt()])
def test_a_grid_is_what_its_fields_say(crs: str) -> None:
    grid = PixelGrid(crs, (10.0, 0.0, 100.0, 0.0, -10.0, 900.0), (20, 30))
    fields = projection_fields(grid)
    assert PixelGrid.from_properties(fields) == grid
    assert fields["proj:bbox"] == [100, 700, 400, 900]
    assert ("proj:wkt2" in fields) == (fields["proj:code"] is None)


def test_a_rotated_grid_is_within_its_bbox() -> None:
    rotated = PixelGrid("EPSG:3035", (10.0, 10.0, 0.0, 10.0, -10.0, 0.0), (2, 2))
    assert projection_fields(rotated)["proj:bbox"] == [0, -20, 40, 20]
