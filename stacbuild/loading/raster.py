"""GeoTIFF items to a lazy array on the grid, through stackstac.

stackstac knows one band per asset, so each band becomes an in-memory item with an artificial date
that only keeps the order. ``proj:bbox`` is that of the whole grid, since stackstac would skip
assets by a box that it reprojects itself; the reader knows exactly which pixels it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pystac
import stackstac
import xarray as xr

from stacbuild.errors import BuildError
from stacbuild.geo.pixelgrid import PixelGrid
from stacbuild.loading.area import origin_of
from stacbuild.loading.facts import Facts, data_bands
from stacbuild.loading.options import LoadOptions
from stacbuild.loading.packing import Stored
from stacbuild.loading.reader import RasterSource, Tile, WindowReader
from stacbuild.loading.units import work_unit
from stacbuild.stac.catalog import STORE

if TYPE_CHECKING:
    from stacbuild.geo.grid import Grid

# Only an order is needed on stackstac's time axis: a band's date is put on by whoever names bands.
_EPOCH = np.datetime64("1970-01-01", "D")


def load_raster(
    items: Sequence[pystac.Item], method: str, facts: Mapping[int, Facts], options: LoadOptions
) -> xr.DataArray:
    """Put the files of one product on the grid, lazily.

    Parameters
    ----------
    items
        Items with an asset ``data`` that is a GeoTIFF: one, or the tiles of one product.
    method
        ``nearest`` or a key of `stacbuild.geo.warp.METHODS`.
    facts
        What the result holds of each band, by its number.
    options
        Onto which grid, and from where.

    Returns
    -------
    dask-backed array of the bands' ``cube_dtype`` with the dimensions that a GeoTIFF has when
    opened by rioxarray: ``(band, y, x)``, or ``(y, x)`` if there is only one band; pixel centres
    as coordinates. A chunk is one band of one work unit of the grid.

    Raises
    ------
    BuildError
        If the items are not tiles of one product: another dtype, number of bands, or scale.
    NotFoundError, RemoteError, LocalError, IntegrityError
        If the first file cannot be opened.
    """
    check_common(items)
    grid = options.grid
    dtype = np.result_type(*(each.cube_dtype for each in facts.values()))
    source = RasterSource(
        tiles=tuple(_tile(item, facts) for item in items),
        target=PixelGrid.of_grid(grid),
        method=method,
        dtype=dtype.name,
        bands=tuple(facts),
        nodata=tuple(each.no_data(complete=options.complete) for each in facts.values()),
        options=options.storage_options,
    )
    unit = work_unit(grid, dtype.itemsize, wide=source.is_cheaper_wide())
    stack = stackstac.stack(
        [_band_item(items[0], grid, band) for band in facts],
        assets=["data"],
        epsg=grid.epsg,
        resolution=(grid.transform.a, -grid.transform.e),
        bounds=grid.bounds,
        snap_bounds=False,
        chunksize=(1, 1, *unit),
        dtype=dtype,
        fill_value=dtype.type(source.nodata[0].fill),
        rescale=False,
        sortby_date=False,
        xy_coords=False,
        properties=False,
        band_coords=False,
        errors_as_nodata=(),
        reader=partial(WindowReader, source=source),
    )
    y, x = grid.coords()
    data = xr.DataArray(
        stack.isel(band=0).data,
        dims=("band", "y", "x"),
        coords={"band": list(facts), "y": y, "x": x},
    )
    return data if len(facts) > 1 else data.isel(band=0, drop=True)


def check_common(items: Sequence[pystac.Item]) -> None:
    """Refuse items that are not tiles of one product.

    Raises
    ------
    BuildError
        If they differ in dtype, bands, unit, scale or offset, or (integers) in what "no data" is:
        a value that is "no data" in one may be one like others in the next.
    """
    kinds: dict[str, set[Any]] = {}
    for item in items:
        bands = data_bands(item)
        each = [Facts.of_raster(item, band) for band in bands]
        for what, value in (
            ("data type", each[0].dtype.name),
            ("number of bands", len(bands)),
            ("scale", tuple(facts.packing[0] for facts in each)),
            ("offset", tuple(facts.packing[1] for facts in each)),
            ("unit", tuple(facts.attrs.get("units") for facts in each)),
            ("no data", tuple(facts.nodata if facts.dtype.kind != "f" else () for facts in each)),
        ):
            same = value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
            kinds.setdefault(what, set()).add(same)
    for what, values in kinds.items():
        if len(values) > 1:
            raise BuildError(
                f"{items[0].properties['stacbuild:data_id']}: its files differ in {what} "
                f"({', '.join(sorted(map(str, values)))}); they cannot be one variable"
            )


def _tile(item: pystac.Item, facts: Mapping[int, Facts]) -> Tile:
    asset = item.assets["data"]
    stored = []
    for band, wanted in facts.items():
        own = Facts.of_raster(item, band)
        scale, offset = own.packing if wanted.unpacked else (1.0, 0.0)
        stored.append(Stored(own.nodata, own.masked, scale, offset))
    return Tile(
        href=asset.href,
        grid=PixelGrid.of_properties(item.properties),
        origin=origin_of(item.properties),
        size=asset.extra_fields.get("file:size"),
        kind=str(item.properties.get(STORE, "")).partition(":")[0],
        stored=tuple(stored),
    )


def _band_item(item: pystac.Item, grid: Grid, band: int) -> Mapping[str, Any]:
    """Make the item of one band that stackstac needs, in memory only.

    stackstac takes one band an asset, an EPSG code in the old field, and skips what does not
    touch the grid by a box that it reprojects itself. It is told that the asset covers the
    grid: the reader knows exactly which pixels it has.
    """
    date = str(_EPOCH + np.timedelta64(band, "D"))
    return {
        "id": f"{item.id}-{band}",
        "type": "Feature",
        "bbox": item.bbox,
        "properties": {"datetime": f"{date}T00:00:00Z", "proj:epsg": grid.epsg},
        "assets": {
            "data": {
                "href": f"{item.assets['data'].href}#band={band}",
                "proj:bbox": list(grid.bounds),
                "proj:epsg": grid.epsg,
            }
        },
    }
