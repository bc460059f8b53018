"""The reader that stackstac calls for each chunk: raster files to pixels of the grid.

stackstac builds the dask graph, one task a band and chunk; this reader computes what a task
needs. Readers of one source share what the bands of a tile have in common: the index map, and
the decoded source window where a file's pixels are interleaved (every block holds all bands).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Interleaving
from rasterio.windows import Window as RasterWindow

from stacbuild.errors import BuildError
from stacbuild.geo.block import Onto
from stacbuild.geo.longitudes import turns
from stacbuild.geo.mapping import IndexMap
from stacbuild.geo.mosaic import Mosaic, mosaics
from stacbuild.geo.pixelgrid import PixelGrid, Window, cuts, shifted, window_key
from stacbuild.geo.sparse import WINDOW_BYTES, pick
from stacbuild.geo.validity import Layer, NoData, overlay
from stacbuild.geo.warp import Pixels, regrid
from stacbuild.loading.packing import Stored
from stacbuild.loading.pool import cache, identity, open_raster, shared_index_map
from stacbuild.nodata import fill_nodata
from stacbuild.shared import SharedArray

if TYPE_CHECKING:
    from rasterio.io import DatasetReader
    from stackstac.raster_spec import RasterSpec

# Bands of a pixel-interleaved window decoded and kept together.
_GROUP_BYTES = 512 * 2**20
# Bytes of such a window read at a time. GDAL reads band after band: what all threads have in work
# has to fit into its block cache, or every block is decoded once a band.
_PART_BYTES = 8 * 2**20
# Source rows read at a time at the least.
_STRIP_ROWS = 256


@dataclass(frozen=True)
class Tile:
    """One GeoTIFF of a product: its place, its pixel grid, and how it holds each band.

    ``size`` is in bytes, None if not known; ``kind`` that of the store it comes from; ``origin``
    the row and column of the grid's first pixel in the file, of which the grid may be a part;
    ``stored`` has an entry for each of the source's bands.
    """

    href: str
    grid: PixelGrid
    origin: tuple[int, int] = (0, 0)
    size: int | None = None
    kind: str = ""
    stored: tuple[Stored, ...] = (Stored(),)


@dataclass(frozen=True)
class RasterSource:
    """The tiles of one product (the first with data wins), to be put on one grid.

    Parameters
    ----------
    tiles
        All of the same bands and dtype.
    target
        The grid of the cube.
    method
        ``nearest`` or a resampling method of GDAL's warper.
    dtype
        Of what is read; of the files too, unless they are masked or unpacked.
    bands
        Those that are read, counted from 1.
    nodata
        What "no data" becomes in each of them.
    options
        For fsspec; may hold credentials, so never shown.
    """

    tiles: tuple[Tile, ...]
    target: PixelGrid
    method: str
    dtype: str
    bands: tuple[int, ...]
    nodata: tuple[NoData, ...]
    options: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)

    def read(self, band: int, window: Window) -> NDArray[Any]:
        """Read a window of the target grid.

        Parameters
        ----------
        band
            One of ``bands``.
        window
            Rows and columns of the target grid.

        Returns
        -------
        2-D array of the window's shape and the source's ``dtype``.

        Raises
        ------
        IntegrityError
            If a file cannot be decoded.
        RemoteError, LocalError
            If a file cannot be reached.
        """
        stands, name = self._nodata(band), self.tiles[0].href
        found = overlay(self._layers(band, window), stands)
        if found is None:
            shape = (window[0].stop - window[0].start, window[1].stop - window[1].start)
            found = np.full(shape, stands.fill, self.dtype), np.ones(shape, np.bool_)
        return stands.settle(found, name)

    def _layers(self, band: int, window: Window) -> Iterator[Layer]:
        """Yield what each tile, or each mosaic of tiles, has in a window; the first one wins."""
        if self.method == "nearest":
            # One source pixel decides, so that it does not matter what lies beside it.
            for tile in self.tiles:
                for grid in turns(tile.grid, self.target):
                    layer = self._nearest(tile, grid, band, window)
                    if layer is not None:
                        yield layer
            return

        def read(number: int, part: Window) -> NDArray[Any]:
            tile = self.tiles[number]
            in_file = shifted(part, tile.origin)
            return self._decoded(tile, band, in_file, lambda _: iter([in_file]))

        pixels = Pixels(read, self._nodata(band), np.dtype(self.dtype))
        for mosaic in self._mosaics:
            layer = regrid(mosaic, Onto(self.target, window, self.method), pixels)
            if layer is not None:
                yield layer

    @cached_property
    def _mosaics(self) -> tuple[Mosaic, ...]:
        return mosaics(tuple(tile.grid for tile in self.tiles), self.target)

    def is_cheaper_wide(self) -> bool:
        """Return whether windows side by side are read faster at once: from strips.

        Strips of all bands are not: what tells is memory, which a wider window has less of for
        each band.
        """
        first = self.tiles[0]
        with open_raster(first.href, first.size, first.kind, self.options) as (_, dataset):
            return dataset.block_shapes[0][1] >= dataset.width and not _is_together(dataset)

    def _nearest(self, tile: Tile, grid: PixelGrid, band: int, window: Window) -> Layer | None:
        mapping = shared_index_map(grid, self.target, window)
        if mapping is None:
            return None
        if mapping.size * np.dtype(self.dtype).itemsize > WINDOW_BYTES:
            return self._picked(tile, mapping, band, (grid, window_key(window))), mapping.outside

        def strips(height: int) -> Iterator[Window]:
            return (shifted(part, tile.origin) for part in mapping.strips(height))

        in_file = shifted(mapping.window, tile.origin)
        block = self._decoded(tile, band, in_file, strips)
        return mapping.gather(block, self._nodata(band).fill), mapping.outside

    def _picked(self, tile: Tile, mapping: IndexMap, band: int, where: Hashable) -> NDArray[Any]:
        """Pick pixels out of a source window that is too large to be held."""
        with open_raster(tile.href, tile.size, tile.kind, self.options) as (_, dataset):
            blocks, together = dataset.block_shapes[0], _is_together(dataset)
        bands = [band]
        if together:
            size = math.prod(mapping.shape) * np.dtype(self.dtype).itemsize
            bands = self._group(band, size)

        def read(window: Window) -> NDArray[Any]:
            block = np.empty((len(bands), *(part.stop - part.start for part in window)), self.dtype)
            self._read(tile, bands, [window], window, block)
            return block

        def picked() -> NDArray[Any]:
            found, outside = pick(mapping, tile.origin, blocks, read)
            if outside is not None:
                for each, plane in zip(bands, found, strict=True):
                    plane[outside] = self._nodata(each).fill
            return found

        if len(bands) == 1:
            return np.asarray(picked()[0])
        which = identity(tile.href, self.options)
        key = ("picked", *which, self._conversion(tile), bands[0], where)
        # A copy, as what is kept is for all bands.
        return np.array(cache.get(key, picked, uses=len(bands))[bands.index(band)])

    def _group(self, band: int, size: int) -> list[int]:
        """Return the bands that are decoded together with one, each of *size* bytes."""
        most = max(1, _GROUP_BYTES // size)
        # All of about one length: a short last one would cost as much decoding as a full one.
        wanted = len(self.bands)
        group = -(-wanted // -(-wanted // most))
        first = self.bands.index(band) // group * group
        return list(self.bands[first : first + group])

    def _decoded(
        self, tile: Tile, band: int, window: Window, strips: Callable[[int], Iterator[Window]]
    ) -> NDArray[Any]:
        """Return one band of a source window, every "no data" value made the fill value.

        Only *strips* of it are read, made for some number of rows; the rest is not looked at.
        """
        with open_raster(tile.href, tile.size, tile.kind, self.options) as (_, dataset):
            count, blocks = dataset.count, dataset.block_shapes[0]
            together = _is_together(dataset)
        height, width = (part.stop - part.start for part in window)
        size = np.dtype(self.dtype).itemsize
        parts = list(strips(blocks[0] * max(1, _STRIP_ROWS // blocks[0])))
        if not together:
            block = np.empty((1, height, width), self.dtype)
            self._read(tile, [band], parts, window, block)
            return np.asarray(block[0])
        bands = self._group(band, height * width * size)

        def share() -> SharedArray:
            array = np.empty((len(bands), height, width), self.dtype)
            pieces = [
                partial(self._read, tile, bands, [piece], window, array)
                for part in parts
                for piece in _pieces(part, blocks, count * size)
            ]
            return SharedArray(array, pieces)

        # What the values become is part of the key: another variable may read them otherwise.
        which = identity(tile.href, self.options)
        key = ("decoded", *which, self._conversion(tile), bands[0], window_key(window))
        try:
            shared = cache.get(key, share, uses=len(bands))
            return np.asarray(shared.get()[bands.index(band)])
        except BaseException:
            cache.drop(key)
            raise

    def _read(
        self,
        tile: Tile,
        bands: list[int],
        parts: Sequence[Window],
        window: Window,
        array: NDArray[Any],
    ) -> None:
        """Read parts of a source window to their places in its *array*."""
        with open_raster(tile.href, tile.size, tile.kind, self.options) as (file, dataset):
            windows = [RasterWindow.from_slices(*part) for part in parts]
            file.prefetch(dataset, windows, bands)
            for (rows, cols), part in zip(parts, windows, strict=True):
                top, left = rows.start - window[0].start, cols.start - window[1].start
                out = array[:, top : top + part.height, left : left + part.width]
                kept = out.dtype == dataset.dtypes[0] and not any(
                    self._stored(tile, band).is_packed for band in bands
                )
                values = out if kept else np.empty(out.shape, dataset.dtypes[0])
                file.read(dataset, part, bands, values)
                for band, plane, result in zip(bands, values, out, strict=True):
                    stored, stands = self._stored(tile, band), self._nodata(band)
                    hidden = ~file.read_valid(dataset, part, band) if stored.masked else None
                    if stored.is_packed:
                        missing = stored.convert(plane, result, stands.fill)
                        stands.check_free(
                            result, (), tile.href, missing if hidden is None else missing | hidden
                        )
                    else:
                        stands.check_free(plane, stored.nodata, tile.href, hidden)
                        if kept:
                            fill_nodata(plane, stored.nodata, stands.fill, tolerant=True)
                        else:
                            stored.convert(plane, result, stands.fill)
                    if hidden is not None:
                        result[hidden] = stands.fill

    def _stored(self, tile: Tile, band: int) -> Stored:
        return tile.stored[self.bands.index(band)]

    def _nodata(self, band: int) -> NoData:
        return self.nodata[self.bands.index(band)]

    def _conversion(self, tile: Tile) -> str:
        return repr((tile.stored, self.bands, self.nodata, self.dtype))


class WindowReader:
    """stackstac's ``Reader`` protocol for one band of a `RasterSource`.

    stackstac passes what it knows by keyword; the source is bound beforehand with
    `functools.partial`, and the asset's href is only its name with ``#band=N`` behind it.
    """

    def __init__(self, *, url: str, source: RasterSource, spec: RasterSpec, **_: Any) -> None:
        self.source = source
        self.band = int(url.rpartition("#band=")[2])
        if spec.shape != source.target.shape:
            raise BuildError(
                f"{url}: stackstac made {spec.shape} of the grid {source.target.shape}"
            )

    def read(self, window: RasterWindow) -> NDArray[Any]:
        """Read a window of the grid."""
        return self.source.read(self.band, window.toslices())

    def close(self) -> None:
        """Do nothing: handles belong to the pool."""


def _is_together(dataset: DatasetReader) -> bool:
    """Return whether every block holds all bands."""
    return bool(dataset.count > 1 and dataset.interleaving == Interleaving.pixel)


def _pieces(window: Window, blocks: tuple[int, int], pixel_bytes: int) -> Iterator[Window]:
    """Part a window along the edges of the file's blocks into pieces of some `_PART_BYTES`."""
    rows, cols = window
    height, width = blocks
    across = max(1, _PART_BYTES // (height * width * pixel_bytes))
    down = max(1, _PART_BYTES // (height * min(width, cols.stop - cols.start) * pixel_bytes))
    if width < cols.stop - cols.start:
        down = 1
    for top, bottom in cuts(rows, height * down):
        for left, right in cuts(cols, width * across):
            yield slice(top, bottom), slice(left, right)
