"""The outline of pixels in longitude and latitude: GeoJSON and a bounding box.

Some rasters reach beyond the earth (the corners of a world map in Mollweide, space around a
satellite's full disk) or hold a pole. Their outline tells nothing then; they are cut into cells,
and the footprint is what those cells cover that lie on the earth.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import antimeridian
import numpy as np
import shapely

from stacbuild.errors import StacbuildError
from stacbuild.geo.crs import full_circle, parse_crs, to_lonlat
from stacbuild.geo.grid import Floats, PixelGrid

Json = dict[str, Any]

# An edge of the footprint gets so many segments, as straight lines bend on the way to lon/lat.
_SEGMENTS = 21
# Degrees are given to about a centimetre; more would be noise of the library's version.
_DIGITS = 7
# Cells along each axis, and how often those at the earth's limb are halved.
_CELLS, _HALVINGS = 32, 4
# A cell that spans more degrees of longitude is too near a pole to have straight edges.
_WIDEST = 60.0
# Degrees by which cells of different size may leave gaps, and holes smaller than so many square
# degrees, which are such gaps and no holes of the raster.
_GAP, _HOLE = 0.05, 4.0
# Degrees of latitude that a raster of a hemisphere or more spans. What of it ends at the limb, so
# many degrees off the antimeridian, reaches it; steps of the limb's cells are smaller.
_LARGE, _LIMB, _STEP = 100.0, 1.0, 0.5
# Degrees from the pole to parallels that may lie on a raster as a whole.
_CAPS = (0.01, 0.05, 0.1, 0.25, 0.5, *range(1, 90))
_WORLD = shapely.box(-180, -90, 180, 90)


def footprint(grid: PixelGrid) -> tuple[Json, list[float]]:
    """Return the GeoJSON geometry of a grid on the earth and its bounding box.

    What crosses the antimeridian is cut there, and its box has west > east (RFC 7946, 3.1.9 and
    5.2). Coordinates are rounded to 7 digits.

    Raises
    ------
    StacbuildError
        No pixel lies where the CRS has longitude and latitude, or all lie at one place.
    """
    col, row = _outline(grid)
    try:
        lon, lat = _lonlat(grid, col, row)
    except ValueError as error:
        # PROJ has no way from this CRS to longitude and latitude.
        raise StacbuildError(str(error)) from error
    geometry: Any = None
    if np.isfinite(lon).all() and np.isfinite(lat).all():
        geometry = _of_ring(np.unwrap(lon, period=360), lat)
    if geometry is None:
        geometry = _of_cells(grid)
    geometry = shapely.transform(geometry, lambda places: np.round(places, _DIGITS))
    if geometry.is_empty:
        raise StacbuildError(
            f"has no extent in longitude and latitude by its coordinate system "
            f"({parse_crs(grid.crs).name}); check the parameters of that, and the transform"
        )
    west, east = _longitudes(geometry)
    _, south, _, north = geometry.bounds
    box = [round(float(value), _DIGITS) for value in (west, south, east, north)]
    return shapely.geometry.mapping(geometry), box


def _lonlat(grid: PixelGrid, col: Floats, row: Floats) -> tuple[Floats, Floats]:
    """Return longitudes and latitudes, not finite where there are none.

    Projections give places beyond the earth's limb longitudes, too; what does not lead back
    to where it came from is such a place.
    """
    x, y = grid.affine @ (col, row)
    crs = parse_crs(grid.crs)
    if (circle := full_circle(crs)) is not None:
        y = np.clip(y, -circle / 4, circle / 4)
    transformer = to_lonlat(crs)
    lon, lat = transformer.transform(x, y)
    if circle is not None:
        return lon, lat
    with np.errstate(invalid="ignore"):
        there = transformer.transform(lon, lat, direction="INVERSE")
        off = np.hypot(there[0] - x, there[1] - y)
    # A hundredth of a pixel up to a metre, or what a change of datum does not give back.
    lost = ~(off < max(min(0.01 * math.sqrt(abs(grid.affine.determinant)), 1.0), 1e-3))
    return np.where(lost, np.nan, lon), np.where(lost, np.nan, lat)


def _pixel(grid: PixelGrid, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Return columns and rows of places."""
    x, y = to_lonlat(parse_crs(grid.crs)).transform(lon, lat, direction="INVERSE")
    with np.errstate(invalid="ignore"):
        col, row = ~grid.affine @ (x, y)
    return col, row


def _holds(grid: PixelGrid, lon: Floats, lat: Floats) -> bool:
    """Return whether all of some places lie on the pixels."""
    col, row = _pixel(grid, lon, lat)
    rows, cols = grid.shape
    with np.errstate(invalid="ignore"):
        if not ((col >= 0) & (col <= cols) & (row >= 0) & (row <= rows)).all():
            return False
    back = _lonlat(grid, col, row)[1]
    return bool((np.abs(back - lat) < 1e-6).all())


