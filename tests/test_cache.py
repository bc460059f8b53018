"""The cache of what chunks share: made once, bounded, honest about failures."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from stacbuild.cache import Cache


def test_threads_that_ask_together_share_one_making() -> None:
    cache = Cache(max_bytes=10_000)
    made, gate = [], threading.Barrier(8)

    def make() -> np.ndarray:
        made.append(1)
        return np.ones(10)

    def ask(_: int) -> int:
        gate.wait()
        return id(cache.get("key", make))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert len(made) == 1


def test_the_least_recently_used_goes_first() -> None:
    cache = Cache(max_bytes=2 * 800)
    for key in "ab":
        cache.get(key, lambda: np.ones(100))
    cache.get("a", lambda: pytest.fail("a is there"))
    cache.get("c", lambda: np.ones(100))
    made = []
    cache.get("a", lambda: made.append("a") or np.ones(100))
    cache.get("b", lambda: made.append("b") or np.ones(100))
    assert made == ["b"]
    assert cache.nbytes <= 1600


def test_what_is_too_large_is_given_but_not_kept() -> None:
    cache = Cache(max_bytes=100)
    assert cache.get("big", lambda: np.ones(1000)).sum() == 1000
    assert cache.nbytes == 0


def test_a_failure_is_raised_and_not_kept() -> None:
    cache = Cache(max_bytes=1000)
    with pytest.raises(OSError, match="gone"):
        cache.get("key", lambda: (_ for _ in ()).throw(OSError("gone")))
    assert cache.get("key", lambda: np.ones(1)) == 1


def test_what_was_asked_for_as_often_as_foretold_is_dropped() -> None:
    cache = Cache(max_bytes=10_000)
    for _ in range(3):
        assert cache.get("key", lambda: np.ones(10), uses=3).sum() == 10
        assert cache.get("other", lambda: np.ones(20)).sum() == 20
    assert cache.nbytes == 160
    assert cache.get("key", lambda: np.zeros(10), uses=3).sum() == 0
