"""Run the demo; called by scripts/demo, which creates the environment."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import xarray as xr

from tests.standins.truth import LAYERS
from tests.support.reference import compare

ROOT = Path(__file__).parents[1]
CUBES = ("senf", "gami", "liu", "clms")
BOX = "-0.70,44.10,-0.58,44.20"


def main(directory: Path) -> int:
    """Run the demo in *directory*."""
    directory.mkdir(parents=True, exist_ok=True)
    print(f"1. Start local stand-ins for Zenodo, S3 and CLMS, with data in {directory}/sources")
    with stand_ins(directory):
        config = directory / "scs2_config.yml"
        print("\n2. Harvest: describe all sources in a local STAC catalog")
        harvest = run("harvest", config)
        print(f"\n3. Build: the grid of SCS2, cropped to {BOX}")
        cube = run("cube", config, "--bbox", BOX)
    if harvest.code or cube.code:
        return harvest.code or cube.code
    print("\n4. Open the cubes")
    for name in CUBES:
        print(f"\n>>> xr.open_zarr('{directory}/data/{name}.zarr')")
        with xr.open_zarr(directory / "data" / f"{name}.zarr") as dataset:
            print(dataset)
    print("\n5. Compare every pixel with its expected value (every centre transformed by PROJ)")
    print(f"{'variable':30} {'method':9} {'pixels':>10} {'equal':>9} {'unexplained':>12}")
    wrong = 0
    for layer in LAYERS:
        found = compare(directory / "data" / f"{layer.source}.zarr", layer.variable)
        wrong += found.unexplained
        print(
            f"{found.variable:30} {found.method:9} {found.pixels:10,} {found.share:9.6f} "
            f"{found.unexplained:12,}"
        )
    print("\n6. Time and memory")
    for step in (harvest, cube):
        print(f"{step.name:8} {step.seconds:6.1f} s   peak memory {step.peak / 2**20:5.0f} MB")
    print(f"\nThe catalog: {directory}/catalogs/catalog.json")
    print(
        f'Open a cube: .venv/bin/python -c "import xarray as xr; '
        f"print(xr.open_zarr('{directory}/data/senf.zarr'))\""
    )
    return 1 if wrong else 0


@contextmanager
def stand_ins(directory: Path) -> Iterator[None]:
    """Run the stand-ins until the end of the block."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.standins", str(directory), f"--box={BOX}"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        if not server.stdout.readline().startswith("ready"):
            raise SystemExit("the stand-ins did not start; see above")
        yield
    finally:
        server.terminate()
        server.wait(timeout=30)


class Step:
    """A command that was run: exit code, time and peak memory."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.code = 0
        self.seconds = 0.0
        self.peak = 0


def run(command: str, *arguments: object) -> Step:
    """Run stacbuild as a user would."""
    step = Step(command)
    words = [str(Path(sys.executable).with_name("stacbuild")), command, *map(str, arguments)]
    print("$ stacbuild", command, *arguments, flush=True)
    start = time.monotonic()
    process = subprocess.Popen(words)
    watcher = threading.Thread(target=watch, args=(process.pid, step))
    watcher.start()
    step.code = process.wait()
    watcher.join()
    step.seconds = time.monotonic() - start
    return step


def watch(pid: int, step: Step) -> None:
    """Record the peak resident memory of a process and its children while it runs."""
    try:
        root = psutil.Process(pid)
        while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
            tree = [root, *root.children(recursive=True)]
            step.peak = max(step.peak, sum(process.memory_info().rss for process in tree))
            time.sleep(0.05)
    except psutil.Error:
        pass  # it has ended


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
