"""How much of a cube is computed at the same time: what fits into a budget of memory.

A model of what tasks hold, for a build and for an estimate alike. It was fitted to measured peaks
of memory, of the process less what it needs before it computes, and errs on the large side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stacbuild.geo.positions import positions
from stacbuild.machine import processors

if TYPE_CHECKING:
    from stacbuild.geo.grid import PixelGrid

MOST_CACHED = 640 * 2**20
"""Most bytes of the cache of index maps and decoded windows (`stacbuild.loading.pool`): an index
map of a 4000 x 4000 tile takes 128 MB, a decoded window of 39 interleaved bands 400."""

# Bytes per pixel of an index map and its computation, and if both grids have one CRS.
_INDEX_BYTES, _SAME_BYTES = 12, 3
# Arrays of the size of the result: the source's window, the result, its encoded bytes.
_COPIES = 3
# Arrays of the size of a window of a finer source: its blocks, and their mosaic.
_WINDOW_COPIES = 2.25
# Bytes of a value that is computed from several of one or two bytes.
_COMPUTED_BYTES = 4
# Source pixels per pixel from which a source counts as finer.
_FINER = 1.5
# Most threads for remote sources, of which most wait for an answer.
_REMOTE_THREADS = 32


@dataclass(frozen=True)
class Source:
    """How the pixels of a source relate to those of a cube.

    Parameters
    ----------
    ratio
        Number of source pixels per pixel, in the middle of the grid.
    same_crs
        Whether rows and columns are mapped for themselves, without an index map.
    """

    ratio: float = 1.0
    same_crs: bool = True

    @classmethod
    def of(cls, sources: Iterable[PixelGrid], target: PixelGrid) -> Source:
        """Return the relation to a grid of the sources that need most memory."""
        found = list(sources)
        return cls(
            max((_ratio(each, target) for each in found), default=1.0),
            all(each.crs == target.crs and each.is_aligned for each in found),
        )

    def pixel_bytes(self, itemsize: int) -> float:
        """Return the bytes that a task needs for each pixel, of so many bytes."""
        index = _SAME_BYTES if self.same_crs else _INDEX_BYTES
        finer = (self.ratio - 1) * _WINDOW_COPIES if self.ratio > _FINER else 0
        return index + itemsize * (_COPIES + finer)


@dataclass(frozen=True)
class Work:
    """What the tasks of a variable need, in bytes.

    Parameters
    ----------
    task
        Of a task while it runs.
    inputs
        Of the blocks that a block of the result is computed from, if they are several.
    shared
        Of what the bands of a window share, if all of them are cached.
    """

    task: int
    inputs: int = 0
    shared: int = 0

    @property
    def total(self) -> int:
        """Bytes for one block of the result at a time."""
        return self.task + self.inputs + self.shared


@dataclass(frozen=True)
class Room:
    """What is computed at the same time.

    Parameters
    ----------
    threads
        Tasks that run.
    in_flight
        Blocks of the result that were begun.
    needed
        Estimated bytes.
    """

    threads: int
    in_flight: int
    needed: int


def work(source: Source, pixels: int, itemsize: int, *, inputs: int = 1) -> Work:
    """Return what the tasks of a variable need.

    Parameters
    ----------
    pixels
        Number of pixels of a block.
    itemsize
        Bytes per pixel.
    inputs
        Number of blocks that a block of the result is computed from.
    """
    return Work(
        task=math.ceil(pixels * source.pixel_bytes(itemsize)),
        # They are read, then joined.
        inputs=2 * inputs * pixels * itemsize if inputs > 1 else 0,
    )


def unit_side(source: Source, itemsize: int, budget: int, inputs: int = 1) -> int:
    """Return the most pixels along a side of a work unit, so that all processors have a task.

    Parameters
    ----------
    inputs
        Number of blocks that a block of the result is computed from: all of them have to fit.
    """
    left = budget - cache_bytes(budget)
    each = left / processors()
    side = max(1, math.isqrt(int(each / source.pixel_bytes(itemsize))))
    if inputs == 1:
        return side
    # The same for variables of one and of two bytes, so that their blocks coincide.
    held = 2 * inputs * max(itemsize, _COMPUTED_BYTES)
    return max(1, min(side, math.isqrt(left // 2 // held)))


def room(work: Work, budget: int, *, remote: bool) -> Room:
    """Return how much is computed at the same time: at least one task, of one block.

    Parameters
    ----------
    budget
        Bytes that may be used, besides what the process itself needs.
    remote
        Whether sources are read over a network, so that more threads than processors wait for
        answers.
    """
    most = max(processors(), _REMOTE_THREADS) if remote else processors()
    shared = min(work.shared, cache_bytes(budget))
    left = budget - shared
    # Half of what is left is for the tasks that read, if what they read is held.
    threads = max(1, min(most, (left // 2 if work.inputs else left) // max(1, work.task)))
    # The last tasks of a region are waited for while those of the next begin.
    blocks = 2 * threads if remote else threads + 1
    held = 0
    if work.inputs:
        blocks = max(1, min(blocks, (left - threads * work.task) // work.inputs))
        held = blocks * work.inputs
    return Room(threads, blocks, shared + threads * work.task + held)


def cache_bytes(budget: int) -> int:
    """Return the part of a budget that index maps and decoded windows may be cached in."""
    return min(MOST_CACHED, budget // 2)


def _ratio(source: PixelGrid, target: PixelGrid) -> float:
    """Return the number of source pixels per target pixel in the middle of a grid; 1 if unknown."""
    row, col = (length / 2 for length in target.shape)
    rows, cols = positions(
        source, target, np.array([row, row + 1, row]), np.array([col, col, col + 1])
    )
    down = rows[1] - rows[0], cols[1] - cols[0]
    right = rows[2] - rows[0], cols[2] - cols[0]
    ratio = abs(down[0] * right[1] - down[1] * right[0])
    return float(ratio) if np.isfinite(ratio) else 1.0
