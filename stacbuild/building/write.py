"""Write a lazy dataset to a Zarr store: every chunk once, region by region; group metadata last.

Within a region one variable follows the other, so what its bands share (index maps, decoded
windows) is needed by all tasks under way and by none that come later, and is dropped at the end of
the region. Each region is a graph of its own, with one task per band and work unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr
from zarr.core.sync import sync

from stacbuild.building.compute import write_region
from stacbuild.building.finished import Recorder, chunk_keys, count, lengths, merged, missing
from stacbuild.building.zarr_metadata import ROOT, holds, metadata, open_for_writing, put
from stacbuild.errors import IntegrityError
from stacbuild.formats.zarr_chunks import chunk_sizes
from stacbuild.loading import forget

if TYPE_CHECKING:
    from zarr.abc.store import Store

    from stacbuild.building.workers import Run
    from stacbuild.geo.grid import Grid
    from stacbuild.progress import Task
    from stacbuild.storage.journal import Journal, Region


def prepare(dataset: xr.Dataset, grid: Grid, chunksize: dict[str, int]) -> xr.Dataset:
    """Chunk a dataset as it is to be computed, and say how it is to be stored.

    Stored chunks are the grid's tiles, and 1 along other dimensions, unless *chunksize* says
    otherwise: ``encoding["chunks"]`` of each variable. Chunks that are computed are whole numbers
    of them, those of the dataset where they are already.
    """
    sizes = dict.fromkeys(map(str, dataset.dims), 1)
    sizes |= dict(zip(grid.dims, grid.tile, strict=True)) | chunksize
    prepared = dataset.copy()
    for name, array in dataset.data_vars.items():
        stored = {str(dim): min(sizes[str(dim)], array.sizes[dim]) for dim in array.dims}
        computed = {
            dim: stored[str(dim)]
            for dim, chunks in array.chunksizes.items()
            if any(length % stored[str(dim)] for length in chunks[:-1])
        }
        missing = {dim: stored[str(dim)] for dim in array.dims if dim not in array.chunksizes}
        chunked = array.chunk(computed | missing)
        chunked.encoding = array.encoding | {"chunks": tuple(stored.values())}
        prepared[name] = chunked
    return prepared


def chunk_count(dataset: xr.Dataset) -> int:
    """Count the stored chunks of all variables of a prepared dataset."""
    return sum(count(array.shape, array.encoding["chunks"]) for array in dataset.data_vars.values())


def kept_chunks(dataset: xr.Dataset, journal: Journal) -> int:
    """Count the stored chunks of a prepared dataset that a journal tells to be finished."""
    return sum(
        count(lengths(place), dataset[name].encoding["chunks"])
        for name, places in journal.finished.items()
        if name in dataset
        for place in places
    )


@dataclass(frozen=True)
class _Work:
    """Who computes, and who is told of it."""

    run: Run
    task: Task


@dataclass(frozen=True)
class Target:
    """Where a cube is written to.

    Parameters
    ----------
    store
        Of zarr-python: empty, or with what *journal* tells of. It cannot be opened as a cube
        before all of it is written.
    zarr_format
        3 (zstd with checksum) or 2 (Blosc lz4).
    journal
        Of what is finished. It is added to while the others are computed: after some seconds or
        a fiftieth of the cube, and whatever ends the run.
    """

    store: Store
    zarr_format: int
    journal: Journal | None = None


def write(dataset: xr.Dataset, grid: Grid, target: Target, run: Run, task: Task) -> None:
    """Write a prepared dataset into a store, or what is not there yet of it.

    Parameters
    ----------
    dataset
        From `prepare`; ``encoding["_FillValue"]`` of a variable is kept.
    run
        From `stacbuild.building.compute.open_workers`.
    task
        Advanced by one a chunk.

    Raises
    ------
    IntegrityError
        If a chunk is not there in the end.
    """
    store, journal = target.store, target.journal
    expected = metadata(dataset, target.zarr_format)
    if journal is not None and journal.finished and not holds(store, expected):
        # As after a change of what writes: nothing there would fit.
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
    _write_regions(dataset, grid, arrays, journal, _Work(run, task))
    if journal is not None:
        journal.sweep()
    for name, stored in arrays.items():
        if stored.nchunks_initialized != stored.nchunks:
            if journal is not None:
                journal.forget()
            raise IntegrityError(
                f"{name}: {stored.nchunks - stored.nchunks_initialized} of {stored.nchunks} chunks "
                "were not written"
            )
    for key in ROOT & expected.keys():
        put(store, key, expected[key])
    if journal is not None:
        journal.sync(expected)


def _write_regions(
    dataset: xr.Dataset,
    grid: Grid,
    arrays: dict[str, zarr.Array[Any]],
    journal: Journal | None,
    work: _Work,
) -> None:
    # As it was before anything is added to it, in another thread.
    known = {
        name: merged(journal.finished.get(name, ())) if journal is not None else []
        for name in arrays
    }
    with Recorder(journal, arrays) as recorder:
        # One part of the grid after the other, and one variable after the other in it: what the
        # bands share there (index map, decoded blocks) is then needed by all tasks under way, and
        # by none that come later.
        for names in _alike(dataset, grid):
            for part in _parts(dataset[names[0]], grid):
                for name in names:
                    array, stored = dataset[name].isel(part), arrays[name]
                    corner = tuple(
                        part[str(dim)].start if str(dim) in part else 0 for dim in array.dims
                    )
                    blocks = missing(array.data.chunks, corner, known[name])
                    todo = sum(count(lengths(block), stored.chunks) for block in blocks)
                    work.task.advance(count(array.shape, stored.chunks) - todo)
                    for block in blocks:
                        left = tuple(
                            slice(start - at, end - at)
                            for (start, end), at in zip(block, corner, strict=True)
                        )

                        def wrote(place: Region, name: str = name) -> None:
                            work.task.advance(count(lengths(place), arrays[name].chunks))
                            recorder.add(name, place)

                        region = tuple(slice(start, end) for start, end in block)
                        write_region(work.run, array[left], stored, region, wrote)
                forget()


def _drop_damaged(store: Store, arrays: dict[str, zarr.Array[Any]], journal: Journal) -> None:
    """Write those regions again whose chunks are not as they were recorded."""
    for name in list(journal.finished):
        sizes = chunk_sizes(store, name)
        for place, recorded in list(journal.finished[name].items()):
            keys = chunk_keys(arrays[name], place)
            found = [sizes.get(key.removeprefix(f"{name}/")) for key in keys]
            if None in found or (recorded >= 0 and sum(filter(None, found)) != recorded):
                journal.drop(name, place)


def _alike(dataset: xr.Dataset, grid: Grid) -> list[list[str]]:
    """Put together the variables that are computed in the same parts of the grid."""
    found: dict[Any, list[str]] = {}
    for name, array in dataset.data_vars.items():
        found.setdefault(tuple(array.chunksizes[dim] for dim in grid.dims), []).append(str(name))
    return list(found.values())


def _parts(array: xr.DataArray, grid: Grid) -> Iterator[dict[str, slice]]:
    """Yield the parts of the grid that the variable's computed chunks divide it into."""
    row, col = grid.dims
    edges = {dim: np.cumsum([0, *array.chunksizes[dim]]) for dim in (row, col)}
    for top, bottom in pairwise(edges[row]):
        for left, right in pairwise(edges[col]):
            yield {row: slice(int(top), int(bottom)), col: slice(int(left), int(right))}
