"""The floor: the minimum cost of the work, with only NumPy, rasterio, pyproj and zarr.

An index map once a tile, every block of a tile decoded once, values gathered with `numpy.take`,
whole chunks written by four threads. No laziness, no graph, no metadata to speak of. GAMI, whose
axes are those of the target, is selected by row and column; floats go through GDAL's warper.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import local
from typing import Any

import numpy as np
import rasterio
import zarr
from pyproj import Transformer
from rasterio import Affine
from rasterio.enums import Interleaving, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from scripts.benchmarks.data import NODATA, Array
from scripts.benchmarks.job import Job, Layer

_STEP = 16
_NEAR = 0.01  # source pixels; interpolation over 16 target pixels is off by less than a thousandth
_handles = local()


def run(job: Job) -> None:
    """Run the job."""
    zarr.config.set({"threading.max_workers": job.threads})
    with ThreadPoolExecutor(job.threads) as pool, rasterio.Env(GDAL_CACHEMAX=64):

        def each(function: Callable[..., Any], values: Iterable[Any]) -> list[Any]:
            return list(pool.map(function, values))

        for layer in job.layers:
            if layer.paths[0].endswith(".zarr"):
                _zarr(job, layer, each)
            elif layer.method == "bilinear":
                _warped(job, layer, each)
            else:
                _gathered(job, layer, each)


def _open(path: str) -> rasterio.DatasetReader:
    """Open a file once per thread, because GDAL datasets are not thread-safe."""
    found: dict[str, rasterio.DatasetReader] = _handles.__dict__
    if path not in found:
        found[path] = rasterio.open(path)
    return found[path]


def _gathered(job: Job, layer: Layer, each: Callable[..., list[Any]]) -> None:
    files = [_open(path) for path in layer.paths]
    bands = files[0].count
    array = job.create(layer.name, (bands,) if bands > 1 else (), files[0].dtypes[0])
    for tile in job.tiles():
        maps = [
            (path, *found)
            for path, file in zip(layer.paths, files, strict=True)
            if (found := index_map(job, file, tile, each)) is not None
        ]
        blocks: list[Array | None] = [
            _decode_all(path, window, each)
            if bands > 1 and _open(path).interleaving == Interleaving.pixel
            else None
            for path, window, _ in maps
        ]

        def write(band: int, tile: Any = tile, maps: Any = maps, blocks: Any = blocks) -> None:
            result: Array | None = None
            for (path, window, index), decoded in zip(maps, blocks, strict=True):
                if decoded is None:
                    block = _open(path).read(band + 1, window=Window.from_slices(*window))
                else:
                    block = decoded[band]
                part = block.ravel().take(index, mode="clip")
                if len(maps) > 1:
                    part[index < 0] = NODATA
                result = part if result is None else np.where(result == NODATA, part, result)
            assert result is not None, "no file lies under the tile"
            array[(band, *tile) if bands > 1 else tile] = result

        each(write, range(bands))


def chunk(job: Job) -> Array:
    """Return the first band of the first tile of a job's first layer, as `run` would write it."""
    file = _open(job.layers[0].paths[0])
    found = index_map(
        job, file, job.tiles()[0], lambda function, values: list(map(function, values))
    )
    assert found is not None
    window, index = found
    block: Array = file.read(1, window=Window.from_slices(*window))
    return block.ravel().take(index, mode="clip")


@cache
def _transformer(epsg: int) -> Transformer:
    # Making one takes longer than transforming a tile.
    return Transformer.from_crs(4326, epsg, always_xy=True)


