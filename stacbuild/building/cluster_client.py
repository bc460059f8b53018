"""Connect to a dask scheduler: at an address, of the environment, or of a cluster on this machine.

A cluster that dask-jobqueue, dask-gateway, Coiled or another library started is that of the client
which it connected in this process: an address alone would lack its certificates.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dask

from stacbuild import progress
from stacbuild.errors import ConfigError, RemoteError

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_SECONDS = 10
_ENVIRONMENT = "DASK_SCHEDULER_ADDRESS"


@dataclass(frozen=True)
class Connection:
    """A client of a scheduler, and the scheduler's name in messages."""

    client: Client
    name: str


@dataclass(frozen=True)
class Size:
    """Size of a cluster on this machine: its worker processes, and the threads of each."""

    workers: int
    threads: int


@contextmanager
def connected(scheduler: str, size: Size) -> Iterator[Connection]:
    """Connect to a scheduler.

    Parameters
    ----------
    scheduler
        ``tcp://HOST:PORT`` or ``tls://HOST:PORT``, with certificates from dask's configuration;
        ``distributed`` for the client that is connected in this process, or else the address in
        ``DASK_SCHEDULER_ADDRESS`` or dask's configuration; ``local`` to start a cluster on this
        machine, which ends with the context.
    size
        Size of a cluster on this machine.

    Raises
    ------
    ConfigError
        If `distributed` is not installed, or the environment has no scheduler.
    RemoteError
        If no scheduler answers.
    """
    try:
        import distributed
    except ImportError:
        raise ConfigError(
            f"scheduler {scheduler}: needs dask's distributed: pip install 'stacbuild[distributed]'"
        ) from None
    if scheduler == "local":
        with _local(size) as connection:
            yield connection
        return
    if scheduler != "distributed":
        with _at(scheduler) as connection:
            yield connection
        return
    try:
        client = distributed.Client.current()
    except ValueError:
        pass
    else:
        yield _existing(client)
        return
    if not (address := dask.config.get("scheduler-address", None)):
        raise ConfigError(
            "scheduler distributed: no dask client is connected in this process, and "
            f"{_ENVIRONMENT} is not set; connect a client before stacbuild.build, or set the "
            "variable to the address of a scheduler, or name the address itself"
        )
    with _at(str(address)) as connection:
        yield connection


def lost(name: str) -> RemoteError:
    """Return the error of a scheduler that is gone."""
    return RemoteError(
        f"{name}: the dask scheduler is gone; start it and run the same command again to go on"
    )


def _existing(client: Client) -> Connection:
    # The user's own client: it is not closed.
    name = str(getattr(client.scheduler, "address", "scheduler distributed"))
    if client.asynchronous:
        raise ConfigError(
            f"{name}: the dask client of this process is asynchronous; connect another one, "
            "without asynchronous=True"
        )
    if client.status != "running":
        raise lost(name)
    return Connection(client, name)


@contextmanager
def _at(address: str) -> Iterator[Connection]:
    from distributed import Client

    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, ImportError) as error:
        raise RemoteError(
            f"{address}: no dask scheduler answers ({' '.join(str(error).split())}); start one, "
            "correct the address, or use another scheduler: threads"
        ) from error
    try:
        yield Connection(client, address)
    finally:
        client.close(timeout=2)


@contextmanager
def _local(size: Size) -> Iterator[Connection]:
    from distributed import Client, LocalCluster

    # The dashboard needs it; without it, its page only says so.
    has_dashboard = importlib.util.find_spec("bokeh") is not None
    try:
        cluster = LocalCluster(
            n_workers=size.workers,
            threads_per_worker=size.threads,
            processes=True,
            host="127.0.0.1",
            # Any free port: dask warns if its usual one is taken.
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
    except (OSError, RuntimeError) as error:
        raise RemoteError(
            f"scheduler local: the cluster does not start: {' '.join(str(error).split())}"
        ) from error
    with cluster:
        dashboard = cluster.dashboard_link if has_dashboard else "none (needs: pip install bokeh)"
        progress.say(f"dask: {size.workers} local workers; dashboard: {dashboard}")
        with Client(cluster, timeout=_CONNECT_SECONDS, set_as_default=False) as client:
            yield Connection(client, cluster.scheduler_address)
