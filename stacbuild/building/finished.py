"""What is finished of a cube that is being written, as boxes of whole tasks, and what is not.

A task is finished when its chunks are written; they are then brought to disk and recorded in the
journal together with others, while more are computed. So no more is lost with a run than a few
seconds or a small part of a cube, however long its time axis is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate, pairwise, product
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import zarr

    from stacbuild.storage.journal import Journal, Region

# What may be finished and not recorded yet: seconds since the last time, and of the whole cube.
_SECONDS = 10.0
_SHARE = 0.01


def count(shape: Sequence[int], chunks: Sequence[int]) -> int:
    """Count the chunks that cover an array, or a region of one that begins with a chunk."""
    return math.prod(-(-length // size) for length, size in zip(shape, chunks, strict=True))


def lengths(place: Region) -> list[int]:
    """Return the lengths of a region."""
    return [stop - start for start, stop in place]


def chunk_keys(array: zarr.Array[Any], place: Region) -> Iterator[str]:
    """Yield the keys of the chunks in a region of whole chunks, from the store's root on."""
    spans = [
        range(start // size, -(-stop // size))
        for (start, stop), size in zip(place, array.chunks, strict=True)
    ]
    for index in product(*spans):
        yield f"{array.path}/{array.metadata.encode_chunk_key(index)}"


def merged(boxes: Iterable[Region]) -> list[Region]:
    """Put boxes together that have a whole side in common; they do not overlap."""
    found = list(boxes)
    for dim in range(len(found[0]) if found else 0):
        # Those that differ along this dimension only, one after the other.
        found.sort(key=lambda box: (box[:dim], box[dim + 1 :], box[dim]))
        joined: list[Region] = []
        for box in found:
            last = joined[-1] if joined else None
            if (
                last is not None
                and last[:dim] == box[:dim]
                and last[dim + 1 :] == box[dim + 1 :]
                and last[dim][1] == box[dim][0]
            ):
                joined[-1] = (*box[:dim], (last[dim][0], box[dim][1]), *box[dim + 1 :])
            else:
                joined.append(box)
        found = joined
    return found


def missing(
    tasks: Sequence[Sequence[int]], corner: Sequence[int], known: Sequence[Region]
) -> list[Region]:
    """Return boxes of all tasks of a region that are not finished, the region itself if none is.

    Parameters
    ----------
    tasks
        Lengths of the tasks' parts of the region along each dimension.
    corner
        Where in its array the region begins.
    known
        What is finished of the array.
    """
    edges = [list(accumulate(sizes, initial=at)) for sizes, at in zip(tasks, corner, strict=True)]
    whole = tuple((each[0], each[-1]) for each in edges)
    near = [box for box in known if _overlap(box, whole)]
    if not near:
        return [whole]
    found = product(*(list(pairwise(each)) for each in edges))
    return merged(task for task in found if not any(_within(task, box) for box in near))


def _overlap(one: Region, other: Region) -> bool:
    return all(a[0] < b[1] and b[0] < a[1] for a, b in zip(one, other, strict=True))


def _within(inner: Region, outer: Region) -> bool:
    return all(b[0] <= a[0] and a[1] <= b[1] for a, b in zip(inner, outer, strict=True))


class Recorder:
    """Records finished tasks in a journal, in a thread of its own; a context, left when all is.

    Parameters
    ----------
    journal
        None records nothing.
    arrays
        The stored variables, by name.
    """

    def __init__(self, journal: Journal | None, arrays: Mapping[str, zarr.Array[Any]]) -> None:
        self._journal = journal
        self._arrays = arrays
        self._many = _SHARE * sum(array.nchunks for array in arrays.values())
        self._waiting: dict[str, list[Region]] = {}
        self._chunks = 0
        self._since = time.monotonic()
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._recording: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Whatever ended the work: what is finished is kept.
        try:
            if self._recording is not None:
                self._recording.result()
            self._record()
        finally:
            self._beside.shutdown()

    def add(self, name: str, place: Region) -> None:
        """Take note that a region of a variable is written."""
        if self._journal is None:
            return
        self._waiting.setdefault(name, []).append(place)
        self._chunks += count(lengths(place), self._arrays[name].chunks)
        if self._chunks < self._many and time.monotonic() - self._since < _SECONDS:
            return
        if self._recording is not None:
            if not self._recording.done() and self._chunks < 2 * self._many:
                return
            # Not ever more: a disk that is slower than the work holds it up here.
            self._recording.result()
        taken, self._waiting, self._chunks = self._waiting, {}, 0
        self._since = time.monotonic()
        self._recording = self._beside.submit(self._record, taken)

    def _record(self, taken: Mapping[str, list[Region]] | None = None) -> None:
        if self._journal is None:
            return
        for name, places in (self._waiting if taken is None else taken).items():
            for place in merged(places):
                self._journal.add(name, place, list(chunk_keys(self._arrays[name], place)))
