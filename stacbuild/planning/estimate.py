"""Estimate size and cost of a cube from its items; nothing is opened or fetched.

Shapes are exact unless a custom function changes them. Bytes are estimates: compressed sizes come
from the sources or the previous cube, memory from a model that was fitted to the peaks in
docs/reference/performance.md and errs on the large side. More than 10^6 tasks or 10^7 chunks per
variable are refused, and cubes that do not fit on the disk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from rich.filesize import decimal

from stacbuild.errors import ConfigError, LocalError
from stacbuild.geo.grid import Floats, PixelGrid, Window
from stacbuild.geo.positions import clip, coordinates, source_positions, span
from stacbuild.loading import time_steps
from stacbuild.loading.area import items_within
from stacbuild.loading.dataset import any_touches, check_overlap
from stacbuild.loading.grouping import grouped
from stacbuild.loading.memory import room
from stacbuild.loading.methods import wrapped_grids
from stacbuild.loading.scene_assets import usable
from stacbuild.loading.units import work_unit
from stacbuild.machine import free_bytes
from stacbuild.planning.chunking import Chunking, chunking
from stacbuild.planning.memory import work_of
from stacbuild.planning.merging import check_times
from stacbuild.planning.names import check_planned
from stacbuild.planning.sizes import bytes_to_fetch, compression_ratio, is_fetched
from stacbuild.planning.sources import is_described
from stacbuild.planning.variables import planned_variables
from stacbuild.stac.files import is_remote
from stacbuild.stac.scenes import asset_of
from stacbuild.storage.formats import FORMATS

if TYPE_CHECKING:
    import pystac

    from stacbuild.config import Dataset, SourceVariable
    from stacbuild.geo.grid import Grid
    from stacbuild.storage.output import Output

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
        items = usable(variable, whole)
        items = items_within(variable, items) if all(map(is_described, items)) else items
        ready = [item for item in items if is_described(item)]
        if not ready or len(ready) < len(items):
            known = False
            continue
        check_overlap(variable, ready, any_touches(ready, grid), grid)
        ready = grouped(variable, ready, grid).items
        planned, its_times = _variables(variable, ready, dataset, grid)
        times |= its_times
        # Sizes are those of whole files; items cut by a bbox only have another extent.
        of_file = {(item.id, asset_of(item)): item for item in whole}
        variables += planned
        raw = sum(each.nbytes for each in planned)
        write += raw * compression_ratio([each.name for each in planned], whole, previous)
        fetch += sum(
            bytes_to_fetch(of_file[item.id, asset_of(item)], _window(source, grid))
            for item in ready
            if is_fetched(item)
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
    planned = list(planned_variables(variable, items, grid))
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
                # The variables of assets are planned without what is done to all of them.
                lead = lead | {"time": len(time_steps.resampled_times(times, params))}
        found.append(_variable(name, dtype.name, lead, dataset, grid))
        if params is not None and (counted := time_steps.counts_of(name, params)):
            found.append(_variable(counted, "int32", lead, dataset, grid))
        if times is not None and "time" in lead and not variable.custom_processing:
            known[name] = times if params is None else time_steps.resampled_times(times, params)
    return found, known


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
    sample = _sample(source.crs, target)
    # Where rows depend on y alone, the extreme ones are those of the extreme y.
    x, y = sample.extremes if source.is_aligned else (sample.x, sample.y)
    with np.errstate(invalid="ignore"):
        row, col = source_positions(source, x, y)
        return clip(span(row, _HALF_BLOCK), span(col, _HALF_BLOCK), source.shape)


@dataclass(frozen=True, eq=False)
class _Sample:
    """Coordinates of some pixels of a grid in the CRS of a source."""

    x: Floats
    y: Floats

    @cached_property
    def extremes(self) -> tuple[Floats, Floats]:
        """The least and the largest finite x, and y."""
        finite = [each[np.isfinite(each)] for each in (self.x, self.y)]
        x, y = (np.array([each.min(), each.max()]) if each.size else each for each in finite)
        return x, y


# Cached, as a product has thousands of files in one CRS.
@lru_cache(maxsize=8)
def _sample(crs: str, target: PixelGrid) -> _Sample:
    at = np.meshgrid(*(np.linspace(0, n - 1, _SAMPLES) for n in target.shape), indexing="ij")
    with np.errstate(invalid="ignore"):
        return _Sample(*coordinates(crs, target, *at))


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
