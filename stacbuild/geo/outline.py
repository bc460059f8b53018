"""Compute the outline of pixels in longitude and latitude: GeoJSON and a bbox.

Some rasters extend beyond the earth (the corners of a world map in Mollweide, space around a
satellite's full disk) or contain a pole, and their outline does not describe the footprint. They
are divided into cells, and the footprint is the union of those cells that lie on the earth.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise
from typing import Any

import antimeridian
import numpy as np
import shapely

from stacbuild.errors import StacbuildError
from stacbuild.geo.crs import full_circle, lonlat_of, parse_crs
from stacbuild.geo.grid import Floats, PixelGrid

Json = dict[str, Any]

# Segments per edge of the footprint, as straight lines become curves in lon/lat.
_SEGMENTS = 21
# Decimals of degrees, about a centimetre; more digits would depend on the library's version.
_DIGITS = 7
# Cells along each axis, and how often those at the earth's limb are subdivided.
_CELLS, _SUBDIVISIONS = 32, 4
# A cell that spans more degrees of longitude is too near a pole to have straight edges.
_MAX_WIDTH = 60.0
# Maximum width, in degrees, of gaps between cells of different size. A hole of fewer square degrees
# than the second is such a gap, not a hole in the raster.
_GAP, _HOLE = 0.05, 4.0
# Degrees of latitude that a raster of a hemisphere or more spans. Its points at the limb within
# the second number of degrees of the antimeridian are snapped to it. Steps between cells at the
# limb are smaller than the third, the tolerance of the simplification that removes them.
_LARGE, _LIMB, _STEP = 100.0, 1.0, 0.5
# Degrees from the pole of the parallels that are tested to lie entirely on a raster.
_CAPS = (0.01, 0.05, 0.1, 0.25, 0.5, *range(1, 90))
_WORLD = shapely.box(-180, -90, 180, 90)


def footprint(grid: PixelGrid) -> tuple[Json, list[float]]:
    """Return the GeoJSON geometry of a grid on the earth and its bbox.

    A geometry across the antimeridian is split there, and its bbox has west > east (RFC 7946, 3.1.9
    and 5.2). Coordinates are rounded to 7 digits.

    Raises
    ------
    StacbuildError
        No pixel has a longitude and latitude, or all pixels lie at one point.
    """
    col, row = _outline(grid)
    try:
        lon, lat = _lonlat(grid, col, row)
    except ValueError as error:
        # PROJ has no operation from this CRS to longitude and latitude.
        raise StacbuildError(str(error)) from error
    geometry: Any = None
    if np.isfinite(lon).all() and np.isfinite(lat).all():
        geometry = _of_ring(np.unwrap(lon, period=360), lat)
        if geometry is not None and geometry.geom_type == "Polygon" and not geometry.interiors:
            return _plain(geometry)
    if geometry is None:
        geometry = _of_cells(grid)
    geometry = shapely.transform(geometry, lambda points: np.round(points, _DIGITS))
    if geometry.is_empty:
        raise StacbuildError(
            f"has no extent in longitude and latitude by its coordinate system "
            f"({parse_crs(grid.crs).name}); check the parameters of that, and the transform"
        )
    west, east = _longitudes(geometry)
    _, south, _, north = geometry.bounds
    bbox = [round(float(value), _DIGITS) for value in (west, south, east, north)]
    return shapely.geometry.mapping(geometry), bbox


def _plain(polygon: Any) -> tuple[Json, list[float]]:
    """Return the GeoJSON geometry and bbox of a polygon without holes, as of most rasters.

    The same as of other geometries, without shapely's iteration of coordinates and parts.
    """
    points = np.round(shapely.get_coordinates(polygon), _DIGITS)
    (west, south), (east, north) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    ring = tuple(map(tuple, points.tolist()))
    bbox = [round(value, _DIGITS) for value in (west, south, east, north)]
    return {"type": "Polygon", "coordinates": (ring,)}, bbox


def _lonlat(grid: PixelGrid, col: Floats, row: Floats) -> tuple[Floats, Floats]:
    """Return longitudes and latitudes, not finite where there are none.

    Some projections return longitudes for points beyond the earth's limb, too; a point that fails
    a round trip is beyond it.
    """
    x, y = grid.affine @ (col, row)
    if (circle := full_circle(grid.crs)) is not None:
        y = np.clip(y, -circle / 4, circle / 4)
    transformer = lonlat_of(grid.crs)
    lon, lat = transformer.transform(x, y)
    if circle is not None:
        return lon, lat
    with np.errstate(invalid="ignore"):
        back = transformer.transform(lon, lat, direction="INVERSE")
        distance = np.hypot(back[0] - x, back[1] - y)
    # A hundredth of a pixel, at most a metre, and at least the round-trip error of a datum shift.
    tolerance = max(min(0.01 * math.sqrt(abs(grid.affine.determinant)), 1.0), 1e-3)
    beyond = ~(distance < tolerance)
    return np.where(beyond, np.nan, lon), np.where(beyond, np.nan, lat)


def _pixel(grid: PixelGrid, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Return columns and rows of points."""
    x, y = lonlat_of(grid.crs).transform(lon, lat, direction="INVERSE")
    with np.errstate(invalid="ignore"):
        col, row = ~grid.affine @ (x, y)
    return col, row


