"""Load Zarr items as lazy arrays on the grid, with xarray."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import dask.array as da
import numpy as np
import pystac
import xarray as xr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from stacbuild.errors import IntegrityError
from stacbuild.formats.zarr_chunks import CHUNKS, chunk_sizes
from stacbuild.formats.zarr_values import naming, values_of
from stacbuild.geo.grid import PixelGrid
from stacbuild.loading.area import origin_of
from stacbuild.loading.masks import MASKS, scene_asset
from stacbuild.loading.memory import Source, unit_side
from stacbuild.loading.metadata import VariableMetadata
from stacbuild.loading.options import LoadOptions
from stacbuild.loading.packing import PACKING, Stored, without_packing
from stacbuild.loading.pool import zarr_dataset
from stacbuild.loading.stack_graph import edges, window_of
from stacbuild.loading.units import work_unit
from stacbuild.loading.zarr_reader import ZarrSource, ZarrTile
from stacbuild.loading.zarr_variables import spatial_dims
from stacbuild.stac.checksums import SERVED
from stacbuild.stac.data_href import data_href


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
    most = unit_side(needed, dtype.itemsize, options.memory, options.inputs)
    unit = work_unit(grid, dtype.itemsize, most=most)
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
        attrs=_attrs(array, metadata),
    )


def _attrs(array: xr.DataArray, metadata: VariableMetadata) -> dict[str, Any]:
    """Return the attributes of an array for values as *metadata* has them: packed, or not."""
    attrs = _own_attrs(array)
    if metadata.unpacked:
        return without_packing(attrs)
    return {
        name: each for name, each in attrs.items() if name not in PACKING or name in metadata.attrs
    }


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
            scene=scene_asset(part),
            masks=part.properties.get(MASKS, ()),
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
