"""Compute on a dask cluster, after checking its workers.

Each worker has to have the same versions of the libraries that determine a cube's bytes, and to see
every local source, at its size, and a probe file in the folder of the cubes. Workers that join
later are not checked; a file that they do not see is an error that names it. dask abandons a task
after four workers died while running it (``distributed.scheduler.allowed-failures``). Credentials
for S3 are part of the graph: they are sent to the scheduler and never written to disk; use
``tls://`` on shared networks.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dask.array as da

from stacbuild.building.cluster_checks import check_workers
from stacbuild.building.cluster_client import Connection, lost
from stacbuild.building.together import optimized
from stacbuild.building.workers import Key, Workers, WorkersLostError
from stacbuild.errors import RemoteError
from stacbuild.loading import release
from stacbuild.net.in_flight import share

if TYPE_CHECKING:
    from distributed import Client, Future

# How long a scheduler may be without workers: a queue may be starting or restarting them.
_WORKER_SECONDS = 30
# How long the number of workers is assumed to be the same.
_COUNT_SECONDS = 2


@contextmanager
def workers_of(
    connection: Connection, hrefs: Sequence[str], folder: Path | None
) -> Iterator[Workers]:
    """Check the workers of a cluster, and yield what runs a graph on them.

    Parameters
    ----------
    hrefs
        Hrefs of the sources. All workers have to see those that are local files.
    folder
        The folder that cubes are written to, if it is one.

    Raises
    ------
    RemoteError
        If there are no workers, or the connection is lost.
    LocalError
        If a worker has other versions, or does not see a file or the folder.
    """
    from distributed.comm import CommClosedError

    client, name = connection.client, connection.name
    # It logs several tracebacks for a lost connection, which is one of the errors below. A filter
    # for each cube, since a level could not be restored correctly if two cubes are built at once.
    logger = logging.getLogger("distributed.client")
    quiet = _Quiet()
    logger.addFilter(quiet)
    try:
        try:
            client.wait_for_workers(1, timeout=_WORKER_SECONDS)
        except TimeoutError:
            raise _no_workers(name) from None
        check_workers(client, hrefs, folder)
        cluster = _Cluster(client, name, remote=any("://" in href for href in hrefs))
        yield Workers(cluster.run, cluster.in_flight)
        if client.status == "running":
            # A worker that ends meanwhile does no harm: the cube is complete.
            client.run(release, on_error="ignore")
    except CommClosedError as error:
        raise lost(name) from error
    finally:
        logger.removeFilter(quiet)


class _Quiet(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.CRITICAL


class _Cluster:
    """Runs graphs on the workers that a cluster has at the time.

    Parameters
    ----------
    name
        Name of the cluster in messages.
    remote
        Whether sources are read over a network: workers share the limit of requests to a host.
    """

    def __init__(self, client: Client, name: str, *, remote: bool) -> None:
        self._client, self._name, self._remote = client, name, remote
        self._lock = threading.Lock()
        self._threads: dict[str, int] = {}
        self._counted = 0.0
        self._sharing: set[str] = set()

    def in_flight(self) -> int:
        """Return the number of tasks that keep all workers busy."""
        # A worker gets its next task while it computes one.
        return max(1, 2 * sum(self._workers().values()))

    def run(self, written: Sequence[da.Array], done: Callable[[Key], None]) -> None:
        """Compute every block of arrays."""
        from distributed import KilledWorker

        client = self._client
        ended: queue.SimpleQueue[Future] = queue.SimpleQueue()
        futures = _submit(client, written)
        for future in futures:
            future.add_done_callback(ended.put)
        try:
            while futures:
                future = self._next(ended)
                if future.status == "lost" and client.status == "running":
                    # Its worker died after it had finished; another one runs it again.
                    future.add_done_callback(ended.put)
                    continue
                if future.status in ("cancelled", "lost"):
                    raise lost(self._name)
                if future.status == "error":
                    # Raises the error. Results of other tasks are not fetched: nobody needs them.
                    future.result()
                futures.discard(future)
                done(future.key)
                # Otherwise it would run again when its worker dies.
                future.release()
        except KilledWorker as error:
            raise WorkersLostError(
                f"its workers died while computing it, {error.allowed_failures + 1} times"
            ) from error
        finally:
            if futures and client.status == "running":
                client.cancel(list(futures))

    def _next(self, ended: queue.SimpleQueue[Future]) -> Future:
        """Wait for a future to end, as long as the scheduler has workers."""
        idle_since = None
        while True:
            try:
                return ended.get(timeout=1)
            except queue.Empty:
                if self._client.status != "running":
                    raise lost(self._name) from None
            if self._workers():
                idle_since = None
                continue
            idle_since = idle_since or time.monotonic()
            if time.monotonic() - idle_since > _WORKER_SECONDS:
                raise _no_workers(self._name)

    def _workers(self) -> dict[str, int]:
        """Return the threads of each worker, as of the last seconds."""
        with self._lock:
            if not self._counted or time.monotonic() - self._counted > _COUNT_SECONDS:
                self._threads = self._client.nthreads()
                self._counted = time.monotonic()
                self._share()
            return self._threads

    def _share(self) -> None:
        # Also when some have gone: the others may take their requests over.
        if self._remote and self._sharing != (now := set(self._threads)):
            self._sharing = now
            self._client.run(share, max(1, len(now)), on_error="ignore")


def _submit(client: Client, written: Sequence[da.Array]) -> set[Future]:
    from distributed import futures_of

    # A function of its own, so that the persisted arrays, which refer to the futures, are freed.
    return set(futures_of(client.persist(optimized(written), optimize_graph=False)))


def _no_workers(name: str) -> RemoteError:
    return RemoteError(
        f"{name}: the dask scheduler has had no workers for {_WORKER_SECONDS} s; start some and "
        "run the same command again"
    )
