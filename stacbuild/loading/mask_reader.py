"""Read the quality layer of a scene: which pixels of a band's window it masks.

A layer has its own grid, often a coarser one, and is read in windows of that. Bands of a scene
share them: a window is decoded once, and kept as one bit a pixel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.geo.grid import PixelGrid, Window
from stacbuild.geo.positions import shifted, window_key
from stacbuild.loading.mask_rules import Rule, dilated
from stacbuild.loading.pool import (
    Stated,
    cache,
    identity,
    open_raster,
    shared_index_map,
    zarr_dataset,
)
from stacbuild.loading.scene_errors import SceneAsset, named

if TYPE_CHECKING:
    import xarray as xr
    from rasterio.io import DatasetReader

    from stacbuild.formats.geotiff import RasterFile

# Blocks of at most so many pixels along a side are decoded whole, so that bands of different
# resolution ask for the same window.
_WHOLE_BLOCK = 1024


@dataclass(frozen=True)
class TileMask:
    """The quality layer of one scene, and its rule.

    Parameters
    ----------
    href
        The file of the layer, whose first band is tested, or the Zarr group.
    grid
        Its pixels.
    rule
        Which of them are masked.
    scene
        Its item and asset, for messages.
    variable
        Name of the variable of a Zarr group; its dimensions are rows and columns.
    masked
        Whether the file has a mask of its own; what that hides is masked.
    table
        Name of the table by which the values are read; empty if the item states what they mean.
    size, kind, version, header, dtype
        As in `stacbuild.loading.reader.Tile`.
    """

    href: str
    grid: PixelGrid
    rule: Rule
    scene: SceneAsset
    variable: str = ""
    masked: bool = False
    size: int | None = None
    kind: str = ""
    version: str = ""
    header: str = ""
    dtype: str = ""
    table: str = field(default="", compare=False)

    def hidden(
        self, band: PixelGrid, window: Window, options: Mapping[str, Any]
    ) -> NDArray[np.bool_]:
        """Return which pixels of a band are masked: by the pixel of the layer under their centre.

        Pixels beyond the edge of the layer are masked, as nothing is known of them.

        Parameters
        ----------
        band
            The grid of the band.
        window
            Rows and columns of it.
        options
            Storage options for fsspec.

        Returns
        -------
        2-D array of the window's shape.

        Raises
        ------
        RemoteError, LocalError, IntegrityError
            If the layer cannot be read; names item and asset.
        """
        mapping = shared_index_map(self.grid, band, window)
        if mapping is None:
            return np.ones([part.stop - part.start for part in window], np.bool_)
        with named(self.scene):
            whole, found = self._masked(mapping.window, options)
        origin = -whole[0].start, -whole[1].start
        return mapping.gather(found.pixels()[shifted(mapping.window, origin)], np.True_)

    def _masked(self, window: Window, options: Mapping[str, Any]) -> tuple[Window, _Bits]:
        """Return a window around another that is decoded at once, and its masked pixels."""
        blocks = self._blocks(options)
        rows, cols = (
            _widened(part, block, length)
            for part, block, length in zip(window, blocks, self.grid.shape, strict=True)
        )
        whole = rows, cols
        key = ("masked", *identity(self.href, options), self.rule, window_key(whole))
        return whole, cache.get(key, lambda: self._decoded(whole, options))

    def _decoded(self, window: Window, options: Mapping[str, Any]) -> _Bits:
        far = self.rule.dilate
        rows, cols = (
            slice(max(part.start - far, 0), min(part.stop + far, length))
            for part, length in zip(window, self.grid.shape, strict=True)
        )
        pixels, unknown = self._read((rows, cols), options)
        found = dilated(self.rule.masked(pixels), far)
        if unknown is not None:
            found = found | unknown
        return _Bits.of(found[shifted(window, (-rows.start, -cols.start))])

    def _read(
        self, window: Window, options: Mapping[str, Any]
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return the values of a window, and the pixels that the file itself masks."""
        if self.variable:
            array = self._array(options)
            try:
                return np.asarray(array[window].values), None
            except Exception as error:
                from stacbuild.formats.zarr_errors import read_error

                raise read_error(error, self.href, dict(options)) from error
        # Imported late: plans need masks, but no GDAL.
        from rasterio.windows import Window as RasterWindow

        with self.opened(options) as (file, dataset):
            at = RasterWindow.from_slices(*window)
            [pixels] = file.read(dataset, at, [1])
            return pixels, ~file.read_valid(dataset, at, 1) if self.masked else None

    def _blocks(self, options: Mapping[str, Any]) -> tuple[int, int]:
        if self.variable:
            array = self._array(options)
            rows, cols = array.encoding.get("chunks") or array.shape
            return rows, cols
        with self.opened(options) as (_, dataset):
            rows, cols = dataset.block_shapes[0]
            return rows, cols

    def _array(self, options: Mapping[str, Any]) -> xr.DataArray:
        return zarr_dataset(self.href, options, self.version)[self.variable]

    def opening(self, options: Mapping[str, Any]) -> AbstractContextManager[Any]:
        """Open the layer, without reading its pixels, while in the context."""
        return nullcontext(self._array(options)) if self.variable else self.opened(options)

    def opened(
        self, options: Mapping[str, Any]
    ) -> AbstractContextManager[tuple[RasterFile, DatasetReader]]:
        """Lend the open file, as `stacbuild.loading.pool.open_raster`."""
        stated = Stated(self.grid, self.version, self.header, self.dtype)
        return open_raster(self.href, self.size, self.kind, options, stated)


def hidden_by(
    masks: Sequence[TileMask], band: PixelGrid, window: Window, options: Mapping[str, Any]
) -> NDArray[np.bool_] | None:
    """Return which pixels of a band any of several layers masks; None without layers."""
    if not masks:
        return None
    found = masks[0].hidden(band, window, options)
    for mask in masks[1:]:
        found |= mask.hidden(band, window, options)
    return found


@dataclass(frozen=True)
class _Bits:
    """A 2-D mask, one bit a pixel."""

    packed: NDArray[np.uint8]
    width: int

    @classmethod
    def of(cls, pixels: NDArray[np.bool_]) -> _Bits:
        return cls(np.packbits(pixels, axis=1), pixels.shape[1])

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self.packed.nbytes

    def pixels(self) -> NDArray[np.bool_]:
        """Return the mask."""
        return np.unpackbits(self.packed, axis=1, count=self.width).view(np.bool_)


def _widened(part: slice, block: int, length: int) -> slice:
    """Return rows or columns, widened to whole blocks unless these are long."""
    if block > _WHOLE_BLOCK:
        return part
    return slice(part.start // block * block, min(-(-part.stop // block) * block, length))
