"""How much of a cube is computed at the same time, from its lazy dataset."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import dask.array as da
from dask.core import flatten, get_dependencies
from rich.filesize import decimal

from stacbuild import progress
from stacbuild.building.write import by_grid_chunks
from stacbuild.loading.memory import Room, Source, Work, room, work
from stacbuild.loading.methods import wrapped_grids
from stacbuild.stac.files import is_remote

if TYPE_CHECKING:
    import xarray as xr

    from stacbuild.planning.job import Job


def room_of(job: Job, cube: xr.Dataset) -> Room:
    """Return how much of a prepared dataset is computed at the same time.

    If the memory of the job is too little for a single task, it is one, and a warning says so.
    """
    needed = _largest(job, cube)
    found = room(needed, job.memory, remote=is_remote(job.items))
    if found.needed > job.memory:
        progress.warn(
            f"{job.name}: general.memory is {decimal(job.memory)}, but a single task needs about "
            f"{decimal(found.needed)}: computing one at a time; a smaller tile_size or chunksize "
            "needs less"
        )
    return found


def _largest(job: Job, cube: xr.Dataset) -> Work:
    """Return what the tasks need that need most."""
    of_sources = (wrapped_grids(source.items[:1], job.grid) for source in job.sources)
    source = Source.of(chain.from_iterable(of_sources), job.grid)
    found = []
    for names in by_grid_chunks(cube, job.grid):
        chunks = cube[names[0]].chunksizes
        window = cube[names].isel({dim: slice(0, chunks[dim][0]) for dim in job.grid.dims})
        arrays = [array.data for array in window.data_vars.values()]
        bands = sum(math.prod(array.numblocks) for array in arrays)
        # All bands, in case they are decoded together.
        shared = sum(array.nbytes for array in arrays) if bands > 1 else 0
        for array in arrays:
            pixels, inputs = math.prod(array.chunksize), _inputs(array)
            of_array = work(source, pixels, array.dtype.itemsize, inputs=inputs)
            found.append(replace(of_array, shared=shared))
    return max(found, key=lambda each: each.total, default=Work(0))


def _inputs(data: da.Array) -> int:
    """Return the number of blocks that a block is computed from.

    Those of the widest layer, or of the task that needs most: it may need several variables.
    """
    block = data.blocks[(0,) * data.ndim]
    culled = block.__dask_graph__().cull(set(flatten(block.__dask_keys__())))
    widest = max((len(layer) for layer in culled.layers.values()), default=1)
    tasks = dict(culled)
    return max(widest, max((len(get_dependencies(tasks, key)) for key in tasks), default=1))
