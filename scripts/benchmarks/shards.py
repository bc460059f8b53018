"""Chunks and shards of a cube: building it, reading all of it, and reading patches.

Run as a program it reads the cube at a path, and prints what that cost.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from scripts.benchmarks import data, ours
from scripts.benchmarks.data import Size
from scripts.benchmarks.job import Layer
from scripts.benchmarks.measure import measure
from scripts.benchmarks.report import Row

NAME = "shards"

# Side of a tile, as a part of the size's own, and whether it is a shard.
_LAYOUTS = ((1, False), (8, False), (1, True), (2, True))
_PATCHES = 200
_SIDE = 256


def run(root: Path, size: Size) -> list[Row]:
    """Build one cube in each layout, in turn, and read it.

    Returns
    -------
    A row for each, with beyond the usual figures the number of ``files`` and their ``bytes``,
    ``whole``: seconds to read all, and of 200 random patches of 256 x 256 pixels ``patch_ms``,
    ``patch_kb`` and ``patch_gets`` (requests to the store), each for one patch.
    """
    file = data.annual(size, "prob", "tiled-band")
    layer = Layer("prob", (str(data.geotiff(root, size, file)),))
    source = {"store_id": "file", "store_params": {"root": str(Path(layer.paths[0]).parent)}}
    work = root / "run"
    rows = []
    for part, sharded in _LAYOUTS:
        tile = size.tile // part
        config = ours.prepare(work, replace(size, tile=tile), {"cube": [layer]}, source)
        stated = yaml.safe_load(config.read_text())
        stated["general"] = {"shards": sharded}
        config.write_text(yaml.safe_dump(stated))
        measured = measure(ours.cube(config), work)
        cube = work / "cubes" / "cube.zarr"
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(cube)], capture_output=True, text=True, check=True
        )
        row: Row = {"case": NAME, "tool": f"{'shards' if sharded else 'chunks'} of {tile}"}
        rows.append(row | asdict(measured) | {"runs": 1} | json.loads(done.stdout))
        shutil.rmtree(work)
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return the figures as a Markdown table, with ratios to the first row."""
    first = rows[0]
    heads = ("tiles", "build s", "cpu s", "peak MB", "files", "MB", "read all s", "patch ms")
    heads += ("patch kB", "gets", "build", "read all", "patch bytes")
    lines = [f"\n**{NAME}**: one file of bands as chunks and as shards; ratios to the first row\n"]
    lines += [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    for row in rows:
        cells = [row["tool"], f"{row['seconds']:.2f}", f"{row['cpu_seconds']:.1f}"]
        cells += [f"{row['peak_rss_mb']:.0f}", str(row["files"]), f"{row['bytes'] / 1e6:.0f}"]
        cells += [f"{row['whole']:.2f}", f"{row['patch_ms']:.1f}", f"{row['patch_kb']:.0f}"]
        cells += [f"{row['patch_gets']:.1f}"]
        for key in ("seconds", "whole", "patch_kb"):
            cells.append(f"{row[key] / first[key]:.3f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _read(cube: Path) -> dict[str, Any]:
    import zarr
    from zarr.storage import LocalStore, WrapperStore

    class Counting(WrapperStore[LocalStore]):
        gets, read = 0, 0

        async def get(self, *words: Any, **named: Any) -> Any:
            found = await self._store.get(*words, **named)
            Counting.gets += 1
            Counting.read += len(found) if found is not None else 0
            return found

    [name] = [path.parent.parent.parent.parent.name for path in cube.glob("*/c/0/0/0")]
    array: Any = zarr.open_array(Counting(LocalStore(cube, read_only=True)), path=name, mode="r")
    start = time.perf_counter()
    for band in range(array.shape[0]):
        array[band]
    whole = time.perf_counter() - start
    Counting.gets = Counting.read = 0
    chance = np.random.default_rng(5)
    bands, rows, cols = (chance.integers(0, n, _PATCHES) for n in np.maximum(
        1, np.subtract(array.shape, (0, _SIDE, _SIDE))
    ))  # fmt: skip
    start = time.perf_counter()
    for band, row, col in zip(bands, rows, cols, strict=True):
        array[band, row : row + _SIDE, col : col + _SIDE]
    seconds = time.perf_counter() - start
    stored = [path for path in (cube / name / "c").rglob("*") if path.is_file()]
    return {
        "files": len(stored),
        "bytes": sum(path.stat().st_size for path in stored),
        "whole": whole,
        "patch_ms": 1000 * seconds / _PATCHES,
        "patch_kb": Counting.read / 1000 / _PATCHES,
        "patch_gets": Counting.gets / _PATCHES,
    }


if __name__ == "__main__":
    print(json.dumps(_read(Path(sys.argv[1]))))
