"""A Zarr store with limits on memory and codecs, and with attributes of the expected types.

A chunk of a few kilobytes can decompress to gigabytes, and metadata can state chunks and
coordinates of any length. The size of an array's chunks is noted when its metadata are read; a
compressed chunk whose header states far more is refused before it is decoded. Attributes are
repaired by `stacbuild.formats.zarr_attributes`.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.filesize import decimal
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

from stacbuild.errors import IntegrityError
from stacbuild.formats.zarr_attributes import odd_member, repaired, sound
from stacbuild.formats.zarr_codecs import refused_codec
from stacbuild.formats.zarr_sizes import compressors, decoded_size

Json = dict[str, Any]

MOST_CHUNK_BYTES = 2 << 30
"""Limit on the decoded bytes of a chunk."""

MOST_METADATA_BYTES = 256 << 20
MOST_VALUES = 10**9
"""Limit on the values of an array of one dimension: coordinates are read whole."""

_METADATA = ("zarr.json", ".zmetadata", ".zarray", ".zgroup", ".zattrs")
# Filters may store values in a wider type than the array's, and codecs add headers.
_WIDER = 8
_HEADERS = 1 << 20


class BoundedStore(WrapperStore[Store]):
    """A wrapper of a store with limits on memory, and with repaired attributes.

    Reading raises `IntegrityError` for metadata that are not JSON, and for metadata, chunks and
    coordinates beyond the limits of this module, naming *href* and key.
    """

    def __init__(
        self,
        store: Store,
        href: str = "",
        known: dict[str, _Array] | None = None,
        notes: dict[str, str] | None = None,
    ) -> None:
        super().__init__(store)
        self._href = href
        # Arrays by path, from their metadata; shared with copies of this store.
        self._known = {} if known is None else known
        self.notes = {} if notes is None else notes
        """Attributes that were left out, as texts that follow "its"."""

    @property
    def below(self) -> Store:
        """The wrapped store."""
        return self._store

    def _with_store(self, store: Store) -> BoundedStore:
        return type(self)(store, self._href, self._known, self.notes)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a value, or a range of it."""
        return self._checked(key, await self._store.get(key, prototype, byte_range))

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Read ranges of values."""
        ranges = list(key_ranges)
        found = await self._store.get_partial_values(prototype, ranges)
        return [self._checked(key, buffer) for (key, _), buffer in zip(ranges, found, strict=True)]

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        async for key, buffer in self._store._get_many(requests):  # noqa: SLF001 - as WrapperStore
            yield key, self._checked(key, buffer)

    def _checked(self, key: str, buffer: Buffer | None) -> Buffer | None:
        if buffer is None:
            return None
        path, _, name = key.rpartition("/")
        if name in _METADATA:
            if len(buffer) > MOST_METADATA_BYTES:
                raise IntegrityError(
                    f"{self._named(key)}: metadata of {decimal(len(buffer))}, the most that is "
                    f"read is {MOST_METADATA_BYTES >> 20} MB"
                )
            return self._repaired(path, name, buffer)
        array = self._array(key)
        if array is None:
            return buffer
        if array.refused is not None:
            raise IntegrityError(
                f"{self._named(key)}: is encoded with {array.refused!r}, a codec that is not used, "
                "as codecs can run code; write the array again with another one"
            )
        if not (limit := array.chunk_bytes):
            return buffer
        if limit > MOST_CHUNK_BYTES:
            raise IntegrityError(
                f"{self._named(key)}: a chunk of {decimal(limit)}, which has to be decoded at "
                "once; rechunk the store"
            )
        if array.repeated:
            raise IntegrityError(
                f"{self._named(key)}: is compressed twice, so that its size cannot be known before "
                "it is decoded; write the array again with one compressor"
            )
        most = limit * _WIDER + _HEADERS
        content = buffer.as_numpy_array().data.cast("B")
        stated = (
            decoded_bytes(bytes(content[:18]), len(content))
            if array.metadata is None
            else decoded_size(array.metadata, content, most)
        )
        if stated is not None and stated > most:
            raise IntegrityError(
                f"{self._named(key)}: decompresses to {decimal(stated)} where a chunk holds "
                f"{decimal(limit)}; the store is damaged or hostile"
            )
        return buffer

    def _repaired(self, path: str, name: str, buffer: Buffer) -> Buffer:
        """Return a metadata document with repaired attributes, after noting the size of chunks."""
        where = self._named(f"{path}/{name}".lstrip("/"))
        try:
            document = json.loads(buffer.to_bytes())
        except (ValueError, RecursionError) as error:
            text = " ".join(str(error).split())[:150]
            raise IntegrityError(
                f"{where}: is not JSON ({text}); fetch the store again, or write it again"
            ) from error
        if name == ".zattrs":
            found = sound(path, document, self.notes)
            changed, document = found != document, found
        elif not isinstance(document, dict):
            raise IntegrityError(
                f"{where}: is not a JSON object; fetch the store again, or write it again"
            )
        elif (odd := odd_member(name, document)) is not None:
            raise IntegrityError(
                f"{where}: {odd} is not a JSON object; write it again with "
                "zarr.consolidate_metadata"
            )
        else:
            changed = repaired(path, name, document, self.notes)
        for array, metadata in _arrays(path, name, document):
            is_sharded = "sharding_indexed" in str(metadata.get("codecs"))
            self._known[array] = _Array(
                _chunk_bytes(self._named(f"{array}/{name}"), metadata),
                refused_codec(metadata),
                repeated=len(compressors(metadata)) > 1,
                metadata=None if is_sharded else metadata,
            )
        return type(buffer).from_bytes(json.dumps(document).encode()) if changed else buffer

    def _named(self, key: str) -> str:
        return f"{self._href.rstrip('/')}/{key}" if self._href else key

    def _array(self, key: str) -> _Array | None:
        parts = key.split("/")
        # The longest path above the key that is an array's; keys of chunks may contain slashes.
        for length in range(len(parts) - 1, -1, -1):
            if (found := self._known.get("/".join(parts[:length]))) is not None:
                return found
        return None


@dataclass(frozen=True)
class _Array:
    """What the metadata of an array state of its chunks.

    Parameters
    ----------
    chunk_bytes
        Decoded bytes of one chunk, 0 if they cannot be determined.
    refused
        A codec that is not used.
    repeated
        Whether chunks are compressed more than once.
    metadata
        Its metadata; None if its chunks are in shards.
    """

    chunk_bytes: int
    refused: str | None
    repeated: bool
    metadata: Json | None


def decoded_bytes(start: bytes, length: int) -> int | None:
    """Return the decoded size that a compressed buffer states; None if it states none.

    Parameters
    ----------
    start
        Its first 18 bytes.
    length
        Its length.

    Notes
    -----
    Zstandard: RFC 8878, 3.1.1.1 (frame content size). Blosc 1: its 16-byte header
    (https://www.blosc.org/c-blosc/chunk_format.html). gzip states the length modulo 2**32 at its
    end, which can be forged.
    """
    if start[:4] == b"\x28\xb5\x2f\xfd" and len(start) >= 5:
        descriptor = start[4]
        single = bool(descriptor & 0x20)
        width = {0: 1 if single else 0, 1: 2, 2: 4, 3: 8}[descriptor >> 6]
        at = 5 + (not single) + {0: 0, 1: 1, 2: 2, 3: 4}[descriptor & 3]
        if width == 0 or len(start) < at + width:
            return None
        stated = int.from_bytes(start[at : at + width], "little")
        return stated + 256 if width == 2 else stated
    if len(start) >= 16 and start[0] in (1, 2) and int.from_bytes(start[12:16], "little") == length:
        return int.from_bytes(start[4:8], "little")
    return None


def _arrays(path: str, name: str, document: Json) -> Iterator[tuple[str, Json]]:
    """Yield path and metadata of each array in a metadata document."""
    if name == ".zarray" or (name == "zarr.json" and document.get("node_type") == "array"):
        yield path, document
    consolidated: Any = {}
    if name == ".zmetadata":
        consolidated = document.get("metadata")
    elif name == "zarr.json" and isinstance(document.get("consolidated_metadata"), dict):
        consolidated = document["consolidated_metadata"].get("metadata")
    for key, metadata in consolidated.items() if isinstance(consolidated, dict) else ():
        if not isinstance(metadata, dict) or ("shape" not in metadata):
            continue
        inner = key.removesuffix(".zarray").rstrip("/")
        yield f"{path}/{inner}".strip("/"), metadata


def _chunk_bytes(name: str, metadata: Json) -> int:
    """Return the decoded bytes of one chunk, 0 if they cannot be determined."""
    try:
        shape = [int(length) for length in metadata["shape"]]
        outer = metadata.get("chunks") or metadata["chunk_grid"]["configuration"]["chunk_shape"]
        inner = [
            codec["configuration"]["chunk_shape"]
            for codec in metadata.get("codecs") or ()
            if codec.get("name") == "sharding_indexed"
        ]
        chunks = [[int(length) for length in each] for each in (outer, *inner)]
        dtype = np.dtype(metadata.get("dtype") or metadata["data_type"])
        size = math.prod(chunks[-1]) * dtype.itemsize
    except (KeyError, TypeError, ValueError, AttributeError):
        return 0
    # zarr 3.1 opens such an array.
    if any(length < 1 for each in chunks for length, of in zip(each, shape, strict=False) if of):
        raise IntegrityError(f"{name}: its metadata state chunks of no length: {chunks[0]}")
    if len(shape) == 1 and shape[0] > MOST_VALUES:
        raise IntegrityError(
            f"{name}: has {shape[0]:.3g} values along one dimension; at most {MOST_VALUES:.0e} are "
            "read"
        )
    return 0 if dtype.hasobject else size
