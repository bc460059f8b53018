"""The variables that a source becomes, from its items: names, metadata, dimensions and times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from stacbuild.geo.grid import PixelGrid
from stacbuild.loading.band_names import band_variables
from stacbuild.loading.differences import check_common, unpack_where_needed
from stacbuild.loading.metadata import VariableMetadata
from stacbuild.loading.methods import resampling_method, wrapped_grids
from stacbuild.loading.raster_names import chosen_bands
from stacbuild.loading.scene_assets import chosen_assets, names_of, of_asset
from stacbuild.loading.select import (
    band_times,
    by_time,
    chosen_names,
    has_time,
    utc_times,
    within_time,
)
from stacbuild.loading.time_steps import resampled_times
from stacbuild.loading.zarr_files import packed_alike
from stacbuild.loading.zarr_variables import asked_for, left_out, on_grid, spatial_dims
from stacbuild.planning.sizes import length_of
from stacbuild.stac.array_times import gain_time, stated_time, steps_of

if TYPE_CHECKING:
    import pystac

    from stacbuild.config import SourceVariable
    from stacbuild.geo.grid import Grid

_Key = TypeVar("_Key")
# A variable's name, its metadata, the lengths of the dimensions before the spatial ones, and the
# selected times of the source, if they are known.
PlannedVariable = tuple[str, VariableMetadata, dict[str, int], pd.DatetimeIndex | None]


def planned_variables(
    variable: SourceVariable, items: Sequence[pystac.Item], grid: Grid
) -> Iterator[PlannedVariable]:
    """Yield the variables of one source, as far as its items state them.

    Custom functions are assumed to change no shape.

    Raises
    ------
    BuildError
        If the items cannot be one variable, or the configuration names an unknown one.
    """
    assets = chosen_assets(variable, items)
    if not assets:
        yield from _of_items(variable, items, grid)
        return
    found: list[PlannedVariable] = []
    for asset, views in assets.items():
        own = list(_of_items(of_asset(variable, asset, views), views, grid))
        called = names_of(asset, [name for name, *_ in own])
        found += [(called[name], metadata, lead, times) for name, metadata, lead, times in own]
    prefix = variable.identifier
    for name, metadata, lead, times in found:
        named = name if prefix is None else prefix if len(found) == 1 else f"{prefix}_{name}"
        yield named, metadata, lead, times


def _of_items(
    variable: SourceVariable, items: Sequence[pystac.Item], grid: Grid
) -> Iterator[PlannedVariable]:
    is_zarr = "cube:variables" in items[0].properties
    return (_of_zarr if is_zarr else _of_raster)(variable, items, grid)


def _of_raster(
    variable: SourceVariable, items: Sequence[pystac.Item], grid: Grid
) -> Iterator[PlannedVariable]:
    check_common(items)
    own, sources = variable.identifier, wrapped_grids(items, grid)
    chosen = chosen_bands(variable, items)
    if not variable.open_params.band_as_variable:
        for name, stated in chosen.items():
            known = name if len(chosen) > 1 else variable.parameter_name(name)
            metadata = _unpacked(variable, known, stated, sources, grid)
            lead, times = _lead_of_raster(variable, items, list(metadata))
            several = len(chosen) > 1
            named = variable.cube_name(name) if not several else f"{own}_{name}" if own else name
            yield named, next(iter(metadata.values())), lead, times
        return
    [(name, stated)] = chosen.items()
    metadata = _unpacked(variable, variable.parameter_name(name), stated, sources, grid)
    called = band_variables(variable, items[0])
    numbered = {f"band_{band}": each for band, each in metadata.items()}
    apart = {called.get(key, key): each for key, each in numbered.items()}
    dated = len(by_time(items)) > 1
    lead, times = _lead_of_raster(variable, items, [1]) if dated else ({}, None)
    for each in chosen_names(variable, apart):
        yield f"{own}_{each}" if own else each, apart[each], lead, times


def _of_zarr(
    variable: SourceVariable, items: Sequence[pystac.Item], grid: Grid
) -> Iterator[PlannedVariable]:
    item, steps = items[0], steps_of(items)
    spatial, sources = spatial_dims(item), wrapped_grids(items, grid)
    dimensions = item.properties["cube:dimensions"]
    described = on_grid(item, asked_for(variable))
    chosen = chosen_names(variable, described, left_out(item))
    own, gained = variable.identifier, gain_time(steps)
    first = [files[0][0] for files in steps]
    for name in chosen:
        lead = {
            dim: length_of(dimensions[dim])
            for dim in described[name]["dimensions"]
            if dim not in spatial
        }
        temporal = [dim for dim in lead if dimensions.get(dim, {}).get("type") == "temporal"]
        times = None
        if name in gained:
            lead = {"time": 1, **lead}
            temporal = ["time"]
        for dim in ["time"] if "time" in temporal else temporal if len(temporal) == 1 else []:
            lead[dim], times = _times(variable, *_along(dim, first))
        named = name if own is None else own if len(chosen) == 1 else f"{own}_{name}"
        stated = [
            VariableMetadata.of_zarr(parts[0], name).filled(variable.fill_value(name))
            for files in steps
            for parts in files
        ]
        alike = packed_alike(name, variable.label, stated)
        metadata = {name: stated[0] if alike else stated[0].unpack()}
        [metadata[name]] = _unpacked(variable, name, metadata, sources, grid).values()
        yield named, metadata[name], lead, times


def _along(dim: str, files: Sequence[pystac.Item]) -> tuple[pd.DatetimeIndex | None, int]:
    """Return the times of several files, if they are all known, and their number."""
    listed: list[str] = []
    count, whole = 0, True
    for item in files:
        if dim == "time" and (time := stated_time(item)) is not None:
            listed.append(time.isoformat())
            count += 1
            continue
        stated = item.properties["cube:dimensions"][dim]
        listed += stated.get("values") or ()
        whole = whole and bool(stated.get("values"))
        count += length_of(stated)
    return utc_times(listed) if whole else None, count


def _unpacked(
    variable: SourceVariable,
    name: str,
    stated: Mapping[_Key, VariableMetadata],
    sources: Sequence[PixelGrid],
    target: PixelGrid,
) -> dict[_Key, VariableMetadata]:
    """Return the metadata of a variable, of unpacked values if the cube stores them unpacked."""
    method = resampling_method(variable, name, next(iter(stated.values())), sources, target)
    return unpack_where_needed(variable, method, stated)


def _lead_of_raster(
    variable: SourceVariable, items: Sequence[pystac.Item], bands: Sequence[int]
) -> tuple[dict[str, int], pd.DatetimeIndex | None]:
    """Return the lengths of the dimensions before the spatial ones, and the times of `_times`."""
    of_items = pd.DatetimeIndex(by_time(items))
    if len(of_items) == 1 and (of_bands := band_times(items[0])) is not None:
        count, times = _times(variable, of_bands[np.array(bands) - 1], len(bands))
        return {"time": count}, times
    lead, times = {}, None
    if has_time(items):
        lead["time"], times = _times(variable, of_items, len(of_items))
    return lead | ({"band": len(bands)} if len(bands) > 1 else {}), times


def _times(
    variable: SourceVariable, times: pd.DatetimeIndex | None, count: int
) -> tuple[int, pd.DatetimeIndex | None]:
    """Return the number of times of a cube, and the selected times of the source.

    If the latter are not known, it is the number of times of the source, and None.
    """
    if times is None or not times.is_unique:
        return count, None
    whole = xr.Dataset(coords={"time": times})
    chosen = pd.DatetimeIndex(within_time(variable, whole, None, searched=False).indexes["time"])
    params = variable.temporal_resample_params
    if params is None or variable.custom_processing:
        return len(chosen), chosen
    return len(resampled_times(chosen, params)), chosen
