"""Merge the variables of several sources to one dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stacbuild.errors import BuildError
from stacbuild.loading.temporal_fill import Fills
from stacbuild.planning.merging import differing

if TYPE_CHECKING:
    from stacbuild.config import MultiDataset


def merge(dataset: MultiDataset, parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Merge lazy datasets on one grid by ``xr_merge_params``.

    Where a variable lacks a coordinate value that others have, such as a time, it is filled with
    ``fill_value``, or its nodata value. Its dtype stays, and ``encoding["_FillValue"]`` declares
    the value.

    Raises
    ------
    BuildError
        If coordinates differ and ``join`` is ``exact``, a name occurs twice, a fill value does not
        fit the variable's dtype or names no variable, or a valid value equals it.
    """
    params = dataset.xr_merge_params
    arrays = {str(name): array for part in parts for name, array in part.data_vars.items()}
    fills = _fills(dataset, arrays)

    def merging(parts: Sequence[xr.Dataset]) -> xr.Dataset:
        return xr.merge(
            parts,
            compat=params.compat,
            join=params.join,
            fill_value=fills,
            combine_attrs=params.combine_attrs,
        )

    try:
        merged = merging(parts)
        filled = {name for name, array in arrays.items() if _is_filled(merged[name], array)}
        if filled:
            merged = merging([_refilled(part, filled, fills) for part in parts])
    except (ValueError, xr.MergeError) as error:
        if differing := _differing(parts) if params.join == "exact" else "":
            raise BuildError(f"{dataset.identifier}: {differing}") from error
        raise BuildError(
            f"{dataset.identifier}: its variables cannot be merged: {' '.join(str(error).split())}"
        ) from error
    for name, array in arrays.items():
        merged[name].encoding = array.encoding
        if name in filled:
            merged[name].encoding = array.encoding | {"_FillValue": fills[name]}
    return merged


def _differing(parts: Sequence[xr.Dataset]) -> str:
    """Return a message on the first coordinate in which parts differ; empty if they do not."""
    for dim in dict.fromkeys(str(dim) for part in parts for dim in part.indexes):
        stated = [
            (list(map(str, part.data_vars)), part.indexes[dim])
            for part in parts
            if dim in part.indexes
        ]
        if why := differing(dim, stated):
            return why
    return ""


def _is_filled(merged: xr.DataArray, array: xr.DataArray) -> bool:
    """Return whether a merged variable has coordinate values that it lacked before."""
    return any(
        not index.isin(array.indexes[name]).all()
        for name, index in merged.indexes.items()
        if name in array.indexes
    )


def _refilled(part: xr.Dataset, names: set[str], fills: dict[str, Any]) -> xr.Dataset:
    """Replace the nodata values of integer variables by their fill values."""
    refilled = {}
    for name in names & {str(name) for name in part.data_vars}:
        array, fill = part[name], fills[name]
        own = array.encoding.get("_FillValue")
        if array.dtype.kind not in "iu" or own == fill:
            continue
        data = array.chunk().data
        refilled[name] = array.copy(
            data=data.map_blocks(
                _replace_nodata,
                own,
                fill,
                name,
                dtype=array.dtype,
                meta=np.empty((0,) * array.ndim, array.dtype),
            )
        )
    return part.assign(refilled)


def _replace_nodata(block: NDArray[Any], own: Any, fill: Any, name: str) -> NDArray[Any]:
    if (block == fill).any():
        raise BuildError(
            f"{name}: has {fill} as a valid value, so it cannot be the fill value; set another one "
            "in xr_merge_params.fill_value"
        )
    return block if own is None else np.where(block == own, fill, block)


def _fills(dataset: MultiDataset, arrays: dict[str, xr.DataArray]) -> dict[str, Any]:
    """Return the fill value of each variable, in its own dtype."""
    stated = dataset.xr_merge_params.fill_value
    if isinstance(stated, dict):
        for name in stated:
            if name not in arrays:
                raise BuildError(
                    f"{dataset.identifier}: xr_merge_params.fill_value names {name!r}, which "
                    f"is not a variable of the cube; there are: {', '.join(sorted(arrays))}"
                )
    fills = {}
    for name, array in arrays.items():
        value = stated.get(name) if isinstance(stated, dict) else stated
        if value is None:
            own = array.encoding.get("_FillValue", array.encoding.get("fill_value"))
            # A custom function may return integers that nothing is declared of.
            undeclared = (
                Fills.of(array, empty=True).written if array.dtype.kind in "iub" else np.nan
            )
            value = undeclared if own is None else own
        fill = np.array(value).astype(array.dtype, casting="unsafe")[()]
        if array.dtype.kind in "iub" and fill != value:
            raise BuildError(
                f"{dataset.identifier}: xr_merge_params.fill_value: {value:g} is not a valid "
                f"{array.dtype}, the type of {name}"
            )
        fills[name] = fill
    return fills
