"""What a kind of store consists of: a package with these modules, named in `stacbuild.kinds`.

``store.py``
    A subclass of `stacbuild.config.store.Store`: the parameters of the kind, and what it can do.
``harvest.py``
    A `Harvester`, unless the kind is not ``readable``.
``listing.py``
    A `Lister`, if the kind is ``listable``; also a `Describer`, unless it is
    ``described_in_place``.
``state.py``
    A `Watcher`, if its catalogs can be on this machine (``catalog_folder``).

A module is imported when it is first used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from stacbuild.config.store import Store
from stacbuild.kinds import load_module

if TYPE_CHECKING:
    import pystac

    from stacbuild.profiles import Profiles
    from stacbuild.sources.listing_base import Entry
    from stacbuild.stac.catalog import Harvest

S_contra = TypeVar("S_contra", bound=Store, contravariant=True)


@dataclass(frozen=True)
class Wanted:
    """What is asked of one store.

    Parameters
    ----------
    data_ids
        Data ids of this store that the configuration's datasets use.
    preload
        Data ids whose files are to be brought to this machine now.
    force
        Fetch again what is here already.
    """

    data_ids: tuple[str, ...]
    preload: tuple[str, ...] = ()
    force: bool = False


class Harvester(Protocol[S_contra]):
    """The module ``harvest`` of a kind."""

    def harvest(self, store: S_contra, wanted: Wanted, profiles: Profiles) -> Iterator[Harvest]:
        """Yield collections with the items of what is wanted, then raise what failed.

        Raises
        ------
        StacbuildError
            For a single data id; `stacbuild.errors.Failures` for several. No failure keeps the
            others from being harvested.
        """


class Lister(Protocol[S_contra]):
    """The module ``listing`` of a kind."""

    def entries(self, store: S_contra, match: str | None) -> Iterator[Entry]:
        """Yield what the store offers, as far as it matches a pattern; only lists are fetched."""


class Describer(Protocol[S_contra]):
    """The module ``listing`` of a kind whose headers cannot be read where they are."""

    def describe(self, store: S_contra, data_id: str) -> dict[str, Any]:
        """Return what the service says of a data id, as JSON-ready data."""


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


def watcher_of(store: Store) -> Watcher[Store]:
    """Import the watcher of the kind of a store."""
    return cast("Watcher[Store]", load_module(store.store_id, "state"))
