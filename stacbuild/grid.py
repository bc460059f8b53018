"""The grid of a cube: the only place where pixels are counted.

A grid is made of exact numbers: its corner and its resolution are kept as the fractions that the
configuration's decimals stand for, and every coordinate is rounded once, from the exact value.
So no coordinate drifts, and a part cut out of a grid has the very coordinates of the whole.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyproj
from affine import Affine
from odc.geo.geobox import GeoBox

from stacbuild.errors import ConfigError

if TYPE_CHECKING:
    from stacbuild.config.models import GridMapping

Box = tuple[float, float, float, float]
"""West, south, east, north."""

TOLERANCE = 1e-6
"""A box within this many pixels of a whole number of them is taken as that number."""

MAX_SIDE = 2**31 - 1

# Pixels of a file count as square, and as falling on another's, if they are off by no more than
# this many pixels: what transforms written with nine digits are.
_SQUARE = 1e-3

# Degrees beyond its area of use at which a CRS is taken for the wrong one. Wide enough for the
# neighbouring UTM zone, too narrow for degrees given where metres are due.
_MARGIN = 10.0


@dataclass(frozen=True)
class Grid:
    """Square pixels, north up.

    Parameters
    ----------
    west, north
        The north-west corner of the north-west pixel, in units of the CRS.
    step
        Length of a pixel's side, in units of the CRS.
    shape
        Rows and columns.
    epsg
        EPSG code of the CRS.
    tile
        Rows and columns of a chunk, at most those of the grid.
    note
        What was changed to make the box a whole number of pixels, empty if nothing.
    """

    west: Fraction
    north: Fraction
    step: Fraction
    shape: tuple[int, int]
    epsg: int
    tile: tuple[int, int]
    note: str = ""

    @classmethod
    def from_mapping(cls, mapping: GridMapping) -> Grid:
        """Make the grid that *mapping* describes.

        The north-west corner is that of the box. A box that is no whole number of pixels grows
        to the south and east, and ``note`` says so.
        """
        west, south, east, north = mapping.bbox
        columns, exact_x = _count(west, east, mapping.spatial_res)
        rows, exact_y = _count(south, north, mapping.spatial_res)
        width, height = mapping.tile_size
        grid = cls(
            west=_exact(west),
            north=_exact(north),
            step=_exact(mapping.spatial_res),
            shape=(rows, columns),
            epsg=check_crs(mapping.crs),
            tile=(min(height, rows), min(width, columns)),
        )
        if exact_x and exact_y:
            return grid
        note = (
            f"bbox {list(mapping.bbox)} is no whole number of pixels of {mapping.spatial_res}; "
            f"it grows to {list(grid.bounds)} ({rows} x {columns} pixels)"
        )
        return replace(grid, note=note)

    @classmethod
    def from_transform(
        cls,
        transform: Sequence[float],
        shape: tuple[int, int],
        epsg: int,
        tile: tuple[int, int],
    ) -> Grid:
        """Make the grid of pixels that lie as an affine transform says, turned north up.

        Parameters
        ----------
        transform
            The six numbers ``a, b, c, d, e, f`` from (column, row) of a pixel's corner to (x, y).
        shape
            Rows and columns.

        Raises
        ------
        ValueError
            If the pixels are not square, or rows do not run along x.
        """
        a, b, c, d, e, f = transform[:6]
        rows, columns = shape
        if b or d:
            msg = "its pixels lie askew"
            raise ValueError(msg)
        # Of the whole height, as what a pixel is too short adds up.
        if abs(abs(e) / abs(a) - 1) * max(shape) > _SQUARE:
            msg = f"its pixels are not square ({abs(a):.9g} x {abs(e):.9g})"
            raise ValueError(msg)
        step = _exact(abs(a))
        return cls(
            west=_exact(c) if a > 0 else _exact(c) - columns * step,
            north=_exact(f) if e < 0 else _exact(f) + rows * step,
            step=step,
            shape=(rows, columns),
            epsg=epsg,
            tile=(min(tile[0], rows), min(tile[1], columns)),
        )

    def union(self, others: Sequence[Grid]) -> Grid:
        """Return the smallest grid that holds this one and *others*, pixel upon pixel.

        Raises
        ------
        ValueError
            If their pixels do not fall on each other.
        """
        tops, lefts, bottoms, rights = [0], [0], [self.shape[0]], [self.shape[1]]
        for other in others:
            top, left = (self.north - other.north) / self.step, (other.west - self.west) / self.step
            off = max(abs(top - round(top)), abs(left - round(left)))
            if off > _SQUARE or abs(other.step / self.step - 1) * max(other.shape) > _SQUARE:
                msg = "the pixels of its files do not fall on each other"
                raise ValueError(msg)
            tops.append(round(top))
            lefts.append(round(left))
            bottoms.append(tops[-1] + other.shape[0])
            rights.append(lefts[-1] + other.shape[1])
        shape = (max(bottoms) - min(tops), max(rights) - min(lefts))
        tile = tuple(max(each.tile[axis] for each in (self, *others)) for axis in (0, 1))
        return replace(
            self,
            west=self.west + min(lefts) * self.step,
            north=self.north - min(tops) * self.step,
            shape=shape,
            tile=(tile[0], tile[1]),
        )

    def pixel_at(self, x: float, y: float) -> Grid:
        """Return the one pixel of this size whose centre is at *x*, *y* (in the grid's CRS)."""
        half = self.step / 2
        return replace(
            self, west=_exact(x) - half, north=_exact(y) + half, shape=(1, 1), tile=(1, 1)
        )

    @property
    def crs(self) -> pyproj.CRS:
        """The CRS."""
        return _crs(self.epsg)

    @property
    def dims(self) -> tuple[str, str]:
        """``("lat", "lon")`` in a geographic CRS, ``("y", "x")`` else."""
        return ("lat", "lon") if self.crs.is_geographic else ("y", "x")

    @property
    def resolution(self) -> float:
        """Length of a pixel's side, in units of the CRS."""
        return float(self.step)

    @property
    def bounds(self) -> Box:
        """Outer edges of the grid: west, south, east, north."""
        rows, columns = self.shape
        edges = (
            self.west,
            self.north - rows * self.step,
            self.west + columns * self.step,
            self.north,
        )
        west, south, east, north = (float(edge) for edge in edges)
        return west, south, east, north

    @property
    def transform(self) -> Affine:
        """From column and row to x and y of a pixel's north-west corner."""
        return _affine(self.west, self.north, self.step)

    @cached_property
    def geobox(self) -> GeoBox:
        """The grid in the terms of odc-geo."""
        return GeoBox(self.shape, self.transform, f"EPSG:{self.epsg}")

    def coords(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the pixel centres: y (rows,) descending and x (columns,) ascending.

        Each is the double nearest to the exact value.
        """
        rows, columns = self.shape
        return _centres(self.north, -self.step, rows), _centres(self.west, self.step, columns)

    def cut(self, bbox: Box) -> Grid:
        """Return the part of the grid whose pixel centres lie in *bbox* (W, S, E, N in its CRS).

        A centre on the west or north edge belongs to the box, on the east or south edge not, so
        that neighbouring boxes share no pixel.

        Raises
        ------
        ConfigError
            If there is no such pixel.
        """
        west, south, east, north = bbox
        y, x = self.coords()
        rows = np.flatnonzero((y > south) & (y <= north))
        columns = np.flatnonzero((x >= west) & (x < east))
        if not rows.size or not columns.size:
            raise ConfigError(
                f"the box {list(bbox)} holds no pixel of the grid, which covers "
                f"{list(self.bounds)} (west, south, east, north in EPSG:{self.epsg})"
            )
        shape = (int(rows.size), int(columns.size))
        return replace(
            self,
            west=self.west + int(columns[0]) * self.step,
            north=self.north - int(rows[0]) * self.step,
            shape=shape,
            tile=(min(self.tile[0], shape[0]), min(self.tile[1], shape[1])),
        )

    def tiles(self) -> Iterator[tuple[slice, slice]]:
        """Yield the rows and columns of every chunk, from the north-west, row by row."""
        rows, columns = self.shape
        height, width = self.tile
        for top in range(0, rows, height):
            for left in range(0, columns, width):
                yield (
                    slice(top, min(top + height, rows)),
                    slice(left, min(left + width, columns)),
                )

    def window(self, rows: slice, columns: slice) -> GeoBox:
        """Return the part of the grid in *rows* and *columns*, in the terms of odc-geo."""
        top, bottom, _ = rows.indices(self.shape[0])
        left, right, _ = columns.indices(self.shape[1])
        transform = _affine(self.west + left * self.step, self.north - top * self.step, self.step)
        return GeoBox((bottom - top, right - left), transform, f"EPSG:{self.epsg}")


def check_crs(text: str) -> int:
    """Return the EPSG code of a CRS written as ``EPSG:<code>``.

    Raises
    ------
    ValueError
        If it is not written so, unknown, or not a geographic or projected CRS of two axes.
    """
    match = re.fullmatch(r"epsg:(\d{1,9})", text.strip(), re.IGNORECASE)
    if match is None:
        msg = f"{text!r} is no EPSG code; write it like EPSG:4326 or EPSG:3035"
        raise ValueError(msg)
    code = int(match[1])
    try:
        crs = _crs(code)
    except pyproj.exceptions.CRSError:
        msg = f"EPSG:{code} is no known coordinate reference system"
        raise ValueError(msg) from None
    if len(crs.axis_info) != 2 or not (crs.is_geographic or crs.is_projected):
        msg = f"EPSG:{code} ({crs.name}) has no two horizontal axes; a grid needs them"
        raise ValueError(msg)
    return code


def square(point: tuple[float, float], width: float, crs: str) -> Box:
    """Return west, south, east, north of a square around a point, in its CRS.

    *width* is in metres, along geodesics from the point to the north, east, south and west if the
    CRS is geographic, and in units of the CRS else, which are taken for metres.
    """
    x, y = point
    known = _crs(check_crs(crs))
    if not known.is_geographic:
        return x - width / 2, y - width / 2, x + width / 2, y + width / 2
    geod = known.get_geod()
    assert geod is not None  # noqa: S101 - a geographic CRS has an ellipsoid
    lon, lat, _ = geod.fwd([x] * 4, [y] * 4, [0, 90, 180, 270], [width / 2] * 4)
    return float(lon[3]), float(lat[2]), float(lon[1]), float(lat[0])


def check_box(box: Box, crs: str | None, resolution: float | None) -> None:
    """Check that *box* is sound, in the area of its CRS, and holds a pixel at least.

    *crs* and *resolution* are none when they are wrong themselves; then less is checked.

    Raises
    ------
    ValueError
        Saying what is wrong with the box.
    """
    west, south, east, north = box
    if west >= east:
        msg = f"west ({west}) has to be less than east ({east})"
        if crs is not None and _crs(check_crs(crs)).is_geographic and west > east:
            msg += "; a box across the antimeridian is not supported yet, make two grids"
        raise ValueError(msg)
    if south >= north:
        msg = f"south ({south}) has to be less than north ({north}): [west, south, east, north]"
        raise ValueError(msg)
    if resolution is not None:
        for low, high, side in ((west, east, "width"), (south, north, "height")):
            pixels = (high - low) / resolution
            if pixels < 1 - TOLERANCE:
                msg = f"its {side} of {high - low} is less than one pixel of {resolution}"
                raise ValueError(msg)
            if pixels > MAX_SIDE:
                msg = f"its {side} of {high - low} is {pixels:.3g} pixels of {resolution}: too many"
                raise ValueError(msg)
    if crs is None:
        return
    epsg = check_crs(crs)
    _check_area(box, epsg)
    if resolution is not None:
        # Growing to whole pixels may lead beyond the pole or the antimeridian.
        columns, fits_x = _count(west, east, resolution)
        rows, fits_y = _count(south, north, resolution)
        grown_east = east if fits_x else round(west + columns * resolution, 9)
        grown_south = south if fits_y else round(north - rows * resolution, 9)
        _check_area((west, grown_south, grown_east, north), epsg, "grown to whole pixels, ")


def _check_area(box: Box, epsg: int, when: str = "") -> None:
    crs = _crs(epsg)
    west, south, east, north = box
    if crs.is_geographic:
        slack = 1e-6
        if west < -180 - slack or east > 180 + slack or south < -90 - slack or north > 90 + slack:
            msg = (
                f"{when}{list(box)} reaches beyond longitude -180 to 180 and latitude -90 to 90 "
                f"(EPSG:{epsg} is in degrees; [west, south, east, north])"
            )
            raise ValueError(msg)
        degrees = box
    else:
        to_degrees = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
        degrees = to_degrees.transform_bounds(*box)
        if not all(math.isfinite(edge) for edge in degrees):
            msg = f"{list(box)} lies outside of what EPSG:{epsg} ({crs.name}) can represent"
            raise ValueError(msg)
    area = crs.area_of_use
    # An area across the antimeridian has its west east of its east; nothing to compare then.
    if area is None or area.west > area.east or degrees[0] > degrees[2]:
        return
    if (
        degrees[2] < area.west - _MARGIN
        or degrees[0] > area.east + _MARGIN
        or degrees[3] < area.south - _MARGIN
        or degrees[1] > area.north + _MARGIN
    ):
        where = ", ".join(f"{edge:.4g}" for edge in degrees)
        msg = (
            f"{list(box)} lies far outside of the area of EPSG:{epsg} ({crs.name}): at [{where}] "
            f"in degrees, while that area is {list(area.bounds)}; check the units and the order"
        )
        raise ValueError(msg)


@lru_cache(maxsize=64)
def _crs(epsg: int) -> pyproj.CRS:
    return pyproj.CRS.from_epsg(epsg)


def _count(low: float, high: float, step: float) -> tuple[int, bool]:
    """Return how many steps it takes from *low* to *high* at the least, and if they fit."""
    pixels = (_exact(high) - _exact(low)) / _exact(step)
    nearest = round(pixels)
    if nearest >= 1 and abs(pixels - nearest) <= TOLERANCE:
        return nearest, True
    return math.ceil(pixels), False


def _exact(value: float) -> Fraction:
    # The decimal as written, 0.00025, not the double next to it.
    return Fraction(repr(float(value)))


def _affine(west: Fraction, north: Fraction, step: Fraction) -> Affine:
    return Affine(float(step), 0.0, float(west), 0.0, -float(step), float(north))


def _centres(start: Fraction, step: Fraction, count: int) -> npt.NDArray[np.float64]:
    # Over one denominator all are integers, and Python rounds a quotient of integers correctly.
    scale = 2 * math.lcm(start.denominator, step.denominator)
    first, stride = int((start + step / 2) * scale), int(step * scale)
    return np.array([(first + i * stride) / scale for i in range(count)], dtype=np.float64)
