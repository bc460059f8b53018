"""Items as harvests make them, without a file behind them."""

from __future__ import annotations

from typing import Any

import pystac

TIME = {"start_datetime": "2020-01-01T00:00:00Z", "end_datetime": "2020-01-01T00:00:00Z"}


def raster_item(*bands: dict[str, Any], name: str = "i", **fields: Any) -> pystac.Item:
    """Return the item of a GeoTIFF of 16-bit integers, with entries of bands and other fields."""
    item = pystac.Item(name, None, None, None, dict(TIME))
    fields = {"data_type": "int16", **fields} | ({"bands": list(bands)} if bands else {})
    item.add_asset("data", pystac.Asset("/a.tif", title="Height", extra_fields=fields))
    return item


def zarr_item(**variables: dict[str, Any]) -> pystac.Item:
    """Return the item of a Zarr store with entries of its variables."""
    item = raster_item()
    item.properties["cube:variables"] = variables
    return item
