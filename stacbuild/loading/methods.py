"""Choose the resampling method of a variable: as configured, or by dtype and pixel size."""

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

# Average floats from this many source pixels per target pixel (along one axis), because bilinear
# interpolation would use only some of them.
_AVERAGED_FROM = 2.0


def resampling_method(
    variable: SourceVariable,
    name: str,
    metadata: VariableMetadata,
    sources: Sequence[PixelGrid],
    target: PixelGrid,
) -> str:
    """Return the resampling method of a variable: as configured, else by its dtype and classes.

    The default for classes, and for integers in general, is nearest, which creates no new values.

    Parameters
    ----------
    name
        Name of the variable in ``spatial_resample_params``.
    sources
        From `wrapped_grids`.
    """
    if all(coincide(source, target) for source in sources):
        return "nearest"
    pixels = reduction(sources[0], target)
    stated = variable.agg_method(name) if pixels > 1 else variable.interp_method(name)
    if stated:
        return "nearest" if stated == "center" else stated
    # STAC allows one nodata value per band; others are stored as classes marked as nodata, which
    # do not make a variable categorical.
    has_classes = any(not entry.get("nodata") for entry in metadata.classes)
    if has_classes or metadata.of_classes or is_categorical(metadata.dtype, metadata.attrs):
        return "nearest"
    return "bilinear" if pixels < _AVERAGED_FROM else "mean"


def check_methods(variable: SourceVariable, known: Sequence[str]) -> None:
    """Raise a `BuildError` if a resampling method is set for an unknown variable."""
    params = variable.spatial_resample_params
    for section in ("interp_methods", "agg_methods", "fill_values"):
        each = getattr(params, section)
        if isinstance(each, dict):
            check_names(variable, f"spatial_resample_params.{section}", each, known)


def wrapped_grids(items: Sequence[pystac.Item], target: PixelGrid) -> list[PixelGrid]:
    """Return the grids of items, shifted by multiples of 360 degrees to overlap a target grid.

    See `stacbuild.geo.longitudes`.
    """
    grids = (PixelGrid.from_properties(item.properties) for item in items)
    return [copy for grid in grids for copy in wrapped(grid, target)]
