"""Writes the data that the stand-in servers serve: real layouts, full sizes, sparse contents.

Only the blocks around a box hold values (``window``); everything else reads as the fill value.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import rasterio
import zarr
from pyproj import Transformer
from rasterio import Affine
from rasterio.windows import Window

from tests.standins import clms_data, truth
from tests.standins.truth import GLOBE, YEARS, Array, Box, Grid, Layer, layer, layers

SCS2_BOX: Box = (-1.25, 43.5, 0.5, 44.8)
# Lies inside the SCS2 box, on the border of two CLMS tiles (northing 2 400 000 m).
DEMO_BOX: Box = (-0.70, 44.10, -0.58, 44.20)
MARGIN = 8  # source pixels around the box that hold values at the least
BLOCK = 256
GAMI_CHUNKS = (5, 500, 500, 2)
ANDORRA = Grid(3035, 3_604_800, 2_225_700, 30, 971, 1149)

_TILED = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}
_PIXEL = {**_TILED, "interleave": "pixel"}
# No two files of a source are stored alike: how the real ones are is not known.
_STORAGE: Mapping[str, dict[str, Any]] = {
    "annual_disturbances": {**_PIXEL, "compress": "deflate", "zlevel": 1},
    # A gigabyte of fill values in the strips of each of these: what packs fast.
    "disturbance_agent": {"interleave": "band", "compress": "zstd", "zstd_level": 1},
    "disturbance_probability": {"interleave": "band", "compress": "packbits"},
    "disturbance_severity": {**_PIXEL, "compress": "lzw"},
    "disturbance_agent_aggregated": {"compress": "lzw"},
    "forest_mask": {**_TILED, "compress": "packbits"},
    "greatest_disturbance": {**_TILED, "compress": "lzw", "predictor": 2},
    "latest_disturbance": {"compress": "lzw"},
    "number_disturbances": {**_TILED, "compress": "deflate"},
    "agb": {"compress": "zstd", "zstd_level": 1, "predictor": 3},
    # Uncompressed and not "sparse" to TIFF: 25 GB, holes in the file system.
    "canopy_cover": _TILED,
    "canopy_height": {**_TILED, "compress": "lzw"},
}
_CACHE = 200_000_000  # bytes of blocks; the default is a share of the machine's memory
_SPARSE = {"SPARSE_OK": "TRUE"}


@dataclass(frozen=True)
class Data:
    """Everything on disk that the servers serve."""

    directory: Path
    box: Box
    zenodo: Mapping[str, Mapping[str, Path]]  # record → key → file
    clms: Mapping[str, Path]  # file of a product → zip of zips
    gami: Path  # Zarr v2 group


@cache
def _transformer(epsg: int) -> Transformer:
    return Transformer.from_crs(4326, epsg, always_xy=True)


def window(of: Layer, box: Box, align: int = BLOCK) -> tuple[slice, slice]:
    """Rows and columns of a layer that hold values when the data was made for ``box``.

    ``box`` is (west, south, east, north) in degrees. The window reaches at least ``MARGIN``
    pixels beyond it, and from there to whole blocks of ``align`` pixels.
    """
    grid = of.grid
    bounds = box
    if grid.epsg != 4326:
        bounds = _transformer(grid.epsg).transform_bounds(*box, densify_pts=101)
    rows, cols = grid.rows_cols([bounds[0], bounds[2]], [bounds[3], bounds[1]])
    found = []
    for (first, last), size in ((rows, grid.height), (cols, grid.width)):
        start = max(int(first) - MARGIN, 0) // align * align
        stop = min(-((-int(last) - 1 - MARGIN) // align) * align, size)
        if start >= stop:
            raise ValueError(f"{box} lies outside {of.data_id}")
        found.append(slice(start, stop))
    return found[0], found[1]


def expected(of: Layer, box: Box, row: Array, col: Array, *bands: Any) -> Array:
    """What a reader gets at these pixels: the value within the window, the fill outside it."""
    rows, cols = window(of, box, GAMI_CHUNKS[1] if of.source == "gami" else BLOCK)
    inside = (row >= rows.start) & (row < rows.stop) & (col >= cols.start) & (col < cols.stop)
    return np.where(inside, of.value(row, col, *bands), np.dtype(of.dtype).type(of.fill))


def _steps(whole: slice, step: int) -> Iterator[slice]:
    for start in range(whole.start, whole.stop, step):
        yield slice(start, min(start + step, whole.stop))


def write_raster(path: Path, of: Layer, rows: slice, cols: slice) -> None:
    """Write a GeoTIFF of the full size of the layer, with values in one window only."""
    grid, storage = of.grid, _STORAGE[of.variable]
    with (
        rasterio.Env(GDAL_CACHEMAX=_CACHE),
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=grid.width,
            height=grid.height,
            count=of.bands,
            dtype=of.dtype,
            crs=f"EPSG:{grid.epsg}",
            transform=Affine(grid.res, 0, grid.left, 0, -grid.res, grid.top),
            nodata=of.nodata,
            BIGTIFF="YES" if grid.width * grid.height * of.bands > 2**32 else "NO",
            NUM_THREADS="ALL_CPUS",
            **(_SPARSE if "compress" in storage else {}),
            **storage,
        ) as file,
    ):
        if of.bands == YEARS:
            file.scales, file.offsets = (1.0,) * YEARS, (0.0,) * YEARS
        bands = np.arange(1, of.bands + 1)[:, None, None]
        # Whole blocks that fit into the cache; strips are as wide as the layer.
        high, wide = (BLOCK, BLOCK) if storage.get("tiled") else (BLOCK // 4, grid.width)
        for y, x in product(_steps(rows, high), _steps(cols, wide)):
            row = np.arange(y.start, y.stop)[None, :, None]
            col = np.arange(x.start, x.stop)[None, None, :]
            values = np.broadcast_to(of.value(row, col, bands), (of.bands, row.size, col.size))
            file.write(values, window=Window(x.start, y.start, col.size, row.size))


def write_zip(path: Path, files: Iterable[tuple[str, Path]]) -> None:
    """Pack files under the given names; equal contents give equal bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, file in files:
            info = zipfile.ZipInfo(name, (2024, 8, 14, 12, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            info.file_size = file.stat().st_size
            with archive.open(info, "w") as target, file.open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)


def _country_zip(directory: Path, country: str, members: Iterable[Path], folder: bool) -> Path:
    path = directory / f"{country}.zip"
    prefix = f"{country}/" if folder else ""
    write_zip(path, ((prefix + member.name, member) for member in members))
    return path


def _write_senf(directory: Path, box: Box, folder: bool) -> dict[str, Path]:
    scratch = directory / "members"
    scratch.mkdir(parents=True)
    france, andorra = [], []
    for each in layers("senf"):
        path = scratch / each.file_name
        write_raster(path, each, *window(each, box))
        france.append(path)
        path = scratch / each.file_name.replace("france", "andorra")
        write_raster(path, replace(each, grid=ANDORRA), slice(0, BLOCK), slice(0, BLOCK))
        andorra.append(path)
    archives = {
        "andorra.zip": _country_zip(directory, "andorra", andorra, folder),
        "france.zip": _country_zip(directory, "france", france, folder),
    }
    shutil.rmtree(scratch)
    return archives


def _write_liu(directory: Path, box: Box) -> dict[str, Path]:
    directory.mkdir(parents=True)
    files = {}
    for each in layers("liu"):
        files[each.file_name] = directory / each.file_name
        write_raster(directory / each.file_name, each, *window(each, box))
    return files


def write_gami(path: Path, box: Box) -> None:
    """Write GAMI as a consolidated Zarr v2 group; only the chunks that the box touches exist."""
    of = layer("forest_age")
    compressor = numcodecs.Blosc(cname="zstd", clevel=3, shuffle=numcodecs.Blosc.BITSHUFFLE)
    group = zarr.create_group(
        path,
        zarr_format=2,
        attributes={
            "_FillValue": -9999,
            "contact": "Simon Besnard (GFZ Potsdam)",
            "created_by": "Simon Besnard",
            "creation_date": "2025-12-16 12:33",
            "crs": "EPSG:4326",
            "institution": "Helmholtz Centre Potsdam \u2013 "
            "GFZ German Research Centre for Geosciences",
            "product_name": "Global Age Mapping Integration (GAMI)",
            "spatial_resolution": "100 m",
            "title": "Global Age Mapping Integration (GAMI) v2.1",
            "version": "2.1",
        },
    )
    latitude = GLOBE.top - (np.arange(GLOBE.height) + 0.5) * GLOBE.res
    longitude = GLOBE.left + (np.arange(GLOBE.width) + 0.5) * GLOBE.res
    coordinates: dict[str, tuple[Array, dict[str, str]]] = {
        "members": (np.arange(20), {}),
        "latitude": (latitude, {"standard_name": "latitude", "units": "degrees_north"}),
        "longitude": (longitude, {"standard_name": "longitude", "units": "degrees_east"}),
        "time": (
            np.array([0, 3652]),
            {"units": "days since 2010-01-01", "calendar": "proleptic_gregorian"},
        ),
    }
    for name, (values, attributes) in coordinates.items():
        array = group.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=values.shape,
            compressors=compressor,
            attributes={"_ARRAY_DIMENSIONS": [name], **attributes},
        )
        array[:] = values
    age = group.create_array(
        of.variable,
        shape=(20, GLOBE.height, GLOBE.width, 2),
        dtype="int16",
        chunks=GAMI_CHUNKS,
        compressors=compressor,
        fill_value=-9999,
        attributes={"_ARRAY_DIMENSIONS": ["members", "latitude", "longitude", "time"]},
    )
    members, step, _, times = GAMI_CHUNKS
    rows, cols = window(of, box, step)
    for top in range(rows.start, rows.stop, step):
        for left in range(cols.start, cols.stop, step):
            for first in range(0, 20, members):
                age[first : first + members, top : top + step, left : left + step] = of.value(
                    np.arange(top, top + step)[None, :, None, None],
                    np.arange(left, left + step)[None, None, :, None],
                    np.arange(first, first + members)[:, None, None, None],
                    np.arange(times)[None, None, None, :],
                )
    zarr.consolidate_metadata(path, zarr_format=2)


