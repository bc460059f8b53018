"""Define the grid of any raster, and the grid of a cube, whose numbers are exact.

A `PixelGrid` has a CRS, an affine transform and a shape. It describes the pixels of a file, a Zarr
store, a block of pixels or a cube. `Grid` is the grid of a cube: its corner and its resolution are
the exact fractions of the decimals in the configuration, and every coordinate is rounded once, from
the exact value. So no coordinate drifts, and a part of a grid has exactly the coordinates of the
whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from stacbuild.errors import ConfigError
from stacbuild.geo.bbox import BBox, Resolution, count_pixels, exact, sides, unwrapped
from stacbuild.geo.crs import full_circle, short_crs
from stacbuild.geo.crs_text import canonical_crs, is_code, spatial_dims

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

# Pixels of a file count as square, and as aligned with another's, within this many pixels: the
# error of transforms that are written with nine digits.
_MAX_OFFSET = 1e-3

Window = tuple[slice, slice]
"""Rows and columns of a grid."""

Floats = NDArray[np.float64]

Transform = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class PixelGrid:
    """Georeferenced pixels: a CRS, an affine transform and a shape.

    Parameters
    ----------
    crs
        ``EPSG:<code>``, the code of another authority, or WKT.
    transform
        The six numbers ``a, b, c, d, e, f`` from (column, row) of a pixel's corner to (x, y).
    shape
        Rows and columns.
    """

    crs: str
    transform: Transform
    shape: tuple[int, int]

    @staticmethod
    def from_affine(crs: str, transform: Sequence[float], shape: Sequence[int]) -> PixelGrid:
        """Return the grid of an `affine.Affine`, or of the first six numbers of a transform."""
        a, b, c, d, e, f = map(float, transform[:6])
        rows, columns = shape
        return PixelGrid(crs, (a, b, c, d, e, f), (rows, columns))

    @staticmethod
    def from_properties(properties: Mapping[str, Any]) -> PixelGrid:
        """Return the grid that the ``proj:*`` fields of a STAC item describe."""
        crs = properties.get("proj:code") or properties["proj:wkt2"]
        return PixelGrid.from_affine(crs, properties["proj:transform"], properties["proj:shape"])

    @staticmethod
    def from_geobox(geobox: GeoBox) -> PixelGrid:
        """Return the grid of an `odc.geo.geobox.GeoBox`; ValueError if it has no CRS."""
        if geobox.crs is None:
            msg = "the GeoBox has no CRS"
            raise ValueError(msg)
        return PixelGrid.from_affine(str(geobox.crs), geobox.affine, geobox.shape)

    @property
    def geobox(self) -> GeoBox:
        """The grid as an `odc.geo.geobox.GeoBox`."""
        # Imported when used, as it takes longer than all other imports of this module.
        from odc.geo.geobox import GeoBox

        return GeoBox(self.shape, self.affine, self.crs)

    @property
    def affine(self) -> Affine:
        """The transform as an `affine.Affine`."""
        return Affine(*self.transform)

    @property
    def is_aligned(self) -> bool:
        """Whether the axes are parallel to x and y: neither rotated nor skewed."""
        return self.transform[1] == 0 and self.transform[3] == 0

    @property
    def bounds(self) -> BBox:
        """Outer edges of the pixels: west, south, east, north, in the CRS."""
        rows, columns = self.shape
        a, b, c, d, e, f = self.transform
        corners = (0, 0), (0, rows), (columns, rows), (columns, 0)
        # In the order of `Affine`, whose result this is; making one takes longer.
        xs = [col * a + row * b + c for col, row in corners]
        ys = [col * d + row * e + f for col, row in corners]
        return min(xs), min(ys), max(xs), max(ys)

    def coords(self) -> tuple[Floats, Floats]:
        """Return y (rows,) and x (columns,) of the pixel centres of an aligned grid."""
        a, _, c, _, e, f = self.transform
        rows, columns = (np.arange(length, dtype=np.float64) + 0.5 for length in self.shape)
        return f + e * rows, c + a * columns

    def window_of(self, bbox: BBox, slack: float = 0.0) -> Window | None:
        """Return the rows and columns whose centres lie in *bbox*, None if there are none.

        The west and north edges are inclusive, the east and south edges exclusive, so that adjacent
        bboxes share no pixel.

        Parameters
        ----------
        bbox
            West, south, east, north in the CRS of the grid, which is aligned.
        slack
            Distance, in units of the CRS, to the west of an edge at which a centre counts as on it.
        """
        west, south, east, north = bbox
        y, x = self.coords()
        rows = np.flatnonzero((y > south) & (y <= north))
        columns = np.flatnonzero((x >= west - slack) & (x < east - slack))
        if not rows.size or not columns.size:
            return None
        return (
            slice(int(rows[0]), int(rows[-1]) + 1),
            slice(int(columns[0]), int(columns[-1]) + 1),
        )

    def part(self, window: Window) -> PixelGrid:
        """Return the grid of a window, which may extend beyond the first and last pixels."""
        rows, columns = window
        a, b, c, d, e, f = self.transform
        top, left = rows.start, columns.start
        corner = c + a * left + b * top, f + d * left + e * top
        shape = rows.stop - top, columns.stop - left
        return PixelGrid(self.crs, (a, b, corner[0], d, e, corner[1]), shape)

    def moved(self, distance: float) -> PixelGrid:
        """Return the grid shifted along x by a distance in units of the CRS."""
        a, b, c, d, e, f = self.transform
        return PixelGrid(self.crs, (a, b, c + distance, d, e, f), self.shape)


class Stated(Protocol):
    """Protocol of a grid's definition in a configuration."""

    @property
    def identifier(self) -> str:
        """Its name."""

    @property
    def spatial_res(self) -> Resolution:
        """Width and height of a pixel, one number if they are equal, in units of the CRS."""

    @property
    def crs(self) -> str:
        """The CRS, in any form that `stacbuild.geo.crs_text.canonical_crs` parses."""

    @property
    def tile_size(self) -> tuple[int, int]:
        """Columns and rows of a chunk."""


