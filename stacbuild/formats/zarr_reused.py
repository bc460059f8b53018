"""Chunks of a remote Zarr store, fetched once for all windows that need them.

Windows of a cube's grid cut through the chunks of a source: without a cache, a chunk at the corner
of four windows is fetched four times. What is kept are encoded chunks, in one cache of limited size
for all stores of the process.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

from stacbuild.formats.zarr_bounds import BoundedStore
from stacbuild.formats.zarr_members import PartStore

MAX_BYTES = 128 * 2**20
"""Limit on all chunks that are kept."""

_METADATA = frozenset({"zarr.json", ".zmetadata", ".zarray", ".zgroup", ".zattrs"})
# Of an entry without a chunk.
_ENTRY_BYTES = 200


@dataclass
class _Kept:
    """An LRU cache of fetched chunks; a chunk that is missing in its store is kept as None."""

    max_bytes: int
    _found: OrderedDict[Hashable, Buffer | None] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: Hashable) -> tuple[bool, Buffer | None]:
        with self._lock:
            if key not in self._found:
                return False, None
            self._found.move_to_end(key)
            return True, self._found[key]

    def put(self, key: Hashable, buffer: Buffer | None) -> None:
        with self._lock:
            if key in self._found:
                return
            self._found[key] = buffer
            self._bytes += _size(buffer)
            while self._bytes > self.max_bytes:
                self._bytes -= _size(self._found.popitem(last=False)[1])

    def drop(self, token: object) -> None:
        """Drop the chunks of a store."""
        with self._lock:
            for key in [key for key in self._found if isinstance(key, tuple) and key[0] is token]:
                self._bytes -= _size(self._found.pop(key))

    def clear(self) -> None:
        with self._lock:
            self._found.clear()
            self._bytes = 0


def _size(buffer: Buffer | None) -> int:
    return _ENTRY_BYTES + (0 if buffer is None else len(buffer))


_kept = _Kept(MAX_BYTES)


def forget_reused() -> None:
    """Release all chunks that are kept."""
    _kept.clear()


@dataclass
class _Reuse:
    """What copies of a store share: whether chunks are kept, and the requests in flight.

    They are kept only for now if *until*. Documents with metadata are remembered: xarray reads them
    again when it opens a group.
    """

    token: object = field(default_factory=object)
    active: bool = False
    until: bool = False
    documents: dict[str, Buffer | None] = field(default_factory=dict)
    waiting: dict[Hashable, asyncio.Task[Buffer | None]] = field(default_factory=dict)


class ReusedStore(WrapperStore[Store]):
    """A wrapper of a remote store that fetches each chunk once, from `reuse` on.

    Requests for a chunk that is being fetched wait for it. A failure is raised in all of them, and
    not kept.
    """

    def __init__(self, store: Store, reuse: _Reuse | None = None) -> None:
        super().__init__(store)
        self._reuse = _Reuse() if reuse is None else reuse

    @property
    def below(self) -> Store:
        """The wrapped store."""
        return self._store

    def _with_store(self, store: Store) -> ReusedStore:
        return type(self)(store, self._reuse)

    @property
    def keeps(self) -> bool:
        """Whether chunks are kept from now on."""
        return self._reuse.active and not self._reuse.until

    def reuse(self) -> None:
        """Keep chunks from now on."""
        self._reuse.active = True

    @contextmanager
    def reused(self) -> Iterator[None]:
        """Keep chunks in the context, and forget them then."""
        self._reuse.active = self._reuse.until = True
        try:
            yield
        finally:
            self._reuse.active = self._reuse.until = False
            _kept.drop(self._reuse.token)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a value, or a range of it."""
        if key.rpartition("/")[2] in _METADATA and byte_range is None:
            if not self._reuse.active or key not in self._reuse.documents:
                self._reuse.documents[key] = await self._store.get(key, prototype)
            return self._reuse.documents[key]
        if not self._reuse.active:
            return await self._store.get(key, prototype, byte_range)
        request = (self._reuse.token, key, prototype, byte_range)
        known, buffer = _kept.get(request)
        if known:
            return buffer
        # A task belongs to the loop that it was started in.
        flight = (*request, id(asyncio.get_running_loop()))
        task = self._reuse.waiting.get(flight)
        if task is None:
            task = asyncio.ensure_future(self._fetch(request, key, prototype, byte_range))
            self._reuse.waiting[flight] = task
            task.add_done_callback(lambda done: self._landed(flight, done))
        # Cancelling one reader must not cancel the others.
        return await asyncio.shield(task)

    def _landed(self, flight: Hashable, task: asyncio.Task[Buffer | None]) -> None:
        self._reuse.waiting.pop(flight, None)
        if not task.cancelled():
            # Retrieved, also if all readers were cancelled.
            task.exception()

    async def _fetch(
        self,
        request: Hashable,
        key: str,
        prototype: BufferPrototype,
        byte_range: ByteRequest | None,
    ) -> Buffer | None:
        buffer = await self._store.get(key, prototype, byte_range)
        _kept.put(request, buffer)
        return buffer


def reuse(store: Store) -> None:
    """Keep the chunks of a store from now on, if it is remote."""
    if (found := _reused(store)) is not None:
        found.reuse()


@contextmanager
def reusing(store: Store) -> Iterator[ReusedStore | None]:
    """Keep the chunks of a remote store in the context, if they are not kept anyway.

    The context is the store; None if it is local.
    """
    found = _reused(store)
    if found is None or found.keeps:
        yield found
        return
    with found.reused():
        yield found


def _reused(store: Store) -> ReusedStore | None:
    while isinstance(store, PartStore | BoundedStore):
        store = store.below
    return store if isinstance(store, ReusedStore) else None
