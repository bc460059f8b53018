"""Compare the grid that an item states with that of its file, when the file is opened.

The catalog is a folder of files that can be edited. An item whose ``proj:`` fields differ from its
file, or whose file was replaced, would shift every pixel of a cube.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stacbuild.errors import IntegrityError, RemoteError, StacbuildError
from stacbuild.geo.crs import same_crs
from stacbuild.geo.grid import PixelGrid
from stacbuild.net.http import public_url
from stacbuild.net.versions import is_other_version

if TYPE_CHECKING:
    import xarray as xr
    from rasterio.io import DatasetReader

WHOLE = "stacbuild:whole"
"""The ``proj:`` fields of the file, in items that are cut (in memory only)."""

# Pixels by which corners may differ: those of rasters are stored exactly, and the position of Zarr
# coordinates in their pixels may be stated by a profile.
_RASTER, _ZARR = 0.1, 0.75
# The same for rasters whose position is that of another catalog. If that is rounded, centres that
# lie on an edge, as on a grid half a pixel off, would belong to the next pixel.
_STATED = 1e-9
_HARVEST = "harvest it again"


def whole_grid(properties: Mapping[str, Any]) -> PixelGrid:
    """Return the grid that an item states for its whole file, also if the item is cut."""
    return PixelGrid.from_properties({**properties, **properties.get(WHOLE, {})})


def check_version(stated: str, found: str, href: str) -> None:
    """Check that a server has the bytes that were harvested, as far as it states which it has.

    Raises
    ------
    RemoteError
        It has others.
    """
    if stated and found and is_other_version(stated, found):
        raise RemoteError(
            f"{public_url(href)}: changed since it was harvested ({stated}, now {found}); run "
            "stacbuild harvest, then build again"
        )


def check_raster(stated: PixelGrid, dataset: DatasetReader, href: str) -> None:
    """Check that an item states the grid in the header of its file.

    Raises
    ------
    IntegrityError
        If shape, position or CRS differ.
    """
    from stacbuild.stac.raster_item import grid_of

    _check(stated, grid_of(dataset, href), href, _RASTER)


def check_dtype(stated: str, dataset: DatasetReader, href: str) -> None:
    """Check that an item states the type of the pixels of its file.

    Raises
    ------
    IntegrityError
        If it states another one: values would be cut to it.
    """
    if dataset.dtypes[0] != stated:
        raise _differs(href, f"data_type {stated}", dataset.dtypes[0])


def check_header(stated: PixelGrid, header: str, dataset: DatasetReader, href: str) -> None:
    """Check that a file whose header was not read at harvest is as its item states.

    Parameters
    ----------
    header
        What it has to state about values, as `stacbuild.formats.geotiff_header.signature`.

    Raises
    ------
    IntegrityError
        If values are stored in another way, or a corner is elsewhere.
    """
    from stacbuild.formats.geotiff_header import signature
    from stacbuild.stac.raster_item import grid_of

    advice = "set read_headers: true for its store, then harvest"
    _check(stated, grid_of(dataset, href), href, _STATED, advice)
    found = signature(dataset)
    if found != header:
        raise IntegrityError(
            f"{href}: its header states {found}, but other files of its product {header}; {advice}"
        )


def check_zarr(stated: PixelGrid, ds: xr.Dataset, spatial: tuple[str, str], href: str) -> None:
    """Check that an item states the grid of its store, as far as the store states one.

    Raises
    ------
    IntegrityError
        If shape, position or CRS differ.
    """
    from stacbuild.formats.zarr_grid import grid_of

    shape = (ds.sizes[spatial[0]], ds.sizes[spatial[1]])
    if shape != tuple(stated.shape):
        raise _differs(href, f"proj:shape {list(stated.shape)}", f"{list(shape)} pixels")
    try:
        found = grid_of(ds)
    except StacbuildError:
        # What the store lacks is stated by a profile or a foreign catalog.
        return
    _check(stated, found, href, _ZARR)


def _check(
    stated: PixelGrid, found: PixelGrid, href: str, tolerance: float, advice: str = _HARVEST
) -> None:
    if tuple(stated.shape) != tuple(found.shape):
        raise _differs(
            href, f"proj:shape {list(stated.shape)}", f"{list(found.shape)} pixels", advice
        )
    if stated.crs != found.crs and not same_crs(stated.crs, found.crs):
        raise _differs(href, f"the CRS {stated.crs[:60]}", found.crs[:60], advice)
    if stated.transform == found.transform:
        return
    rows, columns = found.shape
    inverse = ~found.affine
    for corner in ((0, 0), (columns, 0), (0, rows), (columns, rows)):
        column, row = inverse @ (stated.affine @ corner)
        # NaN is no position either.
        if not (abs(column - corner[0]) <= tolerance and abs(row - corner[1]) <= tolerance):
            raise _differs(
                href, f"proj:transform {list(stated.transform)}", str(list(found.transform)), advice
            )


def _differs(href: str, stated: str, found: str, advice: str = _HARVEST) -> IntegrityError:
    return IntegrityError(f"{href}: its item states {stated}, the file has {found}; {advice}")
