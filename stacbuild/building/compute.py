"""Compute the regions of a cube: in threads, in processes, serially, or on a cluster.

All schedulers run the same graph, whose last tasks write whole stored chunks, so the bytes of a
cube do not depend on the scheduler. Workers share the target store; each has its own pool of open
files and index maps.
"""

from __future__ import annotations

import atexit
import gc
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
import zarr
from dask.callbacks import Callback
from dask.core import flatten

from stacbuild.building.together import optimized
from stacbuild.building.workers import Key, Run, Workers, WorkersLostError
from stacbuild.errors import ConfigError
from stacbuild.machine import keep_freed_memory, processors
from stacbuild.net.in_flight import share
from stacbuild.stac.files import is_remote

if TYPE_CHECKING:
    import pystac

    from stacbuild.loading.memory import Room
    from stacbuild.storage.output import Storage

# Attempts to compute a region in processes that die; a cluster's scheduler has its own count.
_ATTEMPTS = 3


@contextmanager
def open_workers(
    scheduler: str, sources: Sequence[pystac.Item], storage: Storage, most: Room
) -> Iterator[Workers]:
    """Start workers, or connect to those of a cluster.

    Parameters
    ----------
    scheduler
        ``threads``, ``processes``, ``synchronous`` (or ``sync``, ``single-threaded``), or a
        scheduler of `stacbuild.building.cluster_client.connected`.
    sources
        Source items of the cube; the workers of a cluster have to see their local files.
    storage
        The storage of the cube; the workers of a cluster have to see its folder.
    most
        What fits into the memory of this machine.

    Raises
    ------
    ConfigError
        If other processes cannot write to the storage, or `distributed` is not installed.
    RemoteError
        If no scheduler answers, or it has no workers.
    LocalError
        If a worker has other versions, or does not see a file or the folder of the cubes.
    """
    chosen, in_flight = _chosen(), most.in_flight
    if chosen:
        in_flight = 2 * chosen if is_remote(sources) else chosen + 1
    if scheduler == "threads":
        with _threads(chosen or most.threads) as run:
            yield Workers(run, lambda: in_flight)
        return
    if scheduler in ("synchronous", "sync", "single-threaded"):
        yield Workers(_synchronous, lambda: 0)
        return
    if not storage.persistent:
        raise ConfigError(
            f"scheduler {scheduler}: other processes cannot write to a memory store; use threads"
        )
    if scheduler == "processes":
        count = chosen or min(most.threads, processors())
        with _processes(count) as run:
            yield Workers(run, lambda: min(in_flight, 2 * count))
        return
    # Imported late: `distributed` is an extra.
    from stacbuild.building.cluster import workers_of
    from stacbuild.building.cluster_client import Size, connected

    hrefs = [asset.href for item in sources for asset in item.assets.values()]
    processes = chosen or min(most.threads, processors())
    threads = max(1, most.threads // processes)
    with (
        connected(scheduler, Size(processes, threads)) as connection,
        workers_of(connection, hrefs, storage.folder) as workers,
    ):
        yield workers


def _compute(
    get: Callable[..., Any],
    written: Sequence[da.Array],
    done: Callable[[Key], None],
    **options: Any,
) -> None:
    """Run a graph with one of dask's own schedulers, with callbacks in the calling thread."""
    arrays = optimized(written)
    graph = dict(arrays[0].__dask_graph__())
    # dask orders otherwise equal tasks by their keys as text, the last one first: 9, 8, …, 38, 37.
    # These keys give the order of the bands, so that bands which a source interleaves are computed
    # together.
    # Blocks of several arrays at the same position come together.
    blocks = sorted(flatten([array.__dask_keys__() for array in arrays]), key=_position)
    keys = {f"{written[0].name}-{number:09d}": key for number, key in enumerate(reversed(blocks))}
    for name, key in keys.items():
        graph[name] = graph.pop(key).substitute({}, key=name)

    def posttask(key: Any, *_: object) -> None:
        if key in keys:
            done(keys[key])

    # Not `compute`, which concatenates the blocks, possibly in the same task as the last of them.
    # Entering `Callback` would register it for the regions that other threads compute, too.
    # The tuple is start, start_state, pretask, posttask, finish.
    callbacks = [*Callback.active, (None, None, None, posttask, None)]
    get(graph, list(keys), callbacks=callbacks, **options)


def _position(key: Key) -> tuple[int, ...]:
    return tuple(key[1:])


def _synchronous(written: Sequence[da.Array], done: Callable[[Key], None]) -> None:
    _compute(dask.get, written, done)


class _Tasks(Executor):
    """The tasks of one cube in a thread pool that outlives the cube.

    Parameters
    ----------
    threads
        Runs the tasks.
    count
        Number of threads.
    """

    def __init__(self, threads: ThreadPoolExecutor, count: int) -> None:
        self._threads = threads
        self._pending: set[Future[Any]] = set()
        # dask reads this attribute to know how many tasks to submit at a time.
        self._max_workers = count

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = self._threads.submit(fn, *args, **kwargs)
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future

    def cancel(self) -> None:
        """Cancel the tasks that have not started, and wait for the others."""
        pending = list(self._pending)
        for future in pending:
            future.cancel()
        futures.wait(pending)


# Idle thread pools by number of threads. They are reused for the next cube: PROJ and GDAL keep
# databases and caches for each thread, which a new thread would set up again, and twice they
# crashed when one thread ended while another projected (GDAL 3.10, PROJ 9.7.1).
_idle: dict[int, list[ThreadPoolExecutor]] = {}
if hasattr(os, "register_at_fork"):
    # A forked process has the executors, but none of their threads.
    os.register_at_fork(after_in_child=_idle.clear)


@contextmanager
def _threads(count: int) -> Iterator[Run]:
    idle = _idle.setdefault(count, [])
    try:
        threads = idle.pop()
    except IndexError:
        threads = ThreadPoolExecutor(count, thread_name_prefix="stacbuild")
    tasks = _Tasks(threads, count)

    def run(written: Sequence[da.Array], done: Callable[[Key], None]) -> None:
        _compute(dask.threaded.get, written, done, pool=tasks)

    try:
        yield run
    except (Exception, SystemExit):
        # Running tasks write to the store, which the caller is going to close or delete.
        tasks.cancel()
        idle.append(threads)
        raise
    except BaseException:
        # Interrupted: do not wait, since threads may be in the middle of a long read.
        threads.shutdown(wait=False, cancel_futures=True)
        raise
    else:
        idle.append(threads)


class _Processes:
    """Worker processes, which are replaced when one of them dies.

    Parameters
    ----------
    count
        Number of processes.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._changed, self._alone = threading.Condition(), threading.Lock()
        # Calls that compute at the same time, and those that have to compute alone.
        self._together = self._suspects = 0
        self._broken = False
        self._pool = self._start()

    def run(self, written: Sequence[da.Array], done: Callable[[Key], None]) -> None:
        """Compute every block of arrays; several threads may at the same time."""
        with self._changed:
            while self._suspects:
                self._changed.wait()
            self._together += 1
        ended = True
        try:
            ended = self._ends(written, done)
        finally:
            with self._changed:
                self._together -= 1
                self._suspects += not ended
                self._changed.notify_all()
        if ended:
            return
        # Any of those that computed may have killed the process. Each goes on alone, so that the
        # one that kills them is named.
        try:
            with self._alone:
                self._go_on(written, done)
        finally:
            with self._changed:
                self._suspects -= 1
                self._changed.notify_all()

    def _go_on(self, written: Sequence[da.Array], done: Callable[[Key], None]) -> None:
        with self._changed:
            while self._together:
                self._changed.wait()
        for _ in range(_ATTEMPTS - 1):
            if self._broken:
                self._pool.shutdown()
                self._pool, self._broken = self._start(), False
            if self._ends(written, done):
                return
        raise WorkersLostError(f"worker processes died while computing it, {_ATTEMPTS} times")

    def shutdown(self, *, wait: bool) -> None:
        """End the processes, after their running tasks or at once."""
        self._pool.shutdown(wait=wait, cancel_futures=True)

    def _ends(self, written: Sequence[da.Array], done: Callable[[Key], None]) -> bool:
        try:
            # One task at a time for each process; with dask's default of six most are idle.
            _compute(dask.multiprocessing.get, written, done, pool=self._pool, chunksize=1)
        except BrokenProcessPool:
            self._broken = True
            return False
        return True

    def _start(self) -> ProcessPoolExecutor:
        # Forking a process that has threads, as this one, can hang.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._count, context, _begin, (self._count,))


@contextmanager
def _processes(count: int) -> Iterator[Run]:
    pool = _Processes(count)
    try:
        yield pool.run
        pool.shutdown(wait=True)
    except Exception:
        pool.shutdown(wait=True)
        raise
    finally:
        pool.shutdown(wait=False)


def _chosen() -> int:
    """Return the number of workers in dask's configuration; 0 if there is none."""
    return int(dask.config.get("num_workers", None) or 0)


def _begin(count: int) -> None:
    """Initialize one of so many worker processes; it ends with its parent, however that ends."""
    # Ctrl-C reaches all processes of a terminal; the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    # As at the end of the program: no finalizers, and so no warnings, at exit.
    atexit.register(gc.freeze)
    zarr.config.set({"threading.max_workers": max(1, processors() // count)})
    share(count)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
