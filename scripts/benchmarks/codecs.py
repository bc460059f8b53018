"""Size and speed of codecs for the chunks of a cube."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numcodecs.blosc
from numcodecs import Blosc, Zstd

from scripts.benchmarks import data
from scripts.benchmarks.data import Size
from scripts.benchmarks.floor import chunk
from scripts.benchmarks.job import Job, Layer

_CODECS: dict[str, Any] = {
    **{f"zstd {level}, checksum": Zstd(level=level, checksum=True) for level in (-5, -1, 1, 3)},
    "Blosc lz4": Blosc(cname="lz4"),
    "Blosc zstd 1": Blosc(cname="zstd", clevel=1),
}
_RUNS = 5


def table(root: Path, size: Size) -> str:
    """Return a Markdown table of encoding and decoding a chunk of each kind in one thread."""
    numcodecs.blosc.set_nthreads(1)
    lines = [
        "\n**codecs**: one chunk, one thread\n",
        "| values | codec | size ratio | encode ms | decode ms |",
        "|---|---|---:|---:|---:|",
    ]
    for values in ("prob", "annual"):
        path = data.geotiff(root, size, data.annual(size, values, "tiled-band"))
        block = chunk(Job.of(size, [Layer(values, (str(path),))], root))
        for name, codec in _CODECS.items():
            encoded = codec.encode(block)
            encode = _milliseconds(partial(codec.encode, block))
            decode = _milliseconds(partial(codec.decode, encoded))
            ratio = block.nbytes / len(encoded)
            lines.append(f"| {values} | {name} | {ratio:.1f} | {encode:.0f} | {decode:.0f} |")
    return "\n".join(lines)


def _milliseconds(work: Callable[[], Any]) -> float:
    def once() -> float:
        start = time.perf_counter()
        work()
        return 1000 * (time.perf_counter() - start)

    return median(once() for _ in range(_RUNS))
