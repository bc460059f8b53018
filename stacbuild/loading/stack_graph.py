"""Graphs from which a window can be selected at the cost of the window.

A continent has 10^5 chunks and more, and each region of a build selects a few. stackstac's graph is
made for that: it states how a chunk is made, and lists none. Two things would list all of them
again, and cost 0.3 s a region: a dimension that is dropped by indexing, and tasks in dask's old
form, which dask looks for among the keys of all chunks. dask's ``block_info`` lists them, too:
`edges` and `window_of` take the place of it.

This module uses the private module ``dask._task_spec``; without it, only time is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from numpy.typing import NDArray

try:
    from dask._task_spec import DataNode
except ImportError:  # pragma: no cover - another dask
    DataNode = None


def selectable(array: xr.DataArray) -> xr.DataArray:
    """Return an array whose arrays in the graph (the table of files) are tasks in dask's new form.

    Parameters
    ----------
    array
        From `stackstac.stack`.
    """
    data: da.Array = array.data
    graph = data.dask
    if DataNode is None or not isinstance(graph, HighLevelGraph):
        return array
    layers = {
        name: MaterializedLayer(
            {
                key: DataNode(key, task) if isinstance(task, np.ndarray) else task
                for key, task in layer.items()
            }
        )
        if layer.is_materialized()
        else layer
        for name, layer in graph.layers.items()
    }
    converted = HighLevelGraph(layers, graph.dependencies)
    return array.copy(data=da.Array(converted, data.name, data.chunks, meta=data._meta))  # noqa: SLF001


def edges(chunks: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Return the first index of each chunk and the length, along each dimension."""
    return tuple(tuple(accumulate(lengths, initial=0)) for lengths in chunks)


def window_of(block_id: Sequence[int], known: Sequence[Sequence[int]]) -> tuple[slice, ...]:
    """Return the window of a block; *known* are the `edges` of the array's chunks."""
    return tuple(
        slice(along[index], along[index + 1]) for along, index in zip(known, block_id, strict=True)
    )


def without(array: xr.DataArray, single: Sequence[str]) -> xr.DataArray:
    """Return an array without some dimensions, each of a single element, and their coordinates."""
    if not single:
        return array
    left = tuple(dim for dim in array.dims if dim not in single)
    data = da.blockwise(
        _squeezed,
        left,
        array.data,
        array.dims,
        axis=tuple(map(array.dims.index, single)),
        dtype=array.dtype,
        meta=np.empty((0,) * len(left), array.dtype),
    )
    coords = {name: coord for name, coord in array.coords.items() if name not in single}
    return xr.DataArray(data, coords, left)


def _squeezed(blocks: Any, axis: tuple[int, ...]) -> NDArray[Any]:
    # dask passes a list for each dimension that the result lacks.
    while isinstance(blocks, list):
        [blocks] = blocks
    squeezed: NDArray[Any] = np.squeeze(blocks, axis)
    return squeezed
