"""Reading in place over HTTP, from a local server with latency that counts requests."""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import rasterio

from scripts.benchmarks import data, ours
from scripts.benchmarks.data import Size
from scripts.benchmarks.floor import index_map
from scripts.benchmarks.job import Job, Layer
from scripts.benchmarks.measure import measure
from scripts.benchmarks.report import Row

LATENCY = 0.03  # seconds before an answer begins

LAYOUTS = {f"http-{layout}": layout for layout in ("tiled-band", "tiled-pixel", "striped-band")}


@dataclass
class Traffic:
    """Requested ranges: path, first byte, and end (exclusive)."""

    ranges: list[tuple[str, int, int]] = field(default_factory=list)
    heads: int = 0
    flying: int = 0
    most: int = 0
    lock: Lock = field(default_factory=Lock)

    def clear(self) -> None:
        """Reset the counters."""
        with self.lock:
            self.ranges.clear()
            self.heads = self.most = 0

    @contextmanager
    def flight(self) -> Iterator[None]:
        """Count a request while it is answered."""
        with self.lock:
            self.flying += 1
            self.most = max(self.most, self.flying)
        try:
            yield
        finally:
            with self.lock:
                self.flying -= 1

    @property
    def sent(self) -> int:
        """Bytes of all responses."""
        return sum(stop - start for _, start, stop in self.ranges)

    @property
    def twice(self) -> int:
        """Bytes that were sent more than once."""
        repeated = 0
        for path in {path for path, _, _ in self.ranges}:
            edges: Counter[int] = Counter()
            for each, start, stop in self.ranges:
                if each == path:
                    edges[start] += 1
                    edges[stop] -= 1
            depth, last = 0, 0
            for at, change in sorted(edges.items()):
                repeated += max(depth - 1, 0) * (at - last)
                depth, last = depth + change, at
        return repeated


@contextmanager
def serve(folder: Path, traffic: Traffic, latency: float = LATENCY) -> Iterator[str]:
    """Serve the files below a folder on a local port; yield the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Log nothing."""

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            with traffic.flight():
                self._send(body=body)

        def _send(self, *, body: bool) -> None:
            time.sleep(latency)
            key = urlsplit(self.path).path.lstrip("/")
            path = folder / key
            if ".." in path.parts or not path.is_file():
                self.send_error(404)
                return
            size = path.stat().st_size
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
            start = int(asked[1]) if asked else 0
            stop = min(int(asked[2]) + 1, size) if asked and asked[2] else size
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", f'"{path.name}-{size}"')
            self.send_header("Content-Length", str(stop - start))
            self.end_headers()
            with traffic.lock:
                if body:
                    traffic.ranges.append((key, start, stop))
                else:
                    traffic.heads += 1
            if body:
                with path.open("rb") as file:
                    self.connection.sendfile(file, start, stop - start)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def needed(job: Job) -> int:
    """Sum the compressed size of the blocks, of all bands, that hold a pixel of the job's grid."""
    with rasterio.open(job.layers[0].paths[0]) as file:
        high, wide = file.block_shapes[0]
        touched: set[tuple[int, int]] = set()
        for tile in job.tiles():
            found = index_map(job, file, tile, lambda each, values: list(map(each, values)))
            assert found is not None
            (rows, cols), index = found
            row, col = np.divmod(np.unique(index), cols.stop - cols.start)
            blocks = np.unique(
                np.stack([(row + rows.start) // high, (col + cols.start) // wide]), axis=1
            )
            touched |= set(zip(*blocks.tolist(), strict=True))
        bands = range(1, file.count + 1) if file.interleaving.name == "band" else (1,)
        return sum(
            int(file.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=band) or 0)
            for band in bands
            for row, col in touched
        )


def read_in_place(name: str, size: Size, root: Path) -> Row:
    """Build the north-west tile of the grid from one file over HTTP, all bands.

    Returns
    -------
    A row with, beyond the usual figures, ``requests`` and ``bytes`` of the file, the bytes sent
    ``twice``, and those ``needed``: of the blocks that hold a pixel of the tile.
    """
    file = data.annual(size, "prob", LAYOUTS[name])
    layer = Layer("prob", (str(data.geotiff(root, size, file)),))
    work = root / "run"
    shutil.rmtree(work, ignore_errors=True)
    part = Size(size.name, (size.tile, size.tile), size.tile, size.bands, size.members, 1)
    traffic = Traffic()
    with serve(Path(layer.paths[0]).parent, traffic) as url:
        source = {"store_id": "https", "store_params": {"root": url}}
        config = ours.prepare(work / "ours", part, {"cube": [layer]}, source)
        traffic.clear()
        measured = measure(ours.cube(config), work)
    row: Row = {"case": name, "tool": "stacbuild", **asdict(measured), "runs": 1}
    row |= {"requests": len(traffic.ranges) + traffic.heads, "bytes": traffic.sent}
    row |= {"twice": traffic.twice, "needed": needed(Job.of(part, [layer], work))}
    shutil.rmtree(work)
    return row
