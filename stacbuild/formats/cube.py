"""Opening of cubes of any format: a Zarr group, a pyramid of groups, or a netCDF file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr

from stacbuild.errors import ConfigError, IntegrityError, LocalError, MissingError
from stacbuild.formats.zarr_store import Chunks, dataset_of, open_group

Json = dict[str, Any]

NETCDF = "application/netcdf"
"""Media type of a netCDF file."""


def open_cube_data(
    href: str,
    storage_options: Json | None = None,
    *,
    chunks: Chunks = None,
    mask_and_scale: bool = False,
) -> xr.Dataset:
    """Open a cube; only metadata and index coordinates are read.

    Parameters
    ----------
    href, storage_options
        As for `stacbuild.formats.zarr_store.open_group`, or the path of a file ``*.nc``.
        Of a group of levels (the convention ``multiscales``) the first one is opened.
    chunks, mask_and_scale
        As for `stacbuild.formats.zarr_store.open_dataset`.

    Raises
    ------
    StacbuildError
        If it does not exist, cannot be read, or is not a cube.
    """
    if href.endswith(".nc"):
        return open_netcdf(Path(href), chunks=chunks, mask_and_scale=mask_and_scale)
    group = open_group(href, storage_options)
    if level := first_level(dict(group.attrs)):
        href = f"{href.rstrip('/')}/{level}"
        group = open_group(href, storage_options)
    return dataset_of(group, href, storage_options, chunks=chunks, mask_and_scale=mask_and_scale)


def first_level(attrs: Json) -> str | None:
    """Return the path of the first level from the attributes of a group; None if it has none."""
    pyramid = attrs.get("multiscales")
    layout = pyramid.get("layout") if isinstance(pyramid, dict) else None
    first = layout[0].get("asset") if isinstance(layout, list | tuple) and layout else None
    # Untrusted: the file may come from anyone.
    return first if isinstance(first, str) and first.isalnum() else None


def open_netcdf(path: Path, *, chunks: Chunks = None, mask_and_scale: bool = False) -> xr.Dataset:
    """Open a netCDF 4 file as a dataset.

    Raises
    ------
    MissingError, LocalError
        If there is no such file, or it cannot be read.
    IntegrityError
        If it is not a netCDF 4 file.
    ConfigError
        If the extra is not installed.
    """
    if not path.is_file():
        raise MissingError(f"{path}: no netCDF file is there; check the path")
    try:
        cube = xr.open_dataset(
            path,
            engine="h5netcdf",
            chunks=chunks,
            mask_and_scale=mask_and_scale,
            decode_timedelta=False,
        )
    except PermissionError as error:
        raise LocalError(f"{path}: may not be read (permission denied)") from error
    except (ImportError, ValueError) as error:
        if "h5netcdf" in str(error):
            raise ConfigError(
                f"{path}: to read netCDF needs more: pip install 'stacbuild[netcdf]'"
            ) from error
        raise _unreadable(path, error) from error
    except Exception as error:
        raise _unreadable(path, error) from error
    for array in cube.variables.values():
        # xarray's name of it for Zarr.
        if array.encoding.get("chunksizes"):
            array.encoding["chunks"] = tuple(array.encoding["chunksizes"])
    return cube


def _unreadable(path: Path, error: Exception) -> IntegrityError:
    return IntegrityError(
        f"{path}: is not a readable netCDF file ({' '.join(str(error).split())[:300]})"
    )
