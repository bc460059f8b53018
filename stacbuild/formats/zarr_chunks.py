"""The chunk manifest: number and bytes of the chunks (or shards) of a cube's variables.

To Zarr a missing chunk is one of fill values, so missing chunks are detected only by a count from
when the cube was complete. It is stored in the cube's item.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from zarr.storage import FsspecStore, LocalStore

from stacbuild.formats.zarr_bounds import BoundedStore
from stacbuild.formats.zarr_members import PartStore
from stacbuild.formats.zarr_reused import ReusedStore

if TYPE_CHECKING:
    import zarr
    from fsspec.spec import AbstractFileSystem
    from zarr.abc.store import Store

CHUNKS = "stacbuild:chunks"
"""Field of a cube's asset ``data``: ``{variable: {"count": chunks, "bytes": bytes}}``.

If the chunks are in shards, these are counted.
"""

Manifest = dict[str, dict[str, int]]

_METADATA = frozenset({"zarr.json", ".zarray", ".zattrs"})


def count_chunks(store: Store, variables: Iterable[str]) -> Manifest:
    """Return the number and bytes of the chunks of some variables in a complete store.

    Parameters
    ----------
    store
        Store of the root of the cube, local or of fsspec.
    variables
        Names of arrays in it.
    """
    return {name: totals(chunk_sizes(store, name)) for name in variables}


def totals(sizes: dict[str, int]) -> dict[str, int]:
    """Return the entry of a manifest for chunks of these sizes."""
    return {"count": len(sizes), "bytes": sum(sizes.values())}


def chunk_sizes(store: Store, variable: str) -> dict[str, int]:
    """Return the size of each chunk in a store, by its key below the variable.

    Every file below the variable counts except metadata, so stray files are found, too.

    Raises
    ------
    OSError, botocore.exceptions.BotoCoreError
        If the store cannot be listed.
    """
    while isinstance(store, PartStore | BoundedStore | ReusedStore):
        store = store.below
    if isinstance(store, LocalStore):
        found = _on_disk(str(store.root / variable), "")
    elif isinstance(store, FsspecStore):
        found = _listed(_blocking(store.fs), f"{store.path.rstrip('/')}/{variable}")
    else:
        msg = f"chunks of a {type(store).__name__} are not listed"
        raise TypeError(msg)
    return {key: size for key, size in found if key not in _METADATA}


def expected_keys(array: zarr.Array[Any]) -> Iterator[str]:
    """Yield the key, below the variable, of every chunk (or shard) of a complete array."""
    for index in stored_indices(array):
        yield array.metadata.encode_chunk_key(index)


def stored_shape(array: zarr.Array[Any]) -> tuple[int, ...]:
    """Return the shape of what one key of the store holds: a shard, or a chunk."""
    return array.shards or array.chunks


def stored_indices(array: zarr.Array[Any]) -> Iterator[tuple[int, ...]]:
    """Yield the index of each chunk, or of each shard if an array has any."""
    shape = stored_shape(array)
    yield from np.ndindex(*(-(-n // size) for n, size in zip(array.shape, shape, strict=True)))


def stored_region(array: zarr.Array[Any], index: Iterable[int]) -> tuple[slice, ...]:
    """Return the region of an array that the chunk or shard of this index holds."""
    return tuple(
        slice(at * size, min((at + 1) * size, length))
        for at, size, length in zip(index, stored_shape(array), array.shape, strict=True)
    )


def unwritten(store: Store, array: zarr.Array[Any]) -> str | None:
    """Return how many chunks or shards of an array a store lacks, as a message; None if none."""
    expected = list(expected_keys(array))
    found = chunk_sizes(store, array.path)
    missing = sum(key not in found for key in expected)
    what = "shards" if array.shards else "chunks"
    return f"{missing} of {len(expected)} {what} were not written" if missing else None


def _on_disk(directory: str, prefix: str) -> Iterator[tuple[str, int]]:
    try:
        entries = os.scandir(directory)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _on_disk(entry.path, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name, entry.stat().st_size


def _listed(fs: AbstractFileSystem, directory: str) -> Iterator[tuple[str, int]]:
    # A cached listing may be older than the cube.
    fs.invalidate_cache()
    # The memory file system puts a slash before every path.
    start = len(directory.strip("/")) + 1
    for path, info in fs.find(directory, detail=True).items():
        yield path.strip("/")[start:], info["size"]


def _blocking(fs: AbstractFileSystem) -> AbstractFileSystem:
    """Return the synchronous file system; zarr's own is asynchronous."""
    if isinstance(fs, AsyncFileSystemWrapper):
        return fs.sync_fs
    if not fs.asynchronous:
        return fs
    # One for all variables: each new one of s3fs reads botocore's models of services, 0.2 seconds.
    options = {**fs.storage_options, "asynchronous": False, "skip_instance_cache": False}
    return type(fs)(*fs.storage_args, **options)
