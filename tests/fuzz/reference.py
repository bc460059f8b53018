"""What a cube has to hold, pixel by pixel, computed from an input without stacbuild.

A check takes the values of a cube (rows and columns last, NaN for no data) and returns where they
are wrong. What cannot be told is never wrong: pixels whose centre lies within a millionth of a
pixel of an edge may be either neighbour, and resampled ones may differ as GDAL's own do.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.fuzz.grids import Floats, Positions, Target, positions, positions_at
from tests.fuzz.inputs import Input
from tests.fuzz.means import is_mean

Bools = NDArray[np.bool_]
# In source pixels: rounding of coordinates, and what GDAL's transformer is allowed.
_EDGE, _OFF = 1e-6, 2e-3
# Small pixels along the side of a pixel of the grid, for what is aggregated.
_PARTS = 12
# And where so many do not find a value that is there.
_MANY = 96
# Pixels of a grid that are looked at as closely.
_FEW = 200


def nearest(given: Input, grid: Target, stored: NDArray[Any], got: NDArray[Any]) -> Bools:
    """Return where *got* is not the value of the pixel under the centre.

    *stored* and *got* are of any type, "no data" made NaN or NaT or an object, compared as equal.
    """
    at = positions(given, grid)
    right = np.zeros(got.shape, bool)
    for down, across in product((-_EDGE, _EDGE), repeat=2):
        value, inside = _picked(given, at, stored, at.row + down, at.col + across)
        same = _same(value, got)
        right |= np.where(inside, same, _is_missing(got))
    return ~(right | at.near_seam(_EDGE))


def _picked(
    given: Input, at: Positions, stored: NDArray[Any], row: Floats, col: Floats
) -> tuple[NDArray[Any], Bools]:
    rows, cols = given.shape
    with np.errstate(invalid="ignore"):
        r, c = np.floor(row), np.floor(col)
        if at.period == cols:
            c = c % cols
        inside = (r >= 0) & (r < rows) & (c >= 0) & (c < cols)
    r, c = np.where(inside, r, 0).astype(int), np.where(inside, c, 0).astype(int)
    return stored[..., r, c], inside


def _is_missing(values: NDArray[Any]) -> Bools:
    if values.dtype.kind == "f":
        return np.isnan(values)
    return np.zeros(values.shape, bool)


def _same(one: NDArray[Any], other: NDArray[Any]) -> Bools:
    room = 1e-9
    if one.dtype.kind == "f":
        # Packed floats are unpacked in their own type, and an offset may take most of a number.
        known = np.abs(one[np.isfinite(one)])
        room = max(room, np.finfo(np.float32).eps * float(known.max(initial=0)))
    with np.errstate(invalid="ignore"):
        equal = (one == other) | np.isclose(one, other, rtol=1e-6, atol=room)
    return np.asarray(equal | (_is_missing(one) & _is_missing(other)))


def bilinear(given: Input, grid: Target, values: Floats, got: Floats, rounding: float) -> Bools:
    """Return where *got* is not interpolated between the four pixels around the centre."""
    at = positions(given, grid)
    rows, cols = given.shape
    top, left = np.floor(at.row - 0.5), np.floor(at.col - 0.5)
    total, weights = np.zeros(got.shape), np.zeros(got.shape)
    low, high = np.full(got.shape, np.inf), np.full(got.shape, -np.inf)
    for down, across in product((-1, 0, 1, 2), repeat=2):
        value = np.broadcast_to(_around(given, at, values, top + down, left + across), got.shape)
        known = ~np.isnan(value)
        low, high = (
            np.where(known, np.fmin(low, value), low),
            np.where(known, np.fmax(high, value), high),
        )
        weight = np.clip(1 - np.abs(top + down + 0.5 - at.row), 0, 1) * np.clip(
            1 - np.abs(left + across + 0.5 - at.col), 0, 1
        )
        weight = np.where(known, weight, 0.0)
        total += weight * np.where(known, value, 0.0)
        weights += weight
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = (at.row >= 0) & (at.row <= rows) & (at.col >= 0) & (at.col <= cols)
        if at.period == cols:
            inside = (at.row >= 0) & (at.row <= rows)
        wanted = np.where(inside & (weights > 0), total / weights, np.nan)
        slack = 0.02 * (high - low) + 1e-5 * np.abs(wanted) + rounding
        right = (np.abs(wanted - got) <= slack) | (np.isnan(wanted) & np.isnan(got))
        edge = (np.abs(at.row) < _OFF) | (np.abs(at.row - rows) < _OFF)
        edge |= (np.abs(at.col) < _OFF) | (np.abs(at.col - cols) < _OFF)
        # Hardly any pixel there that has data, or values that are no numbers to weigh.
        unsure = edge | (weights < 0.02) & (weights > 0) | ~np.isfinite(high - low) & (high >= low)
        # GDAL leaves out what has no data under its very centre, as far as it knows where that is.
        for down, across in product((-0.5 - _OFF, -0.5 + _OFF), repeat=2):
            centre = _around(given, at, values, at.row + down, at.col + across)
            unsure |= np.isnan(got) & np.isnan(centre)
        unsure |= (weights == 0) & (high >= low) & inside & _touched(given, at, values)
    return ~(right | unsure | at.near_seam(_OFF))


def _touched(given: Input, at: Positions, values: Floats) -> Bools:
    """Return where a pixel so near that rounding may reach it has data."""
    found = np.zeros(np.broadcast_shapes(values.shape[:-2] + at.row.shape), bool)
    for down, across in product((-0.51, 0.51), repeat=2):
        value = _around(given, at, values, np.floor(at.row + down), np.floor(at.col + across))
        found |= ~np.isnan(value)
    return found


def _around(given: Input, at: Positions, values: Floats, row: Floats, col: Floats) -> Floats:
    picked, inside = _picked(given, at, values, row + 0.5, col + 0.5)
    return np.where(inside, picked, np.nan)


@dataclass(frozen=True)
class Footprint:
    """Values under each pixel of a grid, of small pixels in a smaller and a larger square."""

    inner: Floats
    whole: Floats
    outer: Floats

    @classmethod
    def of(cls, given: Input, grid: Target, values: Floats, spare: float) -> Footprint:
        """Look under pixels, and *spare* of a pixel less and more on each side."""
        squares = (max(0.05, 1 - 2 * spare), 1.0, 1 + 2 * spare)
        return cls(*(_under(given, grid, values, square) for square in squares))


def _under(given: Input, grid: Target, values: Floats, stretch: float) -> Floats:
    fine = positions(given, grid, _PARTS, stretch)
    picked, inside = _picked(given, fine, values, fine.row, fine.col)
    found = np.where(inside, picked, np.nan)
    rows, cols = len(grid.y), len(grid.x)
    shape = (*found.shape[:-2], rows, _PARTS, cols, _PARTS)
    return np.moveaxis(found.reshape(shape), -3, -2).reshape(*shape[:-4], rows, cols, -1)


def aggregated(given: Input, grid: Target, values: Floats, got: Floats, how: Aggregate) -> Bools:
    """Return where *got* cannot be the aggregate of the pixels under a pixel of the grid."""
    under = Footprint.of(given, grid, values, how.spare)
    with warnings.catch_warnings():
        # Where there is no data at all, which NaN says well enough.
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanmin(under.outer, axis=-1), np.nanmax(under.outer, axis=-1)
        least, most = np.nanmin(under.inner, axis=-1), np.nanmax(under.inner, axis=-1)
    slack = how.rounding + 1e-5 * np.nan_to_num(np.maximum(np.abs(low), np.abs(high)))
    missing = np.isnan(got)
    with np.errstate(invalid="ignore"):
        doubtful = ~missing & ~((got >= low - slack) & (got <= high + slack))
    # So few small pixels miss a source pixel where one of the grid is long and thin on the source.
    for place in map(tuple, np.argwhere(doubtful)[:_FEW]):
        seen = _seen(given, grid, values, (place, how.spare))
        if seen.size:
            low[place] = np.fmin(low[place], seen.min())
            high[place] = np.fmax(high[place], seen.max())
    some, every = ~np.isnan(low), ~np.isnan(under.inner).all(axis=-1)
    with np.errstate(invalid="ignore"):
        within = (got >= low - slack) & (got <= high + slack)
        match how.method:
            case "max":
                right = within & ~(got < most - slack)
            case "min":
                right = within & ~(got > least + slack)
            case "mean":
                right = within & is_mean(given, grid, values, got, slack)
            case "mode" | "median":
                # One of the values that are there.
                right = (np.abs(under.outer - got[..., None]) <= slack[..., None]).any(-1)
                left = ~right & ~missing & some
                right[left] = _is_among(given, grid, values, got, (left, slack, how.spare))
            case "sum":
                return np.asarray(missing & every | ~missing & ~some)
            case _:
                right = within
    wrong = ~missing & (~some | ~right)
    # Half a pixel of data may be too little, and none too much.
    clear = ~np.isnan(under.whole).any(axis=-1)
    unsure = ~np.isfinite(high - low) & some
    return np.asarray((wrong | missing & clear) & ~unsure)


def _is_among(
    given: Input, grid: Target, values: Floats, got: Floats, where: tuple[Bools, Floats, float]
) -> Bools:
    """Return whether *got* is one of the values under a pixel, at some places at a time.

    *where* says which, what rounding may do, and how much larger than a pixel to look. As near to
    each other as this, small pixels miss no source pixel, also at a pole.
    """
    left, slack, spare = where
    found = []
    for place in map(tuple, np.argwhere(left)):
        near = np.abs(_seen(given, grid, values, (place, spare)) - got[place]) <= slack[place]
        found.append(bool(near.any()))
    return np.array(found, bool)


def _seen(
    given: Input, grid: Target, values: Floats, where: tuple[tuple[Any, ...], float]
) -> Floats:
    """Return the values that many small pixels find under one pixel and *spare* of it around."""
    (*band, row, col), spare = where
    inside = ((np.arange(_MANY) + 0.5) / _MANY - 0.5) * (1 + 2 * spare) * grid.step
    at = positions_at(given, grid.crs, *np.meshgrid(grid.x[col] + inside, grid.y[row] - inside))
    picked, there = _picked(given, at, values[tuple(band)], at.row, at.col)
    return np.asarray(picked[there & ~np.isnan(picked)])


@dataclass(frozen=True)
class Aggregate:
    """How pixels are taken together, and what may differ.

    ``spare`` is the part of a pixel of the grid by which GDAL's box around a pixel may be larger
    or smaller than it.
    """

    method: str
    rounding: float
    spare: float
