"""Zarr items to lazy arrays on the grid, through xarray."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pystac
import xarray as xr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from stacbuild.errors import IntegrityError, StacbuildError
from stacbuild.formats.zarr_chunks import CHUNKS, chunk_sizes
from stacbuild.formats.zarr_values import naming, values_of
from stacbuild.geo.longitudes import turns
from stacbuild.geo.mapping import IndexMap
from stacbuild.geo.pixelgrid import PixelGrid, Window, shifted
from stacbuild.geo.sparse import WINDOW_BYTES, pick
from stacbuild.geo.validity import Layer, NoData, overlay
from stacbuild.loading.area import origin_of
from stacbuild.loading.facts import Facts
from stacbuild.loading.options import LoadOptions
from stacbuild.loading.packing import Stored, without_packing
from stacbuild.loading.pool import cache, identity, shared_index_map, zarr_dataset
from stacbuild.loading.units import work_unit
from stacbuild.loading.zarr_variables import spatial_dims
from stacbuild.nodata import fill_nodata
from stacbuild.stac.datacube import read_as

if TYPE_CHECKING:
    pass

StorageOptions = Mapping[str, Any]


@dataclass(frozen=True)
class ZarrSource:
    """One variable of a Zarr store to be put on a grid.

    Parameters
    ----------
    href
        Of the group.
    variable
        Its name in the group.
    dims, shape, chunks
        Of the variable in the store.
    spatial
        The names of the two dimensions (rows, columns).
    grids, origins
        Where the store's pixels lie, as one part or several, and row and column of the first
        pixel of each in the store.
    target
        Where the cube's pixels lie.
    method, dtype
        As for a `stacbuild.loading.reader.RasterSource`.
    stands, stored
        What "no data" becomes, and how the store holds values.
    options
        For fsspec; may hold credentials, so never shown.
    """

    href: str
    variable: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    spatial: tuple[str, str]
    grids: tuple[PixelGrid, ...]
    origins: tuple[tuple[int, int], ...]
    target: PixelGrid
    method: str
    dtype: str
    stands: NoData
    stored: Stored
    options: StorageOptions = field(default_factory=dict, repr=False, hash=False)

    def read(self, location: tuple[slice, ...]) -> NDArray[Any]:
        """Read one chunk of the result.

        Parameters
        ----------
        location
            A slice a dimension, in the order of ``dims``: rows and columns of the target grid
            in the spatial ones, positions in the store in the others.

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
        where = dict(zip(self.dims, location, strict=True))
        window = (where[self.spatial[0]], where[self.spatial[1]])
        axes = [self.dims.index(name) for name in self.spatial]

        def read(number: int, part: Window) -> NDArray[Any]:
            block = self._decoded(where, shifted(part, self.origins[number]))
            # Spatial dimensions last, whatever their place in the store.
            return np.moveaxis(block, axes, (-2, -1))

        def picked(number: int, mapping: IndexMap) -> NDArray[Any]:
            return np.moveaxis(self._picked(where, number, mapping), axes, (-2, -1))

        found = overlay(self._layers(window, read, picked), self.stands)
        if found is None:
            shape = [part.stop - part.start for part in location]
            empty = np.moveaxis(np.full(shape, self.stands.fill, self.dtype), axes, (-2, -1))
            found = empty, np.ones(empty.shape, np.bool_)
        name = f"{self.href}: {self.variable}"
        return np.moveaxis(self.stands.settle(found, name), (-2, -1), axes)

    def _layers(
        self,
        window: Window,
        read: Callable[[int, Window], NDArray[Any]],
        picked: Callable[[int, IndexMap], NDArray[Any]],
    ) -> Iterator[Layer]:
        """Yield what each part of the store has in a window, each time around the earth."""
        if self.method != "nearest":
            from stacbuild.geo.block import Onto  # GDAL, which nearest does without
            from stacbuild.geo.mosaic import mosaics
            from stacbuild.geo.warp import Pixels, regrid

            # Each chunk of the cube has one position along every other dimension.
            pixels = Pixels(read, self.stands, np.dtype(self.dtype))
            for mosaic in mosaics(self.grids, self.target):
                layer = regrid(mosaic, Onto(self.target, window, self.method), pixels)
                if layer is not None:
                    yield layer
            return
        for number, whole in enumerate(self.grids):
            for grid in turns(whole, self.target):
                mapping = shared_index_map(grid, self.target, window)
                if mapping is None:
                    continue
                if mapping.size * self._together > WINDOW_BYTES:
                    yield picked(number, mapping), mapping.outside
                    continue
                planes = read(number, mapping.window)
                size = (part.stop - part.start for part in window)
                picks = np.empty((*planes.shape[:-2], *size), planes.dtype)
                for index in np.ndindex(planes.shape[:-2]):
                    picks[index] = mapping.gather(planes[index], self.stands.fill)
                yield picks, mapping.outside

    @cached_property
    def _together(self) -> int:
        """Bytes that are decoded together for one place."""
        lead = [
            min(chunk, length)
            for name, length, chunk in zip(self.dims, self.shape, self.chunks, strict=True)
            if name not in self.spatial
        ]
        return math.prod(lead) * np.dtype(self.dtype).itemsize

    def _picked(self, where: Mapping[str, slice], number: int, mapping: IndexMap) -> NDArray[Any]:
        """Pick a target window out of a source window that is too large to be held."""
        span, inner, uses = self._span(where)
        axes = [self.dims.index(name) for name in self.spatial]

        def read(window: Window) -> NDArray[Any]:
            block = self._read(span | dict(zip(self.spatial, window, strict=True)))
            return np.moveaxis(block, axes, (-2, -1))

        def make() -> NDArray[Any]:
            blocks = (self.chunks[axes[0]], self.chunks[axes[1]])
            found, outside = pick(mapping, self.origins[number], blocks, read)
            if outside is not None:
                found[..., outside] = self.stands.fill
            return np.moveaxis(found, (-2, -1), axes)

        key = (*self._key("picked", span), self.target, number)
        # A copy, as what is kept is for several chunks of the cube.
        return np.array(cache.get(key, make, uses=uses)[inner])

    def _decoded(self, where: Mapping[str, slice], window: Window) -> NDArray[Any]:
        """Return what *where* asks for of the source window, "no data" made the fill value."""
        span, inner, uses = self._span(where)
        span |= dict(zip(self.spatial, window, strict=True))
        return cache.get(self._key("zarr", span), lambda: self._read(span), uses=uses)[inner]

    def _span(self, where: Mapping[str, slice]) -> tuple[dict[str, slice], tuple[slice, ...], int]:
        """Return what is decoded together, what *where* asks for of it, and how often it is.

        The store's chunks span several positions of the other dimensions; those are decoded once
        and kept for the chunks of the cube that need the others.
        """
        span, inner, uses = {}, [], 1
        for name, length, chunk in zip(self.dims, self.shape, self.chunks, strict=True):
            if name in self.spatial:
                span[name] = where[name]
                inner.append(slice(None))
            else:
                first = where[name].start // chunk * chunk
                last = min(-(-where[name].stop // chunk) * chunk, length)
                span[name] = slice(first, last)
                inner.append(slice(where[name].start - first, where[name].stop - first))
                # Each chunk of the cube has one position along it.
                uses *= last - first
        return span, tuple(inner), uses

    def _key(self, what: str, span: Mapping[str, slice]) -> tuple[Hashable, ...]:
        place = ((part.start, part.stop) for part in span.values())
        # Values are kept with "no data" filled in, which another variable may do otherwise.
        filled = repr((self.stored, self.stands, self.dtype))
        return (what, *identity(self.href, self.options), self.variable, filled, *place)

    def _read(self, span: Mapping[str, slice]) -> NDArray[Any]:
        try:
            dataset = zarr_dataset(self.href, self.options)
            block = np.asarray(dataset[self.variable].isel(span).values)
            block = block.astype(read_as(block.dtype), copy=False)
        except StacbuildError:
            raise
        except Exception as error:
            from stacbuild.formats.zarr_errors import read_error

            told = read_error(error, self.href, dict(self.options))
            if isinstance(told, IntegrityError):
                told = IntegrityError(
                    f"{self.href}: {self.variable} cannot be read at "
                    f"{ {name: (s.start, s.stop) for name, s in span.items()} }: "
                    f"{' '.join(str(error).split())}"
                )
            raise told from error
        name = f"{self.href}: {self.variable}"
        if self.stored.is_packed:
            values = np.empty(block.shape, self.dtype)
            missing = self.stored.convert(block, values, self.stands.fill, tolerant=False)
            self.stands.check_free(values, (), name, missing)
            return values
        self.stands.check_free(block, self.stored.nodata, name)
        block = block.astype(self.dtype, copy=False)
        fill_nodata(block, self.stored.nodata, self.stands.fill)
        return block


def load_zarr(
    parts: Sequence[pystac.Item],
    variable: str,
    method: str,
    facts: Facts,
    options: LoadOptions,
) -> xr.DataArray:
    """Put one variable of a Zarr item on the grid, lazily.

    Parameters
    ----------
    parts
        The item; or, where only a part of it is meant that lies on both of its ends (see
        `stacbuild.loading.area`), as one item for each.
    facts
        What the result holds.
    options
        Onto which grid, and from where.

    Returns
    -------
    dask-backed array with the store's dimension names and order and its dtype; the two spatial
    dimensions have the grid's pixel centres as coordinates, the others the store's. Chunks are
    work units of the grid, and 1 along every other dimension.

    Raises
    ------
    BuildError
        If the item does not say which dimensions are the spatial ones.
    RemoteError, NotFoundError
        If the store cannot be opened.
    IntegrityError
        If chunks are gone that were there when it was harvested.
    """
    item, grid = parts[0], options.grid
    _check_whole(item, variable)
    dataset = zarr_dataset(item.assets["data"].href, options.storage_options)
    array = dataset[variable]
    spatial = spatial_dims(item)
    source = ZarrSource(
        href=item.assets["data"].href,
        variable=variable,
        dims=tuple(map(str, array.dims)),
        shape=array.shape,
        chunks=tuple(array.encoding.get("chunks") or array.shape),
        spatial=spatial,
        grids=tuple(PixelGrid.of_properties(part.properties) for part in parts),
        origins=tuple(origin_of(part.properties) for part in parts),
        target=PixelGrid.of_grid(grid),
        method=method,
        dtype=facts.cube_dtype.name,
        stands=facts.no_data(complete=options.complete),
        stored=Stored(facts.nodata, False, *(facts.unpacked_by or (1.0, 0.0))),
        options=options.storage_options,
    )
    dtype = facts.cube_dtype
    unit = work_unit(grid, dtype.itemsize)
    chunks = tuple(
        _split(grid.shape[spatial.index(name)], unit[spatial.index(name)])
        if name in spatial
        else (1,) * length
        for name, length in zip(source.dims, array.shape, strict=True)
    )
    lazy = da.map_blocks(
        _read_chunk, source=source, chunks=chunks, dtype=dtype, meta=np.empty(0, dtype)
    )
    y, x = grid.coords()
    others = {
        str(name): coordinate
        for name, coordinate in array.coords.items()
        if name not in spatial and not set(coordinate.dims) & set(spatial)
    }
    with naming(source.href):
        coords = {
            name: xr.Variable(each.dims, values_of(name, each), _own_attrs(each))
            for name, each in others.items()
        }
    return xr.DataArray(
        lazy,
        dims=source.dims,
        coords=coords | {spatial[0]: y, spatial[1]: x},
        name=variable,
        attrs=without_packing(_own_attrs(array)) if facts.unpacked else _own_attrs(array),
    )


def _check_whole(item: pystac.Item, variable: str) -> None:
    """Compare how many chunks there are with the item, where it says so (on disk).

    Zarr itself takes a chunk that is not there for one of fill values.
    """
    asset = item.assets["data"]
    stated = asset.extra_fields.get(CHUNKS, {}).get(variable)
    if stated is None or "://" in asset.href:
        return
    count = len(chunk_sizes(LocalStore(asset.href), variable))
    if count < stated["count"]:
        raise IntegrityError(
            f"{asset.href}: {variable} has {count} chunks, {stated['count']} when it was "
            "harvested: put the others back, or harvest it again if they are not meant to be there"
        )


def _own_attrs(array: xr.DataArray) -> dict[str, Any]:
    """Return the attributes without those that say how the store holds the values."""
    of_store = {"_FillValue", "missing_value", "nodata", "nodatavals", "grid_mapping"}
    return {str(name): value for name, value in array.attrs.items() if name not in of_store}


def _read_chunk(source: ZarrSource, block_info: Any = None) -> NDArray[Any]:
    location = block_info[None]["array-location"]
    return source.read(tuple(slice(*bounds) for bounds in location))


def _split(length: int, chunk: int) -> tuple[int, ...]:
    return tuple(min(chunk, length - start) for start in range(0, length, chunk))
