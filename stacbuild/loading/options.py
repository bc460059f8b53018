"""Options for loading all variables of one dataset's source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stacbuild.geo.grid import Grid


@dataclass(frozen=True)
class LoadOptions:
    """The target grid, the access to the source, and where warnings go.

    Parameters
    ----------
    grid
        The grid of the cube.
    complete
        Whether the sources cover the whole grid at all times.
    storage_options
        For s3fs, if the store requires credentials; else empty, and hrefs are read unchanged.
    warn
        Called with one line for each loss of information from the files to the cube.
    """

    grid: Grid
    complete: bool
    storage_options: Mapping[str, Any]
    warn: Callable[[str], None]
