"""Memory of freed chunks is used again: counted in page faults of a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stacbuild.machine import keep_freed_memory

_PROGRAM = """
import resource, sys, threading
from stacbuild.machine import keep_freed_memory
keep_freed_memory()

def work():
    for _ in range(20):
        chunk = bytearray(16_000_000)
        half = bytearray(8_000_000)
        del chunk, half

before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
threads = [threading.Thread(target=work) for _ in range(4)]
for each in threads: each.start()
for each in threads: each.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environment: str) -> int:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=clean | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of the GNU C library")
def test_a_chunk_is_made_in_the_memory_of_the_one_before() -> None:
    pages = (16_000_000 + 8_000_000) // os.sysconf("SC_PAGE_SIZE")
    # Each page once: the threads have this much at a time, and a little is Python's.
    kept = faults()
    assert kept < 4 * pages + 2000
    # An environment that says how is left alone; the C library then gives pages back.
    assert faults(MALLOC_ARENA_MAX="8") > kept


def test_calling_it_again_is_harmless() -> None:
    keep_freed_memory()
    keep_freed_memory()
    assert bytes(bytearray(1000)) == bytes(1000)
