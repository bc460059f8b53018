"""Finished and missing regions of a cube that is being written.

A task is finished when its chunks are written. Finished regions are synced to disk and recorded in
the journal in batches, while other tasks run. So a run that dies loses a few seconds of work, or a
small share of the cube, however long its time axis is.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate, pairwise, product
from typing import TYPE_CHECKING, Any, Self

from stacbuild.formats.zarr_chunks import stored_shape

if TYPE_CHECKING:
    import zarr

    from stacbuild.storage.journal import Journal, Region

# Finished tasks are recorded after so many seconds, or so large a share of the cube's chunks.
_SECONDS = 10.0
_SHARE = 0.01


def count(shape: Sequence[int], chunks: Sequence[int]) -> int:
    """Return the number of chunks of an array, or of a region of one that begins with a chunk."""
    return math.prod(-(-length // size) for length, size in zip(shape, chunks, strict=True))


def region_shape(region: Region) -> list[int]:
    """Return the shape of a region."""
    return [stop - start for start, stop in region]


def chunk_keys(array: zarr.Array[Any], region: Region) -> Iterator[str]:
    """Yield the store keys of the chunks (or shards) in a region of whole ones."""
    spans = [
        range(start // size, -(-stop // size))
        for (start, stop), size in zip(region, stored_shape(array), strict=True)
    ]
    for index in product(*spans):
        yield f"{array.path}/{array.metadata.encode_chunk_key(index)}"


def merged(regions: Iterable[Region]) -> list[Region]:
    """Merge adjacent regions that share a whole side; the regions must not overlap."""
    found = list(regions)
    for dim in range(len(found[0]) if found else 0):
        # Regions that differ along this dimension only become neighbours in the list.
        found.sort(key=lambda region: (region[:dim], region[dim + 1 :], region[dim]))
        joined: list[Region] = []
        for region in found:
            last = joined[-1] if joined else None
            if (
                last is not None
                and last[:dim] == region[:dim]
                and last[dim + 1 :] == region[dim + 1 :]
                and last[dim][1] == region[dim][0]
            ):
                joined[-1] = (*region[:dim], (last[dim][0], region[dim][1]), *region[dim + 1 :])
            else:
                joined.append(region)
        found = joined
    return found


def missing(
    tasks: Sequence[Sequence[int]], corner: Sequence[int], known: Sequence[Region]
) -> list[Region]:
    """Return the regions of unfinished tasks, merged; the whole region if none is finished.

    Parameters
    ----------
    tasks
        Lengths of the tasks along each dimension of the region, as dask's chunks.
    corner
        First index of the region in each dimension of its array.
    known
        Finished regions of the array.
    """
    edges = [list(accumulate(sizes, initial=at)) for sizes, at in zip(tasks, corner, strict=True)]
    whole = tuple((each[0], each[-1]) for each in edges)
    near = [region for region in known if _overlap(region, whole)]
    if not near:
        return [whole]
    found = product(*(list(pairwise(each)) for each in edges))
    return merged(task for task in found if not any(_within(task, region) for region in near))


def _overlap(one: Region, other: Region) -> bool:
    return all(a[0] < b[1] and b[0] < a[1] for a, b in zip(one, other, strict=True))


def _within(inner: Region, outer: Region) -> bool:
    return all(b[0] <= a[0] and a[1] <= b[1] for a, b in zip(inner, outer, strict=True))


class Recorder:
    """Records finished regions in a journal, in its own thread, until the context is left.

    Parameters
    ----------
    journal
        None records nothing.
    arrays
        The stored variables, by name.
    """

    def __init__(self, journal: Journal | None, arrays: Mapping[str, zarr.Array[Any]]) -> None:
        self.arrays = arrays
        self._journal = journal
        self._batch = _SHARE * sum(
            count(array.shape, stored_shape(array)) for array in arrays.values()
        )
        self._waiting: dict[str, list[Region]] = {}
        self._chunks = 0
        self._since = time.monotonic()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._recording: Future[None] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Finished regions are recorded whatever ended the work. After an interrupt, threads may
        # still add some.
        with self._lock:
            self._closed = True
            try:
                if self._recording is not None:
                    self._recording.result()
                self._record(self._waiting)
            finally:
                self._thread.shutdown()

    def recorded(self, name: str) -> list[Region]:
        """Return the regions of a variable that the journal records as finished, merged."""
        return merged(self._journal.finished.get(name, ())) if self._journal is not None else []

    def add(self, name: str, region: Region) -> None:
        """Add a region of a variable that was written; any thread may."""
        with self._lock:
            if self._journal is not None and not self._closed:
                self._add(name, region)

    def _add(self, name: str, region: Region) -> None:
        self._waiting.setdefault(name, []).append(region)
        self._chunks += count(region_shape(region), stored_shape(self.arrays[name]))
        if self._chunks < self._batch and time.monotonic() - self._since < _SECONDS:
            return
        if self._recording is not None:
            if not self._recording.done() and self._chunks < 2 * self._batch:
                return
            # Bounds what waits: if the disk is slower than the computation, wait for the disk.
            self._recording.result()
        waiting, self._waiting, self._chunks = self._waiting, {}, 0
        self._since = time.monotonic()
        self._recording = self._thread.submit(self._record, waiting)

    def _record(self, waiting: Mapping[str, list[Region]]) -> None:
        if self._journal is None:
            return
        for name, regions in waiting.items():
            for region in merged(regions):
                self._journal.add(name, region, list(chunk_keys(self.arrays[name], region)))
