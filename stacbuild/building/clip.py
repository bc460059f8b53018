"""Clip a cube to a region of interest: pixels outside of it are nodata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stacbuild import progress
from stacbuild.errors import BuildError

if TYPE_CHECKING:
    from stacbuild.config import Dataset
    from stacbuild.geo.grid import Grid
    from stacbuild.geo.region import Region


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
        )
        data = da.where(inside, values, last.dtype.type(fill))
        arrays[name] = last.copy(data=data).transpose(*array.dims)
        arrays[name].encoding = array.encoding
    return cube.assign(arrays)


def _inside(region: Region, grid: Grid, block_info: Any = None) -> NDArray[np.bool_]:
    rows, columns = block_info[None]["array-location"]
    return region.contains(grid, (slice(*rows), slice(*columns)))
