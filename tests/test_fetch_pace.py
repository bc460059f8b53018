"""How many requests pass, by a clock of the test's own and at a real server."""

from __future__ import annotations

import bisect

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacbuild.fetch import http, pace
from stacbuild.fetch.pace import LIMITS, Pace
from tests.fetch_server import FileServer


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@settings(deadline=None)
@given(pauses=st.lists(st.floats(0, 40), max_size=300))
def test_no_minute_and_no_hour_sees_more_than_allowed(pauses: list[float]) -> None:
    clock = Clock()
    polite = Pace(((5, 60.0), (20, 600.0)), clock, clock.sleep)
    passed = []
    for pause in pauses:
        clock.now += pause
        polite.wait()
        passed.append(clock.now)
    for count, seconds in polite.limits:
        for start in passed:
            inside = bisect.bisect_left(passed, start + seconds - 1e-6) - passed.index(start)
            assert inside <= count


def test_nobody_waits_below_the_limit() -> None:
    clock = Clock()
    polite = Pace(LIMITS["zenodo"], clock, clock.sleep)
    for _ in range(LIMITS["zenodo"][0][0]):
        polite.wait()
    assert clock.now == 1000.0
    polite.wait()
    assert clock.now == 1060.0
    assert LIMITS["zenodo"][0][0] < 60


def test_sessions_of_one_kind_share_a_pace_and_others_have_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited = []
    monkeypatch.setitem(pace.LIMITS, "slow", ((4, 3600.0),))
    with FileServer({"/f": b"x"}) as server:
        host = server.url.removeprefix("http://")
        shared = pace.pace_of("slow", host)
        assert shared is not None
        shared.sleep = waited.append
        for _ in range(3):
            with http.session(kind="slow") as session, http.session() as free:
                http.send(session, "GET", f"{server.url}/f")
                http.send(session, "GET", f"{server.url}/f")
                http.send(free, "GET", f"{server.url}/f")
    assert len(waited) == 2, "four pass at once, two of six have to wait"
