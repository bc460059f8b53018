"""Where the parts of a cube are computed: threads, processes, one after the other, or a cluster.

All of them run the same graph, whose last tasks write whole stored chunks, so each gives the
same bytes. What they share with this process is the store that is written to; what a worker
keeps between tasks (open files, index maps) is its own.
"""

from __future__ import annotations

import atexit
import gc
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import dask.multiprocessing
import dask.threaded
import numpy as np
import xarray as xr
import zarr
from dask.callbacks import Callback
from dask.core import flatten
from dask.system import CPU_COUNT
from numpy.typing import NDArray

from stacbuild.building.workers import Key, Run, WorkersLostError
from stacbuild.errors import BuildError, ConfigError
from stacbuild.machine import keep_freed_memory

if TYPE_CHECKING:
    import pystac

    from stacbuild.storage.place import Storage

Region = tuple[slice, ...]
# First and one after the last index in each dimension.
Place = tuple[tuple[int, int], ...]

# A region is tried so often when a process dies over it; a cluster's scheduler has its own count.
_ATTEMPTS = 3


@contextmanager
def open_workers(scheduler: str, sources: Sequence[pystac.Item], storage: Storage) -> Iterator[Run]:
    """Start or find the workers that compute a cube, for `write_region`.

    Parameters
    ----------
    scheduler
        ``threads``, ``processes``, ``synchronous`` (or ``sync``, ``single-threaded``), or the
        address of a running scheduler, ``tcp://HOST:PORT`` or ``tls://HOST:PORT``.
    sources
        Items of what the cube is computed from; the workers of a cluster have to see the files.
    storage
        Where the cube goes. Workers of a cluster have to see its folder.

    Raises
    ------
    ConfigError
        If other processes cannot write to the storage, or `distributed` is not installed.
    RemoteError
        If no scheduler answers there, or it has no workers.
    LocalError
        If a worker has other software, or does not see a file or the folder of the cubes.
    """
    if scheduler == "threads":
        with _threads() as run:
            yield run
        return
    if scheduler in ("synchronous", "sync", "single-threaded"):
        yield _synchronous
        return
    if not storage.persistent:
        raise ConfigError(
            f"scheduler {scheduler}: other processes cannot write to a memory store; use threads"
        )
    if scheduler == "processes":
        with _processes() as run:
            yield run
        return
    # Imported when used: it is an extra.
    from stacbuild.building.cluster import connect

    hrefs = [asset.href for item in sources for asset in item.assets.values()]
    with connect(scheduler, hrefs, storage.folder) as run:
        yield run


def write_region(
    run: Run,
    array: xr.DataArray,
    target: zarr.Array[Any],
    region: Region,
    wrote: Callable[[Place], None],
) -> None:
    """Compute one region of a variable and write it.

    Parameters
    ----------
    run
        From `open_workers`.
    array
        The region, lazy. Its chunks are whole stored chunks, so no two tasks write the same one.
    target
        The stored variable. Its own settings hold wherever it is written from, those of
        ``zarr.config`` do not.
    region
        Where in *target* the array goes.
    wrote
        Called, in the thread that called this, with each part of *target* that was just written:
        whole stored chunks, all of one task.

    Raises
    ------
    BuildError
        If workers die over it, with the variable and the region.
    StacbuildError, Exception
        What a source or a user's function raised.
    """
    data = array.data
    starts = tuple(
        tuple(itertools.accumulate(lengths[:-1], initial=part.indices(length)[0]))
        for part, lengths, length in zip(region, data.chunks, target.shape, strict=True)
    )
    written = da.map_blocks(
        _write_block,
        data,
        target=target,
        starts=starts,
        chunks=tuple((1,) * count for count in data.numblocks),
        dtype=bool,
        meta=np.empty((0,) * data.ndim, bool),
        # Never taken for a region that was written before, by whomever.
        name=f"write-{target.basename}-{os.urandom(16).hex()}",
    )
    left = {
        (written.name, *index): tuple(
            (edges[i], edges[i] + lengths[i])
            for edges, lengths, i in zip(starts, data.chunks, index, strict=True)
        )
        for index in np.ndindex(data.numblocks)
    }

    def done(key: Key) -> None:
        # Once, also where a task was run again because a process died.
        if (place := left.pop(key, None)) is not None:
            wrote(place)

    try:
        run(written, done)
    except WorkersLostError as error:
        where = ", ".join(
            f"{dim} {part.indices(length)[0]}:{part.indices(length)[1]}"
            for dim, part, length in zip(array.dims, region, target.shape, strict=True)
        )
        raise BuildError(
            f"{target.basename} [{where}]: {error}; is there enough memory for each worker?"
        ) from error


