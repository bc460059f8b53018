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
from stacbuild.load.facts import Facts
from stacbuild.load.pixelgrid import PixelGrid
from stacbuild.load.reader import RasterSource, Tile, WindowReader
from stacbuild.load.units import work_unit
from stacbuild.nodata import Number

if TYPE_CHECKING:
    from stacbuild.grid import Grid

# Only an order is needed on stackstac's time axis: a band's date is put on by whoever names bands.
_EPOCH = np.datetime64("1970-01-01", "D")


def load_raster(
    items: Sequence[pystac.Item],
    grid: Grid,
    method: str,
    fill: Number,
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
        What "no data" is in the result; NaN for floats. In the files it is what each item states.
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
        If the items are not tiles of one product: another dtype, number of bands, or scale.
    NotFoundError, RemoteError, LocalError, IntegrityError
        If the first file cannot be opened.
    """
    dtype, count = common(items)
    source = RasterSource(
        tiles=tuple(_tile(item) for item in items),
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
    """Give dtype and number of bands that all items have.

    Raises
    ------
    BuildError
        If they differ in these, in scale or offset, or (integers) in what "no data" is: a value
        that is "no data" in one may be one like others in the next.
    """
    kinds: dict[str, set[Any]] = {}
    for item in items:
        fields, facts = item.assets["data"].extra_fields, Facts.of_raster(item)
        for what, value in (
            ("data type", facts.dtype.name),
            ("number of bands", max(1, len(fields.get("bands", ())))),
            ("scale", fields.get("raster:scale", 1)),
            ("offset", fields.get("raster:offset", 0)),
            ("no data", facts.nodata if facts.dtype.kind != "f" else ()),
        ):
            kinds.setdefault(what, set()).add(value)
    for what, values in kinds.items():
        if len(values) > 1:
            raise BuildError(
                f"{items[0].properties['stacbuild:data_id']}: its files differ in {what} "
                f"({', '.join(sorted(map(str, values)))}); they cannot be one variable"
            )
    return kinds["data type"].pop(), kinds["number of bands"].pop()


def _tile(item: pystac.Item) -> Tile:
    asset = item.assets["data"]
    return Tile(
        href=asset.href,
        grid=PixelGrid.of_properties(item.properties),
        origin=origin_of(item.properties),
        size=asset.extra_fields.get("file:size"),
        kind=str(item.properties.get(STORE, "")).partition(":")[0],
        nodata=Facts.of_raster(item).nodata,
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