def index_map(
    job: Job,
    file: rasterio.DatasetReader,
    tile: tuple[slice, slice],
    each: Callable[..., list[Any]],
) -> tuple[tuple[slice, slice], Array] | None:
    """Map the pixels of a tile to those of a window of the file, exactly; -1 is beyond it."""
    rows, cols = tile
    to_source = _transformer(file.crs.to_epsg())
    a, _, c, _, e, f = job.transform
    left, top, res = file.transform.c, file.transform.f, file.transform.a

    def exact(row: Array, col: Array) -> tuple[Array, Array]:
        x, y = to_source.transform(c + a * (col + 0.5), f + e * (row + 0.5))
        return (top - y) / res, (x - left) / res

    at_row = np.arange(rows.start, rows.stop + _STEP, _STEP)
    at_col = np.arange(cols.start, cols.stop + _STEP, _STEP)
    nodes = exact(*np.meshgrid(at_row, at_col, indexing="ij"))
    spans = [
        slice(max(int(np.floor(at.min())) - 1, 0), min(int(np.floor(at.max())) + 2, length))
        for at, length in zip(nodes, file.shape, strict=True)
    ]
    if any(span.start >= span.stop for span in spans):
        return None
    height, width = (span.stop - span.start for span in spans)
    columns = np.arange(cols.start, cols.stop)
    whole, part = np.divmod(columns - cols.start, _STEP)
    lines = [at[:, whole] + part / _STEP * (at[:, whole + 1] - at[:, whole]) for at in nodes]
    index = np.empty((rows.stop - rows.start, columns.size), np.intp)

    def fill(strip: int) -> None:
        row = np.arange(
            rows.start + strip * _STEP, min(rows.start + (strip + 1) * _STEP, rows.stop)
        )
        weight = (np.arange(row.size) / _STEP)[:, None]
        at = [line[strip] + weight * (line[strip + 1] - line[strip]) for line in lines]
        pixel = [np.floor(position) for position in at]
        near = np.zeros(at[0].shape, bool)
        for position, floor in zip(at, pixel, strict=True):
            near |= np.abs(position - floor - 0.5) > 0.5 - _NEAR
        where = np.nonzero(near)
        found = exact(row[where[0]], columns[where[1]])
        for floor, position, span in zip(pixel, found, spans, strict=True):
            floor[where] = np.floor(position)
            floor -= span.start
        out = index[strip * _STEP : strip * _STEP + row.size]
        out[:] = pixel[0] * width + pixel[1]
        out[(pixel[0] < 0) | (pixel[0] >= height) | (pixel[1] < 0) | (pixel[1] >= width)] = -1

    each(fill, range(len(at_row) - 1))
    return (spans[0], spans[1]), index


def _decode_all(path: str, window: tuple[slice, slice], each: Callable[..., list[Any]]) -> Array:
    """Decode all bands of a window; each thread decodes some rows of blocks."""
    rows, cols = window
    file = _open(path)
    high = max(file.block_shapes[0][0], 64)
    result = np.empty((file.count, rows.stop - rows.start, cols.stop - cols.start), file.dtypes[0])

    def read(top: int) -> None:
        part = slice(max(top, rows.start), min(top + high, rows.stop))
        out = result[:, part.start - rows.start : part.stop - rows.start]
        _open(path).read(window=Window.from_slices(part, cols), out=out)

    each(read, range(rows.start // high * high, rows.stop, high))
    return result


def _warped(job: Job, layer: Layer, each: Callable[..., list[Any]]) -> None:
    array = job.create(layer.name, (), _open(layer.paths[0]).dtypes[0])

    def write(tile: tuple[slice, slice]) -> None:
        rows, cols = tile
        transform = Affine(*job.transform) * Affine.translation(cols.start, rows.start)
        with WarpedVRT(
            _open(layer.paths[0]), crs="EPSG:4326", transform=transform, nodata=np.nan,
            width=cols.stop - cols.start, height=rows.stop - rows.start,
            resampling=Resampling.bilinear, tolerance=0.001,
        ) as vrt:  # fmt: skip
            array[tile] = vrt.read(1)

    each(write, job.tiles())


def _zarr(job: Job, layer: Layer, each: Callable[..., list[Any]]) -> None:
    group = zarr.open_group(layer.paths[0], mode="r")
    source: Any = group["forest_age"]
    axes: list[Array] = [np.asarray(group[name][:]) for name in ("latitude", "longitude")]  # type: ignore[index]
    members, _, _, times = source.shape
    step = source.chunks[0]
    array = job.create(layer.name, (members, times), source.dtype)
    a, _, c, _, e, f = job.transform
    centres = (f + e * (np.arange(job.shape[0]) + 0.5), c + a * (np.arange(job.shape[1]) + 0.5))
    picks = [
        np.floor((centre - axis[0]) / (axis[1] - axis[0]) + 0.5).astype(np.intp)
        for centre, axis in zip(centres, axes, strict=True)
    ]
    for first in range(0, members, step):
        # All chunks of these members, each once; zarr decodes them in threads.
        block = np.ascontiguousarray(
            np.moveaxis(source[first : first + step], 3, 1).astype(source.dtype, copy=False)
        )

        def write(
            what: tuple[int, int, tuple[slice, slice]], first: int = first, block: Any = block
        ) -> None:
            member, time, (rows, cols) = what
            plane = block[member, time].take(picks[1][cols], axis=1).take(picks[0][rows], axis=0)
            array[(first + member, time, rows, cols)] = plane

        each(
            write,
            [(m, t, tile) for tile in job.tiles() for m in range(len(block)) for t in range(times)],
        )


if __name__ == "__main__":
    run(Job.load(Path(sys.argv[1])))
