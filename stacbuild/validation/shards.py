"""Find the chunks of a shard that are missing or damaged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.abc.store import SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from stacbuild.formats.zarr_chunks import stored_region

if TYPE_CHECKING:
    import zarr

# An entry of the index is offset and length as uint64; both are 2**64 - 1 for a missing chunk. The
# checksum follows (https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html).
_ENTRY, _CHECKSUM = 16, 4
_MISSING = np.uint64(2**64 - 1)

Region = tuple[slice, ...]


def missing_chunks(array: zarr.Array[Any], index: Sequence[int]) -> list[Region]:
    """Return the regions of the chunks that the index of a shard states to be missing.

    To Zarr they are chunks of fill values. stacbuild writes every chunk, with its index at the end
    of the shard, so a missing one is damage.

    Parameters
    ----------
    array
        An array with shards, as stacbuild writes them.
    index
        The index of a shard that can be read.
    """
    assert array.shards is not None  # noqa: S101 - as documented
    counts = [shard // chunk for shard, chunk in zip(array.shards, array.chunks, strict=True)]
    length = _ENTRY * math.prod(counts)
    key = f"{array.path}/{array.metadata.encode_chunk_key(tuple(index))}".lstrip("/")
    request = SuffixByteRequest(length + _CHECKSUM)
    found = sync(array.store.get(key, default_buffer_prototype(), request))
    if found is None:
        return []
    entries = np.frombuffer(found.to_bytes()[:length], "<u8").reshape(*counts, 2)
    return [region for at, region in chunks_of(array, index) if entries[(*at, 0)] == _MISSING]


def unreadable_chunks(array: zarr.Array[Any], index: Sequence[int]) -> list[Region]:
    """Return the regions of the chunks of a shard that cannot be decoded."""
    bad = []
    for _, region in chunks_of(array, index):
        try:
            array[region]
        except Exception:  # noqa: BLE001 - codecs raise various errors
            bad.append(region)
    return bad


def chunks_of(
    array: zarr.Array[Any], index: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], Region]]:
    """Yield the index within the shard, and the region, of each chunk of a shard.

    Chunks that lie wholly beyond the array are left out.
    """
    whole = stored_region(array, index)
    counts = [
        -(-(part.stop - part.start) // chunk)
        for part, chunk in zip(whole, array.chunks, strict=True)
    ]
    for at in np.ndindex(*counts):
        yield (
            at,
            tuple(
                slice(part.start + i * chunk, min(part.start + (i + 1) * chunk, part.stop))
                for i, part, chunk in zip(at, whole, array.chunks, strict=True)
            ),
        )
