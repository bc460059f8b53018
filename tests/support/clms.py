"""What the tests of the CLMS harvester share: small deliveries, and a reporter that remembers."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio import Affine

from stacbuild.progress import SilentTask
from stacbuild.sources.clms.delivery import Polling, Tile
from tests.standins.clms import ClmsServer, Product

FILE = "FTY_2015_020m_eu_03035_d04_E30N20"
SLUG = "forest-type-2015"
DATA_ID = f"{SLUG}|{FILE}"


def geotiff(values: np.ndarray, left: float, top: float, nodata: int | None = 255) -> bytes:
    """A tile of 20 m in EPSG:3035, as CLMS stores it."""
    with rasterio.MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            width=values.shape[1],
            height=values.shape[0],
            count=1,
            dtype="uint8",
            crs="EPSG:3035",
            transform=Affine(20, 0, left, 0, -20, top),
            nodata=nodata,
            compress="lzw",
        ) as file:
            file.write(values, 1)
        return bytes(memory.getbuffer())


def tile(code: int) -> bytes:
    """A tile of 5 by 4 pixels, all of one code but for one of 254."""
    values = np.full((4, 5), code, np.uint8)
    values[0, 0] = 254
    return geotiff(values, 3_400_000 + 100 * code, 2_300_000)


def pack(path: Path, members: Mapping[str, bytes], name: str = FILE) -> Path:
    """Write a delivery: a zip ``Results/<name>.zip`` in a zip."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"Results/{name}.zip", inner.getvalue())
    return path


def two_tiles(path: Path, name: str = FILE) -> Path:
    """Write a delivery of two tiles with their companions."""
    members = {}
    for code in (1, 2):
        stem = f"FTY_2015_020m_E3{code}N22_03035_d04"
        folder = f"{name}/DATA/{stem}/{stem}"
        members |= {f"{folder}.tif": tile(code), f"{folder}.tfw": b"20\n0\n0\n-20\n10\n10\n"}
    return pack(path, members, name)


def product(path: Path, **fields: Any) -> Product:
    """The product with one file that is delivered and one that is not."""
    given = {"slug": SLUG, "title": "Forest Type 2015", "deliveries": {FILE: path}} | fields
    return Product(**given)


def asked(server: ClmsServer, part: str) -> int:
    """How many requests had *part* in their path."""
    return sum(part in entry.path for entry in server.log)


AT_ONCE = Polling(sleep=lambda _: None)
Run = Callable[..., tuple[Tile, ...]]
"""A fixture's function that fetches a delivery: a reporter and a polling in, tiles out."""


class Recorder:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)

    def warn(self, message: str) -> None:
        self.lines.append(f"warning: {message}")

    @contextmanager
    def task(
        self, label: str, *, total: float | None = None, unit: str = "items"
    ) -> Iterator[SilentTask]:
        self.lines.append(f"{label} [{unit}]")
        lines = self.lines

        class Kept(SilentTask):
            def update(
                self,
                *,
                done: float | None = None,
                total: float | None = None,
                note: str | None = None,
            ) -> None:
                if note:
                    lines.append(note)

        yield Kept()
