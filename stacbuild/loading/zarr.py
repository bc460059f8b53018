"""Load Zarr items as lazy arrays on the grid, with xarray."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import dask.array as da
import numpy as np
import pystac
import xarray as xr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from stacbuild.errors import IntegrityError, StacbuildError
from stacbuild.formats.zarr_chunks import CHUNKS, chunk_sizes
from stacbuild.formats.zarr_values import naming, values_of
from stacbuild.geo.block import Onto
from stacbuild.geo.grid import PixelGrid, Window
from stacbuild.geo.mapping import IndexMap
from stacbuild.geo.positions import shifted, window_key
from stacbuild.geo.sparse import pick
from stacbuild.geo.validity import NoData
from stacbuild.loading.area import origin_of
from stacbuild.loading.memory import Source, unit_side
from stacbuild.loading.metadata import VariableMetadata
from stacbuild.loading.options import LoadOptions
from stacbuild.loading.packing import Stored, without_packing
from stacbuild.loading.pool import cache, identity, zarr_dataset
from stacbuild.loading.regrid import Plane, regrid
from stacbuild.loading.stack_graph import edges, window_of
from stacbuild.loading.units import work_unit
from stacbuild.loading.zarr_variables import spatial_dims
from stacbuild.stac.checksums import SERVED
from stacbuild.stac.data_href import data_href
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
    """

    href: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    grid: PixelGrid
    origin: tuple[int, int]
    stored: Stored
    version: str = ""


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
        encoding = repr((tile.stored, source.nodata, source.dtype))
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
        same = block.dtype == np.dtype(source.dtype) and not tile.stored.is_packed
        values = block if same else np.empty(block.shape, source.dtype)
        tile.stored.write(block, values, source.nodata, f"{tile.href}: {source.variable}")
        return np.moveaxis(values, source.axes, (-2, -1))


def load_zarr(
    files: Sequence[tuple[Sequence[pystac.Item], VariableMetadata]],
    variable: str,
    method: str,
    options: LoadOptions,
) -> xr.DataArray:
    """Resample one variable of Zarr items of one time to the grid, lazily.

    Parameters
    ----------
    files
        The item of each file; or two items, one for each end, if the requested area is a part of
        it that lies at both ends (see `stacbuild.loading.area`). With the metadata of the variable
        in the file: those of the first state dtype, nodata value and attributes of the result.
    options
        The target grid and the storage options.

    Returns
    -------
    dask-backed array with the store's dimension names and order and its dtype; the two spatial
    dimensions have the grid's pixel centres as coordinates, the others the store's. Chunks are
    work units of the grid, and 1 along every other dimension.

    Raises
    ------
    BuildError
        If the item does not state its spatial dimensions.
    RemoteError, NotFoundError
        If the store cannot be opened.
    IntegrityError
        If chunks are missing that existed at harvest.
    """
    (parts, metadata), grid = files[0], options.grid
    spatial = spatial_dims(parts[0])
    array = _array_of(parts[0], variable, options)
    source = ZarrSource(
        tiles=tuple(tile for own, each in files for tile in _tiles(own, variable, each, options)),
        variable=variable,
        dims=tuple(map(str, array.dims)),
        spatial=spatial,
        target=grid,
        method=method,
        dtype=metadata.cube_dtype.name,
        nodata=metadata.no_data(complete=options.complete),
        options=options.storage_options,
    )
    dtype = metadata.cube_dtype
    needed = Source.of((tile.grid for tile in source.tiles[:1]), grid)
    unit = work_unit(grid, dtype.itemsize, most=unit_side(needed, dtype.itemsize, options.memory))
    chunks = tuple(
        _split(grid.shape[spatial.index(name)], unit[spatial.index(name)])
        if name in spatial
        else (1,) * length
        for name, length in zip(source.dims, array.shape, strict=True)
    )
    lazy = da.map_blocks(
        _read_chunk,
        source=source,
        known=edges(chunks),
        chunks=chunks,
        dtype=dtype,
        meta=np.empty(0, dtype),
    )
    y, x = grid.coords()
    others = {
        str(name): coordinate
        for name, coordinate in array.coords.items()
        if name not in spatial and not set(coordinate.dims) & set(spatial)
    }
    with naming(source.tiles[0].href):
        coords = {
            name: xr.Variable(each.dims, values_of(name, each), _own_attrs(each))
            for name, each in others.items()
        }
    return xr.DataArray(
        lazy,
        dims=source.dims,
        coords=coords | {spatial[0]: y, spatial[1]: x},
        name=variable,
        attrs=without_packing(_own_attrs(array)) if metadata.unpacked else _own_attrs(array),
    )


def _array_of(item: pystac.Item, variable: str, options: LoadOptions) -> xr.DataArray:
    return zarr_dataset(data_href(item.assets["data"]), options.storage_options)[variable]


def _tiles(
    parts: Sequence[pystac.Item], variable: str, metadata: VariableMetadata, options: LoadOptions
) -> Iterator[ZarrTile]:
    """Yield the parts of one file."""
    _check_whole(parts[0], variable)
    array = _array_of(parts[0], variable, options)
    for part in parts:
        yield ZarrTile(
            href=data_href(part.assets["data"]),
            shape=array.shape,
            chunks=tuple(array.encoding.get("chunks") or array.shape),
            grid=PixelGrid.from_properties(part.properties),
            origin=origin_of(part.properties),
            stored=Stored(
                metadata.nodata, False, *(metadata.unpacked_by or (1.0, 0.0)), tolerant=False
            ),
            version=part.assets["data"].extra_fields.get(SERVED, ""),
        )


def _check_whole(item: pystac.Item, variable: str) -> None:
    """Raise if the store on disk has fewer chunks than the item states, if it states a number.

    Zarr itself reads a missing chunk as fill values.
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
    """Return the attributes of an array without those of its encoding and of its own grid."""
    left_out = {
        *("_FillValue", "missing_value", "nodata", "nodatavals", "grid_mapping"),
        # Of EOPF, beside those of CF; and the CRS that GDAL writes.
        *("_eopf_attrs", "dtype", "fill_value", "_CRS"),
    }
    return {
        str(name): value
        for name, value in array.attrs.items()
        if name not in left_out and not str(name).startswith(("proj:", "spatial:"))
    }


def _read_chunk(
    source: ZarrSource, known: Sequence[Sequence[int]], block_id: Sequence[int] = ()
) -> NDArray[Any]:
    return source.read(window_of(block_id, known))


def _split(length: int, chunk: int) -> tuple[int, ...]:
    return tuple(min(chunk, length - start) for start in range(0, length, chunk))
