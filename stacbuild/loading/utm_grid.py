"""The grid of scenes without a grid mapping: pixels of the UTM zone of their area."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pystac

from stacbuild.errors import BuildError
from stacbuild.geo.bbox import BBox, exact, unwrapped
from stacbuild.geo.crs import transformer
from stacbuild.geo.crs_text import canonical_crs
from stacbuild.geo.grid import Grid, PixelGrid
from stacbuild.geo.utm import is_utm, utm_crs, utm_shift
from stacbuild.loading.own_grid import TILE

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable
    from stacbuild.config.datasets import OpenParams

# A size of pixels is a multiple of another, and corners coincide, within this share of a pixel.
_TIE = 1e-3
# Metres from the central meridian at which lengths in UTM are off by 5 %.
_WIDEST = 2_000_000.0
_EASTING = 500_000.0


def is_on_utm(variable: SourceVariable, items: Sequence[pystac.Item]) -> bool:
    """Return whether a cube without a grid mapping is on a UTM grid, not that of its source.

    It is if its first variable states an area and ``spatial_res``; without the latter, if it states
    an area and its items are scenes in zones of UTM.
    """
    params = variable.open_params
    if params.area is None:
        return False
    if params.spatial_res is not None:
        return True
    return all(map(is_scene, items)) and all(is_utm(grid.crs) for grid in _grids(params, items))


def is_scene(item: pystac.Item) -> bool:
    """Return whether an item is a scene: one of several assets, or with fields of imagery."""
    stated = "eo:cloud_cover" in item.properties or "grid:code" in item.properties
    return stated or "data" not in item.assets


def utm_grid(variable: SourceVariable, items: Sequence[pystac.Item]) -> Grid:
    """Return the grid of the UTM zone of an area, on whole pixels of its scenes.

    Parameters
    ----------
    variable
        Its ``open_params`` have the area: a bbox, or a square around a point, whose sides are along
        the axes of UTM. The zone is that of the area's centre.
    items
        Items of its data id. Where they have pixels in that zone whose size divides
        ``spatial_res``, or is a multiple of it, pixels of the grid begin at theirs; otherwise at
        multiples of ``spatial_res``.

    Returns
    -------
    North-up grid of ``spatial_res`` (by default, the finest resolution of the assets) of the pixels
    whose centres lie in the area, or on its west or north edge.

    Raises
    ------
    BuildError
        If the area is beyond UTM, or too wide or too small for it.
    """
    params = variable.open_params
    grids = list(_grids(params, items))
    size = exact(params.spatial_res or min(_sizes(grids)))
    try:
        crs, bbox = utm_area(params)
        grid = _on_pixels(crs, bbox, size, _corner(crs, size, grids))
    except ValueError as error:
        raise BuildError(f"{variable.label}: open_params: {error}; name one of grid_mappings") from error
    return grid


def utm_area(params: OpenParams) -> tuple[str, BBox]:
    """Return the CRS of the UTM zone of an area, and west, south, east, north in it.

    Raises
    ------
    ValueError
        If the area is beyond UTM, or too wide for it.
    """
    area = params.area
    assert area is not None  # noqa: S101 - checked by `is_on_utm`
    stated = canonical_crs(params.area_crs)
    west, south, east, north = unwrapped(area, stated)
    centre = params.point or ((west + east) / 2, (south + north) / 2)
    lon, lat = transformer(stated, "EPSG:4326").transform(*centre)
    if not (math.isfinite(lon) and math.isfinite(lat)):
        msg = f"{list(area)} lies outside of what {stated} can represent"
        raise ValueError(msg)
    crs = utm_crs(lon, lat)
    to_utm = transformer(stated, crs)
    if params.point and params.bbox_width:
        (x, y), half = to_utm.transform(*params.point), params.bbox_width / 2
        found = x - half, y - half, x + half, y + half
    elif stated == crs:
        found = area
    else:
        found = to_utm.transform_bounds(west, south, east, north, densify_pts=21)
    if not all(map(math.isfinite, found)) or max(
        abs(found[0] - _EASTING), abs(found[2] - _EASTING)
    ) > _WIDEST:
        msg = f"the area {[round(edge, 6) for edge in area]} is too wide for a zone of UTM"
        raise ValueError(msg)
    return crs, found


def _on_pixels(
    crs: str, bbox: BBox, size: Fraction, corner: tuple[Fraction, Fraction]
) -> Grid:
    west, south, east, north = map(exact, bbox)
    x, y = corner
    # A pixel counts by its centre, half a pixel from its edges.
    left, right = (math.ceil((edge - x) / size - Fraction(1, 2)) for edge in (west, east))
    top, bottom = (math.ceil((y - edge) / size - Fraction(1, 2)) for edge in (north, south))
    columns, rows = right - left, bottom - top
    if columns < 1 or rows < 1:
        msg = f"no centre of a pixel of {float(size):g} m lies in the area"
        raise ValueError(msg)
    return Grid(
        crs=crs,
        shape=(rows, columns),
        west=x + left * size,
        north=y - top * size,
        width=size,
        height=size,
        tile=(min(TILE[0], rows), min(TILE[1], columns)),
    )


def _corner(
    crs: str, size: Fraction, grids: Sequence[PixelGrid]
) -> tuple[Fraction, Fraction]:
    """Return a corner of pixels that those of most scenes in the zone have."""
    found: Counter[tuple[Fraction, Fraction]] = Counter()
    for grid in grids:
        shift = utm_shift(grid.crs, crs)
        width, _, x, _, height, y = grid.transform
        if shift is None or not grid.is_aligned or abs(abs(width) - abs(height)) > _TIE:
            continue
        # Rounded like `_TIE`, as transforms are written with nine digits.
        step = _common(exact(round(abs(width), 6)), size)
        if step is not None:
            found[_offset(x, step), _offset(y + shift, step)] += 1
    if not found:
        return Fraction(0), Fraction(0)
    most = max(found.values())
    return min(corner for corner, count in found.items() if count == most)


def _common(one: Fraction, other: Fraction) -> Fraction | None:
    """Return the smaller of two sizes if the other is a multiple of it."""
    small, large = min(one, other), max(one, other)
    ratio = large / small
    return small if abs(ratio - round(ratio)) <= _TIE else None


def _offset(value: float, step: Fraction) -> Fraction:
    offset = exact(round(value, 6)) % step
    return Fraction(0) if step - offset <= _TIE * step or offset <= _TIE * step else offset


def _sizes(grids: Sequence[PixelGrid]) -> list[float]:
    return [round(min(abs(grid.transform[0]), abs(grid.transform[4])), 6) for grid in grids]


def _grids(params: OpenParams, items: Sequence[pystac.Item]) -> Iterator[PixelGrid]:
    """Yield the grids of the assets that become variables."""
    for item in items:
        fields = [
            asset.extra_fields
            for name, asset in item.assets.items()
            if "proj:transform" in asset.extra_fields
            and (params.asset_names is None or name in params.asset_names)
        ]
        for each in fields or [{}]:
            stated: dict[str, Any] = item.properties | each
            yield PixelGrid.from_properties(stated)
