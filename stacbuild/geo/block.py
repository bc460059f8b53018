"""Inputs of one resampling step: a block of source pixels and a window of the target grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from stacbuild.geo.grid import PixelGrid, Window
from stacbuild.nodata import Number


@dataclass(frozen=True)
class Block:
    """Decoded pixels of a source.

    Parameters
    ----------
    values
        2-D, the pixels of *window*; nodata is *fill*.
    grid
        The grid of the source.
    window
        Rows and columns of *grid*; columns may be outside of it if it wraps around.
    fill
        The nodata value.
    period
        Columns in a full circle, if the source wraps around.
    """

    values: NDArray[Any]
    grid: PixelGrid
    window: Window
    fill: Number
    period: int | None = None

    def as_grid(self) -> PixelGrid:
        """Return the grid of these pixels only."""
        return self.grid.part(self.window)


@dataclass(frozen=True)
class Onto:
    """Target of resampling: a window of the target grid, and the method."""

    target: PixelGrid
    window: Window
    method: str
