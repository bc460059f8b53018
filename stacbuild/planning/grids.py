"""The grid of a cube: the one that the configuration describes, or that of its first source."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stacbuild.config import GridMapping
from stacbuild.errors import ConfigError
from stacbuild.geo.bbox import BBox
from stacbuild.geo.grid import Grid
from stacbuild.planning.sources import is_described, known_items

if TYPE_CHECKING:
    from stacbuild.config import Config, Dataset
    from stacbuild.stac.catalog import Catalog

MAX_PIXELS = 10**12
# So many along a side are 4 m all around the earth.
MAX_SIDE = 10**7


def grid_name(config: Config, dataset: Dataset) -> str:
    """Name the grid in the user's terms."""
    of = config.grid_of(dataset)
    if isinstance(of, GridMapping):
        return of.identifier
    return f"of {of.variables[0].data_id}"


def described_grid(config: Config, dataset: Dataset, bbox: BBox | None) -> Grid | None:
    """Return the grid that the configuration describes; None if a source has to be looked at.

    Raises
    ------
    ConfigError
        If *bbox* does not lie on it.
    """
    mapping = config.grid_of(dataset)
    return _cut(Grid.from_mapping(mapping), bbox) if isinstance(mapping, GridMapping) else None


def known_grid(
    config: Config, dataset: Dataset, catalog: Catalog, bbox: BBox | None
) -> Grid | None:
    """Return the grid as far as the catalog tells; None if its source is not harvested yet.

    Raises
    ------
    ConfigError
        If *bbox* does not lie on it.
    BuildError
        If the source's own grid cannot be that of a cube.
    """
    grid = described_grid(config, dataset, bbox)
    of = config.grid_of(dataset)
    if grid is not None or isinstance(of, GridMapping):
        return grid
    items = known_items(config, of.variables[0], catalog)
    if not items or not all(map(is_described, items)):
        return None
    # Imported when used: a configured grid needs none of it.
    from stacbuild.loading.own_grid import own_grid

    grid = own_grid(of.variables[0], items)
    return _cut(replace(grid, name=grid_name(config, dataset)), bbox)


def check_pixels(grid: Grid) -> None:
    """Refuse a grid that no machine could fill."""
    rows, columns = grid.shape
    if rows * columns > MAX_PIXELS or max(grid.shape) > MAX_SIDE:
        raise ConfigError(
            f"grid_mappings.{grid.name}: {rows} x {columns} pixels are too many (at "
            f"most {MAX_PIXELS:.0e}, and {MAX_SIDE:.0e} a side); check spatial_res and bbox"
        )


def _cut(grid: Grid, bbox: BBox | None) -> Grid:
    # Before it is cut: that counts every row and column.
    return grid.cut(bbox) if bbox and max(grid.shape) <= MAX_SIDE else grid
