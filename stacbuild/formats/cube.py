"""Opening of cubes of any format: a Zarr group, a pyramid of groups, or a netCDF file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr

from stacbuild.errors import ConfigError, IntegrityError, LocalError, MissingError
from stacbuild.formats.zarr_store import Chunks, dataset_of, open_group

Json = dict[str, Any]


def open_cube_data(
    href: str,
    storage_options: Json | None = None,
    *,
    chunks: Chunks = None,
    mask_and_scale: bool = False,
    least: int = 0,
) -> xr.Dataset:
    """Open a cube; only metadata and index coordinates are read.

    Parameters
    ----------
    href, storage_options
        As for `stacbuild.formats.zarr_store.open_group`, or the path of a file ``*.nc``.
        Of a group of levels (the convention ``multiscales``) one is opened.
    chunks, mask_and_scale
        As for `stacbuild.formats.zarr_store.open_dataset`.
    least
        Open the coarsest level with so many rows or columns; by default the first, finest one.

    Raises
    ------
    StacbuildError
        If it does not exist, cannot be read, or is not a cube.
    """
    if href.endswith(".nc"):
        return open_netcdf(Path(href), chunks=chunks, mask_and_scale=mask_and_scale)
    group = open_group(href, storage_options)
    levels = level_names(dict(group.attrs))
    for level in reversed(levels) if least else levels[:1]:
        at = f"{href.rstrip('/')}/{level}"
        cube = dataset_of(
            open_group(at, storage_options), at, storage_options,
            chunks=chunks, mask_and_scale=mask_and_scale,
        )  # fmt: skip
        if level == levels[0] or _longest(cube) >= least:
            return cube
        cube.close()
    return dataset_of(group, href, storage_options, chunks=chunks, mask_and_scale=mask_and_scale)


def level_names(attrs: Json) -> list[str]:
    """Return the names of the levels from the attributes of a group, finest first."""
    pyramid = attrs.get("multiscales")
    layout = pyramid.get("layout") if isinstance(pyramid, dict) else None
    names = [
        level.get("asset") if isinstance(level, dict) else None
        for level in (layout if isinstance(layout, list | tuple) else ())
    ]
    # Untrusted: the file may come from anyone.
    return [name for name in names if isinstance(name, str) and name.isalnum()]


def _longest(cube: xr.Dataset) -> int:
    """Return the number of rows or columns, whichever is larger."""
    return max(
        (max(array.shape[-2:]) for array in cube.data_vars.values() if array.ndim > 1), default=0
    )


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
