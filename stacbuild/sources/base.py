"""Interfaces of a kind of store: a package with these modules, listed in `stacbuild.kinds`.

``store.py``
    A subclass of `stacbuild.config.store.Store`: parameters and capabilities of the kind.
``harvest.py``
    A `Harvester`, unless the kind is not ``readable``.
``listing.py``
    A `Lister`, if the kind is ``listable``; also a `Describer`, unless it is
    ``described_in_place``.
``state.py``
    A `Watcher`, if its catalogs can be local (``catalog_folder``), or it ``is_watched``.

A module is imported when it is first used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from stacbuild.config.store import Store
from stacbuild.errors import Failure, Failures, failure_of
from stacbuild.kinds import load_module

if TYPE_CHECKING:
    import pystac

    from stacbuild.profiles import Profiles
    from stacbuild.sources.listing_base import Entry
    from stacbuild.stac.catalog import Harvest

S_contra = TypeVar("S_contra", bound=Store, contravariant=True)


@dataclass(frozen=True)
class Wanted:
    """Data ids to harvest from one store.

    Parameters
    ----------
    data_ids
        Data ids that datasets of the configuration use.
    preload
        Data ids whose files are to be downloaded.
    force
        Whether to download files again that are in the cache.
    in_place
        Whether files of a data id of several files that can be read in place are not downloaded.
    folders
        Absolute folders of the configuration, which a local catalog may refer to besides its own.
    skip
        Data ids of which items that cannot be read are left out (``open_params.errors: skip``).
    """

    data_ids: tuple[str, ...]
    preload: tuple[str, ...] = ()
    force: bool = False
    in_place: bool = field(default=False, kw_only=True)
    folders: tuple[Path, ...] = ()
    skip: frozenset[str] = field(default=frozenset(), kw_only=True)


class Harvester(Protocol[S_contra]):
    """The module ``harvest`` of a kind."""

    def harvest(self, store: S_contra, wanted: Wanted, profiles: Profiles) -> Iterator[Harvest]:
        """Yield collections with the items of the wanted data ids, then raise what failed.

        Raises
        ------
        StacbuildError
            For a single data id; `stacbuild.errors.Failures` for several. The other data ids are
            harvested all the same.
        """


class Lister(Protocol[S_contra]):
    """The module ``listing`` of a kind."""

    def entries(self, store: S_contra, match: str | None) -> Iterator[Entry]:
        """Yield the data ids that match a pattern; only lists are fetched."""


class Describer(Protocol[S_contra]):
    """The module ``listing`` of a kind whose headers cannot be read without a download."""

    def describe(self, store: S_contra, data_id: str) -> dict[str, Any]:
        """Return the service's metadata of a data id as JSON-serializable data."""


class AssetDescriber(Protocol[S_contra]):
    """The module ``listing`` of a kind whose data ids may have several assets."""

    def describe_assets(self, store: S_contra, data_id: str) -> dict[str, Any]:
        """Return what the catalog states about the assets to choose from; empty if there is one."""


class Watcher(Protocol[S_contra]):
    """The module ``state`` of a kind."""

    def why_changed(self, store: S_contra, data_id: str, items: Sequence[pystac.Item]) -> str:
        """Return why a harvest would give other items than these; empty if it would not."""


def harvester_of(store: Store) -> Harvester[Store]:
    """Import the harvester of the kind of a store."""
    return cast("Harvester[Store]", load_module(store.store_id, "harvest"))


def lister_of(store: Store) -> Lister[Store]:
    """Import the lister of the kind of a store."""
    return cast("Lister[Store]", load_module(store.store_id, "listing"))


def describer_of(store: Store) -> Describer[Store]:
    """Import the describer of the kind of a store."""
    return cast("Describer[Store]", load_module(store.store_id, "listing"))


def asset_describer_of(store: Store) -> AssetDescriber[Store]:
    """Import the describer of assets of the kind of a store."""
    return cast("AssetDescriber[Store]", load_module(store.store_id, "listing"))


def watcher_of(store: Store) -> Watcher[Store]:
    """Import the watcher of the kind of a store."""
    return cast("Watcher[Store]", load_module(store.store_id, "state"))


@contextmanager
def collected(failures: list[Failure], name: str) -> Iterator[None]:
    """Append any exception to *failures*, under the name of a data id or file."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - one data id must not stop the others
        failures.append((name, failure_of(error, name)))


def raise_collected(failures: Sequence[Failure]) -> None:
    """Raise a single failure itself, several as `Failures`; do nothing if there are none."""
    if failures:
        raise failures[0][1] if len(failures) == 1 else Failures(failures)
