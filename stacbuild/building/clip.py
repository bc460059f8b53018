"""Clip a cube to a region of interest: pixels outside of it are nodata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph
from numpy.typing import NDArray

from stacbuild import progress
from stacbuild.errors import BuildError
from stacbuild.loading.stack_graph import edges, window_of

if TYPE_CHECKING:
    from stacbuild.config import Dataset
    from stacbuild.geo.grid import Grid
    from stacbuild.geo.region import Region


# Chunks up to which a graph lists each of them, so that those outside of the region are not read.
# Listing more would take longer in each region of a build than it saves.
_MOST_TASKS = 20_000


def clipped(cube: xr.Dataset, region: Region, grid: Grid, dataset: Dataset) -> xr.Dataset:
    """Return a cube whose pixels outside of a region are nodata, lazily.

    Parameters
    ----------
    cube
        Dataset of dask arrays on the grid, not decoded, with ``encoding["_FillValue"]``.

    Raises
    ------
    BuildError
        If a variable has no nodata value.
    """
    if not region.may_reach(grid, grid.resolution):
        progress.warn(
            f"{dataset.identifier}: clip: {dataset.clip} lies outside of the grid, so all pixels "
            "are nodata; are longitude and latitude swapped?"
        )
    arrays = {}
    for name, array in cube.data_vars.items():
        if not set(grid.dims) <= set(array.dims):
            continue
        fill = array.encoding.get("_FillValue")
        if fill is None:
            raise BuildError(
                f"{dataset.identifier}: clip: {name} has no nodata value for pixels outside of "
                f"{dataset.clip}; state one that no pixel has in "
                "spatial_resample_params.fill_values"
            )
        last = array.transpose(..., *grid.dims)
        values = last.chunk().data
        inside = da.map_blocks(
            _inside,
            chunks=values.chunks[-2:],
            dtype=bool,
            meta=np.empty((0, 0), bool),
            region=region,
            grid=grid,
            known=edges(values.chunks[-2:]),
        )
        fill_value = last.dtype.type(fill)
        if values.npartitions > _MOST_TASKS:
            data = da.where(inside, values, fill_value)
        else:
            data = _joined(values, inside, _reached(region, grid, values), fill_value)
        arrays[name] = last.copy(data=data).transpose(*array.dims)
        arrays[name].encoding = array.encoding
    return cube.assign(arrays)


def _reached(region: Region, grid: Grid, values: da.Array) -> NDArray[np.bool_]:
    """Return which blocks of rows and columns may have pixels of the region."""
    rows, columns = (
        [slice(end - size, end) for size, end in zip(sizes, np.cumsum(sizes), strict=True)]
        for sizes in values.chunks[-2:]
    )
    return np.array([[region.may_contain(grid, (row, col)) for col in columns] for row in rows])


def _joined(
    values: da.Array, inside: da.Array, reached: NDArray[np.bool_], fill: np.generic
) -> da.Array:
    """Return the values inside of a region; sources of blocks outside of it are never read."""
    if reached.all():
        return da.where(inside, values, fill)
    # A graph of its own, in which such blocks depend on nothing.
    name = f"clipped-{tokenize(values, inside, fill)}"
    tasks: dict[Any, Any] = {}
    for index in np.ndindex(*values.numblocks):
        if reached[index[-2:]]:
            tasks[(name, *index)] = (
                _chosen,
                (inside.name, *index[-2:]),
                (values.name, *index),
                fill,
            )
        else:
            shape = tuple(sizes[at] for sizes, at in zip(values.chunks, index, strict=True))
            tasks[(name, *index)] = (np.full, shape, fill)
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[values, inside])
    return da.Array(graph, name, values.chunks, values.dtype)


def _chosen(inside: NDArray[np.bool_], values: NDArray[Any], fill: np.generic) -> NDArray[Any]:
    return np.where(inside, values, fill)


def _inside(
    region: Region, grid: Grid, known: Sequence[Sequence[int]], block_id: Sequence[int] = ()
) -> NDArray[np.bool_]:
    rows, columns = window_of(block_id, known)
    return region.contains(grid, (rows, columns))
