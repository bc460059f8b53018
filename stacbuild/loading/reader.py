"""The reader that stackstac calls for each chunk: resample raster files to the grid.

stackstac builds the dask graph with one task per band and chunk; this reader computes the chunk.
Readers of one source share data across the bands of a tile: the index map and, for
pixel-interleaved files (every block holds all bands) and files of many bands, the decoded source
window.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Interleaving
from rasterio.windows import Window as RasterWindow

from stacbuild.errors import BuildError
from stacbuild.formats.gdal_env import gdal_env
from stacbuild.geo.block import Onto
from stacbuild.geo.grid import PixelGrid, Window
from stacbuild.geo.mapping import IndexMap
from stacbuild.geo.positions import cuts, shifted, window_key
from stacbuild.geo.sparse import pick
from stacbuild.geo.validity import NoData
from stacbuild.loading.mask_reader import TileMask, hidden_by
from stacbuild.loading.packing import Stored
from stacbuild.loading.pool import Stated, cache, identity, open_raster
from stacbuild.loading.regrid import Plane, regrid
from stacbuild.loading.scene_errors import SceneAsset, named
from stacbuild.shared import SharedArray

if TYPE_CHECKING:
    from rasterio.io import DatasetReader
    from stackstac.raster_spec import RasterSpec

    from stacbuild.formats.geotiff import RasterFile

# Share of the cache for the bands of a pixel-interleaved window that are decoded together.
_GROUP_SHARE = 0.8
# Bytes of such a window read at a time. GDAL reads one band after the other: the windows of all
# threads have to fit into its block cache, or every block is decoded once per band.
_PART_BYTES = 8 * 2**20
# rasterio looks at all bands of a file each time it reads any. Bands of files with more than these
# are therefore read several at a time, up to a few bytes: one by one, twice the bands would take
# four times as long.
_MANY_BANDS = 256
_FEW_BYTES = 16 * 2**20
# Minimum number of source rows read at a time.
_STRIP_ROWS = 256


@dataclass(frozen=True)
class Tile:
    """One GeoTIFF of a product: its href, its pixel grid, and the encoding of each band.

    ``size`` is in bytes, None if unknown; ``kind`` is the kind of store it comes from; ``origin``
    is the row and column in the file of the grid's first pixel, since the grid may cover only
    part of the file; ``stored`` has one entry for each of the source's bands; ``whole`` is the grid
    that the item states for the file, None if it is not compared; ``version``, ``header`` and
    ``dtype`` are those of `stacbuild.loading.pool.Stated`; ``scene`` is named in messages, and
    ``masks`` hide pixels.
    """

    href: str
    grid: PixelGrid
    origin: tuple[int, int] = (0, 0)
    size: int | None = None
    kind: str = ""
    stored: tuple[Stored, ...] = (Stored(),)
    whole: PixelGrid | None = None
    version: str = ""
    header: str = ""
    dtype: str = ""
    scene: SceneAsset | None = None
    masks: tuple[TileMask, ...] = ()

    @cached_property
    def encoding(self) -> str:
        """The encoding of all bands and what is masked, to compare."""
        return repr((self.stored, self.masks))

    def hidden(self, window: Window, options: Mapping[str, Any]) -> NDArray[np.bool_] | None:
        """Return which pixels of a window of the file its masks hide; None if it has none."""
        window = shifted(window, (-self.origin[0], -self.origin[1]))
        return hidden_by(self.masks, self.grid, window, options)


@dataclass(frozen=True)
class RasterSource:
    """The tiles of one product, to be resampled to one grid; the first tile with data wins.

    Parameters
    ----------
    tiles
        Files with the same bands and dtype.
    target
        The grid of the cube.
    method
        ``nearest`` or a resampling method of GDAL's warper.
    dtype
        Dtype of the result; also that of the files, unless they are masked or unpacked.
    bands
        Bands to read, counted from 1.
    nodata
        The nodata value of the result, for each band.
    options
        Storage options for fsspec; they may hold credentials, so they are never shown.
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
        plane = Plane(
            self.tiles[0].href,
            self._grids,
            SourceBand(self, band),
            np.dtype(self.dtype),
            self.nodata_of(band),
        )
        with gdal_env():
            return regrid(plane, Onto(self.target, window, self.method))

    @cached_property
    def _grids(self) -> tuple[PixelGrid, ...]:
        return tuple(tile.grid for tile in self.tiles)

    def nodata_of(self, band: int) -> NoData:
        """Return the fill value of a band."""
        return self.nodata[self.position(band)]

    def position(self, band: int) -> int:
        """Return the position of a band among ``bands``."""
        return self._positions[band]

    @cached_property
    def _positions(self) -> dict[int, int]:
        return {band: position for position, band in enumerate(self.bands)}

    @cached_property
    def encoding(self) -> str:
        """The bands and how their values are returned, to compare."""
        return repr((self.bands, self.nodata, self.dtype))

    def is_cheaper_wide(self) -> bool:
        """Return whether wide windows are faster to read, as they are for files in strips.

        Not for pixel-interleaved strips: memory is the limit there, and the wider the window,
        the fewer bands fit.
        """
        first = self.tiles[0]
        with opened_tile(first, self.options) as (_, dataset):
            return dataset.block_shapes[0][1] >= dataset.width and not _is_together(dataset)


