"""What it takes to build one cube, resolved once: nothing that builds sees a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from stacbuild.planning.fingerprint import fingerprint

if TYPE_CHECKING:
    import pystac

    from stacbuild.config import Dataset, SourceVariable
    from stacbuild.geo.grid import Grid
    from stacbuild.planning.fingerprint import Inputs
    from stacbuild.planning.sources import SourceCollection
    from stacbuild.storage.output import Output


@dataclass(frozen=True)
class Source:
    """One entry of ``variables``, and what it is read from.

    Parameters
    ----------
    items
        One, or the tiles of one product.
    storage_options
        Options of s3fs, if the store asks for credentials; else empty. Never shown.
    """

    variable: SourceVariable
    items: tuple[pystac.Item, ...]
    storage_options: Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """One cube to be built.

    Parameters
    ----------
    place
        Where it goes, and whose it is.
    dataset
        Its entry in the configuration.
    grid
        Its pixels.
    sources
        What each of its variables is read from, in the configuration's order.
    collections
        Whose data it is made of.
    inputs
        Digests of all that it is made of.
    expression
        The part of the resolved configuration that it depends on, without credentials.
    scheduler
        Where it is computed, see `stacbuild.building.compute.open_workers`.
    zarr_format
        2 or 3.
    before
        The item of the cube that there is now, if any.
    """

    output: Output
    dataset: Dataset
    grid: Grid
    sources: tuple[Source, ...]
    collections: tuple[SourceCollection, ...]
    inputs: Inputs
    expression: Mapping[str, Any]
    scheduler: str
    zarr_format: int
    before: pystac.Item | None = None

    @property
    def name(self) -> str:
        """Identifier of the dataset."""
        return self.dataset.identifier

    @property
    def items(self) -> list[pystac.Item]:
        """All items that it is made of."""
        return [item for source in self.sources for item in source.items]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over `inputs`, in hexadecimal digits."""
        return fingerprint(self.inputs)
