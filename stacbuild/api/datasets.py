"""Open cubes as xarray datasets, before or after a build."""

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
    """Return, lazily, the dataset that a build of one cube would write; no cube is written.

    Missing sources are harvested and preloaded first, as for `build`. Pixels are read when dask
    computes them, in this process.

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
        Whether to replace nodata by NaN and unpack packed values, as `open_cube` does. If False,
        values have the stored dtypes.

    Returns
    -------
    xarray.Dataset
        The same as `open_cube` returns after a build: same names, values, chunks, CF attributes
        and ``spatial_ref``. Only the attributes that record the build are missing: ``history``,
        and those by which stacbuild recognises its cubes. ``.rio`` and ``.odc`` provide its CRS
        and grid. Closing it closes the files that were opened to compute it.

    Raises
    ------
    ConfigError
        If the configuration is invalid, the dataset is unknown, or the bbox does not lie on its
        grid.
    StacbuildError
        If harvesting or reading a source fails; a `BuildError` if a custom function fails.
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
    """Open a cube that has been built.

    Parameters
    ----------
    config, catalog_dir
        As for `harvest`.
    dataset
        Identifier of the dataset.
    mask_and_scale
        Whether to replace nodata by NaN and unpack packed values. If False, values have the stored
        dtypes.

    Returns
    -------
    xarray.Dataset
        Dask arrays with the store's chunks, decoded by CF (variables with a nodata value are
        therefore float), with the grid's two dimensions and its CRS in ``spatial_ref``. ``.rio``
        and ``.odc`` provide CRS and grid. The caller closes it.

    Raises
    ------
    ConfigError
        If the configuration is invalid or the dataset is unknown.
    NotFoundError
        If the cube has not been built or no longer exists.
    IntegrityError
        If the href of its item is outside of what the configuration names, or the store is damaged.
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
    """Return a cube after registering the accessors ``.rio`` and ``.odc``."""
    import odc.geo.xr  # noqa: F401
    import rioxarray  # noqa: F401

    return cube
