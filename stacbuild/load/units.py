"""How much of the grid one task computes: its work unit, one or more of the cube's tiles.

Small tiles are taken together, because every task costs a millisecond or two whatever it does,
and a graph of a million of them costs more than the pixels. Files in strips are read for two or
more tiles side by side, because a strip has to be decoded whole whichever part of it is wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stacbuild.grid import Grid

# Pixels along a side up to which tiles are taken together.
_SIDE = 2048
# Of a unit that is to be as wide as it may: pixels across, and bytes.
_WIDEST = 8192
_BYTES = 64 * 2**20


def work_unit(grid: Grid, itemsize: int, *, wide: bool = False) -> tuple[int, int]:
    """Choose the rows and columns that a task computes.

    Parameters
    ----------
    grid
        Of the cube, with its tile.
    itemsize
        Bytes of a pixel.
    wide
        Whether reading is cheaper for tiles side by side.

    Returns
    -------
    Multiples of the grid's tile.
    """
    rows, cols = grid.tile
    down, across = max(1, _SIDE // rows), max(1, _SIDE // cols)
    if wide:
        across = max(across, min(_WIDEST // cols, _BYTES // (rows * down * cols * itemsize)))
    return rows * down, cols * across
