"""Find the variables on the grid of a Zarr item, with their attributes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import pystac

from stacbuild.errors import BuildError
from stacbuild.formats.cf_flags import FLAGS
from stacbuild.formats.zarr_units import axis_of_unit
from stacbuild.loading.packing import PACKING
from stacbuild.loading.pool import zarr_dataset
from stacbuild.stac.data_href import data_href
from stacbuild.stac.datacube import LEFT_OUT, OTHER_GRID

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable


_LONLAT = {"lat", "latitude", "lon", "longitude", "nav_lat", "nav_lon", "xlat", "xlong"}


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
    """Return the CF attributes of a variable that state classes or packing.

    If the item itself has classes, they take precedence over those of the attributes.
    """
    attrs = zarr_dataset(data_href(item.assets["data"]), options)[variable].attrs
    classes = item.properties["cube:variables"][variable].get("classification:classes")
    return {key: attrs[key] for key in (*(() if classes else FLAGS), *PACKING) if key in attrs}


def of_numbers(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes of packed values for the numbers that are stored: without scale and unit.

    The unit is that of scaled values.
    """
    if not any(name in attrs for name in PACKING):
        return dict(attrs)
    return {name: value for name, value in attrs.items() if name not in (*PACKING, "units")}


def on_grid(item: pystac.Item, asked: Collection[str] = ()) -> dict[str, Any]:
    """Return ``cube:variables`` of the readable variables on a Zarr item's grid, by name.

    Parameters
    ----------
    asked
        Variables that a configuration names. Longitudes and latitudes of each pixel and corners
        of pixels are returned only if they are named, since they georeference the pixels of the
        store, not those of the cube.
    """
    unreadable = left_out(item)
    entries = _spatial(item)
    data_dims = {
        dim for entry in entries.values() if entry["type"] == "data" for dim in entry["dimensions"]
    }
    return {
        name: entry
        for name, entry in entries.items()
        if name not in unreadable
        and (name in asked or not _is_georeference(name, entry, data_dims))
    }


def asked_for(variable: SourceVariable) -> set[str]:
    """Return the variables that the configuration names."""
    named = (variable.open_params.variable_names, variable.spatial_resample_params.variables)
    return {name for names in named for name in names or ()}


def _is_georeference(name: str, entry: Mapping[str, Any], data_dims: Collection[str]) -> bool:
    if axis_of_unit(entry.get("unit") or ""):
        return True
    is_corner = not set(entry["dimensions"]) <= set(data_dims)
    return entry["type"] == "auxiliary" and (name.lower() in _LONLAT or is_corner)


def left_out(item: pystac.Item) -> dict[str, str]:
    """Return the reasons why variables on a Zarr item's grid cannot be read, by name."""
    reasons = {
        # Items of earlier versions state no reason.
        name: entry.get(LEFT_OUT) or (entry["data_type"] == "other" and "has no type of numbers")
        for name, entry in _spatial(item).items()
    }
    return {name: reason for name, reason in reasons.items() if reason}


def _spatial(item: pystac.Item) -> dict[str, Any]:
    spatial = set(spatial_dims(item))
    return {
        name: entry
        for name, entry in item.properties["cube:variables"].items()
        # An array that cannot be read may not even have known dimensions.
        if spatial <= set(entry["dimensions"])
        or (LEFT_OUT in entry and not entry["dimensions"])
        or entry.get(LEFT_OUT, "").startswith(OTHER_GRID)
    }
