"""Options for loading all variables of one dataset's source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stacbuild.geo.grid import Grid


@dataclass(frozen=True)
class LoadOptions:
    """The target grid and the access to the source.

    Parameters
    ----------
    grid
        The grid of the cube.
    complete
        Whether the sources cover the whole grid at all times.
    memory
        Bytes that what is computed at the same time may use, which limits a work unit.
    inputs
        Number of blocks that a block of the cube is computed from, which limits it, too.
    storage_options
        For s3fs, if the store requires credentials; else empty, and hrefs are read unchanged.
    """

    grid: Grid
    complete: bool
    storage_options: Mapping[str, Any]
    memory: int
    inputs: int = 1
