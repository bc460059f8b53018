"""Random grids over an input, and where a grid's pixels lie on it: pyproj, each pixel by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray

from tests.fuzz.inputs import Chance, Input, Json, unit_length

Floats = NDArray[np.float64]
_CRSS = [4326, 3035, 3857, 32632, 3413, 3031, 4258, 6933, 2056, 32755]
_SIDE = 60


@dataclass(frozen=True)
class Target:
    """The grid of a cube: north up, of square pixels.

    ``config`` is what stands in the configuration.
    """

    crs: pyproj.CRS
    x: Floats
    y: Floats
    config: Json

    @property
    def step(self) -> float:
        """A pixel's side."""
        return float(self.config["spatial_res"])


def target(chance: Chance, given: Input) -> Target | None:
    """Return a random grid that lies on the input, in part at least; None for its own grid."""
    if chance.happens(0.2):
        return None
    own = given.crs.to_epsg()
    codes = [*_CRSS, *([own] * 5 if own in _CRSS else [])]
    chance.rng.shuffle(codes)
    for epsg in codes:
        found = _placed(chance, given, epsg)
        if found is not None:
            return found
    return None


def _placed(chance: Chance, given: Input, epsg: int) -> Target | None:
    crs = pyproj.CRS.from_epsg(epsg)
    rows, cols = given.shape
    at = given.transform * (cols * chance.between(0.2, 0.8), rows * chance.between(0.2, 0.8))
    x, y = transformer(given.crs, crs).transform(*at)
    lon, lat = transformer(given.crs, pyproj.CRS.from_epsg(4326)).transform(*at)
    area = crs.area_of_use
    inside = area.west <= lon <= area.east and area.south + 1 <= lat <= area.north - 1
    if not (inside and math.isfinite(x) and math.isfinite(y)):
        return None
    if crs.is_geographic:
        x = (x + 180) % 360 - 180
    metres = math.sqrt(abs(given.transform.determinant)) * unit_length(given.crs)
    step = float(f"{chance.of([0.3, 0.7, 1, 1, 1, 1.5, 3]) * metres / unit_length(crs):.2g}")
    aligned = given.crs.equals(crs, ignore_axis_order=True) and chance.happens(0.6)
    if aligned:
        step = abs(given.transform.a) * chance.of([1, 1, 2, 0.5])
    width, height = (int(chance.rng.integers(1, _SIDE)) for _ in range(2))
    west, north = (round(v / step) * step for v in (x - width * step / 2, y + height * step / 2))
    if aligned:
        west = given.transform.c + round((west - given.transform.c) / step) * step
        north = given.transform.f + round((north - given.transform.f) / step) * step
    elif chance.happens(0.5):
        west, north = west + step / 3, north - step / 7
    west, north = round(west, 9), round(north, 9)
    if crs.is_geographic:
        west, north = max(west, -180.0), min(north, 90.0)
        width = max(1, min(width, int((180 - west) / step)))
        height = max(1, min(height, int((north + 90) / step)))
    bbox = [west, round(north - height * step, 9), round(west + width * step, 9), north]
    if bbox[0] + 0.99 * step > bbox[2] or bbox[1] + 0.99 * step > bbox[3]:
        return None
    if crs.is_geographic and (bbox[1] < -90 or bbox[2] > 180):
        return None
    corners = transformer(crs, crs.geodetic_crs).transform_bounds(*bbox)
    if not all(map(math.isfinite, corners)):
        return None
    config = {"identifier": "grid", "crs": f"EPSG:{epsg}", "bbox": bbox, "spatial_res": step}
    config["tile_size"] = chance.of([[16, 16], [37, 23], [64, 64], [1024, 1024]])
    return of_config(config)


def of_config(config: Json) -> Target:
    """Return the grid of a mapping of a configuration."""
    west, south, east, north = (Fraction(repr(float(v))) for v in config["bbox"])
    step = Fraction(repr(float(config["spatial_res"])))
    columns, rows = (count(low, high, step) for low, high in ((west, east), (south, north)))
    x = np.array([float(west + (2 * n + 1) * step / 2) for n in range(columns)])
    y = np.array([float(north - (2 * n + 1) * step / 2) for n in range(rows)])
    return Target(pyproj.CRS(config["crs"]), x, y, config)