def _outline(grid: PixelGrid) -> tuple[Floats, Floats]:
    """Return columns and rows around the outer edges, closed, from the lower left to the right."""
    (rows, cols), transform = grid.shape, grid.affine
    left, right = (0, cols) if transform.a >= 0 else (cols, 0)
    bottom, top = (rows, 0) if transform.e <= 0 else (0, rows)
    corners = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
    steps = np.linspace(0, 1, _SEGMENTS, endpoint=False)
    col = [c0 + (c1 - c0) * steps for (c0, _), (c1, _) in pairwise(corners)]
    row = [r0 + (r1 - r0) * steps for (_, r0), (_, r1) in pairwise(corners)]
    return np.append(np.concatenate(col), left), np.append(np.concatenate(row), bottom)


def _of_ring(lon: Floats, lat: Floats) -> Any:
    """Return what a ring of continuous longitudes encloses; None if that is a pole."""
    if abs(lon[-1] - lon[0]) > 180:
        return None
    if lon.max() - lon.min() >= 360 - 1e-3:
        # Once around the globe: it has no edge in the west or east.
        return shapely.box(-180, lat.min(), 180, lat.max(), ccw=True)
    lon = lon - 360 * np.floor((lon.min() + 180 + 1e-9) / 360)
    ring = shapely.Polygon(np.round(np.column_stack([lon, lat]), _DIGITS))
    if not ring.is_valid:
        return None
    cut = ring if lon.max() <= 180 else antimeridian.fix_polygon(ring, great_circle=False)
    return shapely.simplify(cut, 0)


def _of_cells(grid: PixelGrid) -> Any:
    """Return what cells of a raster cover that lie on the earth."""
    caps = _caps(grid)
    covered = [cap for cap, _ in caps]
    rows, cols = grid.shape
    edges = [np.linspace(0, n, min(n, _CELLS) + 1) for n in (rows, cols)]
    top, left = (at.ravel() for at in np.meshgrid(edges[0][:-1], edges[1][:-1], indexing="ij"))
    size = (rows / (len(edges[0]) - 1), cols / (len(edges[1]) - 1))
    for halving in range(_HALVINGS + 1):
        # Corners around each cell, the first one again, and the middle.
        r = top[:, None] + size[0] * np.array([0, 1, 1, 0, 0, 0.5])
        c = left[:, None] + size[1] * np.array([0, 0, 1, 1, 0, 0.5])
        lon, lat = _lonlat(grid, c.ravel(), r.ravel())
        lon, lat = lon.reshape(r.shape), lat.reshape(r.shape)
        known = np.isfinite(lon) & np.isfinite(lat)
        whole = known.all(axis=1)
        ring = np.unwrap(np.where(known, lon, 0)[:, :5], period=360, axis=1)
        whole &= (np.ptp(ring, axis=1) <= _WIDEST) & (np.abs(ring[:, 4] - ring[:, 0]) < 1e-6)
        places = np.stack([ring, np.where(known, lat, 0)[:, :5]], axis=2)[whole]
        covered += list(shapely.polygons(places))
        again = known.any(axis=1) & ~whole
        for _, inner in caps:
            # What lies in a cap as a whole is known already.
            with np.errstate(invalid="ignore"):
                again &= ~(np.sign(inner) * lat >= abs(inner)).all(axis=1)
        if halving == _HALVINGS or not again.any():
            break
        size = (size[0] / 2, size[1] / 2)
        down, across = np.array([0, 0, 1, 1]) * size[0], np.array([0, 1, 0, 1]) * size[1]
        top = (top[again][:, None] + down).ravel()
        left = (left[again][:, None] + across).ravel()
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
        if not _holds(grid, np.zeros(1), np.array([pole])):
            continue
        held = 0.0
        for off in _CAPS:
            if not _holds(grid, lon, np.full(lon.shape, pole - math.copysign(off, pole))):
                break
            held = off
        if held:
            edge = pole - math.copysign(held, pole)
            found.append((shapely.box(-180, min(edge, pole), 180, max(edge, pole)), edge))
    return found


def _joined(cells: list[Any]) -> Any:
    """Join cells, cut at the antimeridian, without the gaps between cells of different size."""
    shapes = np.array(cells)
    west, _, east, _ = shapely.bounds(shapes).T
    beyond = (west < -180) | (east > 180)
    parts = [shapes[~beyond]]
    for turn in (-360, 0, 360) if beyond.any() else ():
        moved = shapely.transform(shapes[beyond], lambda at, turn=turn: np.add(at, (turn, 0)))
        parts.append(shapely.intersection(shapely.make_valid(moved), _WORLD))
    size = float(np.ptp(shapely.total_bounds(shapes)[1::2]))
    gap = min(_GAP, size / 1000)
    joined = shapely.union_all(shapely.buffer(np.concatenate(parts), gap, join_style="mitre"))
    joined = shapely.simplify(joined.buffer(-gap, join_style="mitre"), min(_STEP, size / 200))
    if size > _LARGE:
        joined = shapely.transform(joined, _at_limb)
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


def _at_limb(places: Floats) -> Floats:
    """Move what ends just before the antimeridian to it."""
    lon = places[:, 0]
    near = np.abs(np.abs(lon) - 180) < _LIMB
    return np.column_stack([np.where(near, np.copysign(180.0, lon), lon), places[:, 1]])


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
