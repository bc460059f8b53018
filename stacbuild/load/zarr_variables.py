"""Which variables of a Zarr item there are on its grid, and what their attributes say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pystac

from stacbuild.describe.flags import FLAGS
from stacbuild.describe.zarr_cube import LEFT_OUT, OTHER_GRID
from stacbuild.errors import BuildError
from stacbuild.load.packing import PACKING
from stacbuild.load.pool import zarr_dataset


def spatial_dims(item: pystac.Item) -> tuple[str, str]:
    """Return the names of a Zarr item's row and column dimensions."""
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


def attributes_of(item: pystac.Item, variable: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the CF attributes of a variable that make it one of classes, or packed.

    Where the item has a legend, that is the one.
    """
    attrs = zarr_dataset(item.assets["data"].href, options)[variable].attrs
    legend = item.properties["cube:variables"][variable].get("classification:classes")
    return {key: attrs[key] for key in (*(() if legend else FLAGS), *PACKING) if key in attrs}


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
        if spatial <= set(entry["dimensions"])
        or (LEFT_OUT in entry and not entry["dimensions"])
        or entry.get(LEFT_OUT, "").startswith(OTHER_GRID)
    }
