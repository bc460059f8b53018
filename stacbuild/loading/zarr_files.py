"""Several files of arrays (NetCDF, Zarr) as one data id, joined along time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pystac
import xarray as xr

from stacbuild.errors import BuildError
from stacbuild.formats.cf_flags import FLAGS
from stacbuild.loading.metadata import VariableMetadata
from stacbuild.loading.options import LoadOptions
from stacbuild.loading.pool import zarr_dataset
from stacbuild.loading.zarr_variables import spatial_dims
from stacbuild.stac.array_times import gain_time, stated_time
from stacbuild.stac.data_href import data_href

# Attributes without which values of another file have another meaning.
_MEANING = ("units", *FLAGS)


def packed_alike(name: str, label: str, stated: Sequence[VariableMetadata]) -> bool:
    """Return whether the files of a variable share scale and offset, as one variable has to.

    Raises
    ------
    BuildError
        Their data types, nodata values, units or classes differ.
    """
    first = stated[0]
    for other in stated[1:]:
        if other.dtype != first.dtype:
            raise BuildError(
                f"{label}: {name} is {first.dtype} in one of its files and {other.dtype} in "
                "another; write them with one data type"
            )
        for key in _MEANING:
            one, another = first.attrs.get(key), other.attrs.get(key)
            if one is None or another is None or np.array_equal(one, another):
                continue
            raise BuildError(
                f"{label}: {name} has the {key} {one!s} in one of its files and {another!s} in "
                "another; write them alike, or name other variables in open_params.variable_names"
            )
    alike = len({each.packing for each in stated}) == 1
    if alike and len({repr(each.nodata) for each in stated}) > 1:
        shown = ", ".join(sorted({str(each.nodata) for each in stated}))
        raise BuildError(
            f"{label}: the nodata values of {name} differ between its files ({shown}); write them "
            "with one _FillValue"
        )
    return alike


def attributes_in_common(stated: Sequence[VariableMetadata]) -> dict[str, Any]:
    """Return the attributes of a variable's first file, without titles that differ in others."""
    attrs = dict(stated[0].attrs)
    for name in ("long_name", "description"):
        if any(other.attrs.get(name) != attrs.get(name) for other in stated):
            attrs.pop(name, None)
    return attrs


def check_tiles(
    label: str,
    files: Sequence[Sequence[pystac.Item]],
    names: Sequence[str],
    options: LoadOptions,
) -> None:
    """Check that the files of one time differ in their spatial dimensions only.

    Raises
    ------
    BuildError
        Dimensions, or coordinates along others, differ.
    """
    spatial = spatial_dims(files[0][0])
    (first, whole), *others = (
        (item.assets["data"].href, zarr_dataset(data_href(item.assets["data"]), open_with))
        for item, open_with in ((parts[0], options.storage_options) for parts in files)
    )
    for href, tile in others:
        for name in names:
            one, other = whole[name], tile[name]
            if one.dims != other.dims or any(
                not one[dim].equals(other[dim]) for dim in one.dims if dim not in spatial
            ):
                raise BuildError(
                    f"{label}: {first} and {href} are of one time, but {name} differs in its "
                    "dimensions or their coordinates; write them alike"
                )


def joined(
    label: str,
    opened: Sequence[xr.Dataset],
    steps: Sequence[Sequence[Sequence[pystac.Item]]],
) -> xr.Dataset:
    """Return the datasets of several files, in the order of their times, as one.

    Files without usable times get the time that their item states. Variables without the dimension
    ``time`` are those of the first file.

    Parameters
    ----------
    steps
        The items of each dataset, from `stacbuild.stac.array_times.steps_of`.

    Raises
    ------
    BuildError
        Their dimensions differ other than along time, or times are not in order.
    """
    gained = gain_time(steps)
    parts = [
        _with_time(dataset, files[0][0], gained)
        for dataset, files in zip(opened, steps, strict=True)
    ]
    if len(parts) == 1:
        return parts[0]
    for part, files in zip(parts, steps, strict=True):
        if "time" not in part.dims:
            raise BuildError(
                f"{label}: {files[0][0].assets['data'].href} has no dimension time, along which "
                "files of arrays are joined; name one of them"
            )
    options: dict[str, Any] = {"data_vars": "minimal", "coords": "minimal", "compat": "override"}
    try:
        whole = xr.concat(parts, "time", join="exact", combine_attrs="drop_conflicts", **options)
    except ValueError as error:
        raise BuildError(
            f"{label}: its files cannot be joined along time, as they differ "
            f"({' '.join(str(error).split())[:200]})"
        ) from error
    times = whole["time"].values
    if not (times[1:] > times[:-1]).all():
        raise BuildError(f"{label}: the times of its files overlap; name files that follow another")
    return whole


def _with_time(dataset: xr.Dataset, item: pystac.Item, gained: Collection[str]) -> xr.Dataset:
    """Return the dataset of a file with the time that its item states, if that counts."""
    stated = stated_time(item)
    if stated is None or not gained:
        return dataset
    time = pd.to_datetime([stated], utc=True).tz_localize(None).as_unit("ns")
    if "time" in dataset.dims:
        return dataset.assign_coords(time=("time", time))
    apart = {
        name: array.expand_dims(time=time) if name in gained else array
        for name, array in dataset.drop_vars("time", errors="ignore").data_vars.items()
    }
    return xr.Dataset(apart)
