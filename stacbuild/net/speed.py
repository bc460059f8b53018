"""Detect bodies that arrive too slowly."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """Limits for resuming a body that is cut, stalls or is too slow.

    Parameters
    ----------
    tries
        Attempts in a row without progress before giving up.
    worth
        Bytes of an attempt that count as progress.
    min_speed
        Bytes per second, averaged over *seconds*, below which the connection is renewed.
    seconds
        Interval for *min_speed*; also the read timeout.
    pause
        Seconds before the first new connection, doubled with each further one.
    """

    tries: int = 6
    worth: int = 1 << 20
    min_speed: float = 8_000
    seconds: float = 30
    pause: float = 0.5


class Speed:
    """The speed of a body, measured from the creation of this object.

    Parameters
    ----------
    patience
        Its ``min_speed`` and ``seconds`` apply.
    done
        Bytes that earlier attempts have received.
    """

    def __init__(self, patience: Patience, done: int = 0) -> None:
        self._patience = patience
        self._mark, self._clock = done, time.monotonic()

    def too_slow(self, done: int) -> float | None:
        """Return the bytes per second of an interval that ends now if they are too few, else None.

        Parameters
        ----------
        done
            Bytes received so far, those of earlier attempts included.
        """
        now = time.monotonic()
        passed, received = now - self._clock, done - self._mark
        if passed < self._patience.seconds:
            return None
        if received < self._patience.min_speed * passed:
            return received / passed
        self._mark, self._clock = done, now
        return None
