"""Open, validate and export the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild.api.arguments import (
    ConfigLike,
    Errors,
    Names,
    PathLike,
    catalog_of,
    checked,
    config_of,
    names_of,
)
from stacbuild.errors import IntegrityError, MissingError
from stacbuild.progress import Reporter
from stacbuild.stac.catalog import Catalog, read_json

if TYPE_CHECKING:
    import pystac

    from stacbuild.validation.validate import Check


def open_catalog(
    config: ConfigLike | None = None, catalog_dir: PathLike | None = None
) -> pystac.Catalog:
    """Open the local catalog.

    Parameters
    ----------
    config, catalog_dir
        As for `harvest`; without a configuration, the folder is required.

    Returns
    -------
    pystac.Catalog
        Self-contained, with a collection for each source and one for the cubes of each
        configuration. Collections and items are read on access.

    Raises
    ------
    ConfigError
        If the configuration is invalid, or neither it nor a folder is given.
    MissingError
        If there is no catalog yet.
    IntegrityError
        If its file is damaged.
    """
    import pystac

    path = Catalog(catalog_of(config, catalog_dir)).path
    if not path.exists():
        raise MissingError(f"{path}: there is no catalog; harvest or build first")
    content = read_json(path)
    try:
        return pystac.Catalog.from_dict(content, href=str(path))
    except Exception as error:
        raise IntegrityError(f"{path}: is not a STAC catalog; remove it, then harvest") from error


def validate(
    config: ConfigLike | None = None,
    catalog_dir: PathLike | None = None,
    *,
    datasets: Names | None = None,
    deep: bool = False,
    remote: bool = False,
    errors: Errors = "raise",
    reporter: Reporter | None = None,
) -> list[Check]:
    """Check the catalog, its cubes and their sources for damage, without changing anything.

    Parameters
    ----------
    config
        A configuration, the path of its file, or its content; adds the credentials of its stores
        and the list of expected cubes. If None, the cubes in the catalog are checked.
    catalog_dir
        The folder of ``catalog.json``; ``catalogs`` beside the configuration if None.
    datasets
        Identifier or identifiers of the cubes to check, with their sources; by default all.
    deep
        Whether to read every chunk of the cubes, and every local file that has a checksum.
    remote
        Whether to check that the servers still have the sources.
    errors, reporter
        As for `harvest`.

    Returns
    -------
    list of Check
        One check for the catalog, one per cube and one per source.

    Raises
    ------
    ConfigError
        If the configuration is invalid, neither it nor a folder is given, or a cube is unknown.
    MissingError
        If there is no catalog.
    Failures
        With every problem found, unless *errors* is ``"collect"``.
    """
    from stacbuild.validation.validate import validate as run

    loaded = None if config is None else config_of(config)
    folder = catalog_of(loaded, catalog_dir)
    names = names_of(datasets)
    return checked(
        errors,
        lambda: run(folder, loaded, names=names, deep=deep, remote=remote, reporter=reporter),
        lambda checks: [(each.name, error) for each in checks for error in each.found.problems],
    )


def export(
    config: ConfigLike | None = None,
    catalog_dir: PathLike | None = None,
    *,
    output: PathLike = "export",
    base_url: str | None = None,
    parquet: bool | None = None,
    reporter: Reporter | None = None,
) -> list[Path]:
    """Export the catalog as files that a STAC API or a database can load.

    Parameters
    ----------
    config, catalog_dir
        As for `open_catalog`.
    output
        Folder to write to, not within the catalog. Files of an earlier export are replaced, other
        files never.
    base_url
        URL at which the catalog's folder is served; by default, hrefs are local paths.
    parquet
        Whether to write ``items.parquet``; by default if rustac is installed.
    reporter
        As for `harvest`.

    Returns
    -------
    list of pathlib.Path
        The files written: ``items.json`` first, a GeoJSON FeatureCollection of all items.

    Raises
    ------
    ConfigError
        If the configuration or *base_url* is invalid, or *output* lies in the catalog.
    MissingError
        If there is no catalog.
    ConflictError
        If a file not written by an export would be replaced; nothing is written then.
    LocalError
        If a file cannot be written, or *parquet* is true and rustac is not installed.
    IntegrityError
        If a file of the catalog is damaged.
    """
    from stacbuild.stac.export import export as run

    return run(
        catalog_of(config, catalog_dir),
        Path(output),
        base_url=base_url,
        parquet=parquet,
        reporter=reporter,
    )
