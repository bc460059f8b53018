"""Cut items to the bbox of ``open_params``, or to a square around a point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pystac

from stacbuild.errors import BuildError
from stacbuild.geo.bbox import BBox
from stacbuild.geo.crs import full_circle, same_crs, transformer
from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.longitudes import parts_within
from stacbuild.loading.stated_grid import WHOLE
from stacbuild.stac.scenes import with_properties

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable

ORIGIN = "stacbuild:origin"
"""Row and column of an item's first pixel in its file, if the item is cut."""


def items_within(variable: SourceVariable, items: Sequence[pystac.Item]) -> list[pystac.Item]:
    """Return the items cut to the bbox of ``open_params``, without those outside of it.

    Only copies of the items in memory change: ``proj:transform`` and ``proj:shape`` become those
    of the pixels whose centres lie in the bbox or on its west or north edge, and `ORIGIN` is the
    position of the first of them in the file. `WHOLE` has those of the file.

    Raises
    ------
    BuildError
        If no pixel of any item lies in the bbox, or the grid is rotated or skewed.
    """
    params = variable.open_params
    bbox = params.area
    if bbox is None or not items:
        return list(items)
    found = [cut for item in items for cut in _cut(item, bbox, params.area_crs)]
    if not found:
        raise BuildError(
            f"{variable.label}: no pixel lies in {[round(edge, 9) for edge in bbox]} "
            f"({params.area_crs}); see open_params"
        )
    return found


def _cut(item: pystac.Item, bbox: BBox, crs: str) -> Iterator[pystac.Item]:
    """Yield the part of an item within a bbox; two if it covers both ends of a global file."""
    grid = PixelGrid.from_properties(item.properties)
    if not grid.is_aligned:
        raise BuildError(
            f"item {item.id}: its grid is rotated or skewed; leave bbox out of open_params"
        )
    west, south, east, north = bbox
    if not same_crs(crs, grid.crs):
        west, south, east, north = transformer(crs, grid.crs).transform_bounds(
            *bbox, densify_pts=21
        )
    circle = full_circle(grid.crs)
    if circle is not None and west > east:
        # Across the antimeridian.
        east += circle
    for part, (rows, columns) in parts_within(grid, (west, south, east, north)):
        cut = {
            "proj:transform": list(part.transform),
            "proj:shape": list(part.shape),
            WHOLE: {"proj:transform": list(grid.transform), "proj:shape": list(grid.shape)},
            ORIGIN: [rows.start, columns.start],
        }
        yield with_properties(item, cut)


def origin_of(properties: dict[str, Any]) -> tuple[int, int]:
    """Return the row and column of an item's first pixel in its file."""
    row, col = properties.get(ORIGIN, (0, 0))
    return int(row), int(col)
