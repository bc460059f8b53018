"""Types that all schedulers share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da

Key = tuple[Any, ...]
"""The key of a task in dask's graph."""

Run = Callable[[Sequence[da.Array], Callable[[Key], None]], None]
"""Computes every block of arrays, and calls back with the key of each finished block."""


@dataclass(frozen=True)
class Workers:
    """Workers that compute the regions of a cube.

    Parameters
    ----------
    run
        Computes one region; may be called from several threads.
    in_flight
        Returns the number of tasks that keep all workers busy; 0 to compute regions one by one.
    """

    run: Run
    in_flight: Callable[[], int]


class WorkersLostError(Exception):
    """Workers died repeatedly while computing the same task."""
