"""What a Zarr dataset states of its pixels' edges beside the coordinates.

That is ``GeoTransform`` (GDAL, rioxarray), the GeoZarr convention ``spatial:`` v0.1 at the group
or its arrays (https://github.com/zarr-conventions/spatial), the fields ``proj:transform`` and
``proj:bbox`` of STAC there (EOPF), and the ``bbox`` of a profile. Each
becomes a `Span` for either axis. They go stale when somebody cuts a dataset; whether they
count is decided in `stacbuild.formats.zarr_grid`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine

from stacbuild.errors import StacbuildError
from stacbuild.formats.zarr_crs import grid_mappings
from stacbuild.geo.bbox import unskewed


@dataclass(frozen=True)
class Span:
    """The edges of the pixels along one axis, in the unit of the CRS.

    Parameters
    ----------
    origin
        The first pixel's outer edge.
    pitch
        From there to the next pixel's; negative where coordinates descend.
    count
        Of pixels.
    directed
        Whether the order of pixels is stated too; a bbox does not say it.
    """

    origin: float
    pitch: float
    count: int
    directed: bool = True

    @property
    def end(self) -> float:
        """The last pixel's outer edge."""
        return self.origin + self.pitch * self.count

    def reversed(self) -> Span:
        """Return the same pixels in the other order."""
        return replace(self, origin=self.end, pitch=-self.pitch)

    def off(self, other: Span) -> float:
        """Return how far the edges of *other* are from these, in its pixels."""
        ends = abs(self.origin - other.origin), abs(self.end - other.end)
        return max(ends) / abs(other.pitch)


@dataclass(frozen=True)
class Stated:
    """One statement of where pixels lie.

    Parameters
    ----------
    by
        Who says it, for a message: ``GeoTransform of spatial_ref``.
    rows, columns
        The edges along y and along x.
    fits
        Whether it was made for an array of this many rows and columns, as far as it says.
    """

    by: str
    rows: Span
    columns: Span
    fits: bool = True


def statements(ds: xr.Dataset, x: str, y: str) -> list[Stated]:
    """Find what *ds* states of the edges of its pixels, the likeliest to be right first.

    Raises
    ------
    StacbuildError
        A transform is rotated.
    """
    shape = ds.sizes[y], ds.sizes[x]
    found = [
        each for where, attrs in _attributes(ds, x, y) for each in _spatial(where, attrs, shape)
    ]
    for name in dict.fromkeys(grid_mappings(ds, (x, y))):
        value = ds[name].attrs.get("GeoTransform") if name in ds.variables else None
        numbers = _numbers(value, 6)
        if numbers:
            by = f"GeoTransform of {name}"
            found.append(_of_transform(by, Affine.from_gdal(*numbers), shape))
    return found


def of_bbox(by: str, bbox: Sequence[float], shape: tuple[int, int], *, fits: bool = True) -> Stated:
    """Return the statement of a box around *shape* pixels, the northern ones first."""
    west, south, east, north = bbox
    rows = Span(north, (south - north) / shape[0], shape[0], directed=False)
    columns = Span(west, (east - west) / shape[1], shape[1], directed=False)
    return Stated(by, rows, columns, fits)


def stated_dimensions(ds: xr.Dataset) -> tuple[str, str] | None:
    """Return y and x as ``spatial:dimensions`` of group or array names them."""
    for attrs in (ds.attrs, *(variable.attrs for variable in ds.data_vars.values())):
        named = attrs.get("spatial:dimensions")
        if isinstance(named, list | tuple) and len(named) == 2 and set(named) <= set(ds.dims):
            return str(named[0]), str(named[1])
    return None


def _attributes(ds: xr.Dataset, x: str, y: str) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    # At an array before its group (the convention's inheritance).
    for name, variable in ds.data_vars.items():
        if {x, y} <= set(variable.dims):
            yield f" of {name}", variable.attrs
    yield "", ds.attrs


def _spatial(where: str, attrs: Mapping[Any, Any], shape: tuple[int, int]) -> Iterator[Stated]:
    for prefix in ("spatial", "proj"):
        node = str(attrs.get(f"{prefix}:registration")).lower() == "node"
        of_shape = _numbers(attrs.get(f"{prefix}:shape"), 2)
        fits = not of_shape or tuple(of_shape) == shape
        numbers = _numbers(attrs.get(f"{prefix}:transform"), 6, 9)
        affine = attrs.get(f"{prefix}:transform_type", "affine") == "affine"
        if numbers and affine:
            transform = Affine(*numbers[:6])
            if node:
                # It then maps to centres of pixels.
                transform = transform @ Affine.translation(-0.5, -0.5)
            stated = _of_transform(f"{prefix}:transform{where}", transform, shape)
            yield replace(stated, fits=fits)
        if bbox := _numbers(attrs.get(f"{prefix}:bbox"), 4):
            rows, columns = (int(of_shape[0]), int(of_shape[1])) if of_shape else shape
            west, south, east, north = bbox
            if node and rows > 1 and columns > 1:
                # The outermost centres; the pixels reach half of one beyond.
                dx, dy = (east - west) / (columns - 1) / 2, (north - south) / (rows - 1) / 2
                west, south, east, north = west - dx, south - dy, east + dx, north + dy
            if west < east and south < north:
                box = (west, south, east, north)
                yield of_bbox(f"{prefix}:bbox{where}", box, shape, fits=fits)


def _of_transform(by: str, transform: Affine, shape: tuple[int, int]) -> Stated:
    straight = unskewed(transform, shape)
    if straight is None:
        raise StacbuildError(
            f"the grid is rotated ({by}: {tuple(transform)[:6]}), which is not supported"
        )
    rows = Span(straight.f, straight.e, shape[0])
    return Stated(by, rows, Span(straight.c, straight.a, shape[1]))


def _numbers(value: Any, *lengths: int) -> list[float] | None:
    """Return the numbers of a list or of a text with blanks or commas, if they are so many."""
    if isinstance(value, str):
        value = re.sub(r"[\[\](),;]", " ", value).split()
    elif isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, list | tuple) or len(value) not in lengths:
        return None
    try:
        numbers = [float(each) for each in value]
    except (TypeError, ValueError):
        return None
    return numbers if np.isfinite(numbers).all() else None