@contextmanager
def opened_tile(
    tile: Tile, options: Mapping[str, Any]
) -> Iterator[tuple[RasterFile, DatasetReader]]:
    """Lend the open file of a tile, as `stacbuild.loading.pool.open_raster`."""
    stated = Stated(tile.whole, tile.version, tile.header, tile.dtype)
    with (
        named(tile.scene),
        open_raster(tile.href, tile.size, tile.kind, options, stated) as opened,
    ):
        yield opened


@dataclass(frozen=True)
class SourceBand:
    """One band of a `RasterSource`, and the `stacbuild.loading.regrid.Decoder` of its pixels.

    If a file is pixel-interleaved or has many bands, other bands are decoded at the same time and
    cached.
    """

    source: RasterSource
    band: int

    @property
    def pixel_bytes(self) -> int:
        """Size of a decoded pixel in bytes."""
        return np.dtype(self.source.dtype).itemsize

    def read(self, number: int, window: Window, mapping: IndexMap | None = None, /) -> NDArray[Any]:
        """Return a window of the tile with this number."""
        tile, dtype = self.source.tiles[number], self.source.dtype
        with self._opened(tile) as (_, dataset):
            count, blocks = dataset.count, dataset.block_shapes[0]
            together, most = _is_together(dataset), _most_bytes(dataset)
        height, width = (part.stop - part.start for part in window)
        strip = blocks[0] * max(1, _STRIP_ROWS // blocks[0])
        parts = [
            shifted(part, tile.origin)
            for part in ([window] if mapping is None else mapping.strips(strip))
        ]
        window = shifted(window, tile.origin)
        bands = self._group(height * width * self.pixel_bytes, most)
        if len(bands) == 1 and not together:
            block = np.empty((1, height, width), dtype)
            self._decode(tile, bands, parts, window, block)
            return np.asarray(block[0])

        def share() -> SharedArray:
            array = np.empty((len(bands), height, width), dtype)
            if not together:
                return SharedArray(
                    array, [partial(self._decode, tile, bands, parts, window, array)]
                )
            pieces = [
                partial(self._decode, tile, bands, [piece], window, array)
                for part in parts
                for piece in _pieces(part, blocks, count * self.pixel_bytes)
            ]
            return SharedArray(array, pieces)

        key = self._key("decoded", tile, bands, window_key(window))
        try:
            shared = cache.get(key, share, uses=len(bands))
            return np.asarray(shared.get()[self._position_in(bands)])
        except BaseException:
            cache.drop(key)
            raise

    def pick(self, number: int, mapping: IndexMap, key: Hashable) -> NDArray[Any]:
        """Return the pixels that a mapping selects from the tile with this number."""
        tile, dtype = self.source.tiles[number], self.source.dtype
        with self._opened(tile) as (_, dataset):
            blocks, most = dataset.block_shapes[0], _most_bytes(dataset)
        bands = self._group(math.prod(mapping.shape) * self.pixel_bytes, most)

        def read(window: Window) -> NDArray[Any]:
            block = np.empty((len(bands), *(part.stop - part.start for part in window)), dtype)
            self._decode(tile, bands, [window], window, block)
            return block

        def picked() -> NDArray[Any]:
            return pick(mapping, tile.origin, blocks, read)

        if len(bands) == 1:
            return np.asarray(picked()[0])
        key = self._key("picked", tile, bands, key)
        # A copy, since the cached array is shared by all bands.
        return np.array(cache.get(key, picked, uses=len(bands))[self._position_in(bands)])

    def _group(self, size: int, most_bytes: int) -> list[int]:
        """Return the bands to decode together with this one, each of *size* bytes."""
        most = max(1, most_bytes // size)
        # Groups of equal size, since a short last group takes as long to decode as a full one.
        wanted = len(self.source.bands)
        group = -(-wanted // -(-wanted // most))
        first = self.source.position(self.band) // group * group
        return list(self.source.bands[first : first + group])

    def _position_in(self, bands: Sequence[int]) -> int:
        position = self.source.position
        return position(self.band) - position(bands[0])

    def _key(self, what: str, tile: Tile, bands: Sequence[int], window: Hashable) -> Hashable:
        source = self.source
        # The packing is part of the key, since another variable may decode the values differently.
        encoding = (tile.encoding, source.encoding)
        return (what, *identity(tile.href, source.options), encoding, bands[0], window)

    def _opened(self, tile: Tile) -> AbstractContextManager[tuple[RasterFile, DatasetReader]]:
        return opened_tile(tile, self.source.options)

    def _decode(
        self,
        tile: Tile,
        bands: list[int],
        parts: Sequence[Window],
        window: Window,
        array: NDArray[Any],
    ) -> None:
        """Read parts of a window of a file into its *array*."""
        around = _around(parts)
        masked = tile.hidden(around, self.source.options)
        corner = (-around[0].start, -around[1].start)
        with self._opened(tile) as (file, dataset):
            windows = [RasterWindow.from_slices(*part) for part in parts]
            file.prefetch(dataset, windows, bands)
            for (rows, cols), part in zip(parts, windows, strict=True):
                above = None if masked is None else masked[shifted((rows, cols), corner)]
                top, left = rows.start - window[0].start, cols.start - window[1].start
                out = array[:, top : top + part.height, left : left + part.width]
                stored = [tile.stored[self.source.position(band)] for band in bands]
                same = out.dtype == dataset.dtypes[0] and not any(s.is_packed for s in stored)
                values = out if same else np.empty(out.shape, dataset.dtypes[0])
                file.read(dataset, part, bands, values)
                for number, band in enumerate(bands):
                    how, plane = stored[number], out[number]
                    hidden = above
                    if how.masked:
                        own = ~file.read_valid(dataset, part, band)
                        hidden = own if above is None else own | above
                    read = plane if same else values[number]
                    how.write(read, plane, self.source.nodata_of(band), tile.href, hidden)


class WindowReader:
    """stackstac's ``Reader`` protocol for one band of a `RasterSource`.

    stackstac passes its arguments by keyword. The ``url`` is the asset's href, for which we pass
    a `SourceBand`.
    """

    def __init__(self, *, url: SourceBand, spec: RasterSpec, **_: Any) -> None:
        self._band = url
        if spec.shape != url.source.target.shape:
            raise BuildError(
                f"{url.source.tiles[0].href}: stackstac made {spec.shape} of the grid "
                f"{url.source.target.shape}"
            )

    def read(self, window: RasterWindow) -> NDArray[Any]:
        """Read a window of the grid."""
        return self._band.source.read(self._band.band, window.toslices())

    def close(self) -> None:
        """Do nothing, since the pool owns the file handles."""


def _is_together(dataset: DatasetReader) -> bool:
    """Return whether every block holds all bands."""
    return bool(dataset.count > 1 and dataset.interleaving == Interleaving.pixel)


def _most_bytes(dataset: DatasetReader) -> int:
    """Return the most bytes of several bands to decode together; 0 for one band at a time."""
    if _is_together(dataset):
        return int(_GROUP_SHARE * cache.max_bytes)
    return _FEW_BYTES if dataset.count > _MANY_BANDS else 0


def _around(parts: Sequence[Window]) -> Window:
    """Return the window that parts span."""
    rows, cols = (
        slice(min(part[axis].start for part in parts), max(part[axis].stop for part in parts))
        for axis in (0, 1)
    )
    return rows, cols


def _pieces(window: Window, blocks: tuple[int, int], pixel_bytes: int) -> Iterator[Window]:
    """Split a window along the file's blocks into parts of about `_PART_BYTES`."""
    rows, cols = window
    height, width = blocks
    across = max(1, _PART_BYTES // (height * width * pixel_bytes))
    down = max(1, _PART_BYTES // (height * min(width, cols.stop - cols.start) * pixel_bytes))
    if width < cols.stop - cols.start:
        down = 1
    for top, bottom in cuts(rows, height * down):
        for left, right in cuts(cols, width * across):
            yield slice(top, bottom), slice(left, right)
