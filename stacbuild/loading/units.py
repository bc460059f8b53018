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
# Bytes per pixel of an index map, and arrays of the size of the result: those of the source's
# window, the result and its encoded bytes.
_INDEX_BYTES = 8
_COPIES = 3
# Threads for remote sources, of which most wait for an answer, and the bytes of their tasks.
_REMOTE_THREADS = 32
_REMOTE_BYTES = 2**30


def task_bytes(pixels: int, itemsize: int) -> int:
    """Return the bytes that a task needs while it runs.

    Parameters
    ----------
    pixels
        Number of pixels of its work unit.
    itemsize
        Bytes per pixel.
    """
    return pixels * (_INDEX_BYTES + _COPIES * itemsize)


def thread_count(processors: int, size: int, *, remote: bool) -> int:
    """Return the number of threads for tasks of *size* bytes, which limits those that wait.

    Parameters
    ----------
    processors
        Number of processors, the result for local sources.
    remote
        Whether sources are read over a network.
    """
    if not remote:
        return processors
    return max(processors, min(_REMOTE_THREADS, _REMOTE_BYTES // max(1, size)))


def work_unit(grid: Grid, itemsize: int, *, wide: bool = False) -> tuple[int, int]:
    """Return the number of rows and columns that a task computes.

    Parameters
    ----------
    grid
        The grid of the cube, with its tile size.
    itemsize
        Bytes per pixel.
    wide
        Whether adjacent tiles in a row are faster to read together.

    Returns
    -------
    Multiples of the grid's tile size, or the size of the grid.
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