def make_data(directory: Path, box: Box = DEMO_BOX, *, folder: bool = True) -> Data:
    """Make the data of all sources for a box under ``directory``, which must not hold any yet.

    Parameters
    ----------
    directory
        Gets the folders ``zenodo``, ``clms`` and ``gami.zarr``.
    box
        Degrees west, south, east, north: where the sources hold values.
    folder
        Whether the members of the country archives lie in a folder or at the root.
    """
    zenodo = {
        "13333034": _write_senf(directory / "zenodo" / "13333034", box, folder),
        "8154445": _write_liu(directory / "zenodo" / "8154445", box),
    }
    clms = {}
    for each in layers("clms"):
        rows, cols = window(each, box)
        clms[each.file_name] = clms_data.write_package(directory / "clms", each, rows, cols)
    write_gami(directory / "gami.zarr", box)
    return Data(directory, box, zenodo, clms, directory / "gami.zarr")


def load_or_make(directory: Path, box: Box = DEMO_BOX) -> Data:
    """Use the data of an earlier run again if box and code are the same, else make them anew."""
    code = hashlib.sha256()
    for module in (__file__, clms_data.__file__, truth.__file__):
        code.update(Path(module).read_bytes())
    wanted = {"box": list(box), "code": code.hexdigest()}
    done = directory / "made.json"
    if not done.exists() or json.loads(done.read_text()) != wanted:
        shutil.rmtree(directory, ignore_errors=True)
        make_data(directory, box)
        done.write_text(json.dumps(wanted))
    zenodo = {
        record.name: {path.name: path for path in sorted(record.iterdir())}
        for record in (directory / "zenodo").iterdir()
    }
    clms = {
        path.name.removesuffix("_delivery.zip"): path for path in (directory / "clms").iterdir()
    }
    return Data(directory, box, zenodo, clms, directory / "gami.zarr")
