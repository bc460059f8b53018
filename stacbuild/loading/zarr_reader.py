"""Read windows of Zarr variables, decoded once for all chunks of the cube that need them."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.errors import IntegrityError, StacbuildError
from stacbuild.geo.block import Onto
from stacbuild.geo.grid import PixelGrid, Window
from stacbuild.geo.mapping import IndexMap
from stacbuild.geo.positions import shifted, window_key
from stacbuild.geo.sparse import pick
from stacbuild.geo.validity import NoData
from stacbuild.loading.mask_reader import TileMask, hidden_by
from stacbuild.loading.packing import Stored
from stacbuild.loading.pool import cache, identity, zarr_dataset
from stacbuild.loading.regrid import Plane, regrid
from stacbuild.loading.scene_errors import SceneAsset, named
from stacbuild.stac.datacube import read_as

StorageOptions = Mapping[str, Any]


@dataclass(frozen=True)
class ZarrTile:
    """One variable of a store, or a part of it, that is mosaicked with others.

    Parameters
    ----------
    href
        URL or path of the group.
    shape, chunks
        Shape and chunk shape of the variable in the store.
    grid, origin
        The pixel grid, and the row and column of its first pixel in the store.
    stored
        The encoding of the values in the store.
    version
        That of `stacbuild.loading.pool.Stated`.
    scene, masks
        As in `stacbuild.loading.reader.Tile`.
    """

    href: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    grid: PixelGrid
    origin: tuple[int, int]
    stored: Stored
    version: str = ""
    scene: SceneAsset | None = None
    masks: tuple[TileMask, ...] = ()


@dataclass(frozen=True)
class ZarrSource:
    """One variable of one or several Zarr stores, to be resampled to a grid.

    Parameters
    ----------
    tiles
        The stores, of which the first with data counts. They differ in their spatial dimensions
        only.
    variable
        Name of the variable in the groups.
    dims
        Its dimension names.
    spatial
        Names of the two spatial dimensions (rows, columns).
    target
        The grid of the cube.
    method, dtype
        Resampling method, and dtype of the result.
    nodata
        The nodata value of the result.
    options
        Storage options for fsspec; they may hold credentials, so they are never shown.
    """

    tiles: tuple[ZarrTile, ...]
    variable: str
    dims: tuple[str, ...]
    spatial: tuple[str, str]
    target: PixelGrid
    method: str
    dtype: str
    nodata: NoData
    options: StorageOptions = field(default_factory=dict, repr=False, hash=False)

    def read(self, location: tuple[slice, ...]) -> NDArray[Any]:
        """Read one chunk of the result.

        Parameters
        ----------
        location
            One slice per dimension, in the order of ``dims``: rows and columns of the target grid
            for the spatial dimensions, indices in the store for the others.

        Returns
        -------
        Array of the location's shape and the variable's dtype.

        Raises
        ------
        IntegrityError
            If a chunk cannot be decoded.
        RemoteError
            If the store cannot be reached.
        """
        slices = dict(zip(self.dims, location, strict=True))
        window = (slices[self.spatial[0]], slices[self.spatial[1]])
        position = {name: at for name, at in slices.items() if name not in self.spatial}
        plane = Plane(
            f"{self.tiles[0].href}: {self.variable}",
            tuple(tile.grid for tile in self.tiles),
            _Position(self, position),
            np.dtype(self.dtype),
            self.nodata,
        )
        found = regrid(plane, Onto(self.target, window, self.method))
        # `regrid` returns the spatial dimensions last; move them back to their order in the store.
        whole = found.reshape((1,) * (len(self.dims) - 2) + found.shape)
        return np.moveaxis(whole, (-2, -1), self.axes)

    @property
    def axes(self) -> tuple[int, int]:
        """Axis numbers of the two spatial dimensions."""
        return self.dims.index(self.spatial[0]), self.dims.index(self.spatial[1])


@dataclass(frozen=True)
class _Position:
    """Decodes one index along the non-spatial dimensions (a `regrid.Decoder`).

    The store's chunks may span several such indices. They are decoded once and cached for the
    other chunks of the cube.
    """

    source: ZarrSource
    slices: Mapping[str, slice]

    def _together(self, tile: ZarrTile) -> dict[str, slice]:
        """Return the slices that are decoded together along the non-spatial dimensions."""
        found = {}
        for name, length, chunk in zip(self.source.dims, tile.shape, tile.chunks, strict=True):
            if name in self.slices:
                first = self.slices[name].start // chunk * chunk
                found[name] = slice(first, min(first + chunk, length))
        return found

    @cached_property
    def pixel_bytes(self) -> int:
        source = self.source
        most = max(
            math.prod(
                min(chunk, length)
                for name, length, chunk in zip(source.dims, tile.shape, tile.chunks, strict=True)
                if name in self.slices
            )
            for tile in source.tiles
        )
        return most * np.dtype(source.dtype).itemsize

    def read(self, number: int, window: Window, _: IndexMap | None = None, /) -> NDArray[Any]:
        tile = self.source.tiles[number]
        window = shifted(window, tile.origin)
        return self._shared(tile, "zarr", window_key(window), lambda: self._decode(tile, window))

    def pick(self, number: int, mapping: IndexMap, key: Hashable) -> NDArray[Any]:
        tile, axes = self.source.tiles[number], self.source.axes
        blocks = tile.chunks[axes[0]], tile.chunks[axes[1]]

        def picked() -> NDArray[Any]:
            return pick(mapping, tile.origin, blocks, lambda window: self._decode(tile, window))

        # A copy, since the cached array is shared by several chunks of the cube.
        return np.array(self._shared(tile, "picked", key, picked))

    def _shared(
        self, tile: ZarrTile, what: str, window: Hashable, decode: Callable[[], NDArray[Any]]
    ) -> NDArray[Any]:
        """Return the plane of this index from the values that are decoded together, and cached."""
        source, together = self.source, self._together(tile)
        # The fill value is part of the key, since another variable may use another one.
        encoding = repr((tile.stored, tile.masks, source.nodata, source.dtype))
        variable = (*identity(tile.href, source.options), source.variable)
        spans = tuple((part.start, part.stop) for part in together.values())
        key = (what, *variable, encoding, spans, window)
        uses = math.prod(stop - start for start, stop in spans)
        block = cache.get(key, decode, uses=uses)
        return np.asarray(
            block[tuple(self.slices[name].start - at.start for name, at in together.items())]
        )

    def _decode(self, tile: ZarrTile, window: Window) -> NDArray[Any]:
        """Return a window of all indices that are decoded together, with rows and columns last."""
        source = self.source
        with named(tile.scene):
            block = self._block(tile, window)
        same = block.dtype == np.dtype(source.dtype) and not tile.stored.is_packed
        values = block if same else np.empty(block.shape, source.dtype)
        around = shifted(window, (-tile.origin[0], -tile.origin[1]))
        hidden = hidden_by(tile.masks, tile.grid, around, source.options)
        if hidden is not None:
            hidden = np.broadcast_to(hidden, block.shape)
        name = f"{tile.href}: {source.variable}"
        tile.stored.write(block, values, source.nodata, name, hidden)
        return values

    def _block(self, tile: ZarrTile, window: Window) -> NDArray[Any]:
        """Return the stored values of a window, with rows and columns last."""
        source = self.source
        span = self._together(tile) | dict(zip(source.spatial, window, strict=True))
        try:
            dataset = zarr_dataset(tile.href, source.options, tile.version)
            block = np.asarray(dataset[source.variable].isel(span).values)
            block = block.astype(read_as(block.dtype), copy=False)
        except StacbuildError:
            raise
        except Exception as error:
            from stacbuild.formats.zarr_errors import read_error

            reported = read_error(error, tile.href, dict(source.options))
            if isinstance(reported, IntegrityError):
                at = {name: (span[name].start, span[name].stop) for name in source.dims}
                reported = IntegrityError(
                    f"{tile.href}: {source.variable} cannot be read at {at}: "
                    f"{' '.join(str(error).split())}"
                )
            raise reported from error
        return np.moveaxis(block, source.axes, (-2, -1))
