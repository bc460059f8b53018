"""Compute on a running dask cluster, after checking its workers.

Each worker has to have the same versions of the libraries that determine a cube's bytes, and to see
every local source, at its size, and a probe file in the folder of the cubes. Workers that join
later are not checked; a file that they do not see is an error that names it. dask abandons a task
after four workers died while running it (``distributed.scheduler.allowed-failures``). Credentials
for S3 are part of the graph: they are sent to the scheduler and never written to disk; use
``tls://`` on shared networks.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
import queue
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import dask.array as da

from stacbuild.building.workers import Key, Workers, WorkersLostError
from stacbuild.errors import ConfigError, LocalError, RemoteError
from stacbuild.loading import release

if TYPE_CHECKING:
    from distributed import Client, Future

_CONNECT_SECONDS = 10
# How long a scheduler may be without workers: a queue may be starting or restarting them.
_WORKER_SECONDS = 30
# These determine the bytes of a cube, or have to be the same to unpickle tasks.
_PACKAGES = (
    *("stacbuild", "dask", "distributed", "numcodecs"),
    *("numpy", "rasterio", "stackstac", "xarray", "zarr"),
)


@contextmanager
def connect(address: str, hrefs: Sequence[str], folder: Path | None) -> Iterator[Workers]:
    """Connect to a scheduler, check its workers, and yield what runs a graph on them.

    Parameters
    ----------
    address
        ``tcp://HOST:PORT`` or ``tls://HOST:PORT``; certificates come from dask's configuration.
    hrefs
        Hrefs of the sources. All workers have to see those that are local files.
    folder
        The folder that cubes are written to, if it is one.

    Raises
    ------
    ConfigError
        If `distributed` is not installed.
    RemoteError
        If no scheduler answers, it has no workers, or the connection is lost.
    LocalError
        If a worker has other versions, or does not see a file or the folder.
    """
    try:
        from distributed import Client
        from distributed.comm import CommClosedError
    except ImportError:
        raise ConfigError(
            f"scheduler {address}: needs dask's distributed: pip install 'stacbuild[distributed]'"
        ) from None
    # It logs several tracebacks for a lost connection, which is one of the errors below. A filter
    # for each cube, since a level could not be restored correctly if two cubes are built at once.
    logger = logging.getLogger("distributed.client")
    quiet = _Quiet()
    logger.addFilter(quiet)
    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        logger.removeFilter(quiet)
        raise RemoteError(
            f"{address}: no dask scheduler answers: {' '.join(str(error).split())}"
        ) from error
    try:
        _check(client, address, hrefs, folder)
        threads = sum(each["nthreads"] for each in client.scheduler_info()["workers"].values())
        # A worker gets its next task while it computes one.
        yield Workers(partial(_run, client, address), 2 * threads)
        if client.status == "running":
            # A worker that ends meanwhile does no harm: the cube is complete.
            client.run(release, on_error="ignore")
    except CommClosedError as error:
        raise _lost(address) from error
    finally:
        client.close(timeout=2)
        logger.removeFilter(quiet)


class _Quiet(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.CRITICAL


def _run(client: Client, address: str, written: da.Array, done: Callable[[Key], None]) -> None:
    from distributed import KilledWorker

    ended: queue.SimpleQueue[Future] = queue.SimpleQueue()
    futures = _submit(client, written)
    for future in futures:
        future.add_done_callback(ended.put)
    try:
        while futures:
            future = _next(client, address, ended)
            if future.status == "lost" and client.status == "running":
                # Its worker died after it had finished; another one runs it again.
                future.add_done_callback(ended.put)
                continue
            if future.status in ("cancelled", "lost"):
                raise _lost(address)
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


def _submit(client: Client, written: da.Array) -> set[Future]:
    from distributed import futures_of

    # A function of its own, so that the persisted array, which refers to the futures, is freed.
    return set(futures_of(client.persist(written)))


def _next(client: Client, address: str, ended: queue.SimpleQueue[Future]) -> Future:
    """Wait for a future to end, as long as the scheduler has workers."""
    idle_since = None
    while True:
        try:
            return ended.get(timeout=1)
        except queue.Empty:
            if client.status != "running":
                raise _lost(address) from None
        # From the scheduler's last report, without a request.
        if client.scheduler_info()["workers"]:
            idle_since = None
            continue
        idle_since = idle_since or time.monotonic()
        if time.monotonic() - idle_since > _WORKER_SECONDS:
            raise _no_workers(address)


def _lost(address: str) -> RemoteError:
    return RemoteError(
        f"{address}: the dask scheduler is gone; start it and run the same command again to go on"
    )


def _no_workers(address: str) -> RemoteError:
    return RemoteError(
        f"{address}: the dask scheduler has had no workers for {_WORKER_SECONDS} s; start some and "
        "run the same command again"
    )


def _check(client: Client, address: str, hrefs: Sequence[str], folder: Path | None) -> None:
    """Check that every worker has our versions and sees the files to be read and written."""
    try:
        client.wait_for_workers(1, timeout=_WORKER_SECONDS)
    except TimeoutError:
        raise _no_workers(address) from None
    files = {
        href: Path(href).stat().st_size if Path(href).is_file() else None
        for href in hrefs
        if "://" not in href
    }
    versions = _versions()
    probe = folder / f".stacbuild-probe-{secrets.token_hex(8)}" if folder else None
    try:
        if probe:
            probe.touch()
        answers = client.run(_inspect, files, probe, on_error="return")
    finally:
        if probe:
            probe.unlink(missing_ok=True)
    for worker, answer in sorted(answers.items()):
        if isinstance(answer, BaseException):
            raise LocalError(
                f"worker {worker}: cannot be checked ({' '.join(str(answer).split())}); it needs "
                f"stacbuild {versions['stacbuild']} with its dependencies"
            ) from answer
        theirs, problem = answer
        for name, version in versions.items():
            if theirs[name] != version:
                raise LocalError(
                    f"worker {worker}: has {name} {theirs[name]}, but this process has {version}; "
                    "install the same version"
                )
        if problem:
            raise LocalError(
                f"worker {worker}: {problem}; use a disk that all workers see under the same "
                "path, or another scheduler: threads"
            )


def _versions() -> dict[str, str]:
    versions = {"Python": ".".join(platform.python_version_tuple()[:2])}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _inspect(files: Mapping[str, int | None], probe: Path | None) -> tuple[dict[str, str], str]:
    """Return a worker's versions, and a problem with its files or ""; runs on the worker."""
    return _versions(), _file_problem(files, probe)


def _file_problem(files: Mapping[str, int | None], probe: Path | None) -> str:
    for name, size in files.items():
        try:
            found = Path(name).stat().st_size
        except OSError as error:
            return f"does not see {name} ({error.strerror})"
        if size is not None and found != size:
            return f"sees another file as {name}, of {found} bytes instead of {size}"
        if not os.access(name, os.R_OK):
            return f"cannot read {name}"
    if probe is None:
        return ""
    if not probe.exists():
        return f"does not see {probe.parent}, or sees another folder there"
    written = probe.with_name(f"{probe.name}-{secrets.token_hex(8)}")
    try:
        written.touch()
        written.unlink()
    except OSError as error:
        return f"cannot write to {probe.parent} ({error.strerror})"
    return ""
