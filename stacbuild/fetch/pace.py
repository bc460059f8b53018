"""Politeness: how many requests a kind of server gets in a while, whoever in this process asks."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

Limit = tuple[int, float]
"""So many requests in so many seconds."""

# Zenodo allows a guest 60 requests a minute and 2000 an hour (developers.zenodo.org, "Rate
# limiting"), each range counting as one; a little is left for the user's browser.
LIMITS: dict[str, tuple[Limit, ...]] = {"zenodo": ((55, 60.0), (1900, 3600.0))}


@dataclass
class Pace:
    """Lets requests pass as long as every limit holds, and makes them wait otherwise.

    Parameters
    ----------
    limits
        All of which hold at any time.
    clock, sleep
        Seconds that only go forward, and how to wait for some.
    """

    limits: tuple[Limit, ...]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _passed: deque[float] = field(default_factory=deque, repr=False)

    def wait(self) -> None:
        """Wait until one more request is within the limits, and count it."""
        # Held while waiting: those who come later wait for their turn behind it.
        with self._lock:
            now = self.clock()
            ready = now
            for count, seconds in self.limits:
                if len(self._passed) >= count:
                    ready = max(ready, self._passed[-count] + seconds)
            if ready > now:
                self.sleep(ready - now)
            self._passed.append(ready)
            while len(self._passed) > max(count for count, _ in self.limits):
                self._passed.popleft()


_paces: dict[tuple[str, str], Pace] = {}
_paces_lock = threading.Lock()


def pace_of(kind: str, host: str) -> Pace | None:
    """Give the pace that all of this process share for a host; None if it has no limit.

    Parameters
    ----------
    kind
        Of store, such as ``zenodo``.
    host
        Name and port.
    """
    if kind not in LIMITS:
        return None
    with _paces_lock:
        return _paces.setdefault((kind, host), Pace(LIMITS[kind]))


def forget() -> None:
    """Start counting anew, as a new process would."""
    with _paces_lock:
        _paces.clear()
