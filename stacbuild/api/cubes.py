"""Plan, build and remove cubes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacbuild import building, planning, progress
from stacbuild.api.arguments import (
    ConfigLike,
    Errors,
    Names,
    PathLike,
    bbox_of,
    catalog_of,
    checked,
    config_of,
    names_of,
)
from stacbuild.api.sources import harvest
from stacbuild.building import CubeResult
from stacbuild.errors import failures_of, raise_failures
from stacbuild.geo.bbox import BBox
from stacbuild.planning import CubePlan
from stacbuild.progress import Reporter
from stacbuild.sources import HarvestResult

if TYPE_CHECKING:
    from stacbuild.removal.remove import Removal


def plan(
    config: ConfigLike,
    catalog_dir: PathLike | None = None,
    *,
    datasets: Names | None = None,
    bbox: BBox | None = None,
    force: bool = False,
    errors: Errors = "raise",
    reporter: Reporter | None = None,
) -> list[CubePlan]:
    """Return what a build would do with each cube, and why, without fetching anything.

    Parameters
    ----------
    config, catalog_dir, errors, reporter
        As for `harvest`.
    datasets
        Identifier or identifiers of the datasets; by default all.
    bbox
        West, south, east, north in the grid's CRS, as for `build`.
    force
        Whether to plan a rebuild of cubes that are up to date, too.

    Returns
    -------
    list of CubePlan
        One result per cube, in the order of the configuration.

    Raises
    ------
    ConfigError
        If the configuration is invalid, a dataset is unknown, or the bbox does not lie on a grid.
    Failures
        If a cube cannot be built, unless *errors* is ``"collect"``.
    """
    config = config_of(config)

    def run() -> list[CubePlan]:
        with progress.reported_to(reporter):
            catalog = catalog_of(config, catalog_dir)
            return planning.plan(config, catalog, names_of(datasets), bbox_of(bbox), force=force)

    return checked(errors, run, failures_of)


def build(
    config: ConfigLike,
    catalog_dir: PathLike | None = None,
    *,
    datasets: Names | None = None,
    bbox: BBox | None = None,
    force: bool = False,
    wait: bool = False,
    errors: Errors = "raise",
    reporter: Reporter | None = None,
) -> list[CubeResult]:
    """Build the cubes of a configuration that are not up to date.

    Missing sources are harvested and preloaded first.

    Parameters
    ----------
    config, catalog_dir, errors, reporter
        As for `harvest`.
    datasets
        Identifier or identifiers of the datasets to build; by default all.
    bbox
        West, south, east, north in the grid's CRS: build only the pixels of the grid whose
        centres lie in it.
    force
        Whether to rebuild cubes that are up to date, too.
    wait
        Whether to wait for another run that writes the same cube; otherwise, the cube fails.

    Returns
    -------
    list of CubeResult
        One result per cube, in the order of the configuration.

    Raises
    ------
    ConfigError
        If the configuration is invalid, a dataset is unknown, or the bbox does not lie on a grid.
    Failures
        If a cube failed, unless *errors* is ``"collect"``.
    """
    config = config_of(config)
    return checked(
        errors,
        lambda: building.build(
            config,
            catalog_of(config, catalog_dir),
            datasets=names_of(datasets),
            bbox=bbox_of(bbox),
            force=force,
            wait=wait,
            reporter=reporter,
        ),
        failures_of,
    )


def generate(
    config: ConfigLike,
    catalog_dir: PathLike | None = None,
    *,
    datasets: Names | None = None,
    reporter: Reporter | None = None,
) -> list[CubeResult]:
    """Preload the data of a configuration, then build its cubes; raise all failures at the end.

    Parameters
    ----------
    config, catalog_dir, reporter
        As for `harvest`.
    datasets
        Identifier or identifiers of the datasets to build; by default all.

    Returns
    -------
    list of CubeResult
        One result per cube, in the order of the configuration.

    Raises
    ------
    ConfigError
        If the configuration is invalid; nothing is done then.
    Failures
        If anything failed, raised after everything else has finished.
    """
    config = config_of(config)
    stores = tuple(dict.fromkeys(entry.store for entry in config.preload_datasets))
    preloaded: list[HarvestResult] = []
    if stores:
        preloaded = harvest(config, catalog_dir, stores=stores, errors="collect", reporter=reporter)
    built = build(config, catalog_dir, datasets=datasets, errors="collect", reporter=reporter)
    raise_failures(failures_of(preloaded) + failures_of(built))
    return built


def remove(
    config: ConfigLike,
    catalog_dir: PathLike | None = None,
    *,
    datasets: Names,
    sources: bool = False,
    wait: bool = False,
    errors: Errors = "raise",
    reporter: Reporter | None = None,
) -> list[Removal]:
    """Remove cubes and their items, without confirmation; other files are never removed.

    Parameters
    ----------
    config, catalog_dir, errors, reporter
        As for `harvest`.
    datasets
        Identifier or identifiers of the datasets, which the configuration may no longer contain.
    sources
        Whether to also remove source items and cached files that nothing else uses.
    wait
        Whether to wait for another run that writes the same cube; otherwise, the cube fails.

    Returns
    -------
    list of Removal
        One result per dataset, in the order given.

    Raises
    ------
    ConfigError
        If the configuration is invalid, or a name is neither a dataset nor a cube.
    Failures
        If a cube could not be removed, unless *errors* is ``"collect"``.
    """
    # Imported late: the other functions do not need it.
    from stacbuild.removal.remove import remove as run

    config = config_of(config)
    return checked(
        errors,
        lambda: run(
            config,
            catalog_of(config, catalog_dir),
            names_of(datasets),
            sources=sources,
            wait=wait,
            reporter=reporter,
        ),
        failures_of,
    )
