"""Types that all schedulers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da

Key = tuple[Any, ...]
"""The key of a task in dask's graph."""

Run = Callable[[da.Array, Callable[[Key], None]], None]
"""Computes every block of an array, and calls back with the key of each finished block."""


class WorkersLostError(Exception):
    """Workers died repeatedly while computing the same task."""
