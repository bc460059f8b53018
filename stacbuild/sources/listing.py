"""Discovery without a configuration: kinds of store, their data ids, descriptions.

Only lists and headers are fetched, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stacbuild import progress
from stacbuild.config.patterns import check_braces, has_field
from stacbuild.errors import ConfigError
from stacbuild.progress import Reporter
from stacbuild.sources.base import lister_of
from stacbuild.sources.describe import describe
from stacbuild.sources.first_configuration import Choice, first_configuration, write_configuration
from stacbuild.sources.kinds import SourceKind, sources
from stacbuild.sources.listing_base import Entry, make_store

if TYPE_CHECKING:
    from stacbuild.config import Store


def list_data(
    store_id: str | Store,
    root: str = "",
    *,
    match: str | None = None,
    params: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
) -> list[Entry]:
    """Return the data ids of a store; parameters and errors as `stacbuild.list_data`."""
    store = make_store(store_id, root, params)
    if not store.listable:
        raise ConfigError(
            f"a store of kind {store.store_id!r} cannot be listed: a web server lists no folders; "
            f"name its data ids in stacbuild describe {store.store_id} "
            f"{root or 'ROOT'} DATA_ID"
        )
    if match and store.has_files:
        _check_match(match)
    with progress.reported_to(reporter):
        found = list(lister_of(store).entries(store, match))
    return sorted(found, key=lambda entry: entry.data_id)


def _check_match(match: str) -> None:
    try:
        check_braces(match)
    except ValueError as error:
        raise ConfigError(f"match: {error}") from error
    if has_field(match):
        raise ConfigError(
            f"match: {match!r} has a field, but may have * and ? only; stacbuild describe shows "
            "the files of a pattern with fields"
        )


def describe_data(
    store_id: str | Store,
    root: str,
    data_id: str,
    *,
    params: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Return the metadata of a data id: CRS, shape, bands, chunks, times, bounds, nodata, units.

    Only headers are read. Parameters and errors as `list_data`; unknown values are left out.
    """
    store = make_store(store_id, root, params)
    with progress.reported_to(reporter):
        return describe(store, data_id)


__all__ = [
    "Choice",
    "Entry",
    "SourceKind",
    "describe_data",
    "first_configuration",
    "list_data",
    "sources",
    "write_configuration",
]
