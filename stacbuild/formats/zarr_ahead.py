"""Fetch the coordinates of a remote Zarr group at the same time.

xarray reads one after the other when it opens a group, so each would take a round trip.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from stacbuild.formats.zarr_reused import reusing
from stacbuild.formats.zarr_values import DIMENSIONS

if TYPE_CHECKING:
    import zarr

# More are fetched while they are read: they take more time than round trips.
_MOST_CHUNKS, _MOST_BYTES = 64, 16 << 20


@contextmanager
def coordinates_ahead(group: zarr.Group) -> Iterator[None]:
    """Fetch the coordinates of a group, which are read in the context, from its remote store.

    Those of one dimension, as xarray reads them to open the group; where chunks are kept for
    windows of a cube, also scalar ones, which a cube inherits. Nothing is done for a local store,
    or a group without consolidated metadata.

    Raises
    ------
    Exception
        As reading the coordinates.
    """
    with reusing(group.store) as reuse:
        if reuse is not None:
            keys = list(_keys(group, scalars=reuse.keeps))
            if 1 < len(keys) <= _MOST_CHUNKS:
                sync(_fetch(group, keys))
        yield


async def _fetch(group: zarr.Group, keys: list[str]) -> None:
    prototype = default_buffer_prototype()
    await asyncio.gather(*(group.store.get(key, prototype) for key in keys))


def _keys(group: zarr.Group, *, scalars: bool) -> Iterator[str]:
    """Yield the keys of the chunks of coordinates, without large ones and shards."""
    consolidated = group.metadata.consolidated_metadata
    members: dict[str, Any] = dict(consolidated.metadata) if consolidated else {}
    for name, array in members.items():
        shape = getattr(array, "shape", None)
        if shape is None or len(shape) > 1 or (not shape and not scalars):
            continue
        if shape and _dims(array) != (name,):
            continue
        chunks = getattr(array, "chunks", None)
        dtype = array.dtype.to_native_dtype() if hasattr(array.dtype, "to_native_dtype") else None
        if chunks is None or dtype is None or _is_sharded(array):
            continue
        if math.prod(shape) * dtype.itemsize > _MOST_BYTES or not all(chunks):
            continue
        for index in np.ndindex(*(-(-n // size) for n, size in zip(shape, chunks, strict=True))):
            yield f"{name}/{array.encode_chunk_key(index)}"


def _dims(array: Any) -> tuple[str, ...]:
    named = getattr(array, "dimension_names", None) or array.attributes.get(DIMENSIONS)
    return tuple(named) if isinstance(named, list | tuple) else ()


def _is_sharded(array: Any) -> bool:
    # An index is read first, and chunks by their place in it.
    return any(type(codec).__name__ == "ShardingCodec" for codec in getattr(array, "codecs", ()))
