"""How many bytes there are of a source or a cube, from its item alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stacbuild.formats.zarr_chunks import CHUNKS
from stacbuild.geo.pixelgrid import Window
from stacbuild.loading.zarr_variables import on_grid, spatial_dims
from stacbuild.stac.datacube import LENGTH

if TYPE_CHECKING:
    import pystac

# Compressed bytes for each byte of a source that does not say.
_UNKNOWN_RATIO = 0.5
# More than an item of an earlier version lists.
_MANY_TIMES = 101


def length_of(dimension: dict[str, Any]) -> int:
    """Count the values of a dimension that is not spatial, from its entry in a Zarr item."""
    if "values" in dimension:
        return len(dimension["values"])
    if LENGTH in dimension:
        return int(dimension[LENGTH])
    first, last = dimension["extent"]
    if dimension["type"] == "temporal":
        # An item of an earlier version says neither times nor how many there are.
        return _MANY_TIMES
    return round((last - first) / dimension["step"]) + 1 if dimension.get("step") else 1


def _source_bytes(item: pystac.Item) -> int:
    """Return the bytes of a source without compression."""
    if "cube:variables" in item.properties:
        return sum(_zarr_bytes(item).values())
    fields = item.assets["data"].extra_fields
    values: int = math.prod(item.properties["proj:shape"]) * max(1, len(fields.get("bands", ())))
    return values * int(np.dtype(fields["data_type"]).itemsize)


def _stored_bytes(item: pystac.Item) -> int | None:
    """Return the bytes of a source as it is, if its item tells."""
    fields = item.assets["data"].extra_fields
    if CHUNKS in fields:
        return sum(int(entry["bytes"]) for entry in fields[CHUNKS].values())
    size: int | None = fields.get("file:size")
    return size


def ratio(names: Sequence[str], items: Sequence[pystac.Item], before: pystac.Item | None) -> float:
    """Return the bytes on disk for each byte of the variables that one source becomes."""
    if before is not None:
        stored = before.assets["data"].extra_fields.get(CHUNKS, {})
        raw = _zarr_bytes(before)
        if all(name in stored and raw.get(name) for name in names):
            return sum(int(stored[name]["bytes"]) for name in names) / sum(
                raw[name] for name in names
            )
    sizes = [_stored_bytes(item) for item in items]
    if None in sizes:
        return _UNKNOWN_RATIO
    whole = sum(_source_bytes(item) for item in items)
    return min(1.0, sum(size or 0 for size in sizes) / whole)


def _zarr_bytes(item: pystac.Item) -> dict[str, int]:
    """Return the bytes of each variable on the grid of a Zarr item, without compression."""
    spatial, dimensions = spatial_dims(item), item.properties["cube:dimensions"]
    pixels: int = math.prod(item.properties["proj:shape"])
    return {
        name: pixels
        * np.dtype(entry["data_type"]).itemsize
        * math.prod(length_of(dimensions[dim]) for dim in entry["dimensions"] if dim not in spatial)
        for name, entry in on_grid(item).items()
    }


def fetched(item: pystac.Item, window: Window | None) -> int:
    """Return the bytes of a source that come over the network: its share under the grid."""
    if "://" not in item.assets["data"].href or window is None:
        return 0
    rows, cols = window
    pixels = (rows.stop - rows.start) * (cols.stop - cols.start)
    share: float = pixels / math.prod(item.properties["proj:shape"])
    size = _stored_bytes(item)
    return int((size or _source_bytes(item) * _UNKNOWN_RATIO) * share)
