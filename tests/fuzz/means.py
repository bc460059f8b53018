"""What a mean may be, computed from an input without stacbuild.

Where the two grids lie nearly alike a mean is that of GDAL's warper: source pixels weigh in by how
much of them lies in the box, in rows and columns of the source, whose corners are the upper left
and the lower right one of the target pixel. Elsewhere it is that of ``n`` times ``n`` small pixels,
each with the source pixel under its centre: two for each source pixel, at least 4, at most 32.
What is no data or beyond the source has no weight. `docs/explanation/exact-nearest.md` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.fuzz.grids import Floats, Target, positions_at
from tests.fuzz.inputs import Input

Bools = NDArray[np.bool_]
# By how much of a source pixel GDAL's corners may be off.
_OFF = 4e-3
_FEWEST, _MOST = 4, 32
# Pixels for which every number of small pixels is tried.
_FEW = 1000


@dataclass(frozen=True)
class Boxes:
    """Means of boxes around the pixels of a grid, and the pixels with data in each."""

    mean: Floats
    weight: Floats

    @classmethod
    def of(cls, given: Input, grid: Target, values: Floats) -> Boxes:
        """Take the box of each pixel."""
        half = grid.step / 2
        xs, ys = np.meshgrid(grid.x, grid.y)
        first = positions_at(given, grid.crs, xs - half, ys + half)
        last = positions_at(given, grid.crs, xs + half, ys - half)
        across = last.col
        if first.period is not None:
            across = across - first.period * np.round((across - first.col) / first.period)
        down = _parts(first.row, last.row, given.shape[0], None)
        along = _parts(first.col, across, given.shape[1], first.period)
        known = ~np.isnan(values)
        total, weight = (
            np.einsum("ijr,ijc,...rc->...ij", down, along, each, optimize=True)
            for each in (np.where(known, values, 0.0), known.astype("f8"))
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            return cls(np.where(weight > 0, total / weight, np.nan), weight)


def _parts(one: Floats, other: Floats, count: int, period: float | None) -> Floats:
    """Return how much of each of *count* pixels lies between two positions, pixels last."""
    low, high = np.fmin(one, other)[..., None], np.fmax(one, other)[..., None]
    number, found = np.arange(count), np.zeros((*one.shape, count))
    for turn in (0.0,) if period is None else (-period, 0.0, period):
        within = np.minimum(high + turn, number + 1) - np.maximum(low + turn, number)
        found += np.clip(np.nan_to_num(within), 0, 1)
    return found


def is_mean(given: Input, grid: Target, values: Floats, got: Floats, slack: Floats) -> Bools:
    """Return where *got* is the mean of a box or of small pixels, or is missing as that is.

    Parameters
    ----------
    slack
        What rounding may do.
    """
    boxes = Boxes.of(given, grid, values)
    extent = np.nanmax(values, axis=(-2, -1), keepdims=True) if values.size else 0.0
    extent = extent - np.nanmin(values, axis=(-2, -1), keepdims=True)
    # A corner off by a little shifts weight from one pixel to another; of a sliver, all of it.
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.minimum(1.0, _OFF * (1 + 2 * np.sqrt(boxes.weight)) / boxes.weight)
        right = np.abs(got - boxes.mean) <= slack + share * extent
        right |= np.isnan(got) & (boxes.weight <= _OFF)
    step = _median_reduction(given, grid)
    likely = min(max(int(np.ceil(2 * step)), _FEWEST), _MOST)
    for place, number in enumerate(
        sorted(range(_FEWEST, _MOST + 1), key=lambda each: abs(each - likely))
    ):
        left = ~right.reshape(-1, *right.shape[-2:]).all(axis=0)
        if not left.any() or (place > 2 and left.sum() > _FEW):
            break
        rows, cols = np.nonzero(left)
        mean = _of_small(given, grid, values, (rows, cols), number)
        here = got[..., rows, cols]
        room = np.broadcast_to(slack, got.shape)[..., rows, cols]
        with np.errstate(invalid="ignore"):
            right[..., rows, cols] |= np.abs(here - mean) <= room
        right[..., rows, cols] |= np.isnan(here) & np.isnan(mean)
    return right


def _of_small(
    given: Input, grid: Target, values: Floats, where: tuple[Any, Any], number: int
) -> Floats:
    """Return means of small pixels in some pixels of the grid."""
    inside = ((np.arange(number) + 0.5) / number - 0.5) * grid.step
    y = grid.y[where[0]][:, None, None] - inside[:, None] + 0 * inside
    x = grid.x[where[1]][:, None, None] + 0 * inside[:, None] + inside
    at = positions_at(given, grid.crs, x, y)
    rows, cols = given.shape
    with np.errstate(invalid="ignore"):
        r, c = np.floor(at.row + 1e-9), np.floor(at.col + 1e-9)
        if at.period == cols:
            c = c % cols
        there = (r >= 0) & (r < rows) & (c >= 0) & (c < cols)
    r, c = np.where(there, r, 0).astype(int), np.where(there, c, 0).astype(int)
    picked = np.where(there, values[..., r, c], np.nan).reshape(*values.shape[:-2], len(x), -1)
    known = ~np.isnan(picked)
    count = known.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(
            np.where(known, picked, 0.0).sum(axis=-1) / np.where(count, count, np.nan)
        )


def _median_reduction(given: Input, grid: Target) -> float:
    """Return how many source pixels a pixel of the grid spans, where it spans more."""
    half = grid.step / 2
    xs, ys = np.meshgrid(grid.x, grid.y)
    found = [0.0]
    for dx, dy in ((half, 0.0), (0.0, half)):
        one = positions_at(given, grid.crs, xs - dx, ys - dy)
        other = positions_at(given, grid.crs, xs + dx, ys + dy)
        across = other.col - one.col
        if one.period is not None:
            across = across - one.period * np.round(across / one.period)
        length = np.hypot(other.row - one.row, across)
        if np.isfinite(length).any():
            found.append(float(np.nanmedian(length)))
    return max(found)
