"""Cubes as xarray datasets, before and after a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacbuild import planning, progress
from stacbuild.api.arguments import ConfigLike, PathLike, bbox_of, catalog_of, config_of, name_of
from stacbuild.errors import NotFoundError
from stacbuild.geo.bbox import BBox
from stacbuild.planning.allowed import check_items
from stacbuild.planning.resolve import collection_id
from stacbuild.progress import Reporter
from stacbuild.stac.catalog import Catalog
from stacbuild.storage.kinds import storage_of

if TYPE_CHECKING:
    import xarray as xr


def load(
    config: ConfigLike,
    dataset: str,
    catalog_dir: PathLike | None = None,
    *,
    bbox: BBox | None = None,
    mask_and_scale: bool = True,
    reporter: Reporter | None = None,
) -> xr.Dataset:
    """Return the dataset that a build of one cube would write, lazily; no cube is written.

    What the catalog lacks for it is harvested, and preloaded, first, as for `build`. Pixels are
    read when they are computed, by dask in this process.

    Parameters
    ----------
    config, catalog_dir, reporter
        As for `harvest`.
    dataset
        Identifier of the dataset.
    bbox
        West, south, east, north in the grid's CRS: only the pixels of the grid whose centres lie
        in it.
    mask_and_scale
        Whether "no data" becomes NaN and packed values are unpacked, as `open_cube` does. If not,
        values have the types that are stored.

    Returns
    -------
    xarray.Dataset
        What `open_cube` returns after a build: same names, values, chunks, CF attributes and
        ``spatial_ref``. Only attributes that record the build are missing: ``history``, and those
        by which stacbuild recognises its cubes. ``.rio`` and ``.odc`` provide its CRS and grid.
        Closing it closes the files that were opened to compute it.

    Raises
    ------
    ConfigError
        If the configuration is wrong, there is no such dataset, or the bbox does not lie on its
        grid.
    StacbuildError
        What harvesting or reading its sources raises; a `BuildError` of a user's function.
    """
    from stacbuild.building.lazy import load_cube

    config = config_of(config)
    with progress.reported_to(reporter):
        catalog = catalog_of(config, catalog_dir)
        resolver, (chosen,) = planning.resolver_of(
            config, catalog, [name_of(dataset)], bbox_of(bbox)
        )
        return _with_accessors(load_cube(resolver, chosen, mask_and_scale=mask_and_scale))


def open_cube(
    config: ConfigLike,
    dataset: str,
    catalog_dir: PathLike | None = None,
    *,
    mask_and_scale: bool = True,
) -> xr.Dataset:
    """Open a cube that was built.

    Parameters
    ----------
    config, catalog_dir
        As for `harvest`.
    dataset
        Identifier of the dataset.
    mask_and_scale
        Whether "no data" becomes NaN and packed values are unpacked. If not, values have the types
        that are stored.

    Returns
    -------
    xarray.Dataset
        Dask arrays in the store's chunks, decoded by CF (so a variable with "no data" is of
        floats), on the grid's two dimensions, with its CRS in ``spatial_ref``; ``.rio`` and
        ``.odc`` know CRS and grid. To be closed.

    Raises
    ------
    ConfigError
        If the configuration is wrong or there is no such dataset.
    NotFoundError
        If the cube has not been built, or does not exist any more.
    IntegrityError
        If its item leads to what the configuration does not name, or the store is damaged.
    """
    config = config_of(config)
    config.dataset(name_of(dataset))
    catalog = Catalog(catalog_of(config, catalog_dir))
    item = catalog.get(collection_id(config), dataset)
    if item is None:
        raise NotFoundError(
            f"{dataset}: there is no such cube in {catalog.path}; build it first (a cube in a "
            "store of kind memory is not in the catalog)"
        )
    check_items([item], config, config.storage, catalog.root)
    href, options = storage_of(config.storage).address(item.assets["data"])
    # Imported late: the other functions do not need Zarr.
    from stacbuild.formats.cube import open_cube_data

    cube = open_cube_data(href, options, chunks={}, mask_and_scale=mask_and_scale)
    return _with_accessors(cube)


def _with_accessors(cube: xr.Dataset) -> xr.Dataset:
    """Return a cube for which ``.rio`` and ``.odc`` are registered."""
    import odc.geo.xr  # noqa: F401
    import rioxarray  # noqa: F401

    return cube
