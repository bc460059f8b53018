"""How many processors this process may use."""

from __future__ import annotations

import os


def available() -> int:
    """Return the number of processors that this process may run on, at least 1."""
    # Linux tells which of the machine's processors are ours, Python 3.13 everywhere asks for that.
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
