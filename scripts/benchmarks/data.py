"""Input files of the benchmarks: as large and as compressible as those of SCS2.

Made once and kept. Contents come from a seeded random field, shifted from band to band, so that
making them costs little and no band is like another.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import rasterio
import zarr
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio import Affine
from rasterio.windows import Window

Array = NDArray[Any]
Box = tuple[float, float, float, float]

RES = 0.00025
NODATA = 255
_VERSION = 1  # of the contents; a change makes all files anew
_BLOCK = 256
_MARGIN = 20  # source pixels around the box
_FIELD = 1 << 12  # side of the random field, which is repeated beyond
_GAMI_RES = 1 / 1125  # about 100 m
_GAMI_CHUNKS = (5, 500, 500, 2)

TILED = {"tiled": True, "blockxsize": _BLOCK, "blockysize": _BLOCK}
LAYOUTS: dict[str, dict[str, Any]] = {
    "tiled-band": {**TILED, "interleave": "band"},
    "tiled-pixel": {**TILED, "interleave": "pixel"},
    "striped-band": {"interleave": "band"},
    "striped-pixel": {"interleave": "pixel"},
}


@dataclass(frozen=True)
class Size:
    """Size of a benchmark.

    Parameters
    ----------
    name
        Of a folder of files.
    shape
        Rows and columns of the target grid, whose north-west corner is that of SCS2.
    tile
        Side of its chunks.
    bands, members
        Of the annual layers and of GAMI.
    repeats
        Runs of a tool, unless told otherwise.
    """

    name: str
    shape: tuple[int, int]
    tile: int
    bands: int
    members: int
    repeats: int

    @property
    def box(self) -> Box:
        """West, south, east, north in degrees."""
        rows, cols = self.shape
        return (-1.25, round(44.8 - rows * RES, 6), round(-1.25 + cols * RES, 6), 44.8)

    def times(self, factor: int) -> Size:
        """Return the size whose grid is *factor* times as high and as wide."""
        rows, cols = self.shape
        return Size(
            f"{self.name}-x{factor * factor}", (rows * factor, cols * factor),
            self.tile, self.bands, self.members, self.repeats,
        )  # fmt: skip


SIZES = {
    size.name: size
    for size in (
        Size("full", (5200, 7000), 4000, 39, 20, 3),
        Size("small", (2600, 3500), 2000, 39, 20, 1),
        Size("tiny", (200, 300), 150, 5, 5, 1),
    )
}


@dataclass(frozen=True)
class File:
    """A GeoTIFF to generate: its values, and its layout on disk."""

    name: str
    values: str
    bands: int
    layout: str
    dtype: str = "uint8"
    res: int = 30


def annual(size: Size, values: str, layout: str) -> File:
    """One file with a band per year."""
    return File(f"{values}-{layout}", values, size.bands, layout)


def senf(size: Size) -> list[File]:
    """The nine files of the disturbance atlas, which cover all layouts."""
    return [
        File("annual_disturbances", "annual", size.bands, "tiled-pixel"),
        File("disturbance_agent", "annual", size.bands, "striped-band"),
        File("disturbance_probability", "prob", size.bands, "tiled-band"),
        File("disturbance_severity", "annual", size.bands, "striped-pixel"),
        File("disturbance_agent_aggregated", "annual", 1, "striped-band"),
        File("forest_mask", "annual", 1, "tiled-band"),
        File("greatest_disturbance", "annual", 1, "tiled-band", "uint16"),
        File("latest_disturbance", "annual", 1, "striped-band", "int16"),
        File("number_disturbances", "annual", 1, "tiled-band"),
    ]


def liu() -> list[File]:
    """Canopy height, cover and biomass."""
    return [
        File("agb", "height", 1, "striped-band", "float32"),
        File("canopy_cover", "prob", 1, "tiled-band"),
        File("canopy_height", "height", 1, "tiled-band", "float32"),
    ]


CLMS = ("tree_cover_density", "dominant_leaf_type", "forest_type")


def folder(root: Path, size: Size, version: object = _VERSION) -> Path:
    """Return the folder of a size's files, empty if they were made by another version."""
    path, wanted = root / "data" / size.name, json.dumps([asdict(size), version])
    made = path / "made.json"
    if not made.exists() or made.read_text() != wanted:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        made.write_text(wanted)
    return path


def once(path: Path, make: Callable[[Path], None]) -> Path:
    """Generate a file or folder unless it exists; incomplete ones are generated again."""
    if not path.exists():
        part = path.with_name(f"part-{path.name}")
        if part.is_dir():
            shutil.rmtree(part)
        make(part)
        part.rename(path)
    return path


def geotiff(root: Path, size: Size, file: File) -> Path:
    """Generate a GeoTIFF in EPSG:3035 that covers the bounding box."""
    left, top, width, height = _cover(size.box, file.res)

    def make(path: Path) -> None:
        write(path, file, Affine(file.res, 0, left, 0, -file.res, top), (height, width))

    return once(folder(root, size) / f"{file.name}.tif", make)


