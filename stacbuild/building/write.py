"""Write a lazy dataset to a Zarr store: every chunk once, region by region; group metadata last.

All variables of a window of the grid are computed before those of the next, several regions at a
time (`stacbuild.building.flight`). So whatever its bands share (index maps, decoded windows) is
only needed while the window is computed, and is released at its end. Each region is a graph of its
own, with one task per band and work unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise, product
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import xarray as xr
import zarr
from zarr.core.sync import sync

from stacbuild.building.finished import Recorder, chunk_keys, count, missing, region_shape
from stacbuild.building.flight import Flight
from stacbuild.building.region import Written, write_region
from stacbuild.building.together import computed_together
from stacbuild.building.zarr_metadata import ROOT, holds, metadata, open_for_writing, put
from stacbuild.errors import IntegrityError
from stacbuild.formats.zarr_chunks import chunk_sizes, stored_shape, unwritten
from stacbuild.loading import forget, uses
from stacbuild.planning.chunking import Chunking, chunking

if TYPE_CHECKING:
    from zarr.abc.store import Store

    from stacbuild.building.workers import Workers
    from stacbuild.geo.grid import Grid
    from stacbuild.progress import Task
    from stacbuild.storage.journal import Journal, Region


def prepare(dataset: xr.Dataset, grid: Grid, chunksize: dict[str, int]) -> xr.Dataset:
    """Chunk a dataset for the computation, and set ``encoding["chunks"]`` for the store.

    See `stacbuild.planning.chunking.chunking`. Computed chunks consist of whole stored chunks or
    shards; they are those of the dataset where these already do.
    """
    prepared = dataset.copy()
    for name, array in dataset.data_vars.items():
        sizes = {str(dim): length for dim, length in array.sizes.items()}
        known = chunking(sizes, grid, chunksize)
        stored = dict(zip(sizes, known.stored, strict=True))
        computed = {
            dim: stored[str(dim)]
            for dim, chunks in array.chunksizes.items()
            if any(length % stored[str(dim)] for length in chunks[:-1])
        }
        missing = {dim: stored[str(dim)] for dim in array.dims if dim not in array.chunksizes}
        chunked = array.chunk(computed | missing)
        kept = {key: value for key, value in array.encoding.items() if key != "shards"}
        chunked.encoding = kept | known.encoding
        prepared[name] = chunked
    return prepared


def chunk_count(dataset: xr.Dataset) -> int:
    """Return the number of shards, or of chunks without one, of a prepared dataset."""
    return sum(
        count(array.shape, Chunking.of(array.encoding).stored)
        for array in dataset.data_vars.values()
    )


def chunk_unit(dataset: xr.Dataset) -> Literal["chunks", "shards"]:
    """Return what `chunk_count` counts: ``chunks``, or ``shards`` if a variable has any."""
    sharded = any(array.encoding.get("shards") for array in dataset.data_vars.values())
    return "shards" if sharded else "chunks"


def finished_chunks(dataset: xr.Dataset, journal: Journal) -> int:
    """Return the number of chunks or shards of a prepared dataset that a journal records."""
    return sum(
        count(region_shape(region), Chunking.of(dataset[name].encoding).stored)
        for name, regions in journal.finished.items()
        if name in dataset
        for region in regions
    )


@dataclass(frozen=True)
class Target:
    """The store that a cube is written to.

    Parameters
    ----------
    store
        Empty, or with the finished chunks that *journal* records. It cannot be opened as a cube
        before it is complete.
    zarr_format
        3 (zstd with checksum) or 2 (Blosc lz4).
    journal
        Records finished regions, also if the run fails.
    """

    store: Store
    zarr_format: int
    journal: Journal | None = None


def write(dataset: xr.Dataset, grid: Grid, target: Target, workers: Workers, task: Task) -> None:
    """Write the chunks of a prepared dataset that its store lacks.

    Parameters
    ----------
    dataset
        From `prepare`; ``encoding["_FillValue"]`` of a variable is written.
    workers
        From `stacbuild.building.compute.open_workers`.
    task
        Advanced by one per chunk.

    Raises
    ------
    IntegrityError
        If a chunk is missing in the end.
    """
    store, journal = target.store, target.journal
    expected = metadata(dataset, target.zarr_format)
    if journal is not None and journal.finished and not holds(store, expected):
        # Another version wrote other metadata, so its chunks may not be compatible.
        sync(store.clear())
        journal.forget()
    for key, content in expected.items():
        if key not in ROOT:
            put(store, key, content)
    arrays = {
        str(name): open_for_writing(store, str(name), target.zarr_format)
        for name in dataset.data_vars
    }
    if journal is not None:
        _drop_damaged(store, arrays, journal)
    with Recorder(journal, arrays) as recorder:
        _write_regions(dataset, grid, recorder, workers, task)
    if journal is not None:
        journal.sweep()
    for name, stored in arrays.items():
        if (message := unwritten(store, stored)) is not None:
            if journal is not None:
                journal.forget()
            raise IntegrityError(f"{name}: {message}")
    for key in ROOT & expected.keys():
        put(store, key, expected[key])
    if journal is not None:
        journal.sync(expected)


def _write_regions(
    dataset: xr.Dataset, grid: Grid, recorder: Recorder, workers: Workers, task: Task
) -> None:
    lock = Lock()

    def advance(chunks: int) -> None:
        with lock:
            task.advance(chunks)

    def wrote(name: str, region: Region) -> None:
        recorder.add(name, region)
        advance(count(region_shape(region), stored_shape(recorder.arrays[name])))
        flight.check()

    with Flight(workers.in_flight, forget) as flight:
        for part in _parts(dataset, grid, recorder, advance, flight.begin):
            written = [Written(array, recorder.arrays[name]) for name, array in part.arrays.items()]
            compute = partial(write_region, workers.run, written, part.region, wrote)
            # Variables that are computed together hold the same blocks of sources, once.
            blocks = max(math.prod(array.data.numblocks) for array in part.arrays.values())
            flight.submit(compute, blocks)


@dataclass(frozen=True)
class _Part:
    """A region that is not finished of variables that are computed together; their lazy values."""

    region: Region
    arrays: dict[str, xr.DataArray]


def _parts(
    dataset: xr.Dataset,
    grid: Grid,
    recorder: Recorder,
    advance: Callable[[int], None],
    begin: Callable[[int], None],
) -> Iterator[_Part]:
    """Yield what is not finished of all variables, window by window.

    Parameters
    ----------
    advance
        Called with the number of finished chunks of each variable in a window.
    begin
        Called at the begin of each window with the uses of cached values so far: those that were
        last used before belong to earlier windows.
    """
    # Before other threads add to the journal.
    known = {name: recorder.recorded(name) for name in recorder.arrays}
    for names in by_grid_chunks(dataset, grid):
        groups = computed_together(dataset, names)
        for window in _windows(dataset[names[0]], grid):
            begin(uses())
            for group in groups:
                parts: dict[Region, dict[str, xr.DataArray]] = {}
                for name in group:
                    array, chunks = dataset[name].isel(window), stored_shape(recorder.arrays[name])
                    corner = [window.get(str(dim), slice(0, None)).start for dim in array.dims]
                    regions = missing(array.data.chunks, corner, known[name])
                    todo = sum(count(region_shape(region), chunks) for region in regions)
                    advance(count(array.shape, chunks) - todo)
                    for region in regions:
                        local = tuple(
                            slice(start - first, stop - first)
                            for (start, stop), first in zip(region, corner, strict=True)
                        )
                        parts.setdefault(region, {})[name] = array[local]
                yield from (_Part(region, arrays) for region, arrays in parts.items())


def _drop_damaged(store: Store, arrays: dict[str, zarr.Array[Any]], journal: Journal) -> None:
    """Drop the recorded regions whose chunks are missing or of another size."""
    for name in list(journal.finished):
        sizes = chunk_sizes(store, name)
        for region, recorded in list(journal.finished[name].items()):
            keys = chunk_keys(arrays[name], region)
            found = [sizes.get(key.removeprefix(f"{name}/")) for key in keys]
            if None in found or (recorded >= 0 and sum(filter(None, found)) != recorded):
                journal.drop(name, region)


def by_grid_chunks(dataset: xr.Dataset, grid: Grid) -> list[list[str]]:
    """Group the variables by the computed chunks of the grid's dimensions."""
    found: dict[Any, list[str]] = {}
    for name, array in dataset.data_vars.items():
        found.setdefault(tuple(array.chunksizes[dim] for dim in grid.dims), []).append(str(name))
    return list(found.values())


def _windows(array: xr.DataArray, grid: Grid) -> Iterator[dict[str, slice]]:
    """Yield the windows of the grid that a variable's computed chunks cover."""
    rows, cols = (
        [slice(*pair) for pair in pairwise(accumulate(array.chunksizes[dim], initial=0))]
        for dim in grid.dims
    )
    for window in product(rows, cols):
        yield dict(zip(grid.dims, window, strict=True))
