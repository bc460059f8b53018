"""How many requests pass, by a clock of the test's own and at a real server."""

from __future__ import annotations

import bisect
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacbuild.net import http, pace
from stacbuild.net.pace import LIMITS, Pace
from tests.support.file_server import FileServer


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


def test_a_clock_that_was_set_back_makes_nobody_wait_for_it(tmp_path: Path) -> None:
    clock = Clock()
    polite = Pace(((5, 60.0), (20, 3600.0)), clock, clock.sleep, tmp_path / "pace.json")
    for _ in range(5):
        polite.wait()
    clock.now = began = clock.now - 1800
    for _ in range(5):
        polite.wait()
    assert clock.now == began
    polite.wait()
    assert clock.now == began + 60


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


def test_threads_share_a_pace() -> None:
    clock = Clock()
    polite = Pace(((5, 60.0),), clock, clock.sleep)
    threads = [threading.Thread(target=lambda: [polite.wait() for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.now == 1000.0 + 3 * 60


def test_processes_share_a_pace(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from stacbuild.net.pace import Pace\n"
        "polite = Pace(((18, 3600.0),), time.time, state=Path(sys.argv[1]))\n"
        "for _ in range(6): polite.wait()"
    )
    state = tmp_path / "cache" / "pace.json"
    running = [subprocess.Popen([sys.executable, "-c", code, str(state)]) for _ in range(3)]
    assert [each.wait(60) for each in running] == [0, 0, 0]
    turns = json.loads(state.read_text())
    assert len(turns) == 18
    assert turns == sorted(turns)
    # The hour's are used up: who comes next has to wait until the first of them is an hour ago.
    waits: list[float] = []
    Pace(((18, 3600.0),), time.time, waits.append, state).wait()
    assert 3000 < sum(waits) <= 3600


@pytest.mark.parametrize("content", ["[1, 2", "{}", "[null]", "[99999999.0, 1.0]"])
def test_a_torn_or_ancient_state_counts_for_nothing(tmp_path: Path, content: str) -> None:
    clock = Clock()
    state = tmp_path / "pace.json"
    state.write_text(content)
    polite = Pace(((2, 60.0),), clock, clock.sleep, state)
    polite.wait()
    polite.wait()
    assert clock.now == 1000.0
    polite.wait()
    assert clock.now == 1060.0


def test_without_a_place_for_it_each_process_counts_for_itself(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    clock = Clock()
    polite = Pace(((2, 60.0),), clock, clock.sleep, tmp_path / "file" / "pace.json")
    for _ in range(3):
        polite.wait()
    assert clock.now == 1060.0


def test_only_servers_elsewhere_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for host, known in (("zenodo.org", True), ("127.0.0.1:8000", False)):
        made = pace.pace_of("zenodo", host)
        assert made is not None
        made.wait()
        assert (made.state is not None) == known
    assert json.loads((tmp_path / "stacbuild" / "pace-zenodo-zenodo.org.json").read_text())
