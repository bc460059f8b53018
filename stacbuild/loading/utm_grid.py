"""The grid of scenes without a grid mapping: pixels of the UTM zone of their area."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar

import pystac

from stacbuild.config.datasets import MultiDataset, Source
from stacbuild.errors import BuildError
from stacbuild.geo.bbox import BBox, exact
from stacbuild.geo.grid import Grid, PixelGrid
from stacbuild.geo.utm import is_utm, utm_shift
from stacbuild.loading.own_grid import TILE
from stacbuild.loading.scene_assets import chosen_assets
from stacbuild.stac.scenes import is_scene

if TYPE_CHECKING:
    from stacbuild.config import Dataset, SourceVariable
    from stacbuild.config.datasets import OpenParams

_S = TypeVar("_S", bound=Source)

# A size of pixels is a multiple of another, and corners coincide, within this share of a pixel.
_TIE = 1e-3


def is_on_utm(variable: SourceVariable, items: Sequence[pystac.Item]) -> bool:
    """Return whether a cube without a grid mapping is on a UTM grid, not that of its source.

    It is if its first variable states an area and ``spatial_res``; without the latter, if it states
    an area and its items are scenes in zones of UTM.
    """
    params = variable.open_params
    if params.area is None or params.spatial_res is not None:
        return params.area is not None
    return all(map(is_scene, items)) and all(is_utm(grid.crs) for grid in _grids(variable, items))


def without_area(dataset: Dataset, first: SourceVariable) -> Dataset:
    """Return a dataset on such a grid to be read: its extent is that of the grid.

    The area of the first variable, and the same area of others, would cut scenes of other zones
    askew, and by a fraction of a pixel.
    """

    def whole(params: OpenParams) -> OpenParams:
        same = (params.area, params.area_crs) == (
            first.open_params.area,
            first.open_params.area_crs,
        )
        nothing = dict.fromkeys(("bbox", "crs", "point", "bbox_width"))
        return params.model_copy(update=nothing) if same else params

    def changed(source: _S) -> _S:
        return source.model_copy(update={"open_params": whole(source.open_params)})

    if isinstance(dataset, MultiDataset):
        return dataset.model_copy(update={"variables": tuple(map(changed, dataset.variables))})
    return changed(dataset)


def finest(variable: SourceVariable, items: Sequence[pystac.Item]) -> list[pystac.Item]:
    """Return the views of scenes with the finest pixels that become variables; others unchanged."""
    assets = chosen_assets(variable, items)
    if not assets:
        return list(items)
    sized = [
        (round(min(_sides(PixelGrid.from_properties(view.properties))), 6), view)
        for views in assets.values()
        for view in views
    ]
    least = min(size for size, _ in sized)
    return [view for size, view in sized if size == least]


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
    grids = list(_grids(variable, items))
    size = exact(params.spatial_res or round(min(min(_sides(grid)) for grid in grids), 6))
    try:
        crs, bbox = params.utm_area
        grid = _on_pixels(crs, bbox, size, _corner(crs, size, grids))
    except ValueError as error:
        raise BuildError(
            f"{variable.label}: open_params: {error}; name one of grid_mappings"
        ) from error
    return grid


def _on_pixels(crs: str, bbox: BBox, size: Fraction, corner: tuple[Fraction, Fraction]) -> Grid:
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


def _corner(crs: str, size: Fraction, grids: Sequence[PixelGrid]) -> tuple[Fraction, Fraction]:
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


def _sides(grid: PixelGrid) -> tuple[float, float]:
    return abs(grid.transform[0]), abs(grid.transform[4])


def _grids(variable: SourceVariable, items: Sequence[pystac.Item]) -> Iterator[PixelGrid]:
    """Yield the grids of items; of scenes, those of the assets that become variables."""
    assets = chosen_assets(variable, items)
    for views in assets.values() if assets else [items]:
        for view in views:
            yield PixelGrid.from_properties(view.properties)
