"""Rate limits for kinds of store, shared by all threads and processes of a user.

Threads share the count in memory, processes in a small file in the user's cache folder. If that
cannot be written, each process counts for itself.
"""

from __future__ import annotations

import json
import re
import threading
import time
from bisect import insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from stacbuild.machine import user_cache

Limit = tuple[int, float]
"""Requests, and the seconds in which they are allowed."""

# Zenodo allows guests 60 requests a minute and 2000 an hour (developers.zenodo.org, "Rate
# limiting"), and each range is one; some are left for the user's browser.
LIMITS: dict[str, tuple[Limit, ...]] = {"zenodo": ((55, 60.0), (1900, 3600.0))}


@dataclass
class Pace:
    """A rate limiter: requests wait until all limits allow them.

    Parameters
    ----------
    limits
        All of them are respected.
    clock, sleep
        Current time in seconds, and how to wait.
    state
        A file to share the count with other processes; *clock* must then be the same in all.
    """

    limits: tuple[Limit, ...]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    state: Path | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _passed: deque[float] = field(default_factory=deque, repr=False)

    def wait(self) -> None:
        """Wait until one more request is within the limits, and count it."""
        # Locked while waiting, so that later threads wait behind this one.
        with self._lock:
            wait = self._take_turn()
            if wait > 0:
                self.sleep(wait)

    def _take_turn(self) -> float:
        """Count a request at the first time that is allowed; return the seconds until then."""
        if self.state is not None:
            try:
                self.state.parent.mkdir(parents=True, exist_ok=True)
                # Not locked while waiting: the file records the time of this request.
                with FileLock(self.state.with_suffix(".lock"), timeout=10):
                    self._passed = deque(_read(self.state, self.clock(), self.limits))
                    wait = self._next()
                    self.state.write_text(json.dumps(list(self._passed)), encoding="utf-8")
                    return wait
            except OSError:
                self.state = None
        return self._next()

    def _next(self) -> float:
        now = self.clock()
        ready = now
        for count, seconds in self.limits:
            # Turns are taken a minute or two ahead; later ones are of a clock that was set back.
            counted = [each for each in self._passed if abs(each - now) <= 2 * seconds]
            if len(counted) >= count:
                ready = max(ready, counted[-count] + seconds)
        insort(self._passed, ready)
        while len(self._passed) > max(count for count, _ in self.limits):
            self._passed.popleft()
        return ready - now


def _read(state: Path, now: float, limits: tuple[Limit, ...]) -> list[float]:
    """Return the recorded times that still count; none if the file is missing or damaged."""
    try:
        times = sorted(float(each) for each in json.loads(state.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return []
    # Drop times outside the window (the clock may have been set back).
    longest = max(seconds for _, seconds in limits)
    return [each for each in times if abs(each - now) <= longest]


_paces: dict[tuple[str, str], Pace] = {}
_paces_lock = threading.Lock()


def pace_of(kind: str, host: str) -> Pace | None:
    """Return the shared rate limiter of a host, as ``name:port``; None if it has no limit.

    *kind* is the kind of store, such as ``zenodo``.
    """
    if kind not in LIMITS:
        return None
    with _paces_lock:
        if (kind, host) not in _paces:
            _paces[kind, host] = Pace(LIMITS[kind], time.time, state=_state(kind, host))
        return _paces[kind, host]


def _state(kind: str, host: str) -> Path | None:
    name = host.rpartition("@")[2].lower()
    if name.startswith(("127.", "localhost", "[::1]")):
        # Local servers, as in tests, need no limit across processes.
        return None
    try:
        return user_cache() / f"pace-{kind}-{re.sub(r'[^a-z0-9.-]', '_', name)}.json"
    except RuntimeError:
        return None


def forget() -> None:
    """Reset all counts of this process."""
    with _paces_lock:
        _paces.clear()
