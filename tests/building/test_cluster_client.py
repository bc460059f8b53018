"""Which scheduler a name leads to, and what is said if there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import dask
import pytest
from distributed import Client, LocalCluster

from stacbuild.building.cluster_client import Size, connected
from stacbuild.errors import ConfigError, RemoteError

SIZE = Size(workers=1, threads=1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """A scheduler in this process, without workers: nobody computes."""
    with LocalCluster(
        n_workers=0, processes=False, protocol="tcp", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster


def test_the_client_of_this_process_stays_open(cluster: LocalCluster) -> None:
    with Client(cluster) as client:
        with connected("distributed", SIZE) as connection:
            assert connection.client is client
            assert connection.name == cluster.scheduler_address
        assert client.status == "running"


def test_a_client_of_ours_is_closed_and_never_the_default(cluster: LocalCluster) -> None:
    with (
        dask.config.set({"scheduler-address": cluster.scheduler_address}),
        connected("distributed", SIZE) as connection,
    ):
        assert connection.name == cluster.scheduler_address
        with pytest.raises(ValueError, match="No clients found"):
            Client.current()
    assert connection.client.status == "closed"


def test_an_environment_without_a_scheduler() -> None:
    with (
        pytest.raises(ConfigError, match=r"no dask client is connected .* is not set; connect"),
        connected("distributed", SIZE),
    ):
        pass


def test_an_asynchronous_client_is_refused(cluster: LocalCluster) -> None:
    async def build() -> None:
        async with Client(cluster.scheduler_address, asynchronous=True):
            with connected("distributed", SIZE):
                pass

    with pytest.raises(ConfigError, match=r"tcp://.*: the dask client .* is asynchronous"):
        asyncio.run(build())


def test_a_client_without_its_scheduler(cluster: LocalCluster) -> None:
    with Client(cluster) as client:
        client.status = "closed"
        with (
            pytest.raises(RemoteError, match="the dask scheduler is gone"),
            connected("distributed", SIZE),
        ):
            pass
        client.status = "running"
