"""Compare a cube with its item: metadata, chunks and values."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr
import zarr.errors

from stacbuild import progress
from stacbuild.errors import (
    IntegrityError,
    LocalError,
    MissingError,
    NotFoundError,
    StacbuildError,
)
from stacbuild.formats.cube import open_netcdf
from stacbuild.formats.zarr_errors import read_error
from stacbuild.formats.zarr_grid import DatasetGrid, grid_of
from stacbuild.formats.zarr_store import dataset_of, is_consolidated, open_group
from stacbuild.formats.zarr_values import REMEDY
from stacbuild.geo.crs import same_crs
from stacbuild.geo.grid import PixelGrid
from stacbuild.stac.checksums import checksum
from stacbuild.stac.datacube import cube_dimensions, cube_variables
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.stac.projection import projection_fields
from stacbuild.storage.formats import MULTISCALES
from stacbuild.storage.output import ATTRIBUTE
from stacbuild.validation.chunks import Opened, check_chunks
from stacbuild.validation.found import Found, rebuild_command

if TYPE_CHECKING:
    import pystac


Json = dict[str, Any]

_BUILDS = "stacbuild cube builds it"
_COMPARED = ("proj:code", "proj:wkt2", "proj:shape", "proj:transform", "proj:bbox")
_COMPARED_OF_DIMENSIONS = ("type", "axis", "extent", "step", "values")
_COMPARED_OF_VARIABLES = ("type", "dimensions", "data_type", "chunks", "shards")


def check_cube(
    name: str, read: str, options: Json | None, item: pystac.Item | None, *, deep: bool
) -> Found:
    """Compare a cube with its item and manifest, and with *deep* read every chunk.

    Parameters
    ----------
    name
        Name of the cube, for progress.
    read, options
        URL and options to open it, as for `stacbuild.formats.zarr_store.open_group`.
    item
        Its item; None for a cube in memory.
    """
    found = Found(rebuild=rebuild_command(item))
    try:
        group = open_group(read, options)
    except (NotFoundError, MissingError):
        found.wrong(f"{read}: is in the catalog, but the cube does not exist; {_BUILDS}")
        return found
    except StacbuildError as error:
        found.problems.append(_repairable(error, found))
        return found
    try:
        _check_metadata(group, read, found)
        with dataset_of(group, read, options) as cube:
            variables = _check_dataset(cube, read, item, found)
        asset = item.assets["data"] if item else None
        check_chunks(Opened(name, group, read, options), variables, asset, found, deep=deep)
    except StacbuildError as error:
        found.problems.append(_repairable(error, found))
    except Exception as error:  # noqa: BLE001 - zarr and xarray raise various errors on damaged metadata
        found.problems.append(_repairable(read_error(error, read, options), found))
    return found


def check_pyramid(
    name: str, read: str, options: Json | None, item: pystac.Item, *, deep: bool
) -> Found:
    """Compare the coarser levels of a pyramid with its item; `check_cube` checks the finest.

    Parameters
    ----------
    read, options
        URL and options to open the group of all levels.
    """
    found = Found(rebuild=rebuild_command(item))
    asset = item.assets[MULTISCALES]
    try:
        group = open_group(read, options)
        layout: Any = group.attrs["multiscales"]
        if group.attrs.get(ATTRIBUTE) != item.properties.get(FINGERPRINT):
            found.wrong(f"{read}: is not the pyramid of its item; {found.rebuild}")
        names = [each["asset"] for each in layout["layout"]]
        variables = []
        for level in names:
            if level != names[0]:
                inner = open_group(f"{read}/{level}", options)
                _check_metadata(inner, f"{read}/{level}", found)
                with dataset_of(inner, f"{read}/{level}", options) as cube:
                    variables += [f"{level}/{each}" for each in cube.data_vars]
        check_chunks(Opened(name, group, read, options), variables, asset, found, deep=deep)
    except StacbuildError as error:
        found.problems.append(_repairable(error, found))
    except Exception as error:  # noqa: BLE001 - zarr and xarray raise various errors on damaged metadata
        found.problems.append(_repairable(read_error(error, read, options), found))
    return found


def _repairable(error: StacbuildError, found: Found) -> StacbuildError:
    """Return an error about damage that says how to repair a cube of ours."""
    text = str(error)
    if not isinstance(error, IntegrityError) or found.rebuild in text:
        return error
    # Where anybody's store is read, "write it again" is all that can be advised.
    text = text.removesuffix(REMEDY).removesuffix("write it again").rstrip("; ")
    return IntegrityError(f"{text}; {found.rebuild}")


def check_file(name: str, path: Path, item: pystac.Item, *, deep: bool) -> Found:
    """Compare a netCDF cube with its item, and with *deep* its checksum."""
    found = Found(rebuild=rebuild_command(item))
    asset = item.assets["data"]
    try:
        size = path.stat().st_size if path.is_file() else None
        if size is None:
            found.wrong(f"{path}: is in the catalog, but the cube does not exist; {_BUILDS}")
            return found
        found.chunks, found.bytes = 1, size
        if size != asset.extra_fields.get("file:size"):
            found.wrong(
                f"{path}: has {size} bytes, its item states {asset.extra_fields.get('file:size')}; "
                f"{found.rebuild}"
            )
            return found
        with open_netcdf(path) as cube:
            _check_dataset(cube, str(path), item, found)
            if cube.attrs.get(ATTRIBUTE) != item.properties.get(FINGERPRINT):
                found.wrong(f"{path}: is not the cube of its item; {found.rebuild}")
        if deep:
            with progress.task(f"{name}: read", total=size, unit="bytes") as task:
                if checksum(path) != asset.extra_fields.get("file:checksum"):
                    found.wrong(f"{path}: its checksum is not that of its item; {found.rebuild}")
                task.advance(size)
    except StacbuildError as error:
        found.problems.append(error)
    except OSError as error:
        found.problems.append(LocalError(f"{path}: cannot be read: {error.strerror}"))
    return found


def _check_metadata(group: zarr.Group, read: str, found: Found) -> None:
    """Compare the consolidated metadata with those of each array."""
    if not is_consolidated(group):
        found.wrong(f"{read}: its consolidated metadata are missing; {found.rebuild}")
        return
    for name, array in group.arrays():
        try:
            own = zarr.open_array(group.store, path=name, mode="r")
        except (FileNotFoundError, zarr.errors.ArrayNotFoundError):
            found.wrong(f"{read}: {name}: its own metadata are missing; {found.rebuild}")
            continue
        if not _same(own.metadata.to_dict(), array.metadata.to_dict()):
            found.wrong(f"{read}: {name}: its metadata differ from the consolidated ones")


def _check_dataset(
    cube: xr.Dataset, read: str, item: pystac.Item | None, found: Found
) -> list[str]:
    """Compare grid, dimensions and variables with the item; return the names of the variables."""
    variables = [str(name) for name in cube.data_vars]
    if item is None:
        return variables
    try:
        grid = grid_of(cube)
    except StacbuildError as error:
        # A built cube has a valid grid.
        raise IntegrityError(f"{read}: {error}; {found.rebuild}") from error
    _check_centres(cube, grid, item, read, found)
    actual = projection_fields(grid)
    actual |= _flat("cube:dimensions", cube_dimensions(cube, grid), _COMPARED_OF_DIMENSIONS)
    actual |= _flat("cube:variables", cube_variables(cube), _COMPARED_OF_VARIABLES)
    stated = {key: item.properties.get(key) for key in _COMPARED}
    wkt = stated["proj:wkt2"]
    # Versions of PROJ write the same CRS in different words.
    if isinstance(wkt, str) and "proj:wkt2" in actual and same_crs(wkt, grid.crs):
        actual["proj:wkt2"] = wkt
    for key, fields in (
        ("cube:dimensions", _COMPARED_OF_DIMENSIONS),
        ("cube:variables", _COMPARED_OF_VARIABLES),
    ):
        stated |= _flat(key, item.properties.get(key, {}), fields)
    for key in sorted(stated.keys() | actual.keys()):
        if not _same(stated.get(key), actual.get(key)):
            is_now, in_item = _short(actual.get(key)), _short(stated.get(key))
            found.wrong(f"{read}: {key} is {is_now}, its item states {in_item}")
    return variables


def _check_centres(
    cube: xr.Dataset, grid: DatasetGrid, item: pystac.Item, read: str, found: Found
) -> None:
    """Compare all pixel centres with the item's grid, since coordinates have no checksum."""
    expected = PixelGrid.from_affine(grid.crs, item.properties["proj:transform"], grid.shape)
    a, _, _, _, e, _ = expected.transform
    y, x = expected.coords()
    for dim, step, centres in ((grid.x, a, x), (grid.y, e, y)):
        values = np.asarray(cube[dim].values, "float64")
        off = np.abs(values - centres) > abs(step) * 1e-6
        if off.any():
            found.wrong(
                f"{read}: {dim}: {int(off.sum())} of {off.size} coordinates are not those of the "
                f"grid in its item, the first at {int(off.argmax())}"
            )


def _flat(section: str, described: Json, fields: Sequence[str]) -> Json:
    return {
        f"{section}.{name}.{key}": each[key]
        for name, each in described.items()
        for key in fields
        if key in each
    }


def _same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal, with a tolerance of 1e-9 for numbers.

    Versions of libraries round differently.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9) or (one != one and other != other)
    return bool(one == other)


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
