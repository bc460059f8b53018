"""Several files of arrays (NetCDF, Zarr) as one data id, joined along time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pystac
import xarray as xr
from pystac.utils import str_to_datetime

from stacbuild.errors import BuildError
from stacbuild.formats.cf_flags import FLAGS
from stacbuild.loading.metadata import VariableMetadata

# Attributes without which values of another file have another meaning.
_MEANING = ("units", *FLAGS)


def files_of(items: Sequence[pystac.Item]) -> list[list[pystac.Item]]:
    """Return the items by their file, in the order of the files' times.

    An area at both ends of the longitudes makes two items of one file.
    """
    found: dict[str, list[pystac.Item]] = {}
    for item in items:
        found.setdefault(item.assets["data"].href, []).append(item)
    # Not by their texts, of which some have fractions of a second.
    return sorted(
        found.values(), key=lambda parts: str_to_datetime(parts[0].properties["start_datetime"])
    )


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


def joined(label: str, opened: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Return the datasets of several files, by name and in the order of their times, as one.

    Variables without the dimension ``time`` are those of the first file.

    Raises
    ------
    BuildError
        Their dimensions differ other than along time, or times are not in order.
    """
    for name, dataset in opened.items():
        if "time" not in dataset.dims:
            raise BuildError(
                f"{label}: {name} has no dimension time, along which files of arrays are joined; "
                "name one of them"
            )
    options: dict[str, Any] = {"data_vars": "minimal", "coords": "minimal", "compat": "override"}
    try:
        whole = xr.concat(
            list(opened.values()), "time", join="exact", combine_attrs="drop_conflicts", **options
        )
    except ValueError as error:
        raise BuildError(
            f"{label}: its files cannot be joined along time, as they differ "
            f"({' '.join(str(error).split())[:200]})"
        ) from error
    times = whole["time"].values
    if not (times[1:] > times[:-1]).all():
        raise BuildError(f"{label}: the times of its files overlap; name files that follow another")
    return whole