def _contains(grid: PixelGrid, lon: Floats, lat: Floats) -> bool:
    """Return whether all points lie on the pixels."""
    col, row = _pixel(grid, lon, lat)
    rows, cols = grid.shape
    with np.errstate(invalid="ignore"):
        if not ((col >= 0) & (col <= cols) & (row >= 0) & (row <= rows)).all():
            return False
    back = _lonlat(grid, col, row)[1]
    return bool((np.abs(back - lat) < 1e-6).all())


def _outline(grid: PixelGrid) -> tuple[Floats, Floats]:
    """Return columns and rows of the outer edges, closed, counterclockwise from the lower left."""
    return _edges(*grid.shape, grid.transform[0] >= 0, grid.transform[4] <= 0)


# Cached, as the tiles of a product have few shapes; nobody changes the arrays.
@lru_cache(maxsize=64)
def _edges(rows: int, cols: int, eastward: bool, southward: bool) -> tuple[Floats, Floats]:
    left, right = (0, cols) if eastward else (cols, 0)
    bottom, top = (rows, 0) if southward else (0, rows)
    corners = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
    steps = np.linspace(0, 1, _SEGMENTS, endpoint=False)
    col = [c0 + (c1 - c0) * steps for (c0, _), (c1, _) in pairwise(corners)]
    row = [r0 + (r1 - r0) * steps for (_, r0), (_, r1) in pairwise(corners)]
    return np.append(np.concatenate(col), left), np.append(np.concatenate(row), bottom)


def _of_ring(lon: Floats, lat: Floats) -> Any:
    """Return the area within a ring of continuous longitudes; None if it contains a pole."""
    if abs(lon[-1] - lon[0]) > 180:
        return None
    if lon.max() - lon.min() >= 360 - 1e-3:
        # A global ring has no western or eastern edge.
        return shapely.box(-180, lat.min(), 180, lat.max(), ccw=True)
    lon = lon - 360 * np.floor((lon.min() + 180 + 1e-9) / 360)
    ring = shapely.Polygon(np.round(np.column_stack([lon, lat]), _DIGITS))
    if not ring.is_valid:
        return None
    cut = ring if lon.max() <= 180 else antimeridian.fix_polygon(ring, great_circle=False)
    return shapely.simplify(cut, 0)