def _write_block(
    block: NDArray[Any],
    *,
    target: zarr.Array[Any],
    starts: tuple[tuple[int, ...], ...],
    block_id: tuple[int, ...],
) -> NDArray[np.bool_]:
    corner = [edges[index] for edges, index in zip(starts, block_id, strict=True)]
    target[tuple(slice(at, at + n) for at, n in zip(corner, block.shape, strict=True))] = block
    return np.ones((1,) * block.ndim, bool)


def _compute(
    get: Callable[..., Any], written: da.Array, done: Callable[[Key], None], **options: Any
) -> None:
    """Run a graph by one of dask's own schedulers, which tell of tasks in the calling thread."""
    (optimized,) = dask.optimize(written)
    graph = dict(optimized.__dask_graph__())
    # Tasks that nothing else tells apart are taken by the text of their keys, the last one first:
    # 9, 8, …, 38, 37. In the order of the bands instead, as those that a source keeps together
    # are then needed one group after the other.
    keys = {
        f"{written.name}-{number:09d}": key
        for number, key in enumerate(reversed(list(flatten(optimized.__dask_keys__()))))
    }
    for name, key in keys.items():
        graph[name] = graph.pop(key).substitute({}, key=name)

    def tell(key: Any, *_: object) -> None:
        if key in keys:
            done(keys[key])

    # Not `compute`: it puts the blocks together, and that may be one task with the last of them.
    with Callback(posttask=tell):
        get(graph, list(keys), **options)


def _synchronous(written: da.Array, done: Callable[[Key], None]) -> None:
    _compute(dask.get, written, done)


class _Tasks(Executor):
    """What one cube gives to threads that others will use after it.

    Parameters
    ----------
    threads
        What runs the tasks.
    count
        How many there are.
    """

    def __init__(self, threads: ThreadPoolExecutor, count: int) -> None:
        self._threads = threads
        self._under_way: set[Future[Any]] = set()
        # By this name dask asks how many tasks to give at a time.
        self._max_workers = count

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = self._threads.submit(fn, *args, **kwargs)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        left = list(self._under_way)
        if cancel_futures:
            for future in left:
                future.cancel()
        if wait:
            futures.wait(left)


# By how many they are. They stay for the next cube: PROJ and GDAL keep databases and caches for
# each thread, which a new one would have to set up again, and which they were twice seen to crash
# over where one thread ended while another projected (GDAL 3.10, PROJ 9.7.1).
_idle: dict[int, list[ThreadPoolExecutor]] = {}
if hasattr(os, "register_at_fork"):
    # A forked process has the executors, but none of their threads.
    os.register_at_fork(after_in_child=_idle.clear)


@contextmanager
def _threads() -> Iterator[Run]:
    count = _count()
    idle = _idle.setdefault(count, [])
    try:
        threads = idle.pop()
    except IndexError:
        threads = ThreadPoolExecutor(count, thread_name_prefix="stacbuild")
    tasks = _Tasks(threads, count)

    def run(written: da.Array, done: Callable[[Key], None]) -> None:
        _compute(dask.threaded.get, written, done, pool=tasks)

    try:
        yield run
    except (Exception, SystemExit):
        # Tasks under way write to the store, which their caller will now do away with.
        tasks.shutdown(cancel_futures=True)
        idle.append(threads)
        raise
    except BaseException:
        # Not waiting where it was interrupted: threads may be in the middle of a long read.
        threads.shutdown(wait=False, cancel_futures=True)
        raise
    else:
        idle.append(threads)


@contextmanager
def _processes() -> Iterator[Run]:
    count = _count()

    def start() -> ProcessPoolExecutor:
        # Forking a process with threads, as this one is, can hang.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(count, context, _begin, (max(1, CPU_COUNT // count),))

    pool = start()

    def run(written: da.Array, done: Callable[[Key], None]) -> None:
        nonlocal pool
        for _ in range(_ATTEMPTS):
            try:
                # One task at a time to each; dask's default of six leaves most without any.
                _compute(dask.multiprocessing.get, written, done, pool=pool, chunksize=1)
            except BrokenProcessPool:
                pool.shutdown()
                pool = start()
            else:
                return
        raise WorkersLostError(f"worker processes died over it, {_ATTEMPTS} times")

    try:
        yield run
    except Exception:
        pool.shutdown(cancel_futures=True)
        raise
    else:
        pool.shutdown()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _count() -> int:
    return int(dask.config.get("num_workers", None) or CPU_COUNT)


def _begin(zarr_threads: int) -> None:
    """Make a worker process: it ends with the one that started it, however that ends."""
    # Ctrl-C reaches all processes of a terminal; the one that started this decides what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    # As at the end of the program: what is left goes with the process, without a word about it.
    atexit.register(gc.freeze)
    zarr.config.set({"threading.max_workers": zarr_threads})
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
