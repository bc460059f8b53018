"""A job: all that is needed to build one cube, resolved once from the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from stacbuild.planning.fingerprint import fingerprint
from stacbuild.stac.extensions import SKIPPED

if TYPE_CHECKING:
    import pystac

    from stacbuild.config import Dataset, SourceVariable
    from stacbuild.geo.grid import Grid
    from stacbuild.geo.region import Region
    from stacbuild.planning.fingerprint import Inputs
    from stacbuild.planning.sources import SourceCollection
    from stacbuild.storage.output import Output


@dataclass(frozen=True)
class Source:
    """One variable of the configuration, and the items that it is read from.

    Parameters
    ----------
    items
        One item, or the tiles of one product.
    storage_options
        Options of s3fs if the store needs credentials, otherwise empty. Never shown.
    """

    variable: SourceVariable
    items: tuple[pystac.Item, ...]
    storage_options: Mapping[str, Any]


@dataclass(frozen=True)
class Skipped:
    """An asset that cannot be read, because of which its scene is left out of a cube."""

    item: str
    asset: str
    reason: str


def with_skipped(inputs: Inputs, skipped: Iterable[Skipped]) -> Inputs:
    """Return the inputs of a cube that is made without some scenes."""
    names = {each.item: each.asset for each in skipped}
    return inputs | ({SKIPPED: names} if names else {})


@dataclass(frozen=True)
class Job:
    """One cube to be built.

    Parameters
    ----------
    output
        Storage, catalog and collection of the cube.
    dataset
        The dataset in the configuration.
    grid
        The grid of the cube.
    sources
        The sources of its variables, in the configuration's order.
    collections
        Licences, providers and citations of the sources.
    inputs
        Digests of everything that the cube is made of.
    expression
        The part of the resolved configuration that it depends on, without credentials.
    scheduler
        See `stacbuild.building.compute.open_workers`.
    memory
        Bytes that what is computed at the same time may use.
    zarr_format
        2 or 3.
    previous
        The item of the cube that exists now, if any.
    region
        The polygons that the cube is clipped to; None if it is not.
    skipped
        Scenes that are left out, and no items of *sources* any more.
    """

    output: Output
    dataset: Dataset
    grid: Grid
    sources: tuple[Source, ...]
    collections: tuple[SourceCollection, ...]
    inputs: Inputs
    expression: Mapping[str, Any]
    scheduler: str
    memory: int
    zarr_format: int
    previous: pystac.Item | None = None
    region: Region | None = None
    skipped: tuple[Skipped, ...] = ()

    @property
    def name(self) -> str:
        """Identifier of the dataset."""
        return self.dataset.identifier

    @property
    def items(self) -> list[pystac.Item]:
        """The items of all sources."""
        return [item for source in self.sources for item in source.items]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over `inputs`, in hexadecimal."""
        return fingerprint(self.inputs)
