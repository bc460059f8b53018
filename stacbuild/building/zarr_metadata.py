"""The metadata of a cube's Zarr group: everything but the chunks of its variables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dask.array as da
import numcodecs
import pandas as pd
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import MemoryStore, WrapperStore

from stacbuild.planning.chunking import Chunking

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest, Store
    from zarr.core.buffer import BufferPrototype

# Higher levels take longer and save little. The checksum is zstd's own, which GDAL verifies too (it
# cannot read zarr's crc32c codec).
_ZSTD_LEVEL = 1

ROOT = frozenset({"zarr.json", ".zgroup", ".zattrs", ".zmetadata"})
"""The keys of the group's own metadata. Without them a store cannot be opened."""

DOCUMENTS = ROOT | {".zarray"}
"""The names of all documents with metadata."""


def metadata(dataset: xr.Dataset, zarr_format: int) -> dict[str, bytes]:
    """Return everything but the chunks of the variables, by store key; consolidated.

    Parameters
    ----------
    dataset
        Each variable with ``encoding["chunks"]`` of the store, ``encoding["shards"]`` and
        ``_FillValue`` if it has any.
    zarr_format
        3 (zstd with checksum) or 2 (Blosc lz4).
    """
    content: dict[str, Buffer] = {}
    store = MemoryStore(content)
    _write_metadata(dataset, store, zarr_format)
    consolidate(store, zarr_format)
    return {key: found.to_bytes() for key, found in content.items()}


def consolidate(store: Store, zarr_format: int) -> None:
    """Write the consolidated metadata of a store to its root."""
    if zarr_format == 2:
        zarr.consolidate_metadata(store, zarr_format=2)
        return
    # In format 3 zarr's own function does the same, but warns that it is not in the standard yet.
    # That warning could only be silenced by a filter for the whole process.
    members = dict(_members(store, ""))
    order = sorted(members, key=lambda path: (path.count("/"), path.casefold()))
    root = _document(store, "zarr.json") or {}
    root["consolidated_metadata"] = _inline({path: members[path] for path in order})
    put(store, "zarr.json", json.dumps(root, indent=2).encode())


def _members(store: Store, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the metadata of each node below a group by its path."""
    for name in sync(_names(store, path)):
        inner = f"{path}/{name}" if path else name
        document = _document(store, f"{inner}/zarr.json")
        if document is None:
            continue
        if document["node_type"] == "group":
            document["consolidated_metadata"] = _inline({})
            yield from _members(store, inner)
        yield inner, document


def _inline(members: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "inline", "must_understand": False, "metadata": members}


async def _names(store: Store, path: str) -> list[str]:
    return [name.strip("/") async for name in store.list_dir(path)]


def _document(store: Store, key: str) -> dict[str, Any] | None:
    found = sync(store.get(key, default_buffer_prototype()))
    return None if found is None else json.loads(found.to_bytes())


def put(store: Store, key: str, content: bytes) -> None:
    """Write the content of one key."""
    sync(store.set(key, default_buffer_prototype().buffer.from_bytes(content)))


def open_for_writing(store: Store, path: str, zarr_format: int) -> zarr.Array[Any]:
    """Open an array so that all chunks are written, even those of fill values only.

    The setting travels with the array to other processes; `zarr.config` would affect every builder
    of this process.
    """
    array = zarr.open_array(store, path=path, mode="r+", zarr_format=zarr_format)  # type: ignore[arg-type]
    if array.shards:
        array = zarr.open_array(_Unread(store), path=path, mode="r+", zarr_format=3)
    return array.with_config({"write_empty_chunks": True})


class _Unread(WrapperStore["Store"]):
    """A store whose chunks seem to be missing.

    zarr reads a shard before it writes it, even as a whole, and keeps the chunks of it that are not
    written. That is a request more, and fails if an earlier run left a shard that is damaged.
    """

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        if key.rpartition("/")[2] not in DOCUMENTS:
            return None
        return await self._store.get(key, prototype, byte_range)


def holds(store: Store, expected: dict[str, bytes]) -> bool:
    """Return whether a store has these metadata, ignoring the group's, which are written last."""
    prototype = default_buffer_prototype()
    return all(
        (found := sync(store.get(key, prototype))) is not None and found.to_bytes() == content
        for key, content in expected.items()
        if key not in ROOT
    )


def _write_metadata(dataset: xr.Dataset, store: Store, zarr_format: int) -> None:
    shells = dataset.copy()
    encoding: dict[str, dict[str, Any]] = {}
    for name, array in dataset.data_vars.items():
        # Not computed, and cheap, since it is a single dask block.
        shell = da.zeros(array.shape, dtype=array.dtype, chunks=-1)
        shells[name] = (array.dims, shell, array.attrs)
        encoding[str(name)] = {
            **Chunking.of(array.encoding).encoding,
            "grid_mapping": "spatial_ref",
            **_codec(zarr_format),
        }
        if "_FillValue" in array.encoding:
            encoding[str(name)]["_FillValue"] = array.encoding["_FillValue"]
        if zarr_format == 3 and "fill_value" in array.encoding:
            # In format 2 it is the same field as _FillValue.
            encoding[str(name)]["fill_value"] = array.encoding["fill_value"]
    if "time" in dataset.coords and dataset["time"].dtype.kind == "M":
        encoding["time"] = {"units": _time_units(dataset["time"]), "dtype": "int64"}
    for name, coordinate in dataset.coords.items():
        encoding.setdefault(str(name), {}).update(_FillValue=None, **_codec(zarr_format))
        if coordinate.dtype.kind in "UT":
            # Format 3 has no type for fixed-length strings that other programs can read.
            shells[name] = (coordinate.dims, coordinate.values.astype(object), coordinate.attrs)
    # `Dataset.to_zarr(compute=False)` does the same, but also builds a dask graph of the shells,
    # for which dask imports `distributed` (half a second).
    target = xr.backends.ZarrStore.open_group(
        store, mode="w-", zarr_format=zarr_format, consolidated=False
    )
    shells.dump_to_store(target, encoding=encoding)


def _time_units(times: xr.DataArray) -> str:
    """Return the longest unit that all times are whole numbers of."""
    units = ("days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds")
    since = pd.DatetimeIndex(times.values.ravel()) - pd.Timestamp(0)
    unit = next(unit for unit in units if (since % pd.Timedelta(1, unit) == pd.Timedelta(0)).all())
    return f"{unit} since 1970-01-01"


def _codec(zarr_format: int) -> dict[str, Any]:
    if zarr_format == 2:
        blosc = numcodecs.Blosc(cname="lz4", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE)
        return {"compressors": blosc}
    return {"compressors": ZstdCodec(level=_ZSTD_LEVEL, checksum=True)}
