"""Choose the work unit of a task: one or more tiles of the cube.

Small tiles are taken together, because every task costs a millisecond or two whatever it does,
and a graph of a million of them costs more than the pixels. Files in strips are read for two or
more tiles side by side, because a strip has to be decoded whole whichever part of it is wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stacbuild.geo.grid import Grid

# Pixels along a side up to which tiles are combined.
_SIDE = 2048
# Maximum bytes of a wide unit: some 5 000 x 4 000 one-byte pixels. Larger ones need more memory.
_WIDE_BYTES = 32 * 2**20


def work_unit(grid: Grid, itemsize: int, *, wide: bool = False) -> tuple[int, int]:
    """Return the rows and columns that a task computes.

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
    Multiples of the grid's tile, or the grid's own length.
    """
    rows, cols = (
        min(length, tile * max(1, _SIDE // tile))
        for length, tile in zip(grid.shape, grid.tile, strict=True)
    )
    if wide:
        width = _WIDE_BYTES // (rows * itemsize)
        cols = max(
            cols, grid.shape[1] if grid.shape[1] <= width else width // grid.tile[1] * grid.tile[1]
        )
    return rows, cols
