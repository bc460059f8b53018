"""Load Zarr items as lazy arrays on the grid, with xarray."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
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
from stacbuild.loading.metadata import VariableMetadata
from stacbuild.loading.options import LoadOptions
from stacbuild.loading.packing import Stored, without_packing
from stacbuild.loading.pool import cache, identity, zarr_dataset
from stacbuild.loading.regrid import Plane, regrid
from stacbuild.loading.units import work_unit
from stacbuild.loading.zarr_variables import spatial_dims
from stacbuild.stac.data_href import data_href
from stacbuild.stac.datacube import read_as

StorageOptions = Mapping[str, Any]


@dataclass(frozen=True)
class ZarrSource:
    """One variable of a Zarr store, to be resampled to a grid.

    Parameters
    ----------
    href
        URL or path of the group.
    variable
        Name of the variable in the group.
    dims, shape, chunks
        Dimension names, shape and chunk shape of the variable in the store.
    spatial
        Names of the two spatial dimensions (rows, columns).
    grids, origins
        The pixel grid of the store, in one or several parts, and for each part the row and column
        of its first pixel in the store.
    target
        The grid of the cube.
    method, dtype
        As for a `stacbuild.loading.reader.RasterSource`.
    nodata, stored
        The nodata value of the result, and the encoding of the values in the store.
    options
        Storage options for fsspec; they may hold credentials, so they are never shown.
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
    nodata: NoData
    stored: Stored
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
            f"{self.href}: {self.variable}",
            self.grids,
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

    @cached_property
    def _together(self) -> dict[str, slice]:
        """Slices that are decoded together along the non-spatial dimensions."""
        source, found = self.source, {}
        for name, length, chunk in zip(source.dims, source.shape, source.chunks, strict=True):
            if name in self.slices:
                first = self.slices[name].start // chunk * chunk
                found[name] = slice(first, min(first + chunk, length))
        return found

    @cached_property
    def _uses(self) -> int:
        """Number of indices that are decoded together."""
        return math.prod(part.stop - part.start for part in self._together.values())

    @property
    def pixel_bytes(self) -> int:
        source = self.source
        lead = [
            min(chunk, length)
            for name, length, chunk in zip(source.dims, source.shape, source.chunks, strict=True)
            if name in self.slices
        ]
        return math.prod(lead) * np.dtype(source.dtype).itemsize

    def read(self, number: int, window: Window, _: IndexMap | None = None, /) -> NDArray[Any]:
        window = shifted(window, self.source.origins[number])
        key = self._key("zarr", window_key(window))
        return self._own(cache.get(key, lambda: self._decode(window), uses=self._uses))

    def pick(self, number: int, mapping: IndexMap, key: Hashable) -> NDArray[Any]:
        source = self.source
        blocks = source.chunks[source.axes[0]], source.chunks[source.axes[1]]

        def picked() -> NDArray[Any]:
            return pick(mapping, source.origins[number], blocks, self._decode)

        # A copy, since the cached array is shared by several chunks of the cube.
        return np.array(self._own(cache.get(self._key("picked", key), picked, uses=self._uses)))

    def _own(self, block: NDArray[Any]) -> NDArray[Any]:
        """Return the plane of this index from the values that were decoded together."""
        return np.asarray(
            block[tuple(self.slices[name].start - at.start for name, at in self._together.items())]
        )

    def _key(self, what: str, window: Hashable) -> Hashable:
        source = self.source
        together = tuple((part.start, part.stop) for part in self._together.values())
        # The fill value is part of the key, since another variable may use another one.
        encoding = repr((source.stored, source.nodata, source.dtype))
        variable = (*identity(source.href, source.options), source.variable)
        return (what, *variable, encoding, together, window)

    def _decode(self, window: Window) -> NDArray[Any]:
        """Return a window of all indices that are decoded together, with rows and columns last."""
        source = self.source
        span = self._together | dict(zip(source.spatial, window, strict=True))
        try:
            dataset = zarr_dataset(source.href, source.options)
            block = np.asarray(dataset[source.variable].isel(span).values)
            block = block.astype(read_as(block.dtype), copy=False)
        except StacbuildError:
            raise
        except Exception as error:
            from stacbuild.formats.zarr_errors import read_error

            reported = read_error(error, source.href, dict(source.options))
            if isinstance(reported, IntegrityError):
                at = {name: (span[name].start, span[name].stop) for name in source.dims}
                reported = IntegrityError(
                    f"{source.href}: {source.variable} cannot be read at {at}: "
                    f"{' '.join(str(error).split())}"
                )
            raise reported from error
        same = block.dtype == np.dtype(source.dtype) and not source.stored.is_packed
        values = block if same else np.empty(block.shape, source.dtype)
        source.stored.write(block, values, source.nodata, f"{source.href}: {source.variable}")
        return np.moveaxis(values, source.axes, (-2, -1))


def load_zarr(
    parts: Sequence[pystac.Item],
    variable: str,
    method: str,
    metadata: VariableMetadata,
    options: LoadOptions,
) -> xr.DataArray:
    """Resample one variable of a Zarr item to the grid, lazily.

    Parameters
    ----------
    parts
        The item; or two items, one for each end, if the requested area is a part of it that
        lies at both ends (see `stacbuild.loading.area`).
    metadata
        Dtype, nodata value and attributes of the result.
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
    item, grid = parts[0], options.grid
    _check_whole(item, variable)
    dataset = zarr_dataset(data_href(item.assets["data"]), options.storage_options)
    array = dataset[variable]
    spatial = spatial_dims(item)
    source = ZarrSource(
        href=data_href(item.assets["data"]),
        variable=variable,
        dims=tuple(map(str, array.dims)),
        shape=array.shape,
        chunks=tuple(array.encoding.get("chunks") or array.shape),
        spatial=spatial,
        grids=tuple(PixelGrid.from_properties(part.properties) for part in parts),
        origins=tuple(origin_of(part.properties) for part in parts),
        target=grid,
        method=method,
        dtype=metadata.cube_dtype.name,
        nodata=metadata.no_data(complete=options.complete),
        stored=Stored(
            metadata.nodata, False, *(metadata.unpacked_by or (1.0, 0.0)), tolerant=False
        ),
        options=options.storage_options,
    )
    dtype = metadata.cube_dtype
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
        attrs=without_packing(_own_attrs(array)) if metadata.unpacked else _own_attrs(array),
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
    """Return the attributes of an array without those of its encoding."""
    encoding = {"_FillValue", "missing_value", "nodata", "nodatavals", "grid_mapping"}
    return {str(name): value for name, value in array.attrs.items() if name not in encoding}


def _read_chunk(source: ZarrSource, block_info: Any = None) -> NDArray[Any]:
    location = block_info[None]["array-location"]
    return source.read(tuple(slice(*bounds) for bounds in location))


def _split(length: int, chunk: int) -> tuple[int, ...]:
    return tuple(min(chunk, length - start) for start in range(0, length, chunk))
