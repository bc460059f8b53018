"""Benchmark the tools in turn, each in a fresh process, and print time, memory and traffic."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.benchmarks import (
    codecs,
    many,
    overhead,
    remote,
    report,
    scenes,
    shards,
    turns,
    waiting,
)
from scripts.benchmarks.cases import cases
from scripts.benchmarks.data import SIZES

_OTHERS = (*remote.LAYOUTS, shards.NAME, many.NAME, *waiting.CASES, *scenes.CASES, "overhead")


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks that the command line selects."""
    options = _parse(arguments)
    size, root = SIZES[options.size], options.directory.absolute()
    root.mkdir(parents=True, exist_ok=True)
    print(report.machine(), flush=True)
    if options.codecs:
        print(codecs.table(root, size))
        return 0
    known = cases(size)
    rows: list[report.Row] = []
    for name in options.case or (*known, *_OTHERS):
        if name in remote.LAYOUTS:
            if options.tools and "stacbuild" not in options.tools:
                continue
            row = remote.read_in_place(name, size, root)
            rows.append(row)
            print(report.traffic(row), flush=True)
        elif name == shards.NAME:
            found = shards.run(root, size)
            rows += found
            print(shards.table(found), flush=True)
        elif name == many.NAME:
            found = many.run(size, root)
            rows += found
            print(many.table(found), flush=True)
        elif name in waiting.CASES:
            found = waiting.run(name, size, root)
            rows += found
            print(waiting.table(found), flush=True)
        elif name in scenes.CASES:
            found = scenes.run(name, size, root)
            rows += found
            print(scenes.table(found), flush=True)
        elif name == "overhead":
            rows.append(overhead.measure(root, size))
            print(overhead.table(rows[-1]), flush=True)
        else:
            case = known[name]
            tools = [tool for tool in case.tools if not options.tools or tool in options.tools]
            found = turns.run(case, tools, options.repeats or size.repeats, root) if tools else []
            rows += found
            if found:
                print(report.table(found, case.title), flush=True)
        if options.json:
            report.save(options.json, rows)
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    names = [*cases(SIZES["full"]), *_OTHERS]
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--size", choices=list(SIZES), default="small")
    parser.add_argument("--case", action="append", choices=names, help="may be given several times")
    parser.add_argument("--tools", type=lambda text: text.split(","), help="a,b,c")
    parser.add_argument("--repeats", type=int, help="runs of each tool; their median counts")
    parser.add_argument("--codecs", action="store_true", help="only compare codecs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there as well")
    parser.add_argument(
        "--directory",
        type=Path,
        default=turns.ROOT / "build/bench",
        help="of all that is made  [default: build/bench]",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
