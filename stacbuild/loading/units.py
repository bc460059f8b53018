"""Choose the work unit of a task: one or more tiles of the cube.

Small tiles are combined, because the overhead of each task is a millisecond or two, and a graph
of a million tasks costs more than the pixels. Files in strips are read for two or more adjacent
tiles at a time, because a strip is always decoded as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stacbuild.geo.grid import Grid

# Pixels along a side up to which tiles are combined.
_SIDE = 2048
# Maximum bytes of a wide unit: some 5 000 x 4 000 one-byte pixels. Larger ones need more memory.
_WIDE_BYTES = 32 * 2**20


def work_unit(
    grid: Grid, itemsize: int, *, wide: bool = False, most: int = _SIDE
) -> tuple[int, int]:
    """Return the number of rows and columns that a task computes.

    Parameters
    ----------
    grid
        The grid of the cube, with its tile size.
    itemsize
        Bytes per pixel.
    wide
        Whether adjacent tiles in a row are faster to read together.
    most
        Most pixels along a side, unless a tile has more; then no tiles are read together in a row.

    Returns
    -------
    Multiples of the grid's tile size, or the size of the grid.
    """
    rows, cols = (
        min(length, tile * max(1, min(_SIDE, most) // tile))
        for length, tile in zip(grid.shape, grid.tile, strict=True)
    )
    if wide and most >= _SIDE:
        width = _WIDE_BYTES // (rows * itemsize)
        cols = max(
            cols, grid.shape[1] if grid.shape[1] <= width else width // grid.tile[1] * grid.tile[1]
        )
    return rows, cols
