"""Grids as fields of the STAC projection extension 2.0.0."""

from __future__ import annotations

from typing import Any

from stacbuild.geo.crs_text import is_code
from stacbuild.geo.grid import PixelGrid

Json = dict[str, Any]


def projection_fields(grid: PixelGrid) -> Json:
    """Return the ``proj:`` fields of a grid; ``proj:wkt2`` only if the CRS has no code.

    The inverse is `stacbuild.geo.grid.PixelGrid.from_properties`.
    """
    code = is_code(grid.crs)
    crs: Json = {"proj:code": grid.crs} if code else {"proj:code": None, "proj:wkt2": grid.crs}
    return {
        **crs,
        "proj:shape": list(grid.shape),
        "proj:transform": list(grid.transform),
        "proj:bbox": list(grid.bounds),
    }
