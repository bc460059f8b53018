"""What is resampled at a time: a block of source pixels, and the window that it is put on."""

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
        2-D, the pixels of *window*; "no data" is *fill*.
    grid
        Where the source's pixels lie.
    window
        Rows and columns of *grid*; beyond its first and last where it goes around the earth.
    fill
        What stands for "no data".
    period
        Columns once around the earth, if the source goes around.
    """

    values: NDArray[Any]
    grid: PixelGrid
    window: Window
    fill: Number
    period: int | None = None

    def as_grid(self) -> PixelGrid:
        """Return the grid of these pixels alone."""
        return self.grid.part(self.window)


@dataclass(frozen=True)
class Onto:
    """Where pixels go: a window of the target grid, and the resampling method."""

    target: PixelGrid
    window: Window
    method: str