@dataclass(frozen=True)
class Grid(PixelGrid):
    """Pixels that are north up; longitudes of a grid across the antimeridian continue beyond 180.

    Parameters
    ----------
    crs
        As `stacbuild.geo.crs_text.canonical_crs` returns it.
    shape
        Rows and columns.
    west, north
        The north-west corner of the north-west pixel, in units of the CRS.
    width, height
        Lengths of a pixel's sides along x and y, in units of the CRS.
    tile
        Rows and columns of a chunk, at most those of the grid.
    note
        How the bbox was extended to a whole number of pixels, empty if it was not.
    name
        Its identifier in the configuration, or the name of its source; for messages.
    shards
        Whether tiles are shards, or rows and columns of the chunks in them.

    Attributes
    ----------
    transform
        From column and row to x and y of a pixel's north-west corner, each number rounded once.
    """

    transform: Transform = field(init=False)
    west: Fraction
    north: Fraction
    width: Fraction
    height: Fraction
    tile: tuple[int, int]
    note: str = ""
    name: str = field(default="", compare=False)
    shards: bool | tuple[int, int] = False

    def __post_init__(self) -> None:
        width, height = self.resolution
        transform = width, 0.0, float(self.west), 0.0, -height, float(self.north)
        object.__setattr__(self, "transform", transform)

    def __hash__(self) -> int:
        # That of its fractions takes longer than many an answer that is cached by it.
        return hash((self.crs, self.transform, self.shape))

    @classmethod
    def from_mapping(cls, mapping: Stated, bbox: BBox) -> Grid:
        """Return the grid that *mapping* describes, of an area.

        The north-west corner is that of the bbox. A bbox that is not a whole number of pixels is
        extended to the south and east, and ``note`` records it.

        Parameters
        ----------
        bbox
            West, south, east, north in units of the CRS. In a geographic CRS, west may be more than
            east: the grid crosses the antimeridian.
        """
        crs = canonical_crs(mapping.crs)
        width, height = sides(mapping.spatial_res)
        west, south, east, north = unwrapped(bbox, crs)
        columns, exact_x = count_pixels(west, east, width)
        rows, exact_y = count_pixels(south, north, height)
        tile_width, tile_height = mapping.tile_size
        grid = cls(
            crs=crs,
            shape=(rows, columns),
            west=exact(west),
            north=exact(north),
            width=exact(width),
            height=exact(height),
            tile=(min(tile_height, rows), min(tile_width, columns)),
            name=mapping.identifier,
        )
        if exact_x and exact_y:
            return grid
        pixel = mapping.spatial_res if width == height else f"{width} x {height}"
        note = (
            f"bbox {list(bbox)} is not a whole number of pixels of {pixel}; "
            f"it grows to {list(grid.bounds)} ({rows} x {columns} pixels)"
        )
        return replace(grid, note=note)

    @classmethod
    def from_pixels(cls, grid: PixelGrid, tile: tuple[int, int]) -> Grid:
        """Return the cube grid with the pixels of another grid, north up.

        Raises
        ------
        ValueError
            If the grid is rotated or skewed.
        """
        a, _, c, _, e, f = grid.transform
        rows, columns = grid.shape
        if not grid.is_aligned:
            msg = "its grid is rotated or skewed"
            raise ValueError(msg)
        width, height = exact(abs(a)), exact(abs(e))
        # Over the whole grid, as the differences of single pixels add up.
        if abs(height / width - 1) * max(grid.shape) <= _MAX_OFFSET:
            height = width
        return cls(
            crs=canonical_crs(grid.crs),
            shape=(rows, columns),
            west=exact(c) if a > 0 else exact(c) - columns * width,
            north=exact(f) if e < 0 else exact(f) + rows * height,
            width=width,
            height=height,
            tile=(min(tile[0], rows), min(tile[1], columns)),
        )

    def union(self, others: Sequence[Grid]) -> Grid:
        """Return the smallest grid that contains this one and *others*, with the same pixels.

        Raises
        ------
        ValueError
            If their pixels are not aligned with each other.
        """
        tops, lefts, bottoms, rights = [0], [0], [self.shape[0]], [self.shape[1]]
        for other in others:
            top = (self.north - other.north) / self.height
            left = (other.west - self.west) / self.width
            offset = max(abs(top - round(top)), abs(left - round(left)))
            drift = max(
                abs(other.height / self.height - 1) * other.shape[0],
                abs(other.width / self.width - 1) * other.shape[1],
            )
            if max(offset, drift) > _MAX_OFFSET:
                msg = "the pixels of its files do not fall on each other"
                raise ValueError(msg)
            tops.append(round(top))
            lefts.append(round(left))
            bottoms.append(tops[-1] + other.shape[0])
            rights.append(lefts[-1] + other.shape[1])
        tile = tuple(max(each.tile[axis] for each in (self, *others)) for axis in (0, 1))
        whole = slice(min(tops), max(bottoms)), slice(min(lefts), max(rights))
        return replace(self, tile=(tile[0], tile[1])).part(whole)

    def pixel_at(self, x: float, y: float) -> Grid:
        """Return the grid of one pixel of this size, centred at *x*, *y* (in the grid's CRS)."""
        west, north = exact(x) - self.width / 2, exact(y) + self.height / 2
        return replace(self, west=west, north=north, shape=(1, 1), tile=(1, 1))

    @property
    def epsg(self) -> int | None:
        """EPSG code of the CRS; None if it has none."""
        authority, _, code = self.crs.partition(":") if is_code(self.crs) else ("", "", "")
        return int(code) if authority == "EPSG" else None

    @property
    def dims(self) -> tuple[str, str]:
        """``("lat", "lon")`` in a geographic CRS, ``("y", "x")`` otherwise."""
        return spatial_dims(self.crs)

    @property
    def resolution(self) -> tuple[float, float]:
        """Width and height of a pixel, in units of the CRS."""
        return float(self.width), float(self.height)

    @property
    def bounds(self) -> BBox:
        """Outer edges of the grid: west, south, east, north."""
        rows, columns = self.shape
        south, east = self.north - rows * self.height, self.west + columns * self.width
        return float(self.west), float(south), float(east), float(self.north)

    def coords(self) -> tuple[Floats, Floats]:
        """Return the pixel centres: y (rows,) descending and x (columns,) ascending.

        Each is the double nearest to the exact value.
        """
        rows, columns = self.shape
        return _centres(self.north, -self.height, rows), _centres(self.west, self.width, columns)

    def part(self, window: Window) -> Grid:
        """Return the grid of a window, with exactly the coordinates of the whole grid."""
        rows, columns = window
        shape = rows.stop - rows.start, columns.stop - columns.start
        return replace(
            self,
            west=self.west + columns.start * self.width,
            north=self.north - rows.start * self.height,
            shape=shape,
            tile=(min(self.tile[0], shape[0]), min(self.tile[1], shape[1])),
        )

    def cut(self, bbox: BBox) -> Grid:
        """Return the part of the grid whose pixel centres lie in *bbox* (see `window_of`).

        In a geographic CRS, *bbox* may be given in any range of longitudes, and west may be more
        than east.

        Raises
        ------
        ConfigError
            If no pixel centre lies in *bbox*, or those in it lie at both ends of the grid.
        """
        west, south, east, north = unwrapped(bbox, self.crs)
        crs = short_crs(self.crs)
        if west > east:
            raise ConfigError(f"bbox {list(bbox)}: west has to be less than east in {crs}")
        circle = full_circle(self.crs)
        shifts = [0.0] if circle is None else [0.0, circle, -circle]
        windows = [self.window_of((west + by, south, east + by, north)) for by in shifts]
        found = [window for window in windows if window is not None]
        where = f"which covers {list(self.bounds)} (west, south, east, north in {crs})"
        if not found:
            raise ConfigError(f"bbox {list(bbox)} contains no pixel centre of the grid, {where}")
        if len(found) > 1:
            raise ConfigError(
                f"bbox {list(bbox)} contains pixels at both ends of the grid, {where}; build "
                "two parts"
            )
        return self.part(found[0])


def _centres(start: Fraction, step: Fraction, count: int) -> Floats:
    # With a common denominator all are integers, and Python rounds their quotients correctly.
    scale = 2 * math.lcm(start.denominator, step.denominator)
    first, stride = int((start + step / 2) * scale), int(step * scale)
    return np.array([(first + i * stride) / scale for i in range(count)], dtype=np.float64)
