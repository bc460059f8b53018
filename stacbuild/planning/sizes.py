"""Sizes in bytes of sources and cubes, from their items."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stacbuild.formats.zarr_chunks import CHUNKS
from stacbuild.geo.grid import Window
from stacbuild.loading.zarr_variables import on_grid, spatial_dims
from stacbuild.stac.datacube import LENGTH

if TYPE_CHECKING:
    import pystac

# Assumed compression ratio of sources whose size is unknown.
_UNKNOWN_RATIO = 0.5
# Assumed number of times if an item of an earlier version does not list them, since they were many.
_MANY_TIMES = 101


def length_of(dimension: dict[str, Any]) -> int:
    """Return the length of a dimension that is not spatial, from ``cube:dimensions`` of an item."""
    if "values" in dimension:
        return len(dimension["values"])
    if LENGTH in dimension:
        return int(dimension[LENGTH])
    first, last = dimension["extent"]
    if dimension["type"] == "temporal":
        return _MANY_TIMES
    return round((last - first) / dimension["step"]) + 1 if dimension.get("step") else 1


def _source_bytes(item: pystac.Item) -> int:
    """Return the uncompressed size of a source."""
    if "cube:variables" in item.properties:
        return sum(_zarr_bytes(item).values())
    fields = item.assets["data"].extra_fields
    values: int = math.prod(item.properties["proj:shape"]) * max(1, len(fields.get("bands", ())))
    return values * int(np.dtype(fields["data_type"]).itemsize)


def _stored_bytes(item: pystac.Item) -> int | None:
    """Return the stored size of a source, None if its item does not have it."""
    fields = item.assets["data"].extra_fields
    if CHUNKS in fields:
        return sum(int(chunks["bytes"]) for chunks in fields[CHUNKS].values())
    size: int | None = fields.get("file:size")
    return size


def compression_ratio(
    names: Sequence[str], items: Sequence[pystac.Item], previous: pystac.Item | None
) -> float:
    """Return the expected stored bytes per uncompressed byte of the variables of one source.

    It is the ratio in the previous cube; without one, that of the source.
    """
    if previous is not None:
        stored = previous.assets["data"].extra_fields.get(CHUNKS, {})
        raw = _zarr_bytes(previous)
        if all(name in stored and raw.get(name) for name in names):
            stored_bytes = sum(int(stored[name]["bytes"]) for name in names)
            return stored_bytes / sum(raw[name] for name in names)
    sizes = [_stored_bytes(item) for item in items]
    if None in sizes:
        return _UNKNOWN_RATIO
    return min(1.0, sum(size or 0 for size in sizes) / sum(map(_source_bytes, items)))


def _zarr_bytes(item: pystac.Item) -> dict[str, int]:
    """Return the uncompressed size of each variable on the grid of a Zarr item."""
    spatial, dimensions = spatial_dims(item), item.properties["cube:dimensions"]
    pixels: int = math.prod(item.properties["proj:shape"])
    return {
        name: pixels
        * np.dtype(variable["data_type"]).itemsize
        * math.prod(
            length_of(dimensions[dim]) for dim in variable["dimensions"] if dim not in spatial
        )
        for name, variable in on_grid(item).items()
    }


def is_fetched(item: pystac.Item) -> bool:
    """Return whether a build downloads from a source."""
    return "://" in item.assets["data"].href


def bytes_to_fetch(item: pystac.Item, window: Window | None) -> int:
    """Return the bytes of a source that a build downloads: its share within a window."""
    if not is_fetched(item) or window is None:
        return 0
    rows, cols = window
    pixels = (rows.stop - rows.start) * (cols.stop - cols.start)
    share: float = pixels / math.prod(item.properties["proj:shape"])
    size = _stored_bytes(item)
    return int((size or _source_bytes(item) * _UNKNOWN_RATIO) * share)
