"""Pages of a remote file are fetched once, near ones together."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from stacbuild.errors import RemoteError
from stacbuild.net.pages import AHEAD, GAP, LONGEST, PAGE, Pages

CONTENT = np.random.default_rng(1).bytes(10 * AHEAD + 123)


class Remote:
    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.lock = threading.Lock()

    def __call__(self, start: int, stop: int) -> bytes:
        with self.lock:
            self.asked.append((start, stop))
        return CONTENT[start:stop]


def test_bytes_are_fetched_once_and_some_ahead() -> None:
    remote = Remote()
    pages = Pages("a", remote, len(CONTENT))
    assert pages.read(10, 20) == CONTENT[10:20]
    assert remote.asked == [(0, AHEAD)]
    assert pages.read(PAGE, 3 * PAGE) == CONTENT[PAGE : 3 * PAGE]
    assert len(remote.asked) == 1
    # Up to the end of the file, and nothing beyond it.
    assert pages.read(len(CONTENT) - 5, len(CONTENT) + 5) == CONTENT[-5:]
    assert pages.read(len(CONTENT), len(CONTENT) + 5) == b""


def test_ranges_near_each_other_are_one_request() -> None:
    remote = Remote()
    pages = Pages("a", remote, len(CONTENT))
    far = 3 * PAGE + GAP
    pages.prefetch([(0, 5), (2 * PAGE, 2 * PAGE + 5), (far + PAGE, far + PAGE + 1)])
    assert sorted(remote.asked) == [(0, 3 * PAGE), (far + PAGE, far + 2 * PAGE)]
    pages.prefetch([(0, 3 * PAGE)])
    assert len(remote.asked) == 2


def test_a_request_is_no_longer_than_it_may_be() -> None:
    asked: list[tuple[int, int]] = []

    def fetch(start: int, stop: int) -> bytes:
        asked.append((start, stop))
        return bytes(stop - start)

    pages = Pages("a", fetch, 3 * LONGEST)
    pages.prefetch([(0, LONGEST + PAGE)])
    assert max(stop - start for start, stop in asked) <= LONGEST
    assert sum(stop - start for start, stop in asked) == LONGEST + PAGE


def test_threads_share_what_is_fetched() -> None:
    remote = Remote()
    pages = Pages("a", remote, len(CONTENT))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: pages.read(0, AHEAD), range(20)))
    assert set(found) == {CONTENT[:AHEAD]}
    assert sum(stop - start for start, stop in remote.asked) == AHEAD


def test_a_failed_request_is_raised_and_made_again() -> None:
    remote, failing = Remote(), [True]

    def fetch(start: int, stop: int) -> bytes:
        if failing.pop() if failing else False:
            raise RemoteError("down")
        return remote(start, stop)

    pages = Pages("a", fetch, len(CONTENT))
    with pytest.raises(RemoteError, match="down"):
        pages.read(0, 5)
    assert pages.read(0, 5) == CONTENT[:5]
