"""Coordinates of x and y that have another name than their dimension (CF 1.11, 5).

``v(y, x)`` with ``lat(y)`` and ``lon(x)`` is a plain grid of longitudes and latitudes, and so is
``v(j, i)`` with ``northing(j)`` and ``easting(i)`` a plain grid of a projection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from stacbuild.errors import StacbuildError
from stacbuild.formats.zarr_crs import crs_statements, is_lonlat_axis, states_crs
from stacbuild.formats.zarr_units import axis_of_unit
from stacbuild.formats.zarr_values import values_of
from stacbuild.geo.crs import full_circle

_ANGLES = {"X": ("longitude", "lon"), "Y": ("latitude", "lat")}
_LENGTHS = {"X": "projection_x_coordinate", "Y": "projection_y_coordinate"}


@dataclass(frozen=True)
class _Auxiliary:
    name: str
    dim: str
    standard_name: str


def with_axes(ds: xr.Dataset) -> xr.Dataset:
    """Return *ds* with auxiliary coordinates of x and y as the coordinates of their dimensions.

    They are used where a dimension has no coordinates, or only indices of pixels. Latitudes and
    longitudes are also used where the dimensions have coordinates in an unknown CRS.
    """
    for variable in sorted(ds.data_vars.values(), key=lambda variable: -variable.ndim):
        dims = tuple(map(str, variable.dims))
        for known in (_lengths(ds, dims), _angles(ds, dims)):
            if known and _are_needed(ds, known):
                return _with(ds, known)
    return ds


def _are_needed(ds: xr.Dataset, known: tuple[_Auxiliary, ...]) -> bool:
    of_angles = known[0].standard_name in ("longitude", "latitude")
    if all(_only_counts(ds, each.dim) for each in known):
        if not of_angles or not states_crs(ds):
            return True
        try:
            crs = crs_statements(ds, known[0].dim, known[-1].dim)[0][0].crs
        except StacbuildError:
            return False
        return full_circle(crs) is not None
    return of_angles and not states_crs(ds)


def _angles(ds: xr.Dataset, dims: tuple[str, ...]) -> tuple[_Auxiliary, ...]:
    """Return auxiliary longitude and latitude, or one of them if the other is a dimension."""
    found = {axis: _along(ds, dims, axis, angles=True) for axis in "XY"}
    own = [dim for dim in dims if is_lonlat_axis(ds, dim)]
    new = [each for each in found.values() if each is not None]
    new = [each for each in new if each.dim not in own]
    axes = {*own, *(each.dim for each in new)}
    return tuple(new) if new and len(axes) == 2 == len(own) + len(new) else ()


def _lengths(ds: xr.Dataset, dims: tuple[str, ...]) -> tuple[_Auxiliary, ...]:
    x, y = (_along(ds, dims, axis, angles=False) for axis in "XY")
    return (x, y) if x is not None and y is not None and x.dim != y.dim else ()


def _along(ds: xr.Dataset, dims: tuple[str, ...], axis: str, *, angles: bool) -> _Auxiliary | None:
    """Return the only variable along one of *dims* that is a coordinate of this axis."""
    found = []
    for key, variable in ds.variables.items():
        name = str(key)
        if name in ds.dims or variable.ndim != 1 or variable.dims[0] not in dims:
            continue
        # Packed variables are unpacked only if they are coordinates.
        if variable.dtype.kind not in "iuf" or "scale_factor" in variable.attrs:
            continue
        if _means(name, variable.attrs, axis, angles=angles):
            standard = _ANGLES[axis][0] if angles else _LENGTHS[axis]
            found.append(_Auxiliary(name, str(variable.dims[0]), standard))
    return found[0] if len(found) == 1 else None


def _means(name: str, attrs: dict[Any, Any], axis: str, *, angles: bool) -> bool:
    standard, unit = attrs.get("standard_name"), str(attrs.get("units", ""))
    if not angles:
        return bool(standard == _LENGTHS[axis])
    if standard is not None:
        return bool(standard == _ANGLES[axis][0])
    return axis_of_unit(unit) == axis or (name.lower() in _ANGLES[axis] and unit in ("", "degrees"))


def _only_counts(ds: xr.Dataset, dim: str) -> bool:
    if dim not in ds.coords:
        return True
    coordinate = ds[dim]
    if coordinate.dtype.kind not in "iuf" or {"units", "standard_name"} & set(coordinate.attrs):
        return False
    values = values_of(dim, coordinate)
    return bool(values[0] in (0, 1) and (np.diff(values) == 1).all())


def _with(ds: xr.Dataset, known: tuple[_Auxiliary, ...]) -> xr.Dataset:
    axes = {}
    for each in known:
        variable = ds.variables[each.name]
        attrs = {**variable.attrs, "standard_name": each.standard_name}
        axes[each.dim] = xr.Variable((each.dim,), values_of(each.name, variable), attrs)
    return ds.drop_vars([*axes, *(each.name for each in known)], errors="ignore").assign_coords(
        axes
    )
