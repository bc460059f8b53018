"""Where a Zarr dataset lies: the affine grid of its x and y coordinates.

Follows CF 1.11 (coordinate types, cell bounds), the ``GeoTransform`` of GDAL and rioxarray, and
the GeoZarr convention ``spatial:``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import antimeridian
import numpy as np
import pyproj
import shapely.geometry
import xarray as xr
from affine import Affine

from stacbuild.describe.zarr_crs import WGS84, crs_of, grid_mappings
from stacbuild.errors import StacbuildError

Json = dict[str, Any]

_X_NAMES = frozenset({"x", "lon", "longitude"})
_Y_NAMES = frozenset({"y", "lat", "latitude"})
_X_MEANINGS = frozenset({"longitude", "projection_x_coordinate", "grid_longitude"})
_Y_MEANINGS = frozenset({"latitude", "projection_y_coordinate", "grid_latitude"})
_NOT_OF_A_CRS = frozenset({"km", "kilometer", "kilometre", "kilometers", "kilometres", "rad"})
# A coordinate may leave the straight line by this share of a pixel (and its own precision).
_STRAIGHT = 0.01


@dataclass(frozen=True)
class CubeGrid:
    """The pixels of a dataset.

    Parameters
    ----------
    crs
        Coordinate reference system.
    x, y
        Names of the horizontal dimensions.
    shape
        Rows and columns, in the order in which they are stored.
    transform
        From (column, row) of a pixel's first corner to ``crs``; without rotation. The step along
        y is positive where the rows are stored from south to north.
    """

    crs: pyproj.CRS
    x: str
    y: str
    shape: tuple[int, int]
    transform: Affine

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """Outer edges of the pixels, left, bottom, right, top, in ``crs``."""
        rows, columns = self.shape
        left, first = self.transform @ (0, 0)
        right, last = self.transform @ (columns, rows)
        return min(left, right), min(first, last), max(left, right), max(first, last)

    @property
    def code(self) -> str | None:
        """``EPSG:<code>``, or None if the CRS has none."""
        epsg = self.crs.to_epsg()
        return None if epsg is None else f"EPSG:{epsg}"


def grid_of(ds: xr.Dataset) -> CubeGrid:
    """Find the grid of *ds* from its coordinates; no data is read.

    Whether coordinates are centres or edges of pixels is told, in this order, by cell bounds
    (CF 7.1), by a ``GeoTransform`` or ``spatial:transform``, and by the globe: a latitude of
    exactly 90 at one end only is an edge, since half a pixel would lie beyond the pole.
    Otherwise they are centres.

    Raises
    ------
    StacbuildError
        No horizontal dimensions or no CRS are found, or coordinates are not regularly spaced.
    """
    x, y = _horizontal(ds)
    crs = crs_of(ds, x, y)
    transform = _stated_transform(ds)
    if x not in ds.coords and y not in ds.coords and transform is not None:
        return CubeGrid(crs, x, y, (ds.sizes[y], ds.sizes[x]), transform)
    rows = _Axis.read(ds, y, transform and (transform.f, transform.e))
    columns = _Axis.read(ds, x, transform and (transform.c, transform.a))
    if transform is not None and rows.position == columns.position == 0.5:
        # Stated to the last digit, and the coordinates agree; from them it had to be worked out.
        return CubeGrid(crs, x, y, (rows.count, columns.count), transform)
    west, south, east, north = -180.0, -90.0, 180.0, 90.0
    if crs.is_geographic:
        y_at = _beside_pole(rows) if rows.position is None else rows.position
        # A point of a grid at 180 degrees is as well a centre; only the poles tell.
        edges = rows.position is None and y_at != 0.5
        x_at = columns.position
        if x_at is None and edges:
            x_at = _beside_meridian(columns)
        top, bottom = rows.edges(y_at, (south, north))
        left, right = columns.edges(0.5 if x_at is None else x_at, (west, 0.0, east, 360.0))
    else:
        top, bottom = rows.edges(0.5 if rows.position is None else rows.position)
        left, right = columns.edges(0.5 if columns.position is None else columns.position)
    return CubeGrid(
        crs,
        x,
        y,
        (rows.count, columns.count),
        Affine((right - left) / columns.count, 0.0, left, 0.0, (bottom - top) / rows.count, top),
    )


def footprint(grid: CubeGrid) -> tuple[Json, list[float]]:
    """Give the GeoJSON geometry and the box (W, S, E, N) of *grid* in longitude and latitude.

    Longitudes beyond 180 are brought back; what crosses the antimeridian is a MultiPolygon whose
    box has W > E (RFC 7946, 5.2).

    Raises
    ------
    StacbuildError
        The grid's CRS cannot be brought to longitude and latitude there.
    """
    left, bottom, right, top = grid.bbox
    if grid.crs.is_geographic:
        bottom, top = max(bottom, -90.0), min(top, 90.0)
        if right - left >= 360 - 1e-9:
            left, right = -180.0, 180.0
        points = 2
    else:
        points = 22
    xs, ys = np.linspace(left, right, points), np.linspace(bottom, top, points)
    ring_x = np.concatenate([xs[:-1], np.full(points - 1, right), xs[:0:-1], np.full(points, left)])
    ring_y = np.concatenate(
        [np.full(points - 1, bottom), ys[:-1], np.full(points - 1, top), ys[::-1]]
    )
    to_wgs84 = pyproj.Transformer.from_crs(grid.crs, WGS84, always_xy=True)
    lon, lat = (ring_x, ring_y) if grid.crs.is_geographic else to_wgs84.transform(ring_x, ring_y)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise StacbuildError(
            f"the box {list(grid.bbox)} lies outside of where {grid.crs.name} is defined"
        )
    ring = [(round(float(a), 7), round(float(b), 7)) for a, b in zip(lon, lat, strict=True)]
    polygon = shapely.geometry.Polygon(ring)
    shape = (
        polygon
        if (left, right) == (-180.0, 180.0)
        else antimeridian.fix_polygon(polygon, great_circle=False)
    )
    box = antimeridian.bbox(shape)
    return shapely.geometry.mapping(shape), [round(float(value), 7) for value in box]


@dataclass(frozen=True)
class _Axis:
    name: str
    first: float
    last: float
    count: int
    precision: float
    # Where in its pixel a coordinate lies, 0 at the edge towards the first pixel, 1 at the other;
    # None if the dataset does not say.
    position: float | None

    @classmethod
    def read(cls, ds: xr.Dataset, name: str, stated: tuple[float, float] | None) -> _Axis:
        if name not in ds.coords:
            raise StacbuildError(f"dimension {name} has no coordinates")
        coordinate = ds[name]
        values = np.asarray(coordinate.values)
        if not np.issubdtype(values.dtype, np.number):
            raise StacbuildError(f"coordinate {name} is not numeric ({values.dtype})")
        unit = str(coordinate.attrs.get("units", ""))
        if unit in _NOT_OF_A_CRS:
            raise StacbuildError(f"coordinate {name} is in {unit}, not in the unit of its CRS")
        kind = values.dtype if np.issubdtype(values.dtype, np.floating) else np.dtype("float64")
        wide = values.astype("float64")
        precision = 2 * float(np.finfo(kind).eps) * float(np.abs(wide).max())
        bounds = _first_bounds(ds, coordinate)
        if values.size == 1:
            # One value alone has no step; its bounds or a transform give the pixel's size.
            if bounds is None and stated is not None:
                bounds = stated[0], stated[0] + stated[1]
            if bounds is None:
                raise StacbuildError(f"coordinate {name} has one value and no bounds: size unknown")
            middle = sum(bounds) / 2
            return cls(name, middle, middle, 1, abs(bounds[1] - bounds[0]), 0.5)
        line = np.linspace(wide[0], wide[-1], wide.size)
        step = float(wide[-1] - wide[0]) / (wide.size - 1)
        if step == 0 or not np.abs(wide - line).max() <= _STRAIGHT * abs(step) + precision:
            raise StacbuildError(
                f"coordinate {name} is not regularly spaced, so it is no grid of equal pixels"
            )
        axis = cls(name, float(wide[0]), float(wide[-1]), wide.size, precision, None)
        edge = None
        if bounds is not None:
            edge = min(bounds) if step > 0 else max(bounds)
        elif stated is not None and abs(stated[1] - step) <= _STRAIGHT * abs(step):
            edge = stated[0]
        return axis if edge is None else axis._at(edge)

    @property
    def step(self) -> float:
        return (self.last - self.first) / (self.count - 1)

    @property
    def tolerance(self) -> float:
        return _STRAIGHT * abs(self.step) + self.precision

    def _at(self, edge: float) -> _Axis:
        position = (self.first - edge) / self.step
        slack = self.tolerance / abs(self.step)
        for known in (0.0, 0.5, 1.0):
            if abs(position - known) <= slack:
                position = known
        return _Axis(self.name, self.first, self.last, self.count, self.precision, position)

    def edges(self, position: float, limits: tuple[float, ...] = ()) -> tuple[float, float]:
        """Outer edges at the first and last pixel; one that is a limit but for rounding is it."""
        if self.count == 1:
            half = self.precision / 2
            return self.first - half, self.first + half
        start = self.first - position * self.step
        stop = self.last + (1 - position) * self.step
        snapped = []
        for edge in (start, stop):
            near = [limit for limit in limits if abs(edge - limit) <= self.tolerance]
            snapped.append(near[0] if near else round(edge, 12))
        return snapped[0], snapped[1]


def _beside_pole(rows: _Axis) -> float:
    if rows.count == 1:
        return 0.5
    low, high = sorted((rows.first, rows.last))
    at_south = abs(low + 90) <= rows.tolerance
    at_north = abs(high - 90) <= rows.tolerance
    if at_south == at_north:
        # Both poles are points of the grid (as in many models), or none is.
        return 0.5
    return 0.0 if at_north == (rows.step < 0) else 1.0


def _beside_meridian(columns: _Axis) -> float:
    """Position of an edge: the eastern if only that fits the globe, else the western."""
    if columns.count == 1:
        return 0.5
    high = max(columns.first, columns.last)
    eastern = any(abs(high - limit) <= columns.tolerance for limit in (180.0, 360.0))
    return 0.0 if eastern == (columns.step < 0) else 1.0


def _first_bounds(ds: xr.Dataset, coordinate: xr.DataArray) -> tuple[float, float] | None:
    name = coordinate.attrs.get("bounds") or coordinate.encoding.get("bounds")
    if not isinstance(name, str) or name not in ds.variables or ds[name].ndim != 2:
        return None
    first = np.asarray(ds[name][0].values, dtype="float64")
    if first.size != 2 or not np.isfinite(first).all() or first[0] == first[1]:
        return None
    return float(first[0]), float(first[1])


def _horizontal(ds: xr.Dataset) -> tuple[str, str]:
    stated = ds.attrs.get("spatial:dimensions")
    if isinstance(stated, list | tuple) and len(stated) == 2 and set(stated) <= set(ds.dims):
        return str(stated[1]), str(stated[0])
    for variable in sorted(ds.data_vars.values(), key=lambda variable: -variable.ndim):
        xs = [str(dim) for dim in variable.dims if _is_axis(ds, str(dim), "X")]
        ys = [str(dim) for dim in variable.dims if _is_axis(ds, str(dim), "Y")]
        if xs and ys:
            return xs[-1], ys[-1]
    raise StacbuildError(
        "no variable has horizontal dimensions (lat and lon, or y and x, with coordinates)"
    )


def _is_axis(ds: xr.Dataset, dim: str, axis: str) -> bool:
    names, meanings = (_X_NAMES, _X_MEANINGS) if axis == "X" else (_Y_NAMES, _Y_MEANINGS)
    attrs = ds[dim].attrs if dim in ds.coords else {}
    if attrs.get("axis") in ("X", "Y"):
        return bool(attrs["axis"] == axis)
    return attrs.get("standard_name") in meanings or dim.lower() in names


def _stated_transform(ds: xr.Dataset) -> Affine | None:
    spatial = ds.attrs.get("spatial:transform")
    if isinstance(spatial, list | tuple) and len(spatial) in (6, 9):
        return _unrotated(Affine(*(float(value) for value in spatial[:6])))
    for name in grid_mappings(ds):
        text = ds[name].attrs.get("GeoTransform") if name in ds.variables else None
        values = text.split() if isinstance(text, str) else text
        if isinstance(values, list | tuple) and len(values) == 6:
            return _unrotated(Affine.from_gdal(*(float(value) for value in values)))
    return None


def _unrotated(transform: Affine) -> Affine:
    if transform.b or transform.d:
        raise StacbuildError(
            f"the grid is rotated ({tuple(transform)[:6]}), which is not supported"
        )
    return transform
