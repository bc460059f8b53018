"""Overhead of dask and stackstac's graph: time of the threads outside of tasks.

Run as a program it builds the cubes of a configuration in its own process, through the public
API, and prints what it counted. A task is one read by stackstac and one write; what its thread
does otherwise, or waits for, is overhead: building graphs, scheduling, the wait for the last task
of a part.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.benchmarks import ours
from scripts.benchmarks.cases import HEADLINE, cases
from scripts.benchmarks.data import Size
from scripts.benchmarks.report import Row


def measure(root: Path, size: Size) -> Row:
    """Build the cube of the main case, and record its tasks.

    Returns
    -------
    ``tasks`` run, ``graphs`` they came in, ``largest`` of them (in tasks), ``seconds`` spent in
    graphs, and the ``overhead``: the part of the threads' time outside of tasks.
    """
    cubes = cases(size)[HEADLINE].cubes(root, size)
    folder = str(Path(cubes["cube"][0].paths[0]).parent)
    source = {"store_id": "file", "store_params": {"root": folder}}
    config = ours.prepare(root / "run", size, cubes, source)
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(config)], capture_output=True, text=True, check=True
    )
    shutil.rmtree(root / "run")
    return {"case": "overhead", "tool": "stacbuild", **json.loads(done.stdout)}


def table(row: Row) -> str:
    """Return the figures as a Markdown table."""
    return (
        f"\n**overhead**: {HEADLINE}\n\n"
        "| tasks | graphs | tasks of the largest | seconds in graphs | outside of tasks |\n"
        "|---:|---:|---:|---:|---:|\n"
        f"| {row['tasks']} | {row['graphs']} | {row['largest']} | {row['seconds']:.2f} "
        f"| {100 * row['overhead']:.1f} % |"
    )


def _look_on(config: Path) -> dict[str, Any]:
    import dask
    import stackstac.to_dask
    import zarr
    from dask.callbacks import Callback
    from dask.system import CPU_COUNT

    from stacbuild.building import build
    from stacbuild.config import load_config

    lock = threading.Lock()
    busy = 0.0
    sizes: list[int] = []
    spans: list[float] = []

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal busy
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                with lock:
                    busy += time.perf_counter() - start

        return call

    class Looker(Callback):  # type: ignore[misc]
        def _start(self, dsk: Any) -> None:
            sizes.append(len(dsk))
            spans.append(-time.perf_counter())

        def _finish(self, dsk: Any, state: Any, errored: bool) -> None:  # noqa: ARG002
            spans[-1] += time.perf_counter()

    stackstac.to_dask.fetch_raster_window = timed(stackstac.to_dask.fetch_raster_window)
    zarr.Array.__setitem__ = timed(zarr.Array.__setitem__)  # type: ignore[method-assign]
    with Looker(), dask.config.set(num_workers=CPU_COUNT):
        (result,) = build(load_config(config), config.parent / "catalogs", datasets=["cube"])
    if result.error:
        raise result.error
    seconds = sum(spans)
    return {
        "tasks": sum(sizes),
        "graphs": len(sizes),
        "largest": max(sizes),
        "seconds": seconds,
        "cpu_seconds": time.process_time(),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "overhead": 1 - busy / (seconds * CPU_COUNT),
    }


if __name__ == "__main__":
    print(json.dumps(_look_on(Path(sys.argv[1]))))