def count(low: Fraction, high: Fraction, step: Fraction) -> int:
    """Return how many pixels cover a length; a millionth too few is none too few."""
    pixels = (high - low) / step
    near = round(pixels)
    return near if near >= 1 and abs(pixels - near) < Fraction(1, 10**6) else math.ceil(pixels)


def transformer(source: pyproj.CRS, to: pyproj.CRS) -> pyproj.Transformer:
    """Return the transformer, x before y."""
    return pyproj.Transformer.from_crs(source, to, always_xy=True)


@dataclass(frozen=True)
class Positions:
    """Fractional rows and columns of an input at places of a grid; NaN where there is none.

    ``period`` is how many columns it takes around the earth, for an input in degrees.
    """

    row: Floats
    col: Floats
    period: float | None

    def near_seam(self, within: float) -> NDArray[np.bool_]:
        """Return where a position lies so near to where columns begin anew."""
        if self.period is None:
            return np.zeros(self.col.shape, bool)
        off = np.minimum(self.col, self.period - self.col)
        return np.asarray(off < within)


def positions(given: Input, grid: Target, parts: int = 1, stretch: float = 1.0) -> Positions:
    """Return where centres of a grid's pixels lie on an input.

    Parameters
    ----------
    parts
        Small pixels along a pixel's side.
    stretch
        How much larger than a pixel the square is that they are in.
    """
    offsets = ((np.arange(parts) + 0.5) / parts - 0.5) * stretch * grid.step
    # Southwards like the rows, so that neighbours are neighbours.
    x, y = (grid.x[:, None] + offsets).ravel(), (grid.y[:, None] - offsets).ravel()
    return positions_at(given, grid.crs, *np.meshgrid(x, y))


def positions_at(given: Input, crs: pyproj.CRS, xs: Floats, ys: Floats) -> Positions:
    """Return where places lie on an input."""
    if not given.crs.equals(crs, ignore_axis_order=True):
        xs, ys = transformer(crs, given.crs).transform(xs, ys)
    xs, ys = np.where(np.isfinite(xs), xs, np.nan), np.where(np.isfinite(ys), ys, np.nan)
    a, b, c, d, e, f = tuple(given.transform)[:6]
    # Not where it is less than rounding makes of a coordinate.
    straight = max(abs(b), abs(d)) * max(given.shape) < 1e-9 * abs(a)
    if straight:
        col, row = (xs - c) / a, (ys - f) / e
    else:
        back: Affine = ~given.transform
        col, row = back.a * xs + back.b * ys + back.c, back.d * xs + back.e * ys + back.f
    period = None
    if given.crs.is_geographic and straight:
        turn = 360 * math.radians(1) / given.crs.axis_info[0].unit_conversion_factor
        period = turn / abs(a)
        if abs(period - given.shape[1]) < 0.5:
            period = float(given.shape[1])
        # Counted from the middle of the input, so that the least is half beyond its edge.
        lowest = (given.shape[1] - period) / 2
        col = (col - lowest) % period + lowest
    return Positions(row, col, period)


def ratio(given: Input, grid: Target) -> tuple[float, float]:
    """Return how many pixels of the input a pixel of the grid spans, where it spans more.

    The least and the most of it, as scales differ from place to place; NaN if there is none.
    """
    fine = positions(given, grid, parts=3)
    found: list[float] = []
    for axis in (0, 1):
        row, col = np.diff(fine.row, axis=axis), np.diff(fine.col, axis=axis)
        if fine.period is not None:
            col = col - fine.period * np.round(col / fine.period)
        length = np.hypot(row, col) * 3
        known = length[np.isfinite(length)]
        found += [float(known.min()), float(known.max())] if known.size else []
    if not found:
        return math.nan, math.nan
    return max(found[::2]), max(found)


def of_cube(dims: tuple[str, str], cube: Any, crs: pyproj.CRS) -> Target:
    """Return the grid that a cube lies on, by its coordinates; of one pixel the side is 0."""
    y, x = (np.asarray(cube[dim].values, "f8") for dim in dims)
    axis = x if len(x) > 1 else y
    step = abs(float(axis[-1] - axis[0])) / (len(axis) - 1) if len(axis) > 1 else 0.0
    return Target(crs, x, y, {"spatial_res": step})
