"""The library's public functions: what the commands do, for notebooks and scripts.

Each takes a configuration, its file or its content, and leaves it as it is. Nothing is kept between
calls, so several may run at once in threads of one process.

>>> import stacbuild  # doctest: +SKIP
>>> stacbuild.build("scs2_config.yml", datasets=["senf"])  # doctest: +SKIP
>>> cube = stacbuild.open_cube("scs2_config.yml", "senf")  # doctest: +SKIP
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacbuild import building, planning, sources
from stacbuild.building import CubeResult
from stacbuild.config import Config, S3Store, load_config
from stacbuild.errors import NotFoundError, raise_failures
from stacbuild.planning import CubePlan
from stacbuild.planning.allowed import check_items
from stacbuild.planning.grids import Box
from stacbuild.planning.resolve import collection_id
from stacbuild.progress import Reporter
from stacbuild.sources import HarvestResult
from stacbuild.stac.catalog import Catalog

if TYPE_CHECKING:
    import xarray as xr

    from stacbuild.removal.remove import Removal

PathLike = str | os.PathLike[str]
ConfigLike = Config | PathLike | Mapping[str, Any]


def harvest(
    config: ConfigLike,
    catalog_dir: PathLike | None = None,
    *,
    stores: Sequence[str] = (),
    reporter: Reporter | None = None,
) -> list[HarvestResult]:
    """Harvest the stores that a configuration's datasets use, and preload what it names.

    Parameters
    ----------
    config
        A configuration, its file, or its content.
    catalog_dir
        The folder of ``catalog.json``; ``catalogs`` beside the configuration if None.
    stores
        Identifiers of the stores to harvest; all that are used if empty.
    reporter
        Told of progress; none is shown if None.

    Returns
    -------
    One result a collection. A failure is a result with its error; the others go on.

    Raises
    ------
    ConfigError
        If the configuration is wrong, or no dataset uses such a store.
    """
    config = _config(config)
    return sources.harvest(config, _catalog(config, catalog_dir), stores=stores, reporter=reporter)


def plan(
    config: ConfigLike,
    catalog_dir: PathLike | None = None,
    *,
    datasets: Sequence[str] = (),
    bbox: Box | None = None,
    force: bool = False,
) -> list[CubePlan]:
    """Return what a build would do with each cube, and why; nothing is fetched.

    Parameters
    ----------
    config, catalog_dir
        As for `harvest`.
    datasets
        Identifiers of the datasets; all if empty.
    bbox
        West, south, east, north in the grid's CRS, as for `build`.
    force
        Whether to build what is up to date, too.

    Returns
    -------
    One plan a cube, in order; what would fail is one with its error.

    Raises
    ------
    ConfigError
        If the configuration is wrong, there is no such dataset, or the box does not lie on a grid.
    """
    config = _config(config)
    return planning.plan(config, _catalog(config, catalog_dir), datasets, bbox, force=force)


def build(
    config: ConfigLike,
    catalog_dir: PathLike | None = None,
    *,
    datasets: Sequence[str] = (),
    bbox: Box | None = None,
    force: bool = False,
    wait: bool = False,
    reporter: Reporter | None = None,
) -> list[CubeResult]:
    """Build the cubes of a configuration that are not up to date.

    Parameters
    ----------
    config, catalog_dir, reporter
        As for `harvest`.
    datasets
        Identifiers of the datasets to build; all if empty.
    bbox
        West, south, east, north in the grid's CRS: build only the pixels of the grid whose
        centres lie in this box.
    force
        Whether to build what is up to date, too.
    wait
        Whether to wait for another run that writes a cube of these; it fails otherwise.

    Returns
    -------
    One result a cube, in order. A failure is a result with its error; the others go on.

    Raises
    ------
    ConfigError
        If the configuration is wrong, there is no such dataset, or the box does not lie on a grid.
    """
    config = _config(config)
    return building.build(
        config,
        _catalog(config, catalog_dir),
        datasets=datasets,
        bbox=bbox,
        force=force,
        wait=wait,
        reporter=reporter,
    )


def remove(
    config: ConfigLike,
    catalog_dir: PathLike | None = None,
    *,
    datasets: Sequence[str],
    sources: bool = False,
    wait: bool = False,
    reporter: Reporter | None = None,
) -> list[Removal]:
    """Remove cubes and their items, without asking; what stacbuild did not make stays.

    Parameters
    ----------
    config, catalog_dir, reporter
        As for `harvest`.
    datasets
        Identifiers of the datasets, also of ones that the configuration has no more.
    sources
        Whether items of sources and cached files that nothing else uses go too.
    wait
        Whether to wait for another run that writes one of these cubes; it fails otherwise.

    Returns
    -------
    What was removed of each dataset, in order. A failure has its error; the others go on.

    Raises
    ------
    ConfigError
        If the configuration is wrong, or there is neither such a dataset nor such a cube.
    """
    # Imported when used: the others have no need of it.
    from stacbuild.removal.remove import remove as run

    config = _config(config)
    return run(
        config,
        _catalog(config, catalog_dir),
        datasets,
        sources=sources,
        wait=wait,
        reporter=reporter,
    )


def generate(
    config: ConfigLike,
    catalog_dir: PathLike | None = None,
    *,
    datasets: Sequence[str] = (),
    reporter: Reporter | None = None,
) -> list[CubeResult]:
    """Preload what a configuration names, then build its cubes: all of it, or one error.

    `harvest` and `build` give results and raise nothing for a part that failed; here nothing has
    to be looked through to know that all went well.

    Parameters
    ----------
    config, catalog_dir, reporter
        As for `harvest`.
    datasets
        Identifiers of the datasets to build; all if empty.

    Returns
    -------
    One result a cube, in order.

    Raises
    ------
    ConfigError
        If the configuration is wrong; then nothing was done.
    Failures
        If anything failed: all that did, once the rest is done.
    """
    config = _config(config)
    stores = tuple(dict.fromkeys(entry.store for entry in config.preload_datasets))
    preloaded = harvest(config, catalog_dir, stores=stores, reporter=reporter) if stores else []
    built = build(config, catalog_dir, datasets=datasets, reporter=reporter)
    raise_failures([*preloaded, *built])
    return built


def open_cube(config: ConfigLike, dataset: str, catalog_dir: PathLike | None = None) -> xr.Dataset:
    """Open a cube that was built.

    Parameters
    ----------
    config, catalog_dir
        As for `harvest`.
    dataset
        Identifier of the dataset.

    Returns
    -------
    Dataset of dask arrays in the store's chunks, decoded by CF (so a variable with "no data" is of
    floats), on the grid's two dimensions, with its CRS in ``spatial_ref``. To be closed.

    Raises
    ------
    ConfigError
        If the configuration is wrong or there is no such dataset.
    NotFoundError
        If it was not built yet, or the cube is gone.
    IntegrityError
        If its item leads to what the configuration does not name, or the store is damaged.
    """
    config = _config(config)
    config.dataset(dataset)
    catalog = Catalog(_catalog(config, catalog_dir))
    item = catalog.get(collection_id(config), dataset)
    if item is None:
        raise NotFoundError(
            f"{dataset}: there is no such cube in {catalog.path}; build it first, and one in a "
            "store of kind memory is not in the catalog"
        )
    storage = config.storage
    check_items([item], config, storage, catalog.root)
    asset = item.assets["data"]
    href, options = asset.href, None
    if isinstance(storage, S3Store) and not storage.anonymous:
        href = asset.extra_fields["alternate"]["s3"]["href"]
        options = storage.storage_options
    # Imported when used: the other functions have no need of Zarr to see that nothing is to do.
    from stacbuild.formats.cube import open_cube_data

    return open_cube_data(href, options, chunks={}, mask_and_scale=True)


def _config(config: ConfigLike) -> Config:
    return config if isinstance(config, Config) else load_config(config)


def _catalog(config: Config, catalog_dir: PathLike | None) -> Path:
    return config.directory / "catalogs" if catalog_dir is None else Path(catalog_dir)
