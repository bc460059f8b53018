"""Run many random cases and count them by verdict; called by scripts/fuzz."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

from tests.fuzz.damage import check_damaged
from tests.fuzz.judge import Outcome, check

# Seeds that a process takes at a time.
_BATCH = 10


def _one(seed: int, keep: Path | None, damaged: bool) -> Outcome:
    look = check_damaged if damaged else check
    if keep is not None:
        folder = keep / str(seed)
        folder.mkdir(parents=True)
        return look(seed, folder)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        return look(seed, Path(folder))


def _batch(one: Callable[[int], Outcome], seeds: Sequence[int]) -> list[Outcome]:
    return [one(seed) for seed in seeds]


def _outcomes(one: Callable[[int], Outcome], seeds: Sequence[int], jobs: int) -> Iterator[Outcome]:
    """Yield the verdict of each seed; a process that dies (such as by a segfault) is a crash.

    What was under way then is left out, and the rest done by other processes.
    """
    left = [seeds[start : start + _BATCH] for start in range(0, len(seeds), _BATCH)]
    while left:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, mp_context=context) as pool:
            futures = {pool.submit(_batch, one, batch): batch for batch in left}
            left = []
            for future in as_completed(futures):
                try:
                    yield from future.result()
                except BrokenProcessPool:
                    left.append(futures[future])
        if left:
            left.sort()
            # Those that were under way may kill the next process as well.
            begun, left = left[:jobs], left[jobs:]
            which = [seed for batch in begun for seed in batch]
            text = f"a process died over one of the seeds {which}"
            yield Outcome(begun[0][0], "crash", "process died", text, {})


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
    seeds = list(range(args.seed, args.seed + args.count))
    found, shown = Counter[tuple[str, str]](), 0
    failing: list[int] = []
    one = partial(_one, keep=args.keep, damaged=args.damaged)
    for outcome in _outcomes(one, seeds, args.jobs):
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
