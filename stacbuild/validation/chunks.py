"""Check that all chunks of a cube exist, and can be decoded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from stacbuild import progress
from stacbuild.errors import IntegrityError
from stacbuild.formats.zarr_chunks import (
    CHUNKS,
    chunk_sizes,
    expected_keys,
    stored_indices,
    stored_region,
    stored_shape,
    totals,
)
from stacbuild.formats.zarr_errors import read_error
from stacbuild.validation.found import Found
from stacbuild.validation.shards import Region, missing_chunks, unreadable_chunks

if TYPE_CHECKING:
    import pystac


Json = dict[str, Any]

# Memory for decoded chunks while all are read.
_BYTES_AT_ONCE = 512 * 2**20
# Number of chunks in a message; `Found.damaged` has all of them.
_NAMED = 5


@dataclass(frozen=True)
class Opened:
    """The Zarr group that is checked.

    Parameters
    ----------
    name
        Name of the cube, for progress.
    read, options
        The URL that it was opened at, and the s3fs options.
    """

    name: str
    group: zarr.Group
    read: str
    options: Json | None


def check_chunks(
    opened: Opened,
    variables: Sequence[str],
    asset: pystac.Asset | None,
    found: Found,
    *,
    deep: bool,
) -> None:
    """Compare the chunks of arrays with the item's manifest, and with *deep* decode them.

    Parameters
    ----------
    variables
        Paths of the arrays below the group.
    asset
        The asset with the manifest; None for a cube in memory.
    found
        Collects the problems.
    """
    read = opened.read
    arrays: dict[str, zarr.Array[Any]] = {each: opened.group[each] for each in variables}  # type: ignore[misc]
    manifest = asset.extra_fields.get(CHUNKS) if asset else None
    if asset and manifest is None:
        found.notes.append(
            f"{read}: was built without chunk counts; only checked that each chunk exists"
        )
    for missing in (manifest or {}).keys() - arrays.keys():
        found.wrong(f"{read}: {missing}: the variable is missing, but its item lists it")
    listed = not read.startswith(("http://", "https://"))
    if not listed:
        found.notes.append(
            f"{read}: missing chunks cannot be found, since a web server does not list them; "
            "use a configuration, or an address on S3"
        )
    suspects = dict(arrays) if deep else {}
    for variable, array in arrays.items():
        if listed and not _check_listing(read, variable, array, manifest, found):
            suspects[variable] = array
    if suspects:
        total = sum(sum(1 for _ in stored_indices(array)) for array in suspects.values())
        with progress.task(f"{opened.name}: read", total=total, unit="chunks") as task:
            for variable, array in suspects.items():
                before = len(found.problems)
                _read_chunks(opened, variable, array, task.advance, found)
                if listed and len(found.problems) == before:
                    _check_total(read, variable, array, manifest, found)
    if deep:
        unsure = [variable for variable, array in arrays.items() if not _has_checksum(array)]
        if unsure:
            found.notes.append(
                f"{read}: chunks of {', '.join(unsure)} have no checksum (Zarr format 2 has "
                "none): changes that can still be decoded cannot be found"
            )


def _check_listing(
    read: str, variable: str, array: zarr.Array[Any], manifest: Any, found: Found
) -> bool:
    """Report missing chunks and foreign files; return whether all bytes are as in the manifest."""
    sizes = chunk_sizes(array.store, variable)
    expected = dict.fromkeys(expected_keys(array))
    found.chunks += len(sizes)
    found.bytes += sum(sizes.values())
    missing = [key for key in expected if key not in sizes]
    foreign = [key for key in sizes if key not in expected]
    if missing:
        found.damaged.setdefault(variable, []).extend(missing)
        found.wrong(
            f"{read}: {variable}: {len(missing)} of {len(expected)} {_unit(array)} are missing: "
            f"{_names(array, missing)}; {found.rebuild}"
        )
    if foreign:
        found.wrong(
            f"{read}: {variable}: has files that are not its chunks: {', '.join(foreign[:_NAMED])}"
            f"{f' and {len(foreign) - _NAMED} more' if len(foreign) > _NAMED else ''}; remove them"
        )
    stated = (manifest or {}).get(variable)
    return not missing and not foreign and stated in (None, totals(sizes))


def _check_total(
    read: str, variable: str, array: zarr.Array[Any], manifest: Any, found: Found
) -> None:
    """Report a different size, if no chunk is missing or damaged."""
    sizes = chunk_sizes(array.store, variable)
    stated = (manifest or {}).get(variable)
    if stated is None or len(sizes) != stated["count"] or variable in found.damaged:
        return
    more = sum(sizes.values()) - stated["bytes"]
    if more:
        found.wrong(
            f"{read}: {variable}: its chunks can be read, but have {abs(more)} bytes "
            f"{'more' if more > 0 else 'fewer'} than when they were written: something else "
            f"modified them; {found.rebuild}"
        )


def _read_chunks(
    opened: Opened,
    variable: str,
    array: zarr.Array[Any],
    advance: Callable[[], None],
    found: Found,
) -> None:
    """Decode every chunk, which compares checksums; a limited number at a time."""
    known = set(found.damaged.get(variable, ()))
    bad: list[str] = []
    inner: dict[str, list[Region]] = {}
    message = ""
    for index, error, regions in _decoded(array):
        advance()
        if error is None:
            continue
        failure = read_error(error, opened.read, opened.options)
        key = array.metadata.encode_chunk_key(index)
        if not isinstance(failure, IntegrityError):
            # The disk or the server failed, so the other chunks would fail, too.
            found.problems.append(
                type(failure)(
                    f"{failure} (chunk {key} of {variable}, "
                    f"{_window(array, stored_region(array, index))})"
                )
            )
            break
        if key not in known:
            bad.append(key)
            inner[key] = regions
            message = message or " ".join(str(error).split())
    if bad:
        found.damaged.setdefault(variable, []).extend(bad)
        found.wrong(
            f"{opened.read}: {variable}: {len(bad)} of {sum(1 for _ in stored_indices(array))} "
            f"{_unit(array)} are damaged: {_names(array, bad, inner)} ({message}); {found.rebuild}"
        )


_Decoded = tuple[tuple[int, ...], Exception | None, list[Region]]


def _decoded(array: zarr.Array[Any]) -> Iterator[_Decoded]:
    """Yield the index of each chunk or shard, why it is damaged, and the damaged part of a shard.

    The part is empty if it is unknown, or all of the shard.
    """
    size = max(1, int(np.prod(stored_shape(array))) * array.dtype.itemsize)
    workers = max(1, min(os.cpu_count() or 1, _BYTES_AT_ONCE // size))

    def read(index: tuple[int, ...]) -> _Decoded:
        try:
            array[stored_region(array, index)]
            missing = missing_chunks(array, index) if array.shards else []
        except Exception as error:  # noqa: BLE001 - codecs raise various errors; returned to the caller
            return index, error, unreadable_chunks(array, index) if array.shards else []
        return index, IntegrityError("missing in the index") if missing else None, missing

    waiting: set[Future[_Decoded]] = set()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for index in stored_indices(array):
                waiting.add(pool.submit(read, index))
                if len(waiting) >= 2 * workers:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            yield from (future.result() for future in waiting)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _unit(array: zarr.Array[Any]) -> str:
    return "shards" if array.shards else "chunks"


def _names(
    array: zarr.Array[Any],
    keys: Sequence[str],
    inner: Mapping[str, Sequence[Region]] = MappingProxyType({}),
) -> str:
    """Return keys and windows of chunks or shards for a message, the first few of many.

    *inner* has the damaged chunks of shards, which are named instead of the whole shards.
    """
    wanted = set(keys[:_NAMED])
    windows = {
        key: "; ".join(
            _window(array, region)
            for region in (inner.get(key) or [stored_region(array, index)])[:_NAMED]
        )
        for index in stored_indices(array)
        if (key := array.metadata.encode_chunk_key(index)) in wanted
    }
    text = ", ".join(f"{key} [{windows[key]}]" for key in keys[:_NAMED])
    return text + (f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else "")


def _window(array: zarr.Array[Any], window: Region) -> str:
    # In format 2 xarray stores the names of dimensions in an attribute.
    names: Any = getattr(array.metadata, "dimension_names", None)
    names = names or array.attrs.get("_ARRAY_DIMENSIONS")
    names = names or [f"axis {axis}" for axis in range(array.ndim)]
    return ", ".join(
        f"{dim} {region.start}:{region.stop}" for dim, region in zip(names, window, strict=True)
    )


def _has_checksum(array: zarr.Array[Any]) -> bool:
    """Return whether a codec of the chunks has a checksum."""
    names = [type(codec).__name__ for codec in array.compressors]
    return any("Crc32" in name for name in names) or any(
        getattr(codec, "checksum", False) for codec in array.compressors
    )
