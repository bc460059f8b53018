"""Load GeoTIFF items as a lazy array on the grid, with stackstac.

stackstac stacks items by time and their assets by band, on the bounds and resolution of the grid.
It knows one file per time and band, so each time becomes one item in memory, whose assets are the
bands of all tiles of that time. `stacbuild.loading.reader` reads their pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pystac
import stackstac
import xarray as xr

from stacbuild.geo.grid import PixelGrid
from stacbuild.loading.area import origin_of
from stacbuild.loading.differences import check_common
from stacbuild.loading.masks import MASKS, scene_asset
from stacbuild.loading.memory import Source, unit_side
from stacbuild.loading.metadata import VariableMetadata
from stacbuild.loading.options import LoadOptions
from stacbuild.loading.packing import Stored
from stacbuild.loading.reader import RasterSource, SourceBand, Tile, WindowReader
from stacbuild.loading.select import has_time
from stacbuild.loading.stack_graph import selectable, without
from stacbuild.loading.stated_grid import whole_grid
from stacbuild.loading.units import work_unit
from stacbuild.stac.checksums import SERVED
from stacbuild.stac.extensions import HEADER
from stacbuild.stac.files import store_kind

if TYPE_CHECKING:
    from stacbuild.geo.grid import Grid

# stackstac needs an EPSG code. It only compares it with that of the assets, which state the same,
# and writes it to attributes that are dropped: the reader knows the CRS of the grid.
_STAND_IN = 3857


def load_raster(
    items: Mapping[pd.Timestamp, Sequence[pystac.Item]],
    method: str,
    metadata: Mapping[int, VariableMetadata],
    options: LoadOptions,
) -> xr.DataArray:
    """Resample the files of one product to the grid, lazily.

    Parameters
    ----------
    items
        Items with an asset ``data`` that is a GeoTIFF, by time (UTC, ascending): at each time one,
        or the tiles of one product.
    method
        ``nearest`` or a key of `stacbuild.geo.warp.METHODS`.
    metadata
        Metadata of each band to load, by its number.
    options
        The target grid and the access to the source.

    Returns
    -------
    dask-backed array of the bands' ``cube_dtype``, with pixel centres as coordinates, and the
    dimensions ``(time, band, y, x)``; without ``time`` if there is only one and the items are no
    scenes, and without ``band`` if there is only one. A chunk is one band of one work unit of the
    grid at one time.

    Raises
    ------
    BuildError
        If the items are not tiles of one product: another dtype, number of bands, or scale.
    NotFoundError, RemoteError, LocalError, IntegrityError
        If the first file cannot be opened.
    """
    check_common([item for tiles in items.values() for item in tiles])
    grid = options.grid
    dtype = np.result_type(*(each.cube_dtype for each in metadata.values()))
    nodata = tuple(each.no_data(complete=options.complete) for each in metadata.values())
    sources = [
        RasterSource(
            tiles=tuple(tile_of(item, metadata) for item in tiles),
            target=grid,
            method=method,
            dtype=dtype.name,
            bands=tuple(metadata),
            nodata=nodata,
            options=options.storage_options,
        )
        for tiles in items.values()
    ]
    needed = Source.of((tile.grid for tile in sources[0].tiles[:1]), grid)
    unit = work_unit(
        grid,
        dtype.itemsize,
        wide=sources[0].is_cheaper_wide(),
        most=unit_side(needed, dtype.itemsize, options.memory, options.inputs),
    )
    stack = stackstac.stack(
        [_stacked(time, source, grid) for time, source in zip(items, sources, strict=True)],
        assets=[str(band) for band in metadata],
        epsg=grid.epsg or _STAND_IN,
        resolution=grid.resolution,
        bounds=grid.bounds,
        snap_bounds=False,
        chunksize=(1, 1, *unit),
        dtype=dtype,
        fill_value=dtype.type(nodata[0].fill),
        rescale=False,
        sortby_date=False,
        xy_coords=False,
        properties=False,
        band_coords=False,
        errors_as_nodata=(),
        reader=WindowReader,
    )
    y, x = grid.coords()
    # A cube has no coordinate of item ids, and its bands are numbered.
    array: xr.DataArray = (
        selectable(stack).drop_vars("id").assign_coords(band=list(metadata), y=y, x=x)
    )
    array.name, array.attrs = None, {}
    in_time = has_time([item for tiles in items.values() for item in tiles])
    kept = {"time": in_time, "band": len(metadata) > 1}
    return without(array, [dim for dim, is_kept in kept.items() if not is_kept])


def tile_of(item: pystac.Item, metadata: Mapping[int, VariableMetadata]) -> Tile:
    """Return the file of an item, to read the bands of *metadata*."""
    asset, scene = item.assets["data"], scene_asset(item)
    stored = []
    for band, wanted in metadata.items():
        own = VariableMetadata.of_raster(item, band)
        scale, offset = own.packing if wanted.unpacked else (1.0, 0.0)
        stored.append(Stored(own.nodata, own.file_mask, scale, offset))
    return Tile(
        href=asset.href,
        grid=PixelGrid.from_properties(item.properties),
        whole=whole_grid(item.properties),
        origin=origin_of(item.properties),
        size=asset.extra_fields.get("file:size"),
        kind=store_kind(item),
        stored=tuple(stored),
        version=asset.extra_fields.get(SERVED, ""),
        header=asset.extra_fields.get(HEADER, ""),
        dtype=asset.extra_fields["data_type"] if scene else "",
        scene=scene,
        masks=item.properties.get(MASKS, ()),
    )


def _stacked(time: pd.Timestamp, source: RasterSource, grid: Grid) -> Mapping[str, Any]:
    """Return the in-memory item that stackstac needs for the tiles of one time.

    stackstac reads the EPSG code from the old field ``proj:epsg``, and skips assets whose bbox,
    which it reprojects itself, does not intersect the grid. Each asset therefore states the bbox of
    the grid; the reader determines exactly which pixels a file has. stackstac passes an href to the
    reader unchanged, so the href is the band itself.
    """
    projection = {"proj:epsg": grid.epsg or _STAND_IN, "proj:bbox": list(grid.bounds)}
    return {
        "id": source.tiles[0].href,
        "type": "Feature",
        "properties": {"datetime": time.isoformat()},
        "assets": {
            str(band): projection | {"href": SourceBand(source, band)} for band in source.bands
        },
    }
