"""The names, dimensions and attributes that a loaded dataset has in a cube."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from stacbuild.errors import BuildError
from stacbuild.loading.metadata import VariableMetadata

if TYPE_CHECKING:
    from stacbuild.geo.grid import Grid


def canonical(
    dataset: xr.Dataset, grid: Grid, spatial: tuple[str, str], data_id: str
) -> xr.Dataset:
    """Return the dataset with spatial dimensions last, named and with coordinates as the grid."""
    if taken := sorted({*grid.dims, "spatial_ref"} & set(map(str, dataset.data_vars))):
        raise BuildError(
            f"{data_id}: its variable {taken[0]} has the name of a coordinate of the cube; choose "
            "others by open_params.variable_names, or rename it by custom_processing"
        )
    # A custom function may have renamed them to other common names.
    names = ((spatial[0], "y", "lat", "latitude"), (spatial[1], "x", "lon", "longitude"))
    for dim, known, size, values in zip(grid.dims, names, grid.shape, grid.coords(), strict=True):
        found = [name for name in known if name in dataset.dims]
        if not found:
            raise BuildError(
                f"{data_id}: after custom_processing there is no dimension {spatial}; a custom "
                "function must keep the two spatial dimensions"
            )
        if dataset.sizes[found[0]] != size:
            raise BuildError(
                f"{data_id}: after custom_processing {found[0]} has {dataset.sizes[found[0]]} "
                f"pixels, the grid {size}; a custom function must stay on the grid"
            )
        if found[0] in dataset.coords:
            given = dataset[found[0]].values
            # A tolerance for coordinates in single precision.
            within = min(grid.resolution) / 10
            if given.dtype.kind not in "iuf" or not np.allclose(given, values, rtol=0, atol=within):
                raise BuildError(
                    f"{data_id}: after custom_processing the coordinates of {found[0]} are not "
                    "the grid's; a custom function must not shift, flip or rotate the data"
                )
        stale = [name for name, coord in dataset.coords.items() if found[0] in coord.dims]
        dataset = dataset.drop_vars(stale).rename({found[0]: dim}).assign_coords({dim: values})
    scalar = [name for name, coord in dataset.coords.items() if not coord.dims]
    return dataset.drop_vars(scalar).transpose(..., *grid.dims)


def with_band_times(dataset: xr.Dataset, times: pd.DatetimeIndex | None) -> xr.Dataset:
    """Convert the band dimension to time if the item states a time for each band."""
    if times is None or dataset.sizes.get("band") != len(times):
        return dataset
    return dataset.rename({"band": "time"}).assign_coords(time=times)


def named(dataset: xr.Dataset, identifier: str | None) -> xr.Dataset:
    """Return the dataset with its variable named by the identifier, or several prefixed by it."""
    if identifier is None:
        return dataset
    names = list(dataset.data_vars)
    if len(names) == 1:
        if identifier in {*dataset.dims, *dataset.coords, "spatial_ref"}:
            raise BuildError(
                f"{identifier}: is the name of a coordinate of the cube; name it otherwise"
            )
        return dataset.rename({names[0]: identifier})
    return dataset.rename({name: f"{identifier}_{name}" for name in names})


def set_metadata(array: xr.DataArray, metadata: VariableMetadata | None, complete: bool) -> None:
    """Set CF attributes and fill value of a variable in place."""
    array.encoding = {}
    if array.dtype.kind == "f":
        fill = np.nan if metadata is None else metadata.fill
        array.encoding["_FillValue"] = array.dtype.type(fill)
    if metadata is None:
        return
    array.attrs.update(metadata.attrs)
    if array.dtype == metadata.cube_dtype:
        # The value of missing chunks. GDAL treats it as nodata, with or without a `_FillValue`,
        # so it must not be Zarr's default 0, which is a valid value.
        array.encoding["fill_value"] = array.dtype.type(metadata.fill)
    declared = metadata.no_data(complete=complete).declared
    if array.dtype == metadata.cube_dtype and array.dtype.kind != "f" and declared:
        array.encoding["_FillValue"] = array.dtype.type(metadata.fill)
