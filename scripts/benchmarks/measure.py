"""Measure time, CPU time and memory of a command and all its children."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

_EVERY = 0.02  # seconds between two looks at the memory


@dataclass(frozen=True)
class Measured:
    """Cost of one run, or the median of several, including interpreter and imports."""

    seconds: float
    cpu_seconds: float
    peak_rss_mb: float

    @classmethod
    def median(cls, runs: Sequence[Measured]) -> Measured:
        """Return the median of each figure."""
        return cls(
            median(run.seconds for run in runs),
            median(run.cpu_seconds for run in runs),
            median(run.peak_rss_mb for run in runs),
        )


def measure(command: Sequence[str], cwd: Path) -> Measured:
    """Run a command to its end.

    Raises
    ------
    SystemExit
        If it fails; its last words are in the message.
    """
    os.sync()  # what the run before has left to be written
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    peak = [0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peak))
    watcher.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - start
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{output[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(seconds, cpu, peak[0] / 2**20)


def _watch(pid: int, peak: list[int]) -> None:
    try:
        root = psutil.Process(pid)
        while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
            tree = [root, *root.children(recursive=True)]
            # The kernel's own mark misses nothing, but is of one process only.
            peak[0] = max(peak[0], sum(each.memory_info().rss for each in tree), _mark(pid))
            time.sleep(_EVERY)
    except (psutil.Error, OSError):
        pass  # it has ended


def _mark(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0
