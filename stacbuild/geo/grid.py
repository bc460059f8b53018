"""The grid of a cube: the only place where pixels are counted.

A grid is made of exact numbers: its corner and its resolution are kept as the fractions that the
configuration's decimals stand for, and every coordinate is rounded once, from the exact value.
So no coordinate drifts, and a part cut out of a grid has the very coordinates of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyproj
from affine import Affine
from odc.geo.geobox import GeoBox

from stacbuild.errors import ConfigError
from stacbuild.geo.bbox import BBox, check_crs, count_pixels, crs_of, exact

# Pixels of a file count as square, and as falling on another's, if they are off by no more than
# this many pixels: what transforms written with nine digits are.
_SQUARE = 1e-3


class Stated(Protocol):
    """A grid as a configuration states it."""

    @property
    def identifier(self) -> str:
        """Its name."""

    @property
    def bbox(self) -> BBox:
        """West, south, east, north in units of the CRS."""

    @property
    def spatial_res(self) -> float:
        """Length of a pixel's side, in units of the CRS."""

    @property
    def crs(self) -> str:
        """The CRS, such as ``EPSG:4326``."""

    @property
    def tile_size(self) -> tuple[int, int]:
        """Columns and rows of a chunk."""


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
    name
        Its identifier in the configuration, or of which source it is; for messages.
    """

    west: Fraction
    north: Fraction
    step: Fraction
    shape: tuple[int, int]
    epsg: int
    tile: tuple[int, int]
    note: str = ""
    name: str = field(default="", compare=False)

    @classmethod
    def from_mapping(cls, mapping: Stated) -> Grid:
        """Make the grid that *mapping* describes.

        The north-west corner is that of the box. A box that is no whole number of pixels grows
        to the south and east, and ``note`` says so.
        """
        west, south, east, north = mapping.bbox
        columns, exact_x = count_pixels(west, east, mapping.spatial_res)
        rows, exact_y = count_pixels(south, north, mapping.spatial_res)
        width, height = mapping.tile_size
        grid = cls(
            west=exact(west),
            north=exact(north),
            step=exact(mapping.spatial_res),
            shape=(rows, columns),
            epsg=check_crs(mapping.crs),
            tile=(min(height, rows), min(width, columns)),
            name=mapping.identifier,
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
        step = exact(abs(a))
        return cls(
            west=exact(c) if a > 0 else exact(c) - columns * step,
            north=exact(f) if e < 0 else exact(f) + rows * step,
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
        return replace(self, west=exact(x) - half, north=exact(y) + half, shape=(1, 1), tile=(1, 1))

    @property
    def crs(self) -> pyproj.CRS:
        """The CRS."""
        return crs_of(self.epsg)

    @property
    def dims(self) -> tuple[str, str]:
        """``("lat", "lon")`` in a geographic CRS, ``("y", "x")`` else."""
        return ("lat", "lon") if self.crs.is_geographic else ("y", "x")

    @property
    def resolution(self) -> float:
        """Length of a pixel's side, in units of the CRS."""
        return float(self.step)

    @property
    def bounds(self) -> BBox:
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

    def cut(self, bbox: BBox) -> Grid:
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


def _affine(west: Fraction, north: Fraction, step: Fraction) -> Affine:
    return Affine(float(step), 0.0, float(west), 0.0, -float(step), float(north))


def _centres(start: Fraction, step: Fraction, count: int) -> npt.NDArray[np.float64]:
    # Over one denominator all are integers, and Python rounds a quotient of integers correctly.
    scale = 2 * math.lcm(start.denominator, step.denominator)
    first, stride = int((start + step / 2) * scale), int(step * scale)
    return np.array([(first + i * stride) / scale for i in range(count)], dtype=np.float64)
