"""Files of arrays (NetCDF, HDF5) as people have them, and their values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
from numpy.typing import NDArray

LAT = np.linspace(59.5, 40.5, 20)
LON = np.linspace(0.5, 29.5, 30)
TIMES = 3


def values(dtype: str = "f4") -> NDArray[Any]:
    """Return values of (time, lat, lon)."""
    found = np.random.default_rng(1).normal(280, 10, (TIMES, LAT.size, LON.size)).astype(dtype)
    if np.dtype(dtype).kind == "f":
        found[:, 3:5, 4:6] = np.nan
    return found


def write_netcdf(path: Path, file_format: str = "NETCDF4", *, records: bool = True) -> Path:
    """Write a packed variable, floats and coordinates with netCDF's own library.

    Parameters
    ----------
    records
        Whether several variables have the unlimited dimension, or only the packed one.
    """
    with netCDF4.Dataset(path, "w", format=file_format) as file:
        file.title = "Temperature"
        file.createDimension("time", None)
        file.createDimension("lat", LAT.size)
        file.createDimension("lon", LON.size)
        lat = file.createVariable("lat", "f8", ("lat",))
        lat[:], lat.units = LAT, "degrees_north"
        lon = file.createVariable("lon", "f4", ("lon",))
        lon[:], lon.units = LON, "degrees_east"
        chunks: dict[str, Any] = {}
        if file_format == "NETCDF4":
            chunks = {"chunksizes": (1, 7, 30), "zlib": True, "fletcher32": True}
        packed = file.createVariable(
            "packed", "i2", ("time", "lat", "lon"), fill_value=-32768, **chunks
        )
        packed.set_auto_maskandscale(False)
        packed[:] = np.nan_to_num(values() * 100 - 28000, nan=-32768).astype("i2")
        packed.scale_factor, packed.add_offset, packed.units = 0.01, 280.0, "K"
        still = file.createVariable("still", "f4", ("lat", "lon"))
        still[:] = values()[0]
        label = file.createVariable("crs", "S1", ())
        label.grid_mapping_name = "latitude_longitude"
        if records:
            time = file.createVariable("time", "f8", ("time",))
            time[:], time.units, time.calendar = np.arange(TIMES), "days since 2020-01-30", "noleap"
            flag = file.createVariable("flag", "i1", ("time", "lat", "lon"))
            flag[:] = np.arange(TIMES * 600).reshape(TIMES, 20, 30) % 100
        else:
            file.time_coverage_start = "2020-01-01"
    return path


def write_groups(path: Path) -> Path:
    """Write a NetCDF-4 file with coordinates at its root, and data in groups."""
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("latitude", LAT.size)
        file.createDimension("longitude", LON.size)
        for name, known, unit in (("latitude", LAT[::-1], "north"), ("longitude", LON, "east")):
            axis = file.createVariable(name, "f4", (name,))
            axis[:], axis.units = known, f"degrees_{unit}"
        group = file.createGroup("forecast")
        group.createDimension("valid_time", None)
        time = group.createVariable("valid_time", "i8", ("valid_time",), chunksizes=(1,))
        time[:], time.units = [0, 6, 12], "hours since 2024-02-28"
        rain = group.createVariable("tp", "f4", ("valid_time", "latitude", "longitude"))
        rain[:] = values()
        deep = file.createGroup("other/deep").createVariable("x", "u1", ("latitude", "longitude"))
        deep[:] = np.arange(600).reshape(20, 30) % 200
    return path


def write_hdf5(path: Path, **options: Any) -> Path:
    """Write an array ``z`` with dimension scales; *options* are those of `create_dataset`."""
    with h5py.File(path, "w") as file:
        file.attrs["time_coverage_start"] = "2020-01-01"
        add_hdf5(file, "z", values()[0], **options)
    return path


def add_hdf5(file: h5py.File, name: str, data: NDArray[Any], **options: Any) -> h5py.Dataset:
    """Add an array of (lat, lon) with dimension scales."""
    found = file.create_dataset(name, data=data, **options)
    for number, (axis, known) in enumerate((("lat", LAT), ("lon", LON))):
        if axis not in file:
            file.create_dataset(axis, data=known).make_scale(axis)
        found.dims[number].attach_scale(file[axis])
    return found
