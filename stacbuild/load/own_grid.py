"""The grid of a source itself, for a cube that names no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pystac
from pyproj import CRS, Transformer

from stacbuild.boxes import check_box
from stacbuild.errors import BuildError
from stacbuild.grid import Grid
from stacbuild.load.area import items_within
from stacbuild.load.pixelgrid import PixelGrid

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable

TILE = (1024, 1024)
"""Rows and columns of a chunk, as grid mappings have it if nothing is said."""


def own_grid(variable: SourceVariable, items: Sequence[pystac.Item]) -> Grid:
    """Give the grid that a source lies on.

    Parameters
    ----------
    variable
        Its ``open_params`` cut the grid to a box; or, with a ``point`` alone, make it the one
        pixel whose centre the point is, as large as the source's.
    items
        Of its data id: one, or tiles whose pixels fall on each other's.

    Returns
    -------
    North up, whichever way round the source is stored; a chunk has 1024 x 1024 pixels at most.

    Raises
    ------
    BuildError
        If it cannot be that of a cube: no EPSG code, pixels that are not square or lie askew,
        tiles that do not fit.
    """
    params = variable.open_params
    grids = [PixelGrid.of_properties(item.properties) for item in items_within(variable, items)]
    try:
        epsg = _epsg(grids)
        parts = [Grid.from_transform(grid.transform, grid.shape, epsg, TILE) for grid in grids]
        if params.point and not params.bbox_width:
            to_source = Transformer.from_crs(params.area_crs, f"EPSG:{epsg}", always_xy=True)
            grid = parts[0].pixel_at(*to_source.transform(*params.point))
        else:
            grid = parts[0].union(parts[1:])
        check_box(grid.bounds, f"EPSG:{epsg}", grid.resolution)
    except ValueError as error:
        raise BuildError(
            f"{variable.data_id}: its own grid cannot be that of a cube: {error}; "
            "name one of grid_mappings"
        ) from error
    return grid


def _epsg(grids: Sequence[PixelGrid]) -> int:
    if len({grid.crs for grid in grids}) > 1:
        msg = f"its files differ in CRS ({', '.join(sorted({grid.crs for grid in grids}))})"
        raise ValueError(msg)
    crs = CRS.from_user_input(grids[0].crs)
    epsg = crs.to_epsg()
    if epsg is None:
        msg = f"its CRS ({crs.name}) has no EPSG code"
        raise ValueError(msg)
    return epsg
