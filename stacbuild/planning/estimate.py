"""Estimate size and cost of a cube from its items; nothing is opened or fetched.

Shapes are exact unless a custom function changes them. Bytes are estimates: compressed sizes come
from the sources or the previous cube, memory from a model that was fitted to the peaks in
docs/reference/performance.md and errs on the large side. More than 10^6 tasks or 10^7 chunks per
variable are refused, and cubes that do not fit on the disk.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
import xarray as xr
from rich.filesize import decimal

from stacbuild.errors import ConfigError, LocalError
from stacbuild.geo.grid import PixelGrid, Window
from stacbuild.geo.positions import clip, positions, span
from stacbuild.loading import time_steps
from stacbuild.loading.area import items_within
from stacbuild.loading.band_names import band_variables
from stacbuild.loading.dataset import any_touches, check_overlap
from stacbuild.loading.differences import check_common, unpack_where_needed
from stacbuild.loading.memory import room
from stacbuild.loading.metadata import VariableMetadata
from stacbuild.loading.methods import resampling_method, wrapped_grids
from stacbuild.loading.raster_names import chosen_bands
from stacbuild.loading.select import band_times, by_time, chosen_names, utc_times, within_time
from stacbuild.loading.units import work_unit
from stacbuild.loading.zarr_files import packed_alike
from stacbuild.loading.zarr_variables import asked_for, left_out, on_grid, spatial_dims
from stacbuild.machine import free_bytes
from stacbuild.planning.chunking import Chunking, chunking
from stacbuild.planning.memory import work_of
from stacbuild.planning.merging import check_times
from stacbuild.planning.names import check_planned
from stacbuild.planning.sizes import bytes_to_fetch, compression_ratio, length_of
from stacbuild.planning.sources import is_described
from stacbuild.stac.array_times import gain_time, stated_time, steps_of
from stacbuild.stac.files import is_remote
from stacbuild.storage.formats import FORMATS

if TYPE_CHECKING:
    import pystac

    from stacbuild.config import Dataset, SourceVariable
    from stacbuild.geo.grid import Grid
    from stacbuild.storage.output import Output

_Key = TypeVar("_Key")
# A variable's name, its metadata, the lengths of the dimensions before the spatial ones, and the
# selected times of the source, if they are known.
_Planned = tuple[str, VariableMetadata, dict[str, int], pd.DatetimeIndex | None]

MAX_TASKS = 10**6
MAX_CHUNKS = 10**7

# Sampled pixels along a side of the grid, to find the window of a source below it.
_SAMPLES = 65
# Blocks are fetched as a whole: on average half a block more on each side.
_HALF_BLOCK = 256

# Of the process itself, with all libraries imported.
_BASE_MEMORY = 300 * 10**6


@dataclass(frozen=True)
class Variable:
    """A variable of a planned cube; shapes are in the order of ``dims``."""

    name: str
    dtype: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunking: Chunking

    @property
    def nbytes(self) -> int:
        """Uncompressed size in bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def file_count(self) -> int:
        """Number of shards, or of chunks that are stored for themselves."""
        return math.prod(-(-n // c) for n, c in zip(self.shape, self.chunking.stored, strict=True))


@dataclass(frozen=True)
class Estimate:
    """Size and cost of a planned cube; bytes are None if a source is not harvested yet.

    Parameters
    ----------
    fetch
        Bytes to download.
    write
        Bytes of the cube on disk.
    memory
        Peak memory in bytes.
    free
        Bytes free in the storage's folder; None for other storages.
    """

    variables: tuple[Variable, ...] = ()
    fetch: int | None = None
    write: int | None = None
    memory: int | None = None
    free: int | None = None


def estimate(
    dataset: Dataset,
    grid: Grid,
    found: Sequence[Sequence[pystac.Item]],
    output: Output,
    budget: int,
) -> Estimate:
    """Return size and cost of a cube.

    Parameters
    ----------
    found
        The items of each variable; none if it is not harvested yet.
    output
        Where the cube is written; may have a previous one.
    budget
        Bytes that what is computed at the same time may use.

    Raises
    ------
    BuildError
        If the grid does not intersect a source, or the times of variables differ.
    ConfigError
        If the cube has too many tasks or chunks.
    """
    storage, previous = output.storage, output.item()
    variables: list[Variable] = []
    times: dict[str, pd.DatetimeIndex] = {}
    known, fetch, write, memory = True, 0, 0.0, 0
    for variable, whole in zip(dataset.variables, found, strict=True):
        items = items_within(variable, whole) if all(map(is_described, whole)) else whole
        ready = [item for item in items if is_described(item)]
        if not ready or len(ready) < len(items):
            known = False
            continue
        check_overlap(variable, ready, any_touches(ready, grid), grid)
        planned, its_times = _variables(variable, ready, dataset, grid)
        times |= its_times
        # Sizes are those of whole files; items cut by a bbox only have another extent.
        of_file = {item.id: item for item in whole}
        variables += planned
        raw = sum(each.nbytes for each in planned)
        write += raw * compression_ratio([each.name for each in planned], whole, previous)
        fetch += sum(
            bytes_to_fetch(of_file[item.id], _window(source, grid))
            for item in ready
            for source in wrapped_grids([item], grid)
        )
        remote = is_remote(whole)
        needed = work_of(variable, planned, ready, grid, budget)
        memory = max(memory, room(needed, budget, remote=remote).needed)
    _check_counts(variables, grid)
    check_times(dataset, times)
    if known:
        check_planned(dataset, {each.name: each.dims for each in variables})
    return Estimate(
        variables=tuple(variables),
        fetch=fetch if known else None,
        write=round(write * FORMATS[dataset.format_id].space) if known else None,
        memory=_BASE_MEMORY + memory if known else None,
        free=free_bytes(storage.folder) if storage.folder is not None else None,
    )


def check_space(output: Output, expected: Estimate, written: int = 0) -> None:
    """Check that the disk has enough space for a cube.

    Parameters
    ----------
    written
        Bytes that an earlier run wrote of it.

    Raises
    ------
    LocalError
        If it has not; states the bytes needed and free.
    """
    if expected.free is None or expected.write is None:
        return
    if expected.write - written > expected.free:
        raise LocalError(
            f"{output.identifier}: needs about {decimal(expected.write - written)}, but only "
            f"{decimal(expected.free)} are free in {output.storage.folder}; free some space, "
            "move the storage, or use a smaller grid"
        )


def _variables(
    variable: SourceVariable, items: Sequence[pystac.Item], dataset: Dataset, grid: Grid
) -> tuple[list[Variable], dict[str, pd.DatetimeIndex]]:
    """Return the variables of one source, and times by variable as far as they are known.

    Custom functions are assumed to change no shape, but they may change times.
    """
    is_zarr = "cube:variables" in items[0].properties
    planned = list((_of_zarr if is_zarr else _of_raster)(variable, items, grid))
    # A custom function runs before the resampling, and may change the times.
    params = None if variable.custom_processing else variable.temporal_resample_params
    if params is not None:
        with_time = [name for name, _, lead, _ in planned if "time" in lead]
        if with_time:
            time_steps.check_temporal_names(params, with_time, variable.data_id)
    found, known = [], {}
    for name, metadata, lead, times in planned:
        dtype = metadata.cube_dtype
        if params is not None:
            chosen = params.variables is None or name in params.variables
            if "time" not in lead or not chosen:
                continue
            if times is not None:
                dtype = time_steps.dtype_of_resampled(name, dtype, metadata.attrs, times, params)
        found.append(_variable(name, dtype.name, lead, dataset, grid))
        if params is not None and (counted := time_steps.counts_of(name, params)):
            found.append(_variable(counted, "int32", lead, dataset, grid))
        if times is not None and "time" in lead and not variable.custom_processing:
            known[name] = times if params is None else time_steps.resampled_times(times, params)
    return found, known


def _of_raster(
    variable: SourceVariable, items: Sequence[pystac.Item], grid: Grid
) -> Iterator[_Planned]:
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
    for each in chosen_names(variable, apart):
        yield f"{own}_{each}" if own else each, apart[each], {}, None


def _of_zarr(
    variable: SourceVariable, items: Sequence[pystac.Item], grid: Grid
) -> Iterator[_Planned]:
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
    if len(of_items) > 1:
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
    return len(time_steps.resampled_times(chosen, params)), chosen


def _variable(
    name: str, dtype: str, lead: dict[str, int], dataset: Dataset, grid: Grid
) -> Variable:
    sizes = lead | dict(zip(grid.dims, grid.shape, strict=True))
    return Variable(
        name=name,
        dtype=dtype,
        dims=tuple(sizes),
        shape=tuple(sizes.values()),
        chunking=chunking(sizes, grid, dataset.chunksize),
    )


def _window(source: PixelGrid, target: PixelGrid) -> Window | None:
    """Return the window of a source that a grid covers, from a sample of the grid's pixels."""
    at = np.meshgrid(*(np.linspace(0, n - 1, _SAMPLES) for n in target.shape), indexing="ij")
    row, col = positions(source, target, *at)
    with np.errstate(invalid="ignore"):
        return clip(span(row, _HALF_BLOCK), span(col, _HALF_BLOCK), source.shape)


def _unit(variable: Variable, grid: Grid) -> int:
    """Return the number of pixels that a task computes."""
    rows, cols = work_unit(grid, np.dtype(variable.dtype).itemsize)
    return rows * cols


def _bands(variable: Variable) -> int:
    return math.prod(variable.shape[:-2])


def _check_counts(variables: Sequence[Variable], grid: Grid) -> None:
    where = f"grid_mappings.{grid.name}"
    for each in variables:
        tasks = _bands(each) * math.ceil(math.prod(grid.shape) / _unit(each, grid))
        if tasks > MAX_TASKS:
            raise ConfigError(
                f"{where}: {each.name} needs {tasks} tasks, at most {MAX_TASKS} are supported; use "
                "a larger tile_size or a smaller bbox"
            )
        if each.file_count > MAX_CHUNKS:
            what = "shards" if each.chunking.shards else "chunks"
            raise ConfigError(
                f"{where}: {each.name} has {each.file_count} {what}, each a file, at most "
                f"{MAX_CHUNKS} are supported; use a larger tile_size or chunksize"
            )
