"""Regions of interest: their bounds in the CRS of a grid, and the pixels that lie in them.

A pixel lies in a region if PROJ places its centre in one of the polygons or on an edge. Edges are
straight in the CRS of the region, so centres are transformed to that CRS, not edges to the grid's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from stacbuild.geo.bbox import BBox, Resolution, exact, sides, unwrapped
from stacbuild.geo.crs import full_circle, same_crs, transformer
from stacbuild.geo.grid import PixelGrid, Window

# Parts into which the longest side of a region is divided before its edges are transformed.
_PARTS = 1000
# Pixels along a side below which a block is tested pixel by pixel.
_BLOCK = 32
# Pixels along each side of a window that are compared first.
_SAMPLES = 9
_POLYGONS = ("Polygon", "MultiPolygon")


@dataclass(frozen=True)
class Region:
    """Polygons in a CRS, all in one geometry."""

    shape: Any
    crs: str

    @staticmethod
    def of(geometries: NDArray[Any], crs: str) -> tuple[Region, list[str]]:
        """Return the region of polygons, and what had to be repaired or left out.

        Raises
        ------
        ValueError
            If there are other geometries, such as lines, or no polygon at all.
        """
        warnings = []
        empty = shapely.is_missing(geometries) | shapely.is_empty(geometries)
        if empty.any():
            warnings.append(f"{int(empty.sum())} of its features are empty and left out")
        shapes = geometries[~empty]
        others = sorted({each.geom_type for each in shapes} - {*_POLYGONS})
        if others:
            msg = f"has geometries of type {', '.join(others)}; a region is made of polygons"
            raise ValueError(msg)
        _check_degrees(shapes, crs)
        # One by one: repaired together, two that overlap would cancel each other out.
        shapes = shapely.get_parts(shapes)
        invalid = ~shapely.is_valid(shapes)
        if invalid.any():
            reason = shapely.is_valid_reason(shapes[invalid][0])
            warnings.append(f"{int(invalid.sum())} invalid polygons are repaired ({reason})")
            shapes = shapely.make_valid(shapes)
        parts = shapely.get_parts(shapely.get_parts(shapes))
        areas = [each for each in parts if each.geom_type == "Polygon" and each.area > 0]
        if not areas:
            msg = "has no polygon"
            raise ValueError(msg)
        return Region(_around(shapely.union_all(areas), crs), crs), warnings

    def may_reach(self, grid: PixelGrid, size: Resolution) -> bool:
        """Return whether the bounds of the region, in whole pixels, overlap those of a grid."""
        try:
            west, south, east, north = bounds_on_grid(
                np.array([self.shape]), self.crs, grid.crs, size
            )
        except ValueError:
            # Around a pole, or beyond what the CRS of the grid can represent.
            return True
        own, circle = grid.bounds, full_circle(grid.crs)
        if circle is not None and east < west:
            east += circle
        shifts = (0.0,) if circle is None else (-2 * circle, -circle, 0.0, circle, 2 * circle)
        return (south < own[3] and north > own[1]) and any(
            west + shift < own[2] and east + shift > own[0] for shift in shifts
        )

    def contains(self, grid: PixelGrid, window: Window) -> NDArray[np.bool_]:
        """Return which pixel centres of a window of an aligned grid lie in the region.

        Returns
        -------
        Boolean array of the shape of the window.
        """
        y, x = grid.part(window).coords()
        xs, ys = np.meshgrid(x, y)
        if not same_crs(grid.crs, self.crs):
            xs, ys = transformer(grid.crs, self.crs).transform(xs, ys)
        if (circle := full_circle(self.crs)) is not None:
            xs = np.where(xs > circle / 2, xs - circle, np.where(xs < -circle / 2, xs + circle, xs))
        inside = np.zeros(xs.shape, bool)
        shapely.prepare(self.shape)
        for block in _blocks(inside.shape):
            self._fill(inside, xs, ys, block)
        return inside

    def may_contain(self, grid: PixelGrid, window: Window) -> bool:
        """Return whether any pixel centre of a window may lie in the region; quick.

        A sample of the pixels is compared, with a margin as wide as the distance between two.
        """
        y, x = grid.part(window).coords()
        at = [np.linspace(0, len(each) - 1, _SAMPLES).round().astype(int) for each in (y, x)]
        xs, ys = np.meshgrid(x[at[1]], y[at[0]])
        if not same_crs(grid.crs, self.crs):
            xs, ys = transformer(grid.crs, self.crs).transform(xs, ys)
        if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
            return True
        circle = full_circle(self.crs)
        if circle is not None:
            xs = np.where(xs > circle / 2, xs - circle, np.where(xs < -circle / 2, xs + circle, xs))
            # Across the antimeridian, or around a pole.
            if np.ptp(xs) > circle / 2:
                return True
        margins = [
            max(np.abs(np.diff(each, axis=axis)).max(initial=0.0) for axis in (0, 1))
            for each in (xs, ys)
        ]
        around = shapely.box(
            xs.min() - margins[0], ys.min() - margins[1],
            xs.max() + margins[0], ys.max() + margins[1],
        )  # fmt: skip
        shapely.prepare(self.shape)
        return bool(shapely.intersects(self.shape, around))

    def _fill(
        self, inside: NDArray[np.bool_], xs: NDArray[Any], ys: NDArray[Any], block: Window
    ) -> None:
        """Set a block, divided in four unless all of it lies in or out."""
        x, y = xs[block], ys[block]
        if np.isfinite(x).all() and np.isfinite(y).all():
            around = shapely.box(x.min(), y.min(), x.max(), y.max())
            if not shapely.intersects(self.shape, around):
                return
            if shapely.contains_properly(self.shape, around):
                inside[block] = True
                return
        if max(x.shape) <= _BLOCK:
            inside[block] = shapely.intersects_xy(self.shape, x, y)
            return
        for rows in _halves(block[0]):
            for columns in _halves(block[1]):
                self._fill(inside, xs, ys, (rows, columns))


def bounds_on_grid(geometries: NDArray[Any], crs: str, target: str, size: Resolution) -> BBox:
    """Return the bounds of geometries in the CRS of a grid, extended to whole pixels.

    Parameters
    ----------
    geometries, crs
        Geometries of any kind, and their CRS.
    target, size
        CRS and pixel size of the grid, whose edges are multiples of the pixel size.

    Returns
    -------
    West, south, east, north. In a geographic CRS, those of the narrowest range of longitudes: west
    is more than east if it crosses the antimeridian.

    Raises
    ------
    ValueError
        If there is no geometry, or one does not lie in the area of the CRS, or around a pole.
    """
    shapes = geometries[~(shapely.is_missing(geometries) | shapely.is_empty(geometries))]
    if not len(shapes):
        msg = "has no geometry"
        raise ValueError(msg)
    _check_degrees(shapes, crs)
    parts = shapely.get_parts(shapes)
    circle, moved = full_circle(target), not same_crs(crs, target)
    if moved:
        if circle is not None and full_circle(crs) is None:
            _check_no_pole(parts, crs, target)
        west, south, east, north = shapely.total_bounds(parts)
        step = max(east - west, north - south) / _PARTS
        dense = shapely.segmentize(parts, step) if step else parts
        parts = shapely.transform(dense, transformer(crs, target).transform, interleaved=False)
    coordinates, index = shapely.get_coordinates(parts, return_index=True)
    if not np.isfinite(coordinates).all():
        msg = "does not lie in the area that the CRS of the grid can represent"
        raise ValueError(msg)
    low, high = coordinates.min(0), coordinates.max(0)
    x = float(low[0]), float(high[0])
    if circle is not None:
        x = _narrowest(coordinates[:, 0], index, circle, moved)
    width, height = sides(size)
    west, east = _whole(*x, width)
    south, north = _whole(float(low[1]), float(high[1]), height)
    if circle is not None and east > circle / 2 and west < circle / 2:
        crossing = west, south, float(exact(east) - exact(circle)), north
        if unwrapped(crossing, target) != crossing:
            return crossing
    return west, south, east, north


def _check_degrees(shapes: NDArray[Any], crs: str) -> None:
    circle = full_circle(crs)
    if circle is None or not len(shapes):
        return
    west, south, east, north = shapely.total_bounds(shapes)
    if max(-west, east) > circle or max(-south, north) > circle / 4 + 1e-6:
        msg = (
            f"has coordinates beyond longitude and latitude ([{west:g}, {south:g}, {east:g}, "
            f"{north:g}]); its CRS is another one than it states"
        )
        raise ValueError(msg)


def _whole(low: float, high: float, step: float) -> tuple[float, float]:
    """Return the multiples of a step around a range, one step apart at least."""
    size, slack = exact(step), Fraction(1, 10**6)
    first = math.floor(exact(low) / size + slack)
    last = max(math.ceil(exact(high) / size - slack), first + 1)
    return float(first * size), float(last * size)


def _narrowest(
    x: NDArray[np.float64], index: NDArray[Any], circle: float, moved: bool
) -> tuple[float, float]:
    """Return the narrowest range of longitudes that contains all parts, from -180 on or east.

    *moved* are coordinates that were transformed: neighbouring vertices are near each other, unless
    the antimeridian lies between them.
    """
    ranges = []
    for number in range(int(index[-1]) + 1):
        own = x[index == number]
        if moved:
            own = np.unwrap(own, period=circle)
        start = float(own.min())
        shift = -circle * math.floor((start + circle / 2) / circle)
        ranges.append((start + shift, float(own.max()) + shift))
    ranges.sort()
    # The widest gap between ranges, around the earth.
    end, gap, after = ranges[0][1], -1.0, ranges[0][0]
    for low, high in ranges[1:]:
        if low - end > gap:
            gap, after = low - end, low
        end = max(end, high)
    last = ranges[0][0] + circle - end
    if last >= gap:
        return ranges[0][0], min(end, ranges[0][0] + circle)
    before = max(high for low, high in ranges if low < after)
    east = max(before + circle, end)
    return after, east


def _check_no_pole(parts: NDArray[Any], crs: str, target: str) -> None:
    quarter = (full_circle(target) or 360.0) / 4
    for pole in (-quarter, quarter):
        x, y = transformer(target, crs).transform(0.0, pole)
        if math.isfinite(x) and math.isfinite(y) and shapely.intersects_xy(parts, x, y).any():
            msg = "contains a pole; write its bbox as numbers"
            raise ValueError(msg)


def _around(shape: Any, crs: str) -> Any:
    """Return a shape with copies of it where it reaches beyond longitudes -180 to 180."""
    circle = full_circle(crs)
    west, _, east, _ = shapely.bounds(shape)
    if circle is None or (west >= -circle / 2 and east <= circle / 2):
        return shape
    copies = [
        shapely.transform(shape, lambda at, by=by: np.add(at, (by, 0)))
        for by in (-circle, 0, circle)
    ]
    return shapely.union_all(copies)


def _blocks(shape: tuple[int, ...]) -> Iterator[Window]:
    if all(shape):
        yield slice(0, shape[0]), slice(0, shape[1])


def _halves(part: slice) -> Iterator[slice]:
    middle = (part.start + part.stop + 1) // 2
    for start, stop in ((part.start, middle), (middle, part.stop)):
        if start < stop:
            yield slice(start, stop)
