"""Job of a tool: resample layers of files onto a grid, and write a Zarr group."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs import Blosc
from zarr.codecs import ZstdCodec

from scripts.benchmarks.data import RES, Box, Size


@dataclass(frozen=True)
class Layer:
    """A variable of the result, and its source files (the tiles of one product)."""

    name: str
    paths: tuple[str, ...]
    method: str = "nearest"


@dataclass(frozen=True)
class Job:
    """Everything that a tool needs to know."""

    layers: tuple[Layer, ...]
    box: Box
    shape: tuple[int, int]
    tile: int
    out: str
    codec: str = "zstd"
    threads: int = 4

    @classmethod
    def of(cls, size: Size, layers: list[Layer], out: Path) -> Job:
        """Return the job for a whole grid."""
        return cls(tuple(layers), size.box, size.shape, size.tile, str(out))

    @classmethod
    def load(cls, path: Path) -> Job:
        """Read a job that `save` wrote."""
        content = json.loads(path.read_text())
        layers = tuple(
            Layer(each["name"], tuple(each["paths"]), each["method"]) for each in content["layers"]
        )
        return cls(**{**content, "layers": layers, "box": tuple(content["box"]),
                      "shape": tuple(content["shape"])})  # fmt: skip

    def save(self, path: Path) -> Path:
        """Write the job for another process."""
        path.write_text(json.dumps(asdict(self)))
        return path

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Transform from column and row to longitude and latitude."""
        return RES, 0.0, self.box[0], 0.0, -RES, self.box[3]

    def tiles(self) -> list[tuple[slice, slice]]:
        """Return the chunks of the grid."""
        rows, cols = self.shape
        return [
            (slice(top, min(top + self.tile, rows)), slice(left, min(left + self.tile, cols)))
            for top in range(0, rows, self.tile)
            for left in range(0, cols, self.tile)
        ]

    def create(self, name: str, lead: tuple[int, ...], dtype: Any) -> zarr.Array[Any]:
        """Create the array of a layer in the result, with the codec to measure."""
        side = (min(self.tile, self.shape[0]), min(self.tile, self.shape[1]))
        return zarr.create_array(
            self.out,
            name=name,
            shape=(*lead, *self.shape),
            chunks=(*(1,) * len(lead), *side),
            dtype=np.dtype(dtype),
            config={"write_empty_chunks": True},
            **self.encoding(),
        )

    def encoding(self) -> dict[str, Any]:
        """Return format and codec as arguments of zarr."""
        if self.codec == "lz4":
            return {"zarr_format": 2, "compressors": Blosc(cname="lz4")}
        return {"zarr_format": 3, "compressors": ZstdCodec(level=1, checksum=True)}
