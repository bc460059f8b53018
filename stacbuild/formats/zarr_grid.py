"""The grid of a Zarr dataset, from its x and y coordinates and other statements.

Follows CF 1.11 (coordinate types, cell bounds), the ``GeoTransform`` of GDAL and rioxarray, and
the GeoZarr convention ``spatial:``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyproj
import xarray as xr
from affine import Affine

from stacbuild.errors import StacbuildError
from stacbuild.formats.zarr_auxiliary import with_axes
from stacbuild.formats.zarr_axis import HALF, Axis
from stacbuild.formats.zarr_crs import StatedCrs, crs_statements
from stacbuild.formats.zarr_stated import Span, Stated, of_bbox, stated_dimensions, statements
from stacbuild.formats.zarr_units import axis_of_unit
from stacbuild.geo.bbox import BBox
from stacbuild.geo.crs import apart, full_circle, is_lonlat, parse_crs
from stacbuild.geo.crs_text import registered_text
from stacbuild.geo.grid import PixelGrid

_X_NAMES = frozenset({"x", "lon", "longitude", "rlon", "easting", "xc"})
_Y_NAMES = frozenset({"y", "lat", "latitude", "rlat", "northing", "yc"})
_X_MEANINGS = frozenset(
    {"longitude", "projection_x_coordinate", "projection_x_angular_coordinate", "grid_longitude"}
)
_Y_MEANINGS = frozenset(
    {"latitude", "projection_y_coordinate", "projection_y_angular_coordinate", "grid_latitude"}
)
_CURVILINEAR = frozenset({"xlat", "xlong", "nav_lat", "nav_lon", "tlat", "tlong", "lat", "lon"})
_CURVILINEAR |= {"latitude", "longitude"}


@dataclass(frozen=True)
class DatasetGrid(PixelGrid):
    """The pixels of a dataset, without rotation, rows and columns in the order stored.

    The step along y is positive where the rows are stored from south to north.

    Parameters
    ----------
    crs, transform, shape
        As of any `stacbuild.geo.grid.PixelGrid`.
    y, x
        Names of the horizontal dimensions.
    notes
        Where statements of the dataset disagree, a line each, for the user.
    """

    y: str
    x: str
    notes: tuple[str, ...] = field(default=(), compare=False)


def grid_of(ds: xr.Dataset, bbox: BBox | None = None) -> DatasetGrid:
    """Return the grid of *ds* from its coordinates; no data are read.

    Coordinates determine the position and order of pixels, and may have another name than their
    dimension (`stacbuild.formats.zarr_auxiliary`). The position of a coordinate in its pixel
    follows from the first of these that is present and consistent: *bbox*, cell bounds (CF 7.1),
    ``spatial:transform``, ``spatial:bbox``, a ``GeoTransform``; by default it is the centre. These
    also replace missing coordinates of a dimension.

    Parameters
    ----------
    bbox
        From a profile: outer edges of the pixels, in the CRS of *ds*. It is used if it agrees with
        the number of pixels and the coordinates.

    Returns
    -------
    DatasetGrid
        Its ``notes`` name every two statements that are half a pixel apart or more.

    Raises
    ------
    StacbuildError
        There are no horizontal dimensions or no CRS, coordinates are not regularly spaced or not
        in the unit of the CRS, or the position of pixels is unknown.
    """
    ds = with_axes(ds)
    x, y = _horizontal(ds)
    crss, notes = crs_statements(ds, x, y)
    if stated_dimensions(ds) == (x, y):
        notes.append(f"spatial:dimensions states that {x} is y and {y} is x; their names are used")
    crs = crss[0].crs
    shape = ds.sizes[y], ds.sizes[x]
    stated = statements(ds, x, y)
    profile = [] if bbox is None else [of_bbox("bbox of its profile", bbox, shape)]
    axes: list[Axis | None] = []
    for dim, is_x in ((y, False), (x, True)):
        axis = None
        if dim in ds.coords:
            axis = Axis.read(ds, dim, crs, is_x=is_x)
            axis, note = axis.in_unit_of(crs, [_span(each, is_x) for each in stated])
            notes += [note] if note else []
            _check_reach(ds[dim], axis, crs, is_x=is_x)
        axes.append(axis)
    if None in axes:
        stated = [each for each in stated if _may_stand_in(each, axes)]
    spans = [
        _edges(dim, axis, [_span(each, is_x) for each in (*profile, *stated)], len(profile), crs)
        for (dim, is_x), axis in zip(((y, False), (x, True)), axes, strict=True)
    ]
    rows, columns = spans
    place = Affine(columns.pitch, 0.0, columns.origin, 0.0, rows.pitch, rows.origin)
    pixels = PixelGrid.from_affine(registered_text(crs), place, shape)
    grid = DatasetGrid(pixels.crs, pixels.transform, pixels.shape, y, x)
    notes += _disagreements(grid, (rows, columns), axes, [*profile, *stated])
    notes += _other_crs(grid, crss)
    if axes[0] is not None and not profile and not any(map(axes[0].edges, _spans(stated))):
        notes += _beside_pole(axes[0], grid)
    return replace(grid, notes=tuple(dict.fromkeys(notes)))


def _span(stated: Stated, is_x: bool) -> Span:
    return stated.columns if is_x else stated.rows


def _spans(stated: Sequence[Stated]) -> list[Span]:
    return [each.rows for each in stated]


def _may_stand_in(stated: Stated, axes: Sequence[Axis | None]) -> bool:
    """Return whether a statement agrees with the shape and the coordinates of this dataset."""
    there = [
        axis is None or axis.edges(span) is not None or axis.agrees(span)
        for axis, span in zip(axes, (stated.rows, stated.columns), strict=True)
    ]
    return stated.fits and all(there)


def _edges(
    dim: str, axis: Axis | None, spans: Sequence[Span], of_profile: int, crs: pyproj.CRS
) -> Span:
    """Return the edges of the pixels along a dimension, by the first *of_profile* spans if any."""
    if axis is None:
        if not spans:
            raise StacbuildError(
                f"dimension {dim} has no coordinates, and no transform that fits states the "
                "position of its pixels (GeoTransform, spatial:transform)"
            )
        return spans[0]
    exact = [axis.edges(span) for span in spans]
    bounded = axis.bounded()
    for found in (*exact[:of_profile], bounded, *exact[of_profile:]):
        if found is not None:
            return found
    if axis.count == 1:
        near = [span for span in spans if span.count == 1]
        if not near:
            raise StacbuildError(
                f"coordinate {dim} has one value, and neither cell bounds nor a transform state "
                "the size of its pixel; state bbox in a profile"
            )
        # A transform of the uncropped dataset still has the size of a pixel.
        pitch = near[0].pitch
        return Span(axis.first - pitch / 2, pitch, 1)
    limits: tuple[float, ...] = ()
    if is_lonlat(crs):
        limits = (-180.0, -90.0, 0.0, 90.0, 180.0, 360.0)
    return axis.around(0.5, limits)


def _check_reach(coordinate: xr.DataArray, axis: Axis, crs: pyproj.CRS, *, is_x: bool) -> None:
    """Refuse coordinates that cannot be in this CRS: metres instead of degrees, or vice versa."""
    farthest = max(abs(axis.first), abs(axis.last))
    if (circle := full_circle(crs)) is not None:
        # Longitudes may go beyond 360 degrees, latitudes end at the poles.
        most = 2 * circle if is_x else circle / 4 + (axis.tolerance if axis.count > 1 else 0)
        if farthest > most * (1 + 1e-9):
            raise StacbuildError(
                f"coordinate {axis.name} reaches {farthest:g}, which is not a "
                f"{'longitude' if is_x else 'latitude'}; its CRS ({crs.name}) is in "
                f"{crs.axis_info[0].unit_name}s"
            )
        return
    name, meaning = axis.name.lower(), coordinate.attrs.get("standard_name")
    angles = {"lon", "longitude", "lat", "latitude"}
    if not axis.unit and (name in angles or meaning in angles) and farthest <= 360:
        raise StacbuildError(
            f"coordinate {axis.name} is in degrees, by its name, but its CRS ({crs.name}) is "
            f"in {crs.axis_info[0].unit_name}; it cannot be georeferenced"
        )


def _disagreements(
    grid: DatasetGrid,
    found: tuple[Span, Span],
    axes: Sequence[Axis | None],
    stated: Sequence[Stated],
) -> Iterator[str]:
    """Yield a line for each statement of other edges of pixels than *found*."""
    for dim, axis in zip((grid.y, grid.x), axes, strict=True):
        if axis is not None and axis.bounds is not None and axis.bounded() is None:
            yield (
                f"coordinate {dim} begins at {axis.first:.9g}, beyond the bounds of its first cell "
                f"({axis.bounds[0]:.9g} to {axis.bounds[1]:.9g}); the coordinate is used"
            )
    for each in stated:
        off, reverse = [], []
        for dim, axis, span, said in zip(
            (grid.y, grid.x), axes, found, (each.rows, each.columns), strict=True
        ):
            turns = (said.pitch > 0) != (span.pitch > 0)
            same = said.reversed() if turns else said
            if same.off(span) >= HALF - 1e-6:
                off.append(f"{dim} from {same.origin:.9g} to {same.end:.9g}")
            elif axis is not None and axis.is_reversed(said):
                reverse.append(dim)
        if off:
            here = ", ".join(
                f"{dim} from {span.origin:.9g} to {span.end:.9g}"
                for dim, span in zip((grid.y, grid.x), found, strict=True)
            )
            used = "the coordinates are used" if any(axes) else "the first is used"
            yield f"{each.by} states pixels {', '.join(off)}, the coordinates {here}; {used}"
        elif reverse:
            yield (
                f"{each.by} has the pixels along {' and '.join(reverse)} in the other order than "
                "the coordinates, which are used"
            )


def _other_crs(grid: DatasetGrid, stated: Sequence[StatedCrs]) -> Iterator[str]:
    """Yield a line for each CRS in which the grid is half a pixel or more elsewhere."""
    first, *others = stated
    left, bottom, right, top = grid.bounds
    x, y = np.meshgrid(np.linspace(left, right, 5)[1:-1], np.linspace(bottom, top, 5)[1:-1])
    for other in others:
        if other.crs == first.crs:
            continue
        off_x, off_y = apart(first.crs, other.crs, x, y)
        far = max(float(off_x.max() / abs(grid.affine.a)), float(off_y.max() / abs(grid.affine.e)))
        if far >= HALF:
            yield (
                f"{other.where} is another CRS ({other.crs.name}) than {first.where} "
                f"({first.crs.name}), which is used"
            )


def _beside_pole(rows: Axis, grid: DatasetGrid) -> Iterator[str]:
    """Yield a line if rows begin at one pole and could reach the other, as edges."""
    if rows.count == 1 or not is_lonlat(parse_crs(grid.crs)) or rows.bounds is not None:
        return
    low, high = sorted((rows.first, rows.last))
    at_pole = (abs(low + 90) <= rows.tolerance) != (abs(high - 90) <= rows.tolerance)
    if at_pole and abs(rows.count * abs(rows.step) - 180) <= HALF * abs(rows.step):
        yield (
            f"coordinate {rows.name} goes from {rows.first:g} to {rows.last:.9g}: taken for "
            "centres of pixels; if they are edges, state bbox in a profile"
        )


def _horizontal(ds: xr.Dataset) -> tuple[str, str]:
    if stated := stated_dimensions(ds):
        y, x = stated
        # Some stores have them in the order x, y.
        return (y, x) if _is_axis(ds, y, "X") and _is_axis(ds, x, "Y") else (x, y)
    found = {name: dims for name in map(str, ds.data_vars) if (dims := _axes_of(ds, name))}
    if found:
        # Of several grids, that of the variable with most dimensions, and the finest.
        sizes = {name: (ds[name].ndim, ds.sizes[x] * ds.sizes[y]) for name, (x, y) in found.items()}
        x, y = found[max(sorted(sizes), key=lambda name: sizes[name])]
        _check_straight(ds, x, y)
        return x, y
    _check_straight(ds)
    raise StacbuildError(
        "no variable has horizontal dimensions (lat and lon, or y and x, with coordinates)"
    )


def _axes_of(ds: xr.Dataset, name: str) -> tuple[str, str] | None:
    dims = [str(dim) for dim in ds[name].dims]
    xs, ys = ([dim for dim in dims if _is_axis(ds, dim, axis)] for axis in "XY")
    return (xs[-1], ys[-1]) if xs and ys else None


def on_other_grids(ds: xr.Dataset, grid: DatasetGrid) -> dict[str, str]:
    """Return the variables on another grid than *grid*, with the names of its y and x."""
    ds = with_axes(ds)
    found = {}
    for name in map(str, ds.data_vars):
        axes = _axes_of(ds, name)
        if axes is not None and not {grid.x, grid.y} <= set(ds[name].dims):
            found[name] = f"{axes[1]}, {axes[0]}"
    return found


def _check_straight(ds: xr.Dataset, *dims: str) -> None:
    """Refuse latitudes and longitudes per pixel or point.

    Raises
    ------
    StacbuildError
        There are some, and no coordinates of *dims*.
    """
    if any(dim in ds.coords for dim in dims) or (dims and statements(ds, dims[1], dims[0])):
        return
    for name, variable in ds.variables.items():
        means = variable.attrs.get("standard_name") in ("longitude", "latitude")
        degrees = axis_of_unit(str(variable.attrs.get("units", ""))) is not None
        named = str(name).lower() in _CURVILINEAR
        if not (means or named or degrees) or name in ds.dims or not variable.ndim:
            continue
        along = ", ".join(map(str, variable.dims))
        if variable.ndim > 1:
            raise StacbuildError(
                f"{name} is given for each pixel ({along}): a curvilinear grid, whose pixels "
                "lie in no straight rows, is not supported; resample it to a regular grid first"
            )
        if not dims:
            raise StacbuildError(
                f"{name} is given for each point along {along}: data on an unstructured mesh or "
                "of stations, not a grid of pixels, is not supported"
            )


def _is_axis(ds: xr.Dataset, dim: str, axis: str) -> bool:
    attrs = ds[dim].attrs if dim in ds.coords else {}
    if attrs.get("axis") in ("X", "Y"):
        return bool(attrs["axis"] == axis)
    # Attributes take precedence over the name: latitudes may be along x.
    meant = str(attrs.get("standard_name"))
    if meant in _X_MEANINGS or meant in _Y_MEANINGS:
        return meant in (_X_MEANINGS if axis == "X" else _Y_MEANINGS)
    if of_unit := axis_of_unit(str(attrs.get("units", ""))):
        return of_unit == axis
    return dim.lower() in (_X_NAMES if axis == "X" else _Y_NAMES)
