"""What all schedulers have in common: how they are run, and what they raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da

Key = tuple[Any, ...]
"""Of a task in dask's graph."""

Run = Callable[[da.Array, Callable[[Key], None]], None]
"""Computes every block of an array, and tells the key of each as it is done."""


class WorkersLostError(Exception):
    """Workers died over the same task again and again."""
