"""A lazy dataset to a Zarr store: every chunk once, part by part; the group's metadata last."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr
from zarr.core.sync import sync

from stacbuild.cubes.compute import write_region
from stacbuild.cubes.zarr_metadata import ROOT, holds, metadata, open_for_writing, put
from stacbuild.describe.zarr_chunks import chunk_sizes
from stacbuild.errors import IntegrityError
from stacbuild.load import forget

if TYPE_CHECKING:
    from zarr.abc.store import Store

    from stacbuild.cubes.compute import Run
    from stacbuild.cubes.journal import Journal, Region
    from stacbuild.grid import Grid
    from stacbuild.progress import Task


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
    return sum(
        _covered(array.shape, array.encoding["chunks"]) for array in dataset.data_vars.values()
    )


def write(
    dataset: xr.Dataset,
    grid: Grid,
    store: Store,
    *,
    zarr_format: int,
    run: Run,
    task: Task,
    journal: Journal | None = None,
) -> None:
    """Write a prepared dataset into a store, or what is not there yet of it.

    Parameters
    ----------
    dataset
        From `prepare`; ``encoding["_FillValue"]`` of a variable is kept.
    store
        Of zarr-python: empty, or with what *journal* tells of. It cannot be opened as a cube
        before the last lines of this function.
    zarr_format
        3 (zstd with checksum) or 2 (Blosc lz4).
    run
        From `stacbuild.cubes.compute.open_workers`.
    task
        Advanced by one a chunk.
    journal
        Of the regions that are finished; each is recorded in it as soon as it is on disk.

    Raises
    ------
    IntegrityError
        If a chunk is not there in the end.
    """
    expected = metadata(dataset, zarr_format)
    if journal is not None and journal.finished and not holds(store, expected):
        # As after a change of what writes: nothing there would fit.
        sync(store.clear())
        journal.forget()
    for key, content in expected.items():
        if key not in ROOT:
            put(store, key, content)
    arrays = {
        str(name): open_for_writing(store, str(name), zarr_format) for name in dataset.data_vars
    }
    if journal is not None:
        _drop_damaged(store, arrays, journal)
    _write_regions(dataset, grid, arrays, run, task, journal)
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
    run: Run,
    task: Task,
    journal: Journal | None,
) -> None:
    # One region is brought to disk and recorded while the next is computed.
    with ThreadPoolExecutor(1, thread_name_prefix="journal") as beside:
        recording: Future[None] | None = None
        # One part of the grid after the other, and one variable after the other in it: what the
        # bands share there (index map, decoded blocks) is then needed by all tasks under way, and
        # by none that come later.
        for names in _alike(dataset, grid):
            for part in _parts(dataset[names[0]], grid):
                for name in names:
                    array = dataset[name].isel(part)
                    region = tuple(
                        part.get(str(dim), slice(0, dataset.sizes[dim])) for dim in array.dims
                    )
                    place = tuple((slc.start, slc.stop) for slc in region)
                    if journal is not None and place in journal.finished.get(name, ()):
                        task.advance(_covered(array.shape, arrays[name].chunks))
                        continue
                    write_region(run, array, arrays[name], region, task.advance)
                    if recording is not None:
                        recording.result()
                    if journal is not None:
                        keys = list(_keys(arrays[name], place))
                        recording = beside.submit(journal.add, name, place, keys)
                forget()
        if recording is not None:
            recording.result()


def _drop_damaged(store: Store, arrays: dict[str, zarr.Array[Any]], journal: Journal) -> None:
    """Write those regions again whose chunks are not as they were recorded."""
    for name in list(journal.finished):
        sizes = chunk_sizes(store, name)
        for place, recorded in list(journal.finished[name].items()):
            found = [sizes.get(key.removeprefix(f"{name}/")) for key in _keys(arrays[name], place)]
            if None in found or (recorded >= 0 and sum(filter(None, found)) != recorded):
                journal.drop(name, place)


def _keys(array: zarr.Array[Any], place: Region) -> Iterator[str]:
    """Give the keys of the chunks in a region, which is whole chunks, from the store's root on."""
    spans = [
        range(start // size, -(-stop // size))
        for (start, stop), size in zip(place, array.chunks, strict=True)
    ]
    for index in product(*spans):
        yield f"{array.path}/{array.metadata.encode_chunk_key(index)}"


def _alike(dataset: xr.Dataset, grid: Grid) -> list[list[str]]:
    """Put together the variables that are computed in the same parts of the grid."""
    found: dict[Any, list[str]] = {}
    for name, array in dataset.data_vars.items():
        found.setdefault(tuple(array.chunksizes[dim] for dim in grid.dims), []).append(str(name))
    return list(found.values())


def _parts(array: xr.DataArray, grid: Grid) -> Iterator[dict[str, slice]]:
    """Give the parts of the grid that the variable's computed chunks divide it into."""
    row, col = grid.dims
    edges = {dim: np.cumsum([0, *array.chunksizes[dim]]) for dim in (row, col)}
    for top, bottom in pairwise(edges[row]):
        for left, right in pairwise(edges[col]):
            yield {row: slice(int(top), int(bottom)), col: slice(int(left), int(right))}


def _covered(shape: Sequence[int], chunks: Sequence[int]) -> int:
    """Count the chunks that cover an array."""
    return math.prod(-(-length // size) for length, size in zip(shape, chunks, strict=True))
