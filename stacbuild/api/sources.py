"""List, describe and harvest sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stacbuild import sources
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
from stacbuild.errors import failures_of
from stacbuild.progress import Reporter
from stacbuild.sources import HarvestResult

if TYPE_CHECKING:
    from stacbuild.config import Store
    from stacbuild.sources.listing_base import Entry


def list_data(
    store: str | Store,
    root: str = "",
    *,
    match: str | None = None,
    params: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
) -> list[Entry]:
    """Return the data ids of a store, without fetching any data.

    Parameters
    ----------
    store
        Kind of store: ``zenodo``, ``s3``, ``file``, ``clms`` or ``stac``. Or a store of a
        configuration, such as ``load_config("scs2_config.yml").store("zenodo")``, which has its
        root and parameters.
    root
        As ``store_params.root`` of a configuration: record number, bucket and prefix, folder, or
        URL of a catalog; empty for ``clms``.
    match
        Pattern of data ids, with ``*``, ``?`` and ``[...]``. An archive or a collection is one
        entry that ends in ``/``; ``name/*`` lists its contents.
    params
        Further ``store_params``, such as ``endpoint_url``.
    reporter
        As for `harvest`.

    Returns
    -------
    list of Entry
        Entries sorted by data id, with type and, if the store lists it, size in bytes.

    Raises
    ------
    ConfigError
        If the kind of store is unknown or cannot be listed, or the root is invalid.
    NotFoundError, RemoteError, AuthError, LocalError, IntegrityError
        If the store does not exist, or its response is invalid.
    """
    from stacbuild.sources import listing

    return listing.list_data(store, root, match=match, params=params, reporter=reporter)


def describe(
    store: str | Store,
    root: str,
    data_id: str,
    *,
    params: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Return the metadata of a data id; only headers are read.

    Parameters
    ----------
    store, root, params, reporter
        As for `list_data`; *root* is ``""`` for ``clms`` and for a store of a configuration.
    data_id
        A data id of the store, as listed.

    Returns
    -------
    dict
        JSON-serialisable: ``crs``, ``shape`` (rows, columns), ``resolution`` and ``bounds`` (in
        units of the CRS), ``bbox`` (degrees), ``times``, ``license``; for a GeoTIFF ``data_type``,
        ``nodata``, ``unit`` and ``bands``; for a Zarr store the same, with dimensions and chunks,
        for each of its ``variables``. Unknown values are omitted.

    Raises
    ------
    StacbuildError
        As for `list_data`.
    """
    from stacbuild.sources import listing

    return listing.describe_data(store, root, data_id, params=params, reporter=reporter)


def harvest(
    config: ConfigLike,
    catalog_dir: PathLike | None = None,
    *,
    stores: Names | None = None,
    errors: Errors = "raise",
    reporter: Reporter | None = None,
) -> list[HarvestResult]:
    """Harvest the stores of a configuration, and preload its ``preload_datasets``.

    Parameters
    ----------
    config
        A configuration, the path of its file, or its content as a mapping.
    catalog_dir
        The folder of ``catalog.json``; ``catalogs`` beside the configuration if None.
    stores
        Identifier or identifiers of the stores to harvest; by default all that datasets use.
    errors
        ``"raise"``: raise all failures, after everything else has finished. ``"collect"``: return
        them among the results.
    reporter
        Receives messages and progress. By default, messages go to the logger ``stacbuild``.

    Returns
    -------
    list of HarvestResult
        One result per collection.

    Raises
    ------
    ConfigError
        If the configuration is invalid, or no dataset uses such a store.
    Failures
        If anything failed, unless *errors* is ``"collect"``.
    """
    config = config_of(config)
    return checked(
        errors,
        lambda: sources.harvest(
            config, catalog_of(config, catalog_dir), stores=names_of(stores), reporter=reporter
        ),
        failures_of,
    )
