"""GeoTIFF items to a lazy array on the grid, through stackstac."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pystac
import stackstac
import xarray as xr

from stacbuild.catalog import STORE
from stacbuild.errors import BuildError
from stacbuild.load.area import origin_of
from stacbuild.load.pixelgrid import PixelGrid
from stacbuild.load.reader import RasterSource, Tile, WindowReader
from stacbuild.load.units import work_unit

if TYPE_CHECKING:
    from stacbuild.grid import Grid

# Only an order is needed on stackstac's time axis: a band's date is put on by whoever names bands.
_EPOCH = np.datetime64("1970-01-01", "D")


def load_raster(
    items: Sequence[pystac.Item],
    grid: Grid,
    method: str,
    fill: float,
    nodata: Sequence[float],
    options: Mapping[str, Any],
) -> xr.DataArray:
    """Put the files of one product on the grid, lazily.

    Parameters
    ----------
    items
        Items with an asset ``data`` that is a GeoTIFF: one, or the tiles of one product.
    grid
        The grid of the cube.
    method
        ``nearest`` or a key of `stacbuild.load.warp.METHODS`.
    fill
        What "no data" is in the result; NaN for floats.
    nodata
        The values that are "no data" in the files.
    options
        For fsspec, if the files are on S3.

    Returns
    -------
    dask-backed array of the files' dtype with the dimensions that a GeoTIFF has when opened by
    rioxarray: ``(band, y, x)``, or ``(y, x)`` if there is only one band; pixel centres as
    coordinates. A chunk is one band of one work unit of the grid.

    Raises
    ------
    BuildError
        If the items are not tiles of one product: another dtype or number of bands.
    NotFoundError, RemoteError, LocalError, IntegrityError
        If the first file cannot be opened.
    """
    dtype, count = common(items)
    source = RasterSource(
        tiles=tuple(_tile(item, tuple(nodata)) for item in items),
        target=PixelGrid.of_grid(grid),
        method=method,
        dtype=dtype,
        fill=fill,
        options=options,
    )
    unit = work_unit(grid, np.dtype(dtype).itemsize, wide=source.is_cheaper_wide())
    stack = stackstac.stack(
        [_band_item(items[0], grid, band) for band in range(1, count + 1)],
        assets=["data"],
        epsg=grid.epsg,
        resolution=(grid.transform.a, -grid.transform.e),
        bounds=grid.bounds,
        snap_bounds=False,
        chunksize=(1, 1, *unit),
        dtype=np.dtype(dtype),
        fill_value=np.dtype(dtype).type(fill),
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
        coords={"band": np.arange(1, count + 1), "y": y, "x": x},
    )
    return data if count > 1 else data.isel(band=0, drop=True)


def common(items: Sequence[pystac.Item]) -> tuple[str, int]:
    """Give dtype and number of bands that all items have; raise BuildError if they differ."""
    assets = [item.assets["data"].extra_fields for item in items]
    kinds = {(asset["data_type"], max(1, len(asset.get("bands", ())))) for asset in assets}
    if len(kinds) > 1:
        raise BuildError(
            f"{items[0].properties['stacbuild:data_id']}: its files differ in data type or number "
            f"of bands ({sorted(kinds)}); they cannot be one variable"
        )
    return kinds.pop()


def _tile(item: pystac.Item, nodata: tuple[float, ...]) -> Tile:
    asset = item.assets["data"]
    return Tile(
        href=asset.href,
        grid=PixelGrid.of_properties(item.properties),
        origin=origin_of(item.properties),
        size=asset.extra_fields.get("file:size"),
        kind=str(item.properties.get(STORE, "")).partition(":")[0],
        nodata=nodata,
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
