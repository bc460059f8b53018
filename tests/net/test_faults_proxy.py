"""The proxy breaks connections as it says it does: else no test that uses it proves anything."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from tests.standins.proxy import Close, Cut, Fault, FaultProxy, Flip, Refuse, Reset, Stall, Trickle
from tests.support.file_server import FileServer

DATA = bytes(range(256)) * 8000


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with FileServer({"/f": DATA}) as server:
        port = urlsplit(server.url).port or 0
        with FaultProxy("127.0.0.1", port) as made:
            yield made


def fetch(proxy: FaultProxy) -> bytes:
    """Return the body as far as it comes, by a socket, without a library that might retry."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as made:
        made.sendall(b"GET /f HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := made.recv(1 << 16):
            answer += piece
    return answer


def test_without_a_fault_all_passes(proxy: FaultProxy) -> None:
    answer = fetch(proxy)
    assert answer.endswith(DATA)
    assert requests.get(f"{proxy.url}/f", timeout=5).content == DATA
    assert (proxy.connections, proxy.hits) == (2, 0)
    assert proxy.bytes_sent >= 2 * len(DATA)


@pytest.mark.parametrize("fault", [Refuse(), Reset(100_000)])
def test_a_reset_is_one(proxy: FaultProxy, fault: Fault) -> None:
    proxy.fault = fault
    with pytest.raises(ConnectionResetError):
        fetch(proxy)
    assert proxy.hits == 1


@pytest.mark.parametrize("fault", [Close(100_000), Cut(100_000)])
def test_a_closed_connection_ends_at_its_byte(proxy: FaultProxy, fault: Fault) -> None:
    whole = fetch(proxy)
    proxy.reset()
    proxy.fault = fault
    for _ in range(2):
        answer = fetch(proxy)
        assert len(answer) == 100_000
        assert answer[-1000:] == whole[99_000:100_000]
    assert proxy.bytes_sent == 200_000


def test_so_many_times_and_then_no_more(proxy: FaultProxy) -> None:
    proxy.fault = Close(after=1000, times=2)
    assert [len(fetch(proxy)) == 1000 for _ in range(3)] == [True, True, False]
    assert proxy.hits == 2


def test_a_stall_stands_still(proxy: FaultProxy) -> None:
    proxy.fault = Stall(after=100_000)
    with pytest.raises(requests.exceptions.ConnectionError, match="timed out"):
        requests.get(f"{proxy.url}/f", timeout=0.3)
    assert proxy.bytes_sent == 100_000


def test_a_trickle_is_slow_until_it_is_mended(proxy: FaultProxy) -> None:
    proxy.fault = Trickle(bytes_per_second=100_000)
    begin = time.monotonic()
    with requests.get(f"{proxy.url}/f", stream=True, timeout=5) as response:
        got = response.raw.read(50_000)
        assert time.monotonic() - begin >= 0.3
        proxy.fault = None
        got += response.raw.read()
    assert got == DATA


def test_one_byte_of_the_body_is_wrong(proxy: FaultProxy) -> None:
    proxy.fault = Flip(at=1_500_000)
    body = requests.get(f"{proxy.url}/f", timeout=5).content
    assert len(body) == len(DATA)
    assert [n for n in range(len(DATA)) if body[n] != DATA[n]] == [1_500_000]
