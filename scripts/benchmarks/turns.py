"""Run the tools of a case in turn, each in a fresh process."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from scripts.benchmarks import exact, ours
from scripts.benchmarks.cases import Case
from scripts.benchmarks.job import Job
from scripts.benchmarks.measure import Measured, measure
from scripts.benchmarks.report import Row

ROOT = Path(__file__).parents[2]


def run(case: Case, tools: Sequence[str], repeats: int, root: Path) -> list[Row]:
    """Run each tool of a case *repeats* times, alternating between the tools.

    Parameters
    ----------
    root
        The folder of all that is made; what the tools wrote is removed again.

    Returns
    -------
    A row a tool: medians, and where there is one layer only the share of exact pixels.
    """
    cubes = case.cubes(root, case.size)
    layers = [layer for group in cubes.values() for layer in group]
    work, out = root / "run", root / "run" / "out.zarr"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    job = Job.of(case.size, layers, out)
    commands: dict[str, list[str]] = {}
    for tool in tools:
        if tool == "stacbuild":
            folder = str(Path(layers[0].paths[0]).parent)
            source = {"store_id": "file", "store_params": {"root": folder}}
            commands[tool] = ours.cube(ours.prepare(work / "ours", case.size, cubes, source))
        else:
            commands[tool] = _command(tool, job, work)
    _warm(path for layer in layers for path in layer.paths)
    runs: dict[str, list[Measured]] = {tool: [] for tool in tools}
    correct: dict[str, float] = {}
    for _ in range(repeats):
        for tool in tools:
            made = work / "ours" / "cubes" / "cube.zarr" if tool == "stacbuild" else out
            shutil.rmtree(out, ignore_errors=True)
            shutil.rmtree(work / "ours" / "cubes", ignore_errors=True)
            runs[tool].append(measure(commands[tool], ROOT))
            if "cube" in cubes and tool not in correct:
                correct[tool] = exact.share(job, made)
    shutil.rmtree(work)
    rows: list[Row] = []
    for tool, measured in runs.items():
        rows.append({"case": case.name, "tool": tool, **asdict(Measured.median(measured))})
        rows[-1]["runs"] = len(measured)
        if tool in correct:
            rows[-1]["exact"] = correct[tool]
    return rows


def _command(tool: str, job: Job, work: Path) -> list[str]:
    codec = "lz4" if tool == "floor-lz4" else "zstd"
    path = replace(job, codec=codec).save(work / f"{tool}.json")
    if tool.startswith("floor"):
        return [sys.executable, "-m", "scripts.benchmarks.floor", str(path)]
    return [sys.executable, "-m", "scripts.benchmarks.peers", tool, str(path)]


def _warm(paths: Iterable[str]) -> None:
    """Read all files once, so that they are cached for the first tool, too."""
    for path in map(Path, paths):
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file():
                with file.open("rb") as opened:
                    while opened.read(1 << 24):
                        pass
