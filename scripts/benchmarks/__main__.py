"""Runs the tools in turn, each in a fresh process, and prints what they cost."""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

from scripts.benchmarks import exact, ours, report
from scripts.benchmarks.cases import Case, cases
from scripts.benchmarks.data import SIZES
from scripts.benchmarks.job import Job
from scripts.benchmarks.measure import Measured, measure

ROOT = Path(__file__).parents[2]
PEERS_PYTHON = Path("build/bench/.venv/bin/python")


def main(arguments: list[str] | None = None) -> int:
    """Be `scripts/bench`."""
    options = _parse(arguments)
    root = options.directory.absolute()
    root.mkdir(parents=True, exist_ok=True)
    rows: list[report.Row] = []
    print(report.machine(), flush=True)
    known = cases(SIZES[options.size])
    for name in options.case or known:
        found = _run(known[name], options.tools, options.repeats, root)
        if found:
            rows += found
            print(report.table(found, known[name].title), flush=True)
        if options.json:
            report.save(options.json, rows)
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--size", choices=list(SIZES), default="small")
    parser.add_argument("--case", action="append", choices=list(cases(SIZES["full"])))
    parser.add_argument("--tools", type=lambda text: text.split(","), help="a,b,c")
    parser.add_argument("--repeats", type=int, help="runs of each tool; their median counts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there as well")
    parser.add_argument(
        "--directory", type=Path, default=ROOT / "build/bench", help="of all that is made"
    )
    return parser.parse_args(arguments)


def _run(case: Case, wanted: list[str] | None, repeats: int | None, root: Path) -> list[report.Row]:
    tools = [tool for tool in case.tools if not wanted or tool in wanted]
    if not tools:
        return []
    cubes = case.cubes(root, case.size)
    layers = [layer for group in cubes.values() for layer in group]
    work, out = root / "run", root / "run" / "out.zarr"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    job = Job.of(case.size, layers, out)
    made = out
    commands: dict[str, list[str]] = {}
    for tool in tools:
        if tool == "stacbuild":
            source = {
                "store_id": "file",
                "store_params": {"root": str(Path(layers[0].paths[0]).parent)},
            }
            config = ours.prepare(work / "ours", case.size, cubes, source)
            commands[tool] = ours.cube(config)
            continue
        codec = "lz4" if tool == "floor-lz4" else "zstd"
        path = replace(job, codec=codec).save(work / f"{tool}.json")
        if tool.startswith("floor"):
            commands[tool] = [sys.executable, "-m", "scripts.benchmarks.floor", str(path)]
        else:
            commands[tool] = [str(PEERS_PYTHON), "-m", "scripts.benchmarks.peers", tool, str(path)]
    _warm(layers)
    runs: dict[str, list[Measured]] = {tool: [] for tool in tools}
    correct: dict[str, float] = {}
    for _ in range(repeats or case.size.repeats):
        for tool in tools:
            made = work / "ours" / "cubes" / "cube.zarr" if tool == "stacbuild" else out
            shutil.rmtree(out, ignore_errors=True)
            shutil.rmtree(work / "ours" / "cubes", ignore_errors=True)
            runs[tool].append(measure(commands[tool], ROOT))
            if "cube" in cubes and tool not in correct:
                correct[tool] = exact.share(job, made)
    shutil.rmtree(work)
    return [
        {"case": case.name, "tool": tool, **asdict(Measured.median(runs[tool])),
         "runs": len(runs[tool]), **({"exact": correct[tool]} if tool in correct else {})}
        for tool in tools
    ]  # fmt: skip


def _warm(layers: list) -> None:
    """Read all files once, so that the first tool does not pay for the disk."""
    for layer in layers:
        for path in map(Path, layer.paths):
            for file in path.rglob("*") if path.is_dir() else [path]:
                if file.is_file():
                    with file.open("rb") as opened:
                        while opened.read(1 << 24):
                            pass


if __name__ == "__main__":
    sys.exit(main())
