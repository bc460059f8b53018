"""The coordinates of a horizontal dimension of a Zarr dataset, and the edges of its pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyproj
import xarray as xr
from numpy.typing import NDArray

from stacbuild.errors import StacbuildError
from stacbuild.formats.zarr_stated import Span
from stacbuild.formats.zarr_units import factor, unit_of
from stacbuild.formats.zarr_values import values_of
from stacbuild.geo.crs import full_circle

# Largest deviation of a coordinate from even spacing, in pixels (besides its own precision).
STRAIGHT = 0.01
# Deviation that is due to rounding, in pixels.
_ROUNDING = 1e-6
# Deviation in pixels from which two statements of the same edges are different.
HALF = 0.5


# Longitudes beyond that many circles are no longitudes, but fill values.
_MOST_TURNS = 10


@dataclass(frozen=True)
class Axis:
    """Evenly spaced coordinates along one dimension.

    Parameters
    ----------
    first, last
        The outermost coordinates, in the unit of the file.
    count
        Number of coordinates.
    precision
        Precision of a coordinate, by its data type.
    bounds
        The bounds of the first cell (CF 7.1), if there are any.
    unit
        Unit of the file, empty if unknown.
    uneven
        Largest deviation from even spacing in pixels, as coordinates of few digits have.
    """

    name: str
    first: float
    last: float
    count: int
    precision: float
    bounds: tuple[float, float] | None
    unit: str
    uneven: float = 0.0

    @classmethod
    def read(cls, ds: xr.Dataset, name: str, crs: pyproj.CRS, *, is_x: bool) -> Axis:
        """Read the coordinates of dimension *name*.

        Raises
        ------
        StacbuildError
            They are not numbers, or not evenly spaced.
        """
        coordinate = ds[name]
        values = values_of(name, coordinate)
        if not np.issubdtype(values.dtype, np.number):
            raise StacbuildError(f"coordinate {name} is not numeric ({values.dtype})")
        unit = unit_of(coordinate.attrs)
        kind = values.dtype if np.issubdtype(values.dtype, np.floating) else np.dtype("float64")
        wide = values.astype("float64")
        if not np.isfinite(wide).all():
            raise StacbuildError(f"coordinate {name} is not regularly spaced: some have no value")
        precision = 2 * float(np.finfo(kind).eps) * float(np.abs(wide).max())
        if is_x and (circle := full_circle(crs)) is not None:
            if (largest := float(np.abs(wide).max())) > _MOST_TURNS * circle:
                # Unwrapping would fold it onto the line of the others.
                raise StacbuildError(
                    f"coordinate {name} is not regularly spaced: {largest:g} is not a longitude"
                )
            # Longitudes that wrap around.
            wide = np.unwrap(wide, period=circle) if _jumps(wide) else wide
        bounds = _first_bounds(ds, coordinate)
        ends = [_decimal(values.flat[at], wide.flat[at]) for at in (0, -1)]
        uneven = 0.0
        if values.size > 1:
            line = np.linspace(wide[0], wide[-1], wide.size)
            step = float(wide[-1] - wide[0]) / (wide.size - 1)
            apart = float(np.abs(wide - line).max())
            if step == 0 or not apart <= STRAIGHT * abs(step) + precision:
                gap = _gap_hint(wide, full_circle(crs) if is_x else None)
                raise StacbuildError(
                    f"coordinate {name} is not regularly spaced, so it is not a grid of equal "
                    f"pixels{gap}"
                )
            uneven = apart / abs(step)
        return cls(name, ends[0], ends[1], int(values.size), precision, bounds, unit, uneven)

    def in_unit_of(self, crs: pyproj.CRS, spans: list[Span]) -> tuple[Axis, str | None]:
        """Return the axis in the unit of *crs*, and a note if its own unit is ignored.

        A transform is in the unit of the CRS: if it agrees with the bare numbers, these are, too.

        Raises
        ------
        StacbuildError
            The unit is unknown, or cannot be converted to that of the CRS.
        """
        bare = any(self.agrees(span) for span in spans)
        try:
            scale = factor(self.unit, crs)
        except ValueError as error:
            if bare:
                return self, f"coordinate {self.name} {error}; by the transform it is in the latter"
            raise StacbuildError(f"coordinate {self.name} {error}; it cannot be placed") from error
        if scale == 1:
            return self, None
        axis = replace(
            self,
            first=self.first * scale,
            last=self.last * scale,
            precision=self.precision * abs(scale),
            bounds=None if self.bounds is None else tuple(each * scale for each in self.bounds),  # type: ignore[arg-type]
        )
        if bare and not any(axis.agrees(span) for span in spans):
            unit = crs.axis_info[0].unit_name
            return self, (
                f"coordinate {self.name} is in {self.unit} by its attribute, but in {unit} by the "
                "transform, which is used"
            )
        return axis, None

    @property
    def step(self) -> float:
        """Difference from one coordinate to the next."""
        return (self.last - self.first) / (self.count - 1)

    @property
    def tolerance(self) -> float:
        """Tolerance of an edge, in the unit of the coordinates."""
        return STRAIGHT * abs(self.step) + self.precision

    def agrees(self, span: Span) -> bool:
        """Return whether the coordinates are the centres of these pixels, to half a pixel."""
        return self.off(span) < HALF

    def off(self, span: Span) -> float:
        """Return how far the coordinates are from the centres of these pixels, in pixels."""
        return self._off(self._directed(span), HALF)

    def edges(self, span: Span) -> Span | None:
        """Return the pixels of *span* if the coordinates are their centres, or all the same edges.

        Its numbers are used only if they are as exact as the coordinates; a transform of few digits
        would drift away from them.
        """
        directed = self._directed(span)
        precision = self.precision / abs(directed.pitch)
        for position in (0.5, 0.0, 1.0):
            off = self._off(directed, position)
            if off <= _ROUNDING + precision + 2 * self.uneven:
                return directed
            if off <= STRAIGHT + precision:
                return directed if self.count == 1 else self.around(position)
        return None

    def is_reversed(self, span: Span) -> bool:
        """Return whether *span* states the other order of pixels."""
        return span.directed and self._is_opposite(span)

    def _is_opposite(self, span: Span) -> bool:
        return self.count > 1 and (span.pitch > 0) != (self.step > 0)

    def _directed(self, span: Span) -> Span:
        return span.reversed() if self._is_opposite(span) else span

    def _off(self, span: Span, position: float) -> float:
        first = span.origin + position * span.pitch
        last = span.end - (1 - position) * span.pitch
        return max(abs(self.first - first), abs(self.last - last)) / abs(span.pitch)

    def bounded(self) -> Span | None:
        """Return the edges from cell bounds; None if there are none or they are inconsistent."""
        if self.bounds is None:
            return None
        low, high = sorted(self.bounds)
        width = high - low
        if self.count == 1:
            return Span(low, width, 1) if low <= self.first <= high else None
        step = self.step
        if abs(width - abs(step)) > self.tolerance:
            # Cells with gaps or overlaps: their centres are those of the pixels.
            low, high = (low + high - abs(step)) / 2, (low + high + abs(step)) / 2
        edge = low if step > 0 else high
        position = (self.first - edge) / step
        slack = self.tolerance / abs(step)
        if not -slack <= position <= 1 + slack:
            return None
        for known in (0.0, 0.5, 1.0):
            if abs(position - known) <= slack:
                position = known
        return self.around(position)

    def around(self, position: float = 0.5, limits: tuple[float, ...] = ()) -> Span:
        """Return the edges of pixels with the coordinates at this *position* (0 to 1) in them.

        Edges are snapped to one of *limits* within the tolerance.
        """
        start = self.first - position * self.step
        stop = self.last + (1 - position) * self.step
        snapped = []
        for edge in (start, stop):
            near = [limit for limit in limits if abs(edge - limit) <= self.tolerance]
            snapped.append(near[0] if near else round(edge, 12))
        return Span(snapped[0], (snapped[1] - snapped[0]) / self.count, self.count)


def _decimal(stored: np.generic, wide: float) -> float:
    """Return the shortest decimal of a float32: 49.995, not 49.994998931884766."""
    if stored.dtype == np.float32 and float(stored) == wide:
        return float(str(stored))
    return float(wide)


def _gap_hint(values: NDArray[np.float64], circle: float | None) -> str:
    """Return what to do about longitudes such as 0..10 and 350..359, regular once sorted anew."""
    if circle is None:
        return ""
    steps = np.diff(np.sort(np.where(values > circle / 2, values - circle, values)))
    if not steps.size or not steps.min() > 0 or np.ptp(steps) > STRAIGHT * steps.min():
        return ""
    return (
        f"; some are beyond a gap: subtract {circle:g} from those above {circle / 2:g}, then sort "
        "the data by it"
    )


def _jumps(values: NDArray[np.float64]) -> bool:
    steps = np.diff(values)
    return steps.size > 1 and bool((steps > 0).any() and (steps < 0).any())


def _first_bounds(ds: xr.Dataset, coordinate: xr.DataArray) -> tuple[float, float] | None:
    name = coordinate.attrs.get("bounds") or coordinate.encoding.get("bounds")
    if not isinstance(name, str) or name not in ds.variables or ds[name].ndim != 2:
        return None
    first = values_of(name, ds[name][0]).astype("float64")
    if first.size != 2 or not np.isfinite(first).all() or first[0] == first[1]:
        return None
    return float(first[0]), float(first[1])
