"""A cube that is written as a Zarr group, to one netCDF 4 file.

CF 1.11 as in the group: what stands there as attributes stands here, but for the conventions of
GeoZarr, which are lists of objects that netCDF has no type for. A chunk of the one is a chunk of
the other, and one is in memory at a time.
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


# Of deflate's levels the cheapest: the others take several times as long for a few percent.
_DEFLATE = 1
_TYPED = {"flag_values", "flag_masks", "valid_min", "valid_max", "valid_range", "missing_value"}


def write_netcdf(store: Store, path: Path) -> None:
    """Write a file of a Zarr group, and bring it to disk.

    Parameters
    ----------
    store
        The finished group, as `stacbuild.building.write.write` leaves it.
    path
        To be written; it is written over.

    Raises
    ------
    OSError
        If the disk cannot be written.
    """
    # Imported when used: an extra, which `stacbuild.storage.ownership.check_format` has looked for.
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
    """Refuse a cube that netCDF has no type for, before anything of it is computed.

    Raises
    ------
    BuildError
        Naming the variable.
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
        # Imported when used, as the other.
        import h5py  # type: ignore[import-untyped]

        dtype = h5py.string_dtype()
    attrs = dict(array.attrs)
    fill = attrs.pop("_FillValue", None)
    options: dict[str, Any] = {}
    if array.ndim > 1:
        # Fletcher's checksum lets every reader of HDF5 find a chunk that is damaged.
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
        # CF: of the type of the variable.
        created.attrs[key] = np.asarray(value, array.dtype) if key in _TYPED else _attr(value)
    return created


def _attr(value: Any) -> Any:
    """Return an attribute as netCDF has it."""
    if isinstance(value, bool):
        return np.int8(value)
    if isinstance(value, list | tuple):
        return np.asarray(value) if all(isinstance(v, int | float) for v in value) else str(value)
    return value


def _copy(source: zarr.Array[Any], target: h5netcdf.Variable, wrote: Callable[[int], None]) -> None:
    """Copy chunk by chunk."""
    for index in np.ndindex(source.cdata_shape):
        region = tuple(
            slice(at * size, min((at + 1) * size, length))
            for at, size, length in zip(index, source.chunks, source.shape, strict=True)
        )
        target[region] = source[region]
        wrote(1)
