"""Convert the staged Zarr group of a cube to one netCDF 4 file.

The file has the CF 1.11 attributes of the group, without those of GeoZarr: netCDF has no type for
lists of objects. The chunks are the same; one is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr

from stacbuild import progress
from stacbuild.errors import BuildError
from stacbuild.storage.journal import sync_file, sync_folder

if TYPE_CHECKING:
    import h5netcdf  # type: ignore[import-untyped]
    from zarr.abc.store import Store


# The fastest level: others take several times as long and save a few percent.
_DEFLATE = 1
# CF: attributes that have the type of their variable.
_TYPED = {"flag_values", "flag_masks", "valid_min", "valid_max", "valid_range", "missing_value"}


def write_netcdf(store: Store, path: Path) -> None:
    """Write a Zarr group to a file, and sync it to disk.

    Parameters
    ----------
    store
        The finished group, from `stacbuild.building.write.write`.
    path
        Overwritten if it exists.

    Raises
    ------
    OSError
        If the disk cannot be written.
    """
    # Imported late: an extra, whose presence `stacbuild.storage.ownership.check_format` checked.
    import h5netcdf

    group = zarr.open_group(store, mode="r")
    with xr.open_zarr(store, chunks=None, decode_cf=False) as raw:
        names = [str(name) for name, array in raw.variables.items() if array.ndim > 1]
        arrays: dict[str, zarr.Array[Any]] = {name: group[name] for name in names}  # type: ignore[misc]
        total = sum(array.nchunks for array in arrays.values())
        with (
            progress.task(path.name, total=total, unit="chunks") as task,
            h5netcdf.File(path, "w") as file,
        ):
            file.dimensions = {str(dim): size for dim, size in raw.sizes.items()}
            file.attrs.update({key: _attr(v) for key, v in raw.attrs.items() if _is_plain(key)})
            for name, array in raw.variables.items():
                created = _create(file, str(name), array)
                if str(name) in arrays:
                    _copy(arrays[str(name)], created, task.advance)
                elif created.dtype.kind in "biufc":
                    created[...] = array.values
                else:
                    created[...] = array.values.astype(object)
    sync_file(path)
    sync_folder(path.parent)


def check_types(cube: xr.Dataset) -> None:
    """Check that netCDF has a type for each variable, before anything is computed.

    Raises
    ------
    BuildError
        If it has none for a variable.
    """
    for name, array in cube.data_vars.items():
        if array.dtype.kind not in "iuf" or array.dtype == np.float16:
            raise BuildError(
                f"{name}: netCDF has no type for {array.dtype}; write it as zarr, or change it in "
                "a custom_processing function"
            )


def _is_plain(key: str) -> bool:
    return key != "zarr_conventions" and not key.startswith(("proj:", "spatial:"))


def _create(file: h5netcdf.File, name: str, array: xr.Variable) -> h5netcdf.Variable:
    dtype: Any = array.dtype
    if dtype.kind in "OUT":
        # Imported late, as h5netcdf.
        import h5py  # type: ignore[import-untyped]

        dtype = h5py.string_dtype()
    attrs = dict(array.attrs)
    fill = attrs.pop("_FillValue", None)
    options: dict[str, Any] = {}
    if array.ndim > 1:
        # Every reader of HDF5 detects damaged chunks by Fletcher's checksum.
        options = {
            "chunks": tuple(array.encoding["chunks"]),
            "compression": "gzip",
            "compression_opts": _DEFLATE,
            "shuffle": array.dtype.itemsize > 1,
            "fletcher32": True,
        }
    created = file.create_variable(
        name,
        tuple(map(str, array.dims)),
        dtype,
        fillvalue=None if fill is None else array.dtype.type(fill),
        **options,
    )
    for key, value in attrs.items():
        created.attrs[key] = np.asarray(value, array.dtype) if key in _TYPED else _attr(value)
    return created


def _attr(value: Any) -> Any:
    """Return an attribute in a type of netCDF."""
    if isinstance(value, bool):
        return np.int8(value)
    if isinstance(value, list | tuple):
        return np.asarray(value) if all(isinstance(v, int | float) for v in value) else str(value)
    return value


def _copy(source: zarr.Array[Any], target: h5netcdf.Variable, wrote: Callable[[int], None]) -> None:
    for index in np.ndindex(source.cdata_shape):
        region = tuple(
            slice(at * size, min((at + 1) * size, length))
            for at, size, length in zip(index, source.chunks, source.shape, strict=True)
        )
        target[region] = source[region]
        wrote(1)
