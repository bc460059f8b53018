"""Which variables of a cube are computed together, so that what they share is read once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import dask
import dask.array as da
import xarray as xr
from dask.core import flatten, get_dependencies
from dask.highlevelgraph import HighLevelGraph


def computed_together(dataset: xr.Dataset, names: Sequence[str]) -> list[list[str]]:
    """Group variables whose blocks are computed from the same blocks.

    Such are the composites of one observation, a composite and its counts, and what a custom
    function makes of several variables.

    Parameters
    ----------
    names
        Variables with the same chunks along the grid's dimensions.
    """
    if len(names) == 1:
        return [list(names)]
    groups: list[tuple[list[str], set[Hashable]]] = []
    for name in names:
        members, shared = [name], _computed(dataset[name])
        apart = []
        for others, theirs in groups:
            if theirs.isdisjoint(shared):
                apart.append((others, theirs))
            else:
                members, shared = [*others, *members], shared | theirs
        groups = [*apart, (members, shared)]
    order = {name: number for number, name in enumerate(names)}
    found = [sorted(members, key=order.__getitem__) for members, _ in groups]
    return sorted(found, key=lambda members: order[members[0]])


def _computed(array: xr.DataArray) -> set[Hashable]:
    """Return the keys of the blocks that the first block of a variable is computed from.

    Without those that are computed from nothing: they are the sources' own tables and handles.
    """
    block = array.data.blocks[(0,) * array.ndim]
    graph = block.__dask_graph__()
    culled = dict(graph.cull(set(flatten(block.__dask_keys__()))))
    return {key for key in culled if get_dependencies(culled, key)}


def optimized(arrays: Sequence[da.Array]) -> list[da.Array]:
    """Return equivalent arrays of one optimized graph, which computes what they share once.

    `dask.optimize` does so for one array. It optimizes several one by one: each would read what it
    shares with the others for itself.
    """
    if len(arrays) == 1:
        return list(dask.optimize(*arrays))
    graph = HighLevelGraph.merge(*(array.__dask_graph__() for array in arrays))
    keys = list(flatten([array.__dask_keys__() for array in arrays]))
    shared = arrays[0].__dask_optimize__(graph, keys)
    return [da.Array(shared, array.name, array.chunks, array.dtype) for array in arrays]
