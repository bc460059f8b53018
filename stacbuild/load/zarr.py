"""Zarr items to lazy arrays on the grid, through xarray."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pystac
import xarray as xr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from stacbuild.describe.flags import FLAGS
from stacbuild.describe.zarr_chunks import CHUNKS, chunk_sizes
from stacbuild.describe.zarr_cube import LEFT_OUT, read_as
from stacbuild.errors import BuildError, IntegrityError, StacbuildError
from stacbuild.load.area import origin_of
from stacbuild.load.globe import turns
from stacbuild.load.pixelgrid import PixelGrid, Window, shifted
from stacbuild.load.pool import cache, identity, shared_index_map, zarr_dataset
from stacbuild.load.units import work_unit
from stacbuild.nodata import Number, fill_nodata

if TYPE_CHECKING:
    from stacbuild.grid import Grid

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
    method, fill, nodata
        As for a `stacbuild.load.reader.RasterSource`.
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
    fill: Number
    nodata: tuple[Number, ...]
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
        dtype = read_as(zarr_dataset(self.href, self.options)[self.variable].dtype)
        axes = [self.dims.index(name) for name in self.spatial]

        def read(number: int, part: Window) -> NDArray[Any]:
            block = self._decoded(where, shifted(part, self.origins[number]))
            # Spatial dimensions last, whatever their place in the store.
            return np.moveaxis(block, axes, (-2, -1))

        result: NDArray[Any] | None = None
        for layer in self._layers(window, read, dtype):
            if result is None:
                result = layer
            else:
                missing = np.isnan(result) if np.isnan(self.fill) else result == self.fill
                np.copyto(result, layer, where=missing)
        if result is None:
            return np.full([part.stop - part.start for part in location], self.fill, dtype)
        return np.moveaxis(result, (-2, -1), axes)

    def _layers(
        self,
        window: Window,
        read: Callable[[int, Window], NDArray[Any]],
        dtype: np.dtype[Any],
    ) -> Iterator[NDArray[Any]]:
        """Yield what each part of the store has in a window, each time around the earth."""
        if self.method != "nearest":
            from stacbuild.load.block import Onto  # GDAL, which nearest does without
            from stacbuild.load.mosaic import mosaics
            from stacbuild.load.warp import Pixels, regrid

            # Each chunk of the cube has one position along every other dimension.
            pixels = Pixels(read, self.fill, dtype.itemsize)
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
                planes = read(number, mapping.window)
                size = (part.stop - part.start for part in window)
                layer = np.empty((*planes.shape[:-2], *size), dtype)
                for index in np.ndindex(planes.shape[:-2]):
                    layer[index] = mapping.gather(planes[index], self.fill)
                yield layer

    def _decoded(self, where: Mapping[str, slice], window: Window) -> NDArray[Any]:
        """Give what *where* asks for of the source window, "no data" made the fill value.

        The store's chunks span several positions of the other dimensions; those are decoded once
        and kept for the chunks of the cube that need the others.
        """
        span, inner, uses = {}, [], 1
        for name, length, chunk in zip(self.dims, self.shape, self.chunks, strict=True):
            if name in self.spatial:
                span[name] = window[self.spatial.index(name)]
                inner.append(slice(None))
            else:
                first = where[name].start // chunk * chunk
                last = min(-(-where[name].stop // chunk) * chunk, length)
                span[name] = slice(first, last)
                inner.append(slice(where[name].start - first, where[name].stop - first))
                # Each chunk of the cube has one position along it.
                uses *= last - first
        place = ((part.start, part.stop) for part in span.values())
        # Values are kept with "no data" filled in, which another variable may do otherwise.
        filled = repr((self.nodata, self.fill))
        key = ("zarr", *identity(self.href, self.options), self.variable, filled, *place)
        return cache.get(key, lambda: self._read(span), uses=uses)[tuple(inner)]

    def _read(self, span: Mapping[str, slice]) -> NDArray[Any]:
        try:
            dataset = zarr_dataset(self.href, self.options)
            block = np.asarray(dataset[self.variable].isel(span).values)
            block = block.astype(read_as(block.dtype), copy=False)
        except StacbuildError:
            raise
        except Exception as error:
            from stacbuild.fetch.zarr_store import read_error

            told = read_error(error, self.href, dict(self.options))
            if isinstance(told, IntegrityError):
                told = IntegrityError(
                    f"{self.href}: {self.variable} cannot be read at "
                    f"{ {name: (s.start, s.stop) for name, s in span.items()} }: {error}"
                )
            raise told from error
        fill_nodata(block, self.nodata, self.fill)
        return block


def load_zarr(
    parts: Sequence[pystac.Item],
    variable: str,
    grid: Grid,
    method: str,
    fill: Number,
    nodata: tuple[Number, ...],
    options: StorageOptions,
) -> xr.DataArray:
    """Put one variable of a Zarr item on the grid, lazily.

    Parameters
    ----------
    parts
        The item; or, where only a part of it is meant that lies on both of its ends (see
        `stacbuild.load.area`), as one item for each.

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
    item = parts[0]
    _check_whole(item, variable)
    dataset = zarr_dataset(item.assets["data"].href, options)
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
        fill=fill,
        nodata=nodata,
        options=options,
    )
    dtype = read_as(array.dtype)
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
    coords = {
        name: xr.Variable(coordinate.dims, coordinate.values, _own_attrs(coordinate))
        for name, coordinate in array.coords.items()
        if name not in spatial and not set(coordinate.dims) & set(spatial)
    }
    return xr.DataArray(
        lazy,
        dims=source.dims,
        coords=coords | {spatial[0]: y, spatial[1]: x},
        name=variable,
        attrs=_own_attrs(array),
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
    """Give the attributes without those that say how the store holds the values."""
    of_store = {"_FillValue", "missing_value", "grid_mapping"}
    return {str(name): value for name, value in array.attrs.items() if name not in of_store}


def _read_chunk(source: ZarrSource, block_info: Any = None) -> NDArray[Any]:
    location = block_info[None]["array-location"]
    return source.read(tuple(slice(*bounds) for bounds in location))


def spatial_dims(item: pystac.Item) -> tuple[str, str]:
    """Give the names of a Zarr item's row and column dimensions."""
    axes = {
        dimension.get("axis"): name
        for name, dimension in item.properties.get("cube:dimensions", {}).items()
        if dimension["type"] == "spatial"
    }
    try:
        return axes["y"], axes["x"]
    except KeyError:
        raise BuildError(
            f"item {item.id}: cube:dimensions name no x and y; harvest it again"
        ) from None


def flags_of(item: pystac.Item, variable: str, options: StorageOptions) -> dict[str, Any]:
    """Return the CF attributes of a variable that make it one of classes."""
    attrs = zarr_dataset(item.assets["data"].href, options)[variable].attrs
    return {key: attrs[key] for key in FLAGS if key in attrs}


def on_grid(item: pystac.Item) -> dict[str, Any]:
    """Return the entries of a Zarr item's variables on its grid that can be read, by name."""
    unreadable = left_out(item)
    return {name: entry for name, entry in _spatial(item).items() if name not in unreadable}


def left_out(item: pystac.Item) -> dict[str, str]:
    """Return why variables on a Zarr item's grid cannot be read, in words after their name."""
    reasons = {
        # Items of earlier versions do not say why.
        name: entry.get(LEFT_OUT) or (entry["data_type"] == "other" and "has no type of numbers")
        for name, entry in _spatial(item).items()
    }
    return {name: reason for name, reason in reasons.items() if reason}


def _spatial(item: pystac.Item) -> dict[str, Any]:
    spatial = set(spatial_dims(item))
    return {
        name: entry
        for name, entry in item.properties["cube:variables"].items()
        # Of an array that cannot be read not even the dimensions may be known.
        if spatial <= set(entry["dimensions"]) or (LEFT_OUT in entry and not entry["dimensions"])
    }


def _split(length: int, chunk: int) -> tuple[int, ...]:
    return tuple(min(chunk, length - start) for start in range(0, length, chunk))
