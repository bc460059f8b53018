"""Arrays that threads fill together."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from stacbuild.shared import SharedArray


def test_threads_share_the_parts_and_all_get_the_whole() -> None:
    array, by = np.zeros(100), []
    together = threading.Barrier(4, timeout=30)

    def fill(part: int) -> None:
        if part < 4:
            together.wait()  # passes only when four threads are at work at the same time
        by.append(threading.get_ident())
        array[part] = part + 1

    shared = SharedArray(array, [partial(fill, part) for part in range(100)])
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: shared.get().copy(), range(4)))
    for result in results:
        np.testing.assert_array_equal(result, np.arange(1, 101))
    assert len(by) == 100
    assert len(set(by)) == 4


def test_a_part_that_fails_fails_for_everyone() -> None:
    def fail() -> None:
        raise OSError("gone")

    shared = SharedArray(np.zeros(3), [fail, lambda: None])
    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            shared.get()