def clms(root: Path, size: Size, product: str) -> list[Path]:
    """Generate the tiles of a product (100 km, 20 m) that intersect the bounding box."""
    side, pixels = 100_000, 5000
    left, top, width, height = _cover(size.box, 20)
    paths = []
    for east in range(int(left // side), int((left + width * 20) // side) + 1):
        for north in range(int((top - height * 20) // side), int(top // side) + 1):
            file = File(f"{product}_E{east}N{north}", "annual", 1, "tiled-band", res=20)
            transform = Affine(20, 0, east * side, 0, -20, (north + 1) * side)

            def make(path: Path, file: File = file, transform: Affine = transform) -> None:
                write(path, file, transform, (pixels, pixels))

            paths.append(once(folder(root, size) / f"{file.name}.tif", make))
    return paths


def write(path: Path, file: File, transform: Affine, shape: tuple[int, int]) -> None:
    """Write the values of a file, 256 rows at a time."""
    height, width = shape
    with (
        rasterio.Env(GDAL_CACHEMAX=512),
        rasterio.open(
            path, "w", driver="GTiff", width=width, height=height, count=file.bands,
            dtype=file.dtype, crs="EPSG:3035", transform=transform,
            nodata=None if file.dtype == "float32" else NODATA,
            compress="deflate", zlevel=1, NUM_THREADS="ALL_CPUS", BIGTIFF="IF_SAFER",
            **LAYOUTS[file.layout],
        ) as dataset,
    ):  # fmt: skip
        for top in range(0, height, _BLOCK):
            rows = slice(top, min(top + _BLOCK, height))
            bands = [_values(file, band, rows, width) for band in range(file.bands)]
            dataset.write(np.stack(bands), window=Window(0, top, width, rows.stop - rows.start))


def gami(root: Path, size: Size) -> Path:
    """Generate a Zarr group like that of GAMI, except for its extent."""

    def make(path: Path) -> None:
        west, south, east, north = size.box
        left, top = (
            math.floor((west + 180) / _GAMI_RES) - 9,
            math.floor((90 - north) / _GAMI_RES) - 9,
        )
        cols = math.ceil((east - west) / _GAMI_RES) + 20
        rows = math.ceil((north - south) / _GAMI_RES) + 20
        codec = numcodecs.Blosc(cname="zstd", clevel=3, shuffle=numcodecs.Blosc.BITSHUFFLE)
        group = zarr.create_group(path, zarr_format=2, attributes={"crs": "EPSG:4326"})
        coords: dict[str, tuple[Array, dict[str, str]]] = {
            "members": (np.arange(size.members), {}),
            "latitude": (
                90 - (top + np.arange(rows) + 0.5) * _GAMI_RES, {"units": "degrees_north"},
            ),
            "longitude": (
                -180 + (left + np.arange(cols) + 0.5) * _GAMI_RES, {"units": "degrees_east"},
            ),
            "time": (np.array([0, 3652]), {"units": "days since 2010-01-01"}),
        }  # fmt: skip
        for name, (values, attrs) in coords.items():
            group.create_array(
                name, data=values, chunks=values.shape, compressors=codec,
                attributes={"_ARRAY_DIMENSIONS": [name], **attrs},
            )  # fmt: skip
        age = group.create_array(
            "forest_age", shape=(size.members, rows, cols, 2), dtype="int16",
            chunks=_GAMI_CHUNKS, compressors=codec, fill_value=-9999,
            attributes={"_ARRAY_DIMENSIONS": list(coords)},
        )  # fmt: skip
        field = _tiled(_field(3), slice(0, rows), cols)
        for member in range(size.members):
            age[member] = 1 + (np.stack([field, field + 10], -1) + member).astype("int16") % 300
        zarr.consolidate_metadata(path, zarr_format=2)

    return once(folder(root, size) / "GAMI_v2.1.zarr", make)


def _cover(box: Box, res: int) -> tuple[float, float, int, int]:
    """Return west, north, width and height of the pixels of EPSG:3035 around a box."""
    to_source = Transformer.from_crs(4326, 3035, always_xy=True)
    west, south, east, north = to_source.transform_bounds(*box, densify_pts=101)
    left, right = math.floor(west / res) - _MARGIN, math.ceil(east / res) + _MARGIN
    top, bottom = math.ceil(north / res) + _MARGIN, math.floor(south / res) - _MARGIN
    return left * res, top * res, right - left, top - bottom


@cache
def _field(patch: int) -> Array:
    """Percentages that stay the same over *patch* x *patch* pixels."""
    side = _FIELD // patch + 1
    coarse = np.random.default_rng(patch).integers(0, 101, (side, side), "uint8")
    return np.kron(coarse, np.ones((patch, patch), "uint8"))[:_FIELD, :_FIELD]


def _tiled(field: Array, rows: slice, width: int, shift: int = 0) -> Array:
    """Return some rows of a field that repeats, shifted by *shift* in both directions."""
    row = (np.arange(rows.start, rows.stop) + shift * 37) % _FIELD
    first = shift * 101 % _FIELD
    return np.tile(field[row], -(-(width + first) // _FIELD))[:, first : first + width]


def _values(file: File, band: int, rows: slice, width: int) -> Array:
    nothing = _tiled(_field(64), rows, width) < 6
    if file.values == "prob":
        forest = _tiled(_field(16), rows, width) < 55
        values = np.where(forest, _tiled(_field(1), rows, width, band), 0)
    elif file.values == "height":
        values = _tiled(_field(8), rows, width) + _tiled(_field(1), rows, width) / 16
        return values.astype(file.dtype)
    else:
        values = (_tiled(_field(10), rows, width, band) < 3).astype("uint8")
    return np.where(nothing, NODATA, values).astype(file.dtype)
