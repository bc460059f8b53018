"""Read only the blocks needed for nearest neighbour on a grid much coarser than the source.

A window of a coarse grid may cover more pixels of a source than fit into memory, and need only one
in thousands. Here each block (of a GeoTIFF, or a chunk) that contains a needed pixel is read once,
a few at a time, and the others are skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.geo.grid import Window
from stacbuild.geo.mapping import IndexMap

# Maximum number of pixels of adjacent blocks that are read together.
_RUN_PIXELS = 2**22


def pick(
    mapping: IndexMap,
    origin: tuple[int, int],
    blocks: tuple[int, int],
    read: Callable[[Window], NDArray[Any]],
) -> NDArray[Any]:
    """Return the pixels of a target window, read from the blocks of a source.

    Parameters
    ----------
    origin
        Row and column of the grid's first pixel in the file.
    blocks
        Rows and columns of the file's blocks.
    read
        Reads a window of the file, rows and columns last.

    Returns
    -------
    Array of the target window's shape, rows and columns last, undefined outside of the source.
    """
    rows, cols = mapping.source_indices()
    shape, outside = rows.shape, mapping.outside
    at = np.arange(rows.size) if outside is None else np.flatnonzero(~outside)
    rows, cols = rows.ravel()[at] + origin[0], cols.ravel()[at] + origin[1]
    result: NDArray[Any] | None = None
    for pixels, window in _runs(rows, cols, blocks):
        values = read(window)
        if result is None:
            result = np.zeros((*values.shape[:-2], rows.size), values.dtype)
        row, col = rows[pixels] - window[0].start, cols[pixels] - window[1].start
        result[..., pixels] = values[..., row, col]
    assert result is not None  # noqa: S101 - a map has at least one pixel on the source
    whole = np.zeros((*result.shape[:-1], shape[0] * shape[1]), result.dtype)
    whole[..., at] = result
    return whole.reshape(*result.shape[:-1], *shape)


def _runs(
    rows: NDArray[np.intp], cols: NDArray[np.intp], blocks: tuple[int, int]
) -> Iterator[tuple[NDArray[np.intp], Window]]:
    """Yield the indices of pixels on a run of adjacent blocks, and the window that they span."""
    height, width = blocks
    across = int(cols.max()) // width + 2
    block = rows // height * across + cols // width
    order = np.argsort(block, kind="stable")
    first = np.flatnonzero(np.diff(block[order], prepend=-2))
    numbers = block[order[first]]
    stops = [*first[1:].tolist(), len(order)]
    max_blocks = max(1, _RUN_PIXELS // (height * width))
    start = 0
    for last in range(len(numbers)):
        follows = last + 1 < len(numbers) and numbers[last + 1] == numbers[last] + 1
        if follows and last + 1 - start < max_blocks:
            continue
        pixels = order[first[start] : stops[last]]
        yield pixels, (_span(rows[pixels]), _span(cols[pixels]))
        start = last + 1


def _span(numbers: NDArray[np.intp]) -> slice:
    return slice(int(numbers.min()), int(numbers.max()) + 1)
