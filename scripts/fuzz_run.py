"""What scripts/fuzz runs once the environment is there: many seeds, counted by verdict."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

from tests.fuzz.damage import check_damaged
from tests.fuzz.judge import Outcome, check


def _one(seed: int, keep: Path | None, damaged: bool) -> Outcome:
    look = check_damaged if damaged else check
    if keep is not None:
        folder = keep / str(seed)
        folder.mkdir(parents=True)
        return look(seed, folder)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        return look(seed, Path(folder))


def main(words: list[str] | None = None) -> int:
    """Run the seeds that the command line names; return 1 if any is wrong or a crash."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="how many inputs")
    parser.add_argument("--seed", type=int, default=1, help="of the first; the next is one more")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--keep", type=Path, help="an empty folder to leave inputs and cubes in")
    parser.add_argument("--show", type=int, default=20, help="how many findings to print in full")
    parser.add_argument("--damaged", action="store_true", help="spoil the inputs")
    args = parser.parse_args(words)
    seeds = range(args.seed, args.seed + args.count)
    found, shown = Counter[tuple[str, str]](), 0
    failing: list[int] = []
    with multiprocessing.get_context("spawn").Pool(args.jobs) as pool:
        for outcome in pool.imap(
            partial(_one, keep=args.keep, damaged=args.damaged), seeds, chunksize=4
        ):
            found[outcome.verdict, outcome.kind] += 1
            if outcome.verdict in ("wrong", "crash"):
                failing.append(outcome.seed)
                if shown < args.show:
                    print(outcome, flush=True)
                    shown += 1
            elif args.count == 1:
                print(outcome)
    for (verdict, kind), number in sorted(found.items()):
        print(f"{number:6d} {verdict} {kind}")
    print(f"{len(failing)} of {args.count} wrong or crashed: {failing[:200]}")
    return int(bool(failing))


if __name__ == "__main__":
    sys.exit(main())
