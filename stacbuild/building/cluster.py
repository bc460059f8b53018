"""Compute on a running dask cluster, after checking its workers.

Each worker is asked for its versions of what decides about bytes, and whether it sees every local
source, at its size, and a probe file in the folder of the cubes. Workers that join later are not
asked; a file that they do not see is an error that names it. dask gives a task up after four
workers died over it (``distributed.scheduler.allowed-failures``). Credentials for S3 are part of
the graph: they reach the scheduler over the wire, never a disk; use ``tls://`` on shared networks.
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
from typing import TYPE_CHECKING, Any

import dask.array as da

from stacbuild.building.workers import Key, Run, WorkersLostError
from stacbuild.errors import ConfigError, LocalError, RemoteError
from stacbuild.loading import release

if TYPE_CHECKING:
    from distributed import Client, Future

# Seconds to wait for a scheduler to answer, and for it to have a worker: those may be started by
# a queue, or again.
_ANSWERS, _PATIENCE = 10, 30
# What decides about the bytes of a cube, or has to be the same for tasks to be understood.
_SOFTWARE = (
    "stacbuild",
    "dask",
    "distributed",
    "numcodecs",
    "numpy",
    "rasterio",
    "stackstac",
    "xarray",
    "zarr",
)


@contextmanager
def connect(address: str, hrefs: Sequence[str], folder: Path | None) -> Iterator[Run]:
    """Connect to a scheduler whose workers can do the work, for `stacbuild.building.compute`.

    Parameters
    ----------
    address
        ``tcp://HOST:PORT`` or ``tls://HOST:PORT``; certificates as dask's configuration says.
    hrefs
        Of the sources. All workers have to see those that are local files.
    folder
        Where cubes are written to, if that is a folder.

    Raises
    ------
    ConfigError
        If `distributed` is not installed.
    RemoteError
        If no scheduler answers, or it has no workers, or is lost later.
    LocalError
        If a worker has other software, or does not see a file or the folder.
    """
    try:
        from distributed import Client
        from distributed.comm import CommClosedError
    except ImportError:
        raise ConfigError(
            f"scheduler {address}: needs dask's distributed: pip install 'stacbuild[distributed]'"
        ) from None
    # Of a lost connection it logs several tracebacks, and the error below says the same. A filter
    # of our own, as a level could not be set back rightly if two cubes are built at once.
    logger = logging.getLogger("distributed.client")
    quiet = _Quiet()
    logger.addFilter(quiet)
    try:
        client = Client(address, timeout=_ANSWERS, set_as_default=False)
    except (OSError, ValueError) as error:
        logger.removeFilter(quiet)
        raise RemoteError(
            f"{address}: no dask scheduler answers: {' '.join(str(error).split())}"
        ) from error
    try:
        _check(client, address, hrefs, folder)
        yield partial(_run, client, address)
        if client.status == "running":
            # Also where a worker ends meanwhile: the cube is whole.
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
    futures = _futures(client, written)
    for future in futures:
        future.add_done_callback(ended.put)
    try:
        while futures:
            future = _next(client, address, ended)
            if future.status == "lost" and client.status == "running":
                # It had ended, and the worker that knew it died: another one does it again.
                future.add_done_callback(ended.put)
                continue
            if future.status in ("cancelled", "lost"):
                raise _lost(address)
            if future.status == "error":
                # Raises it. Not asked for otherwise: a worker would have to give what it has.
                future.result()
            futures.discard(future)
            done(future.key)
            # Else it would be done again when the worker that did it dies.
            future.release()
    except KilledWorker as error:
        raise WorkersLostError(
            f"its workers died over it, {error.allowed_failures + 1} times"
        ) from error
    finally:
        if futures and client.status == "running":
            client.cancel(list(futures))


def _futures(client: Client, written: da.Array) -> set[Future]:
    from distributed import futures_of

    # The graph that is returned with them holds them too; it goes here.
    return set(futures_of(client.persist(written)))


def _next(client: Client, address: str, ended: queue.SimpleQueue[Future]) -> Future:
    """Wait for a future to end, as long as there is somebody who could end it."""
    alone_since = None
    while True:
        try:
            return ended.get(timeout=1)
        except queue.Empty:
            if client.status != "running":
                raise _lost(address) from None
        if _known(client):
            alone_since = None
            continue
        alone_since = alone_since or time.monotonic()
        if time.monotonic() - alone_since > _PATIENCE:
            raise _no_workers(address)


def _known(client: Client) -> Mapping[str, Any]:
    """Return workers that the scheduler told of lately, without asking it."""
    workers: Mapping[str, Any] = client.scheduler_info()["workers"]
    return workers


def _lost(address: str) -> RemoteError:
    return RemoteError(
        f"{address}: the dask scheduler is gone; start it and run the same command again to go on"
    )


def _no_workers(address: str) -> RemoteError:
    return RemoteError(
        f"{address}: the dask scheduler has had no workers for {_PATIENCE} s; start some and run "
        "the same command again"
    )


def _check(client: Client, address: str, hrefs: Sequence[str], folder: Path | None) -> None:
    """Ask every worker for its software, and whether it sees what is to be read and written."""
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except TimeoutError:
        raise _no_workers(address) from None
    files = {
        href: Path(href).stat().st_size if Path(href).is_file() else None
        for href in hrefs
        if "://" not in href
    }
    mine = _software()
    probe = folder / f".stacbuild-probe-{secrets.token_hex(8)}" if folder else None
    try:
        if probe:
            probe.touch()
        answers = client.run(_look, files, probe, on_error="return")
    finally:
        if probe:
            probe.unlink(missing_ok=True)
    for worker, answer in sorted(answers.items()):
        if isinstance(answer, BaseException):
            raise LocalError(
                f"worker {worker}: cannot be asked ({' '.join(str(answer).split())}); it needs "
                f"stacbuild {mine['stacbuild']} and all that belongs to it"
            ) from answer
        theirs, trouble = answer
        for name, version in mine.items():
            if theirs[name] != version:
                raise LocalError(
                    f"worker {worker}: has {name} {theirs[name]}, and here it is {version}; "
                    "they have to be the same"
                )
        if trouble:
            raise LocalError(
                f"worker {worker}: {trouble}; use a disk that all workers see under the same "
                "path, or another scheduler: threads"
            )


def _software() -> dict[str, str]:
    versions = {"Python": ".".join(platform.python_version_tuple()[:2])}
    for name in _SOFTWARE:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _look(files: Mapping[str, int | None], probe: Path | None) -> tuple[dict[str, str], str]:
    """Return a worker's software, and what it does not see; runs on the worker."""
    return _software(), _trouble(files, probe)


def _trouble(files: Mapping[str, int | None], probe: Path | None) -> str:
    for name, size in files.items():
        try:
            found = Path(name).stat().st_size
        except OSError as error:
            return f"{name} cannot be seen there ({error.strerror})"
        if size is not None and found != size:
            return f"{name} is another file there, of {found} bytes and not {size}"
        if not os.access(name, os.R_OK):
            return f"{name} cannot be read there"
    if probe is None:
        return ""
    if not probe.exists():
        return f"{probe.parent} cannot be seen there, or is another folder"
    mine = probe.with_name(f"{probe.name}-{secrets.token_hex(8)}")
    try:
        mine.touch()
        mine.unlink()
    except OSError as error:
        return f"{probe.parent} cannot be written there ({error.strerror})"
    return ""