def _of_cells(grid: PixelGrid) -> Any:
    """Return the union of the cells of a raster that lie on the earth."""
    caps = _caps(grid)
    covered = [cap for cap, _ in caps]
    rows, cols = grid.shape
    edges = [np.linspace(0, n, min(n, _CELLS) + 1) for n in (rows, cols)]
    top, left = (at.ravel() for at in np.meshgrid(edges[0][:-1], edges[1][:-1], indexing="ij"))
    size = (rows / (len(edges[0]) - 1), cols / (len(edges[1]) - 1))
    for level in range(_SUBDIVISIONS + 1):
        # Corners of each cell as a closed ring, then its centre.
        r = top[:, None] + size[0] * np.array([0, 1, 1, 0, 0, 0.5])
        c = left[:, None] + size[1] * np.array([0, 0, 1, 1, 0, 0.5])
        lon, lat = _lonlat(grid, c.ravel(), r.ravel())
        lon, lat = lon.reshape(r.shape), lat.reshape(r.shape)
        known = np.isfinite(lon) & np.isfinite(lat)
        whole = known.all(axis=1)
        ring = np.unwrap(np.where(known, lon, 0)[:, :5], period=360, axis=1)
        whole &= (np.ptp(ring, axis=1) <= _MAX_WIDTH) & (np.abs(ring[:, 4] - ring[:, 0]) < 1e-6)
        corners = np.stack([ring, np.where(known, lat, 0)[:, :5]], axis=2)[whole]
        covered += list(shapely.polygons(corners))
        partial = known.any(axis=1) & ~whole
        for _, inner in caps:
            # Cells that lie entirely within a cap are already covered.
            with np.errstate(invalid="ignore"):
                partial &= ~(np.sign(inner) * lat >= abs(inner)).all(axis=1)
        if level == _SUBDIVISIONS or not partial.any():
            break
        size = (size[0] / 2, size[1] / 2)
        down, across = np.array([0, 0, 1, 1]) * size[0], np.array([0, 1, 0, 1]) * size[1]
        top = (top[partial][:, None] + down).ravel()
        left = (left[partial][:, None] + across).ravel()
    if not covered:
        raise StacbuildError(
            f"lies outside of where its coordinate system ({parse_crs(grid.crs).name}) is defined"
        )
    return _joined(covered)


def _caps(grid: PixelGrid) -> list[tuple[Any, float]]:
    """Return the largest cap around each pole that lies on the pixels, and its parallel."""
    found = []
    lon = np.arange(-180.0, 180.0, 5.0)
    for pole in (90.0, -90.0):
        if not _contains(grid, np.zeros(1), np.array([pole])):
            continue
        radius = 0.0
        for distance in _CAPS:
            if not _contains(grid, lon, np.full(lon.shape, pole - math.copysign(distance, pole))):
                break
            radius = distance
        if radius:
            edge = pole - math.copysign(radius, pole)
            found.append((shapely.box(-180, min(edge, pole), 180, max(edge, pole)), edge))
    return found


def _joined(cells: list[Any]) -> Any:
    """Return the union of cells, split at the antimeridian, with gaps between sizes closed."""
    shapes = np.array(cells)
    west, _, east, _ = shapely.bounds(shapes).T
    beyond = (west < -180) | (east > 180)
    parts = [shapes[~beyond]]
    for shift in (-360, 0, 360) if beyond.any() else ():
        moved = shapely.transform(shapes[beyond], lambda at, shift=shift: np.add(at, (shift, 0)))
        parts.append(shapely.intersection(shapely.make_valid(moved), _WORLD))
    size = float(np.ptp(shapely.total_bounds(shapes)[1::2]))
    gap = min(_GAP, size / 1000)
    joined = shapely.union_all(shapely.buffer(np.concatenate(parts), gap, join_style="mitre"))
    joined = shapely.simplify(joined.buffer(-gap, join_style="mitre"), min(_STEP, size / 200))
    if size > _LARGE:
        joined = shapely.transform(joined, _snapped_to_antimeridian)
    joined = shapely.intersection(shapely.make_valid(joined), _WORLD)
    pieces = [
        shapely.Polygon(each.exterior, [h for h in each.interiors if _area(h) > _HOLE])
        for each in shapely.get_parts(joined)
        if each.geom_type == "Polygon"
    ]
    return shapely.orient_polygons(
        pieces[0] if len(pieces) == 1 else shapely.MultiPolygon(pieces), exterior_cw=False
    )


def _area(ring: Any) -> float:
    return float(shapely.Polygon(ring).area)


def _snapped_to_antimeridian(points: Floats) -> Floats:
    """Return points, with those close to the antimeridian moved onto it."""
    lon = points[:, 0]
    near = np.abs(np.abs(lon) - 180) < _LIMB
    return np.column_stack([np.where(near, np.copysign(180.0, lon), lon), points[:, 1]])


def _longitudes(geometry: Any) -> tuple[float, float]:
    """Return west and east; west > east if the antimeridian lies between them."""
    spans = sorted((each.bounds[0], each.bounds[2]) for each in shapely.get_parts(geometry))
    west, east = spans[0][0], max(span[1] for span in spans)
    if west > -180 or east < 180:
        return west, east
    widest, found, reached = 0.0, (west, east), spans[0][1]
    for start, stop in spans[1:]:
        if start - reached > widest:
            widest, found = start - reached, (start, reached)
        reached = max(reached, stop)
    return found if widest > 0.01 else (west, east)
