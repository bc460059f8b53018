"""Requests at the same time: all of them, their failures, and the limit for a host."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from stacbuild.net.in_flight import MOST, slot, together


def test_all_run_at_the_same_time() -> None:
    meeting = threading.Barrier(5, timeout=20)
    together(partial(meeting.wait) for _ in range(5))
    assert not meeting.broken


def test_a_single_one_runs_in_the_calling_thread() -> None:
    threads = []
    together([lambda: threads.append(threading.current_thread())])
    assert threads == [threading.current_thread()]


@pytest.mark.parametrize("failing", [0, 1, 3])
def test_a_failure_is_raised_when_all_have_ended(failing: int) -> None:
    ended = []

    def call(number: int) -> None:
        if number == failing:
            raise ValueError(str(number))
        ended.append(number)

    with pytest.raises(ValueError, match=str(failing)):
        together(partial(call, number) for number in range(4))
    assert failing not in ended


def test_a_host_has_one_limit() -> None:
    assert slot("a.example:80") is slot("a.example:80")
    assert slot("a.example:80") is not slot("b.example:80")
    held = [slot("c.example").acquire(blocking=False) for _ in range(MOST + 1)]
    assert held.count(True) == MOST
    for _ in range(MOST):
        slot("c.example").release()
