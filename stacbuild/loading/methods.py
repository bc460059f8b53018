"""How a variable is resampled: as configured, or by its type and how large pixels are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pystac

from stacbuild.formats.cf_flags import is_categorical
from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.longitudes import wrapped
from stacbuild.geo.positions import coincide, reduction
from stacbuild.loading.metadata import VariableMetadata
from stacbuild.loading.select import check_names

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable

# Above this many source pixels a target pixel (along one axis), floats are averaged: bilinear
# would look at a part of them only.
_AVERAGED_FROM = 2.0


def resampling_method(
    variable: SourceVariable,
    name: str,
    metadata: VariableMetadata,
    sources: Sequence[PixelGrid],
    target: PixelGrid,
) -> str:
    """Return how a variable is resampled: as configured, else by its type and classes.

    Classes, and integers in general, are nearest: no value appears that the source has not.

    Parameters
    ----------
    name
        The variable's in ``spatial_resample_params``.
    sources
        From `wrapped_grids`.
    """
    if all(coincide(source, target) for source in sources):
        return "nearest"
    pixels = reduction(sources[0], target)
    stated = variable.agg_method(name) if pixels > 1 else variable.interp_method(name)
    if stated:
        return "nearest" if stated == "center" else stated
    # STAC has room for one nodata value; further ones are classes that say nothing of the type.
    legend = any(not entry.get("nodata") for entry in metadata.classes)
    if legend or is_categorical(metadata.dtype, metadata.attrs):
        return "nearest"
    return "bilinear" if pixels < _AVERAGED_FROM else "mean"


def check_methods(variable: SourceVariable, known: Sequence[str]) -> None:
    """Refuse a resampling method for a variable that there is not."""
    params = variable.spatial_resample_params
    for section in ("interp_methods", "agg_methods", "fill_values"):
        each = getattr(params, section)
        if isinstance(each, dict):
            check_names(variable, f"spatial_resample_params.{section}", each, known)


def wrapped_grids(items: Sequence[pystac.Item], target: PixelGrid) -> list[PixelGrid]:
    """Return the grids of items, moved by whole circles to where a target grid lies.

    See `stacbuild.geo.longitudes`.
    """
    grids = (PixelGrid.from_properties(item.properties) for item in items)
    return [copy for grid in grids for copy in wrapped(grid, target)]
