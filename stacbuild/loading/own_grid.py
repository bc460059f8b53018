"""The grid of a source, for a cube that names no other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pystac

from stacbuild.errors import BuildError
from stacbuild.geo.bbox import check_bbox
from stacbuild.geo.crs import full_circle, transformer
from stacbuild.geo.grid import Grid, PixelGrid
from stacbuild.geo.longitudes import parts_within
from stacbuild.loading.area import items_within
from stacbuild.stac.scenes import is_scene

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable

# How many degrees beyond 180 a grid may extend that begins at -180 or east of it.
_BEYOND = 360.0
# Share of a pixel by which an edge may be off a meridian.
_TIE = 1e-6

TILE = (1024, 1024)
"""Rows and columns of a chunk, the default of grid mappings."""


def own_grid(variable: SourceVariable, items: Sequence[pystac.Item]) -> Grid:
    """Return the grid that a source lies on.

    Parameters
    ----------
    variable
        Its ``open_params`` clip the grid to a bbox or, with only a ``point``, make it a single
        pixel of the source's size, centred on that point.
    items
        Items of its data id: one, or tiles with aligned pixels.

    Returns
    -------
    North-up grid, whatever the orientation of the source, with chunks of at most 1024 x 1024
    pixels.

    Raises
    ------
    BuildError
        If it cannot be the grid of a cube: a rotated or skewed grid, or tiles that are not aligned.
    """
    params = variable.open_params
    grids = [PixelGrid.from_properties(item.properties) for item in items_within(variable, items)]
    grids = from_antimeridian(grids)
    try:
        _check_one_crs(grids)
        parts = [Grid.from_pixels(grid, TILE) for grid in grids]
        if params.point and not params.bbox_width:
            to_source = transformer(params.area_crs, parts[0].crs)
            x, y = to_source.transform(*params.point)
            grid = parts[0].pixel_at(x, y)
        else:
            grid = _union(parts, items_within(variable, items))
        # Pixels across the antimeridian stay together.
        check_bbox(grid.bounds, grid.crs, grid.resolution, beyond=_BEYOND)
    except ValueError as error:
        area = ", or state spatial_res and an area in open_params" if is_scene(items[0]) else ""
        raise BuildError(
            f"{variable.label}: its own grid cannot be that of a cube: {error}; "
            f"name one of grid_mappings{area}"
        ) from error
    return grid


def _union(parts: Sequence[Grid], items: Sequence[pystac.Item]) -> Grid:
    """Return the grid of all parts; a `ValueError` names a file that is off the first one."""
    try:
        return parts[0].union(parts[1:])
    except ValueError as error:
        # A global grid has two parts.
        if len(parts) != len(items):
            raise
        for part, item in zip(parts[1:], items[1:], strict=True):
            try:
                parts[0].union([part])
            except ValueError:
                msg = f"{error} (those of {items[0].id} and {item.id})"
                raise ValueError(msg) from error
        raise


def from_antimeridian(grids: Sequence[PixelGrid]) -> list[PixelGrid]:
    """Return the grids with longitudes that start at -180, whatever the range in the files.

    Global grids start with the first pixel whose centre is at -180 or east of it. Others are
    shifted as a whole to start at -180 or east of it, and may end beyond 180.
    """
    circle = full_circle(grids[0].crs)
    if circle is None or any(full_circle(grid.crs) != circle for grid in grids):
        return list(grids)
    if not all(grid.is_aligned for grid in grids):
        return list(grids)
    west, east = min(grid.bounds[0] for grid in grids), max(grid.bounds[2] for grid in grids)
    half, pixel = circle / 2, abs(grids[0].transform[0])
    if -half - pixel / 2 < west + pixel * _TIE and east < half + pixel * _TIE:
        return list(grids)
    if east - west > circle - pixel / 2:
        globe = (-half, -math.inf, half, math.inf)
        return [part for grid in grids for part, _ in parts_within(grid, globe)]
    shift = -circle * ((west + half + pixel * _TIE) // circle)
    return [grid.moved(shift) for grid in grids]


def _check_one_crs(grids: Sequence[PixelGrid]) -> None:
    if len({grid.crs for grid in grids}) > 1:
        msg = f"its files differ in CRS ({', '.join(sorted({grid.crs for grid in grids}))})"
        raise ValueError(msg)
