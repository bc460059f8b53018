"""Options for loading all variables of one dataset's source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stacbuild.geo.grid import Grid


@dataclass(frozen=True)
class LoadOptions:
    """Onto which grid, and from where.

    Parameters
    ----------
    grid
        Of the cube.
    complete
        Whether the sources lie under all of the grid at all times.
    storage_options
        For s3fs, if the store asks for credentials; else empty, and hrefs are read as they are.
    warn
        Told, a line each, where the cube cannot have all that the files say.
    """

    grid: Grid
    complete: bool
    storage_options: Mapping[str, Any]
    warn: Callable[[str], None]
