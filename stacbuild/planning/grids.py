"""The grid of a cube: from the configuration, or from its first source."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stacbuild.config import GridMapping
from stacbuild.errors import ConfigError
from stacbuild.geo.bbox import BBox
from stacbuild.geo.grid import Grid
from stacbuild.planning.regions import extent_of
from stacbuild.planning.sources import is_described, known_items

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pystac

    from stacbuild.config import Config, Dataset
    from stacbuild.stac.catalog import Catalog

MAX_PIXELS = 10**12
# Pixels of 4 m along the equator.
MAX_SIDE = 10**7


def grid_name(config: Config, dataset: Dataset) -> str:
    """Return the name of the grid for messages."""
    mapping = config.grid_of(dataset)
    if isinstance(mapping, GridMapping):
        return mapping.identifier
    return f"of {mapping.variables[0].label}"


def configured_grid(config: Config, dataset: Dataset, bbox: BBox | None) -> Grid | None:
    """Return the grid of the configuration; None if it is that of a source.

    Raises
    ------
    ConfigError
        If *bbox* does not intersect it.
    """
    mapping = config.grid_of(dataset)
    if not isinstance(mapping, GridMapping):
        return None
    return _clip(Grid.from_mapping(mapping, extent_of(config, mapping)), bbox)


def known_grid(
    config: Config, dataset: Dataset, catalog: Catalog, bbox: BBox | None
) -> Grid | None:
    """Return the grid of the configuration or the catalog; None if its source is not harvested.

    Raises
    ------
    ConfigError
        If *bbox* does not intersect it.
    BuildError
        If the grid of the source cannot be the grid of a cube.
    """
    mapping = config.grid_of(dataset)
    if isinstance(mapping, GridMapping):
        return configured_grid(config, dataset, bbox)
    items = known_items(config, mapping.variables[0], catalog)
    if not items or not all(map(is_described, items)):
        return None
    # Imported late: not needed for a configured grid.
    from stacbuild.loading.own_grid import own_grid
    from stacbuild.loading.utm_grid import finest, is_on_utm, utm_grid

    variable = mapping.variables[0]
    if is_on_utm(variable, items):
        grid = utm_grid(variable, items)
    else:
        grid = own_grid(variable, finest(variable, items))
    return _clip(replace(grid, name=grid_name(config, dataset)), bbox)


def as_read(config: Config, dataset: Dataset, items: Sequence[pystac.Item]) -> Dataset:
    """Return a dataset as its sources are read: whole, if its grid is made for their area.

    Parameters
    ----------
    items
        Those of its first variable.
    """
    first = dataset.variables[0]
    if config.grid_of(dataset) is not dataset or first.open_params.area is None or not items:
        return dataset
    from stacbuild.loading.utm_grid import is_on_utm, without_area

    described = all(map(is_described, items))
    return without_area(dataset, first) if described and is_on_utm(first, items) else dataset


def check_pixels(grid: Grid) -> None:
    """Check that a grid does not have too many pixels.

    Raises
    ------
    ConfigError
        If it has.
    """
    rows, columns = grid.shape
    if rows * columns > MAX_PIXELS or max(grid.shape) > MAX_SIDE:
        where = (
            f"the grid {grid.name}" if grid.name.startswith("of ") else f"grid_mappings.{grid.name}"
        )
        raise ConfigError(
            f"{where}: {rows} x {columns} pixels are too many (at "
            f"most {MAX_PIXELS:.0e}, and {MAX_SIDE:.0e} a side); check spatial_res and bbox"
        )


def _clip(grid: Grid, bbox: BBox | None) -> Grid:
    # Clipping enumerates rows and columns; grids that are too large are refused by `check_pixels`.
    return grid.cut(bbox) if bbox and max(grid.shape) <= MAX_SIDE else grid
