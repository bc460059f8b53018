"""The functions that scs2_config.yml names under ``custom_processing``.

Each gets an ``xarray.Dataset`` with the dimension names of its source, read lazily, and returns
the changed one.
"""

import numpy as np
import xarray as xr


def rename_band_to_time(ds: xr.Dataset) -> xr.Dataset:
    """Rename ``band`` to ``time``: its 39 bands are the years from 1985 to 2023."""
    years = np.arange("1985", "2024", dtype="datetime64[Y]").astype("datetime64[ns]")
    return ds.rename({"band": "time"}).assign_coords(time=years)


def transpose_forest_age(ds: xr.Dataset) -> xr.Dataset:
    """Bring the dimensions of ``forest_age`` into the order that a cube is looked at in."""
    ds["forest_age"] = ds["forest_age"].transpose("members", "time", "latitude", "longitude")
    return ds
