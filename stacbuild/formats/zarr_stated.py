"""Statements of the edges of pixels of a Zarr dataset, besides its coordinates.

These are ``GeoTransform`` (GDAL, rioxarray), the GeoZarr convention ``spatial:`` v0.1 at the group
or its arrays (https://github.com/zarr-conventions/spatial), the fields ``proj:transform`` and
``proj:bbox`` of STAC there (EOPF), and the ``bbox`` of a profile. Each
becomes a `Span` for either axis. They become outdated when a dataset is cropped;
`stacbuild.formats.zarr_grid` decides whether they are used.
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
        Outer edge of the first pixel.
    pitch
        Distance to the next pixel; negative where coordinates descend.
    count
        Number of pixels.
    directed
        Whether the order of pixels is known; it is not from a bbox.
    """

    origin: float
    pitch: float
    count: int
    directed: bool = True

    @property
    def end(self) -> float:
        """Outer edge of the last pixel."""
        return self.origin + self.pitch * self.count

    def reversed(self) -> Span:
        """Return the pixels in the other order."""
        return replace(self, origin=self.end, pitch=-self.pitch)

    def off(self, other: Span) -> float:
        """Return the distance of the edges of *other*, in its pixels."""
        ends = abs(self.origin - other.origin), abs(self.end - other.end)
        return max(ends) / abs(other.pitch)


@dataclass(frozen=True)
class Stated:
    """A statement of the edges of pixels.

    Parameters
    ----------
    by
        Its source, for messages: ``GeoTransform of spatial_ref``.
    rows, columns
        The edges along y and along x.
    fits
        Whether it is for an array of this shape, as far as it states one.
    """

    by: str
    rows: Span
    columns: Span
    fits: bool = True


def statements(ds: xr.Dataset, x: str, y: str) -> list[Stated]:
    """Return the statements of *ds* on the edges of its pixels, the most reliable first.

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
    """Return the statement of a bbox of *shape* pixels, the northern ones first."""
    west, south, east, north = bbox
    rows = Span(north, (south - north) / shape[0], shape[0], directed=False)
    columns = Span(west, (east - west) / shape[1], shape[1], directed=False)
    return Stated(by, rows, columns, fits)


def stated_dimensions(ds: xr.Dataset) -> tuple[str, str] | None:
    """Return the names of y and x in ``spatial:dimensions`` of group or array."""
    for attrs in (ds.attrs, *(variable.attrs for variable in ds.data_vars.values())):
        named = attrs.get("spatial:dimensions")
        if isinstance(named, list | tuple) and len(named) == 2 and set(named) <= set(ds.dims):
            return str(named[0]), str(named[1])
    return None


def _attributes(ds: xr.Dataset, x: str, y: str) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    # An array's own before those of its group (the convention's inheritance).
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
                # The transform is to centres of pixels.
                transform = transform @ Affine.translation(-0.5, -0.5)
            stated = _of_transform(f"{prefix}:transform{where}", transform, shape)
            yield replace(stated, fits=fits)
        if bbox := _numbers(attrs.get(f"{prefix}:bbox"), 4):
            rows, columns = (int(of_shape[0]), int(of_shape[1])) if of_shape else shape
            west, south, east, north = bbox
            if node and rows > 1 and columns > 1:
                # The bbox is of the outermost centres, half a pixel within the edges.
                dx, dy = (east - west) / (columns - 1) / 2, (north - south) / (rows - 1) / 2
                west, south, east, north = west - dx, south - dy, east + dx, north + dy
            if west < east and south < north:
                bounds = (west, south, east, north)
                yield of_bbox(f"{prefix}:bbox{where}", bounds, shape, fits=fits)


def _of_transform(by: str, transform: Affine, shape: tuple[int, int]) -> Stated:
    straight = unskewed(transform, shape)
    if straight is None:
        raise StacbuildError(
            f"the grid is rotated ({by}: {tuple(transform)[:6]}), which is not supported"
        )
    rows = Span(straight.f, straight.e, shape[0])
    return Stated(by, rows, Span(straight.c, straight.a, shape[1]))


def _numbers(value: Any, *lengths: int) -> list[float] | None:
    """Return the numbers of a list or a text with blanks or commas, if it has such a length."""
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
