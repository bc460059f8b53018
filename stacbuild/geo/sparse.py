"""Nearest neighbour where the grid is much coarser than the source: only blocks that are wanted.

A window of a coarse grid may lie on more pixels of a source than fit into memory, of which it wants
one in thousands. Here each block (of a GeoTIFF, or a chunk) that holds a wanted pixel is read
once, a few at a time, and the others are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.geo.grid import Window
from stacbuild.geo.mapping import IndexMap

# Pixels of neighbouring blocks that are read together at the most.
_RUN_PIXELS = 2**22


def pick(
    mapping: IndexMap,
    origin: tuple[int, int],
    blocks: tuple[int, int],
    read: Callable[[Window], NDArray[Any]],
) -> NDArray[Any]:
    """Pick the pixels of a target window out of the blocks of a source.

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
    rows, cols = mapping.places()
    shape, outside = rows.shape, mapping.outside
    at = np.arange(rows.size) if outside is None else np.flatnonzero(~outside)
    rows, cols = rows.ravel()[at] + origin[0], cols.ravel()[at] + origin[1]
    result: NDArray[Any] | None = None
    for some, window in _runs(rows, cols, blocks):
        values = read(window)
        if result is None:
            result = np.zeros((*values.shape[:-2], rows.size), values.dtype)
        result[..., some] = values[..., rows[some] - window[0].start, cols[some] - window[1].start]
    assert result is not None  # noqa: S101 - there is no map without a pixel on the source
    whole = np.zeros((*result.shape[:-1], shape[0] * shape[1]), result.dtype)
    whole[..., at] = result
    return whole.reshape(*result.shape[:-1], *shape)


def _runs(
    rows: NDArray[np.intp], cols: NDArray[np.intp], blocks: tuple[int, int]
) -> Iterator[tuple[NDArray[np.intp], Window]]:
    """Yield which pixels lie on blocks side by side, and the part of these that they span."""
    height, width = blocks
    across = int(cols.max()) // width + 2
    block = rows // height * across + cols // width
    order = np.argsort(block, kind="stable")
    first = np.flatnonzero(np.diff(block[order], prepend=-2))
    numbers = block[order[first]]
    ends = [*first[1:].tolist(), len(order)]
    most = max(1, _RUN_PIXELS // (height * width))
    start = 0
    for last in range(len(numbers)):
        follows = last + 1 < len(numbers) and numbers[last + 1] == numbers[last] + 1
        if follows and last + 1 - start < most:
            continue
        some = order[first[start] : ends[last]]
        yield some, (_span(rows[some]), _span(cols[some]))
        start = last + 1


def _span(numbers: NDArray[np.intp]) -> slice:
    return slice(int(numbers.min()), int(numbers.max()) + 1)
