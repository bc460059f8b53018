"""Where one grid's pixels lie on another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from stacbuild.geo.crs import full_circle, parse_crs, same_crs, transformer
from stacbuild.geo.grid import Floats, PixelGrid, Window

# For questions about a window as a whole, every 16th pixel is looked at.
STEP = 16

# Pixels of the target as far off those of the source as this are taken for the same.
_OFF = 1e-3

# A width within as many columns of 360 degrees is global: steps have a few digits only.
_SEAM = 0.5

# Rows of positions held at a time.
_STRIP = 8 * STEP

# Nodes along each axis of a whole grid at the most: to see gaps, and to see how large pixels are.
_MOST_NODES = 2048
_FEW_NODES = 128

# Projections whose inverse goes on beyond the earth's limb, as PROJ names them.
_WITHOUT_LIMB = frozenset(
    {"Equal Earth", "Natural Earth", "Natural Earth II", "Sinusoidal", "Winkel Tripel"}
    | {"Eckert I", "Eckert II", "Eckert V", "Eckert VI", "PROJ hammer"}
)
# Pixels by which a place may be off what it leads back to.
_LIMB = 0.01


def _half_open(x: Floats, circle: float) -> Floats:
    """Bring longitudes into half a circle each way, the eastern end not included."""
    # What is within stays to the last digit.
    x = np.where(x >= circle / 2, x - circle, x)
    return np.where(x < -circle / 2, x + circle, x)


@lru_cache(maxsize=256)
def period_of(source: PixelGrid) -> float | None:
    """Return how many columns it takes once around the earth; None if it is not in degrees."""
    circle = full_circle(source.crs)
    if circle is None or not source.is_aligned:
        return None
    period = circle / abs(source.transform[0])
    # A source that goes around has a whole number of them, whatever digits its step has.
    return round(period) if abs(period - source.shape[1]) < _SEAM else period


def extremes(
    source: PixelGrid,
    target: PixelGrid,
    rows: Floats,
    cols: Floats,
    at: Callable[[PixelGrid, PixelGrid, Floats, Floats], tuple[Floats, Floats]],
) -> tuple[Floats, Floats]:
    """Return the least and largest source rows and columns of target *rows* and *cols*, each pixel.

    Empty if no pixel can be transformed. *at* is `positions` or `edge_positions`.
    """
    found: tuple[list[float], list[float]] = ([], [])
    for first in range(0, len(rows), _STRIP):
        places = np.meshgrid(rows[first : first + _STRIP], cols, indexing="ij")
        for values, ends in zip(at(source, target, *places), found, strict=True):
            finite = values[np.isfinite(values)]
            if finite.size:
                ends += [float(finite.min()), float(finite.max())]
    return np.array(found[0]), np.array(found[1])


def covers(sources: Sequence[PixelGrid], target: PixelGrid) -> bool:
    """Return whether the sources together lie under every 16th pixel of the target grid.

    On grids of more than 10^9 pixels it is every so many that they are not more; they are looked
    at some rows at a time.
    """
    by_crs: dict[str, list[PixelGrid]] = {}
    for source in sources:
        by_crs.setdefault(source.crs, []).append(source)
    rows, cols = (
        np.minimum(nodes(slice(0, length), _spacing(length)), length - 1) for length in target.shape
    )
    for first in range(0, len(rows), STEP):
        at = np.meshgrid(rows[first : first + STEP], cols, indexing="ij")
        inside = np.zeros(at[0].shape, np.bool_)
        for alike in by_crs.values():
            x, y = coordinates(alike[0].crs, target, *at)
            for source in alike:
                row, col = source_positions(source, x, y)
                height, width = source.shape
                inside |= (row >= 0) & (row < height) & (col >= 0) & (col < width)
                if inside.all():
                    break
        if not inside.all():
            return False
    return True


def _spacing(length: int) -> int:
    """Return how many pixels apart nodes along a whole grid are."""
    return STEP * -(-length // (STEP * _MOST_NODES))


def reduction(source: PixelGrid, target: PixelGrid) -> float:
    """Return how many source pixels a target pixel spans along the axis where it spans more.

    0 where no two places of the target lie on the source's part of the earth.
    """
    # From several pixels at once, of which rounding is least. Fewer where all of those steps lead
    # off the earth: a grid that reaches beyond a pole, or a whole earth of a few large pixels.
    found = [0.0, 0.0]
    for most in (STEP, STEP // 4, 1):
        for axis, lengths in enumerate(_lengths(source, target, most)):
            if not found[axis] and lengths.size:
                found[axis] = float(np.median(lengths))
        if all(found):
            break
    return max(found)


def _lengths(source: PixelGrid, target: PixelGrid, most: int) -> Iterator[Floats]:
    """Yield for rows and for columns the source pixels that a target pixel spans, place by place.

    Measured over *most* pixels of the target, or all of them; where that is off the earth there is
    none.
    """
    # As many places as tell it, from all over the grid and none beyond: what lies there may be
    # half the earth away from a grid of a few large pixels.
    spacing = (most * -(-length // (most * _FEW_NODES)) for length in target.shape)
    down, across = (min(most, length) for length in target.shape)
    rows, cols = np.meshgrid(
        *(
            np.minimum(nodes(slice(0, length), apart), length - step) - 0.5
            for length, apart, step in zip(target.shape, spacing, (down, across), strict=True)
        ),
        indexing="ij",
    )
    here = positions(source, target, rows, cols)
    for rows_on, cols_on in ((down, 0), (0, across)):
        row, col = positions(source, target, rows + rows_on, cols + cols_on)
        with np.errstate(invalid="ignore"):
            length = np.hypot(row - here[0], _short_way(source, col - here[1]))
        yield length[np.isfinite(length)] / (rows_on + cols_on)


def _short_way(source: PixelGrid, columns: Floats) -> Floats:
    """Count columns between two places the short way around the earth."""
    if (period := period_of(source)) is None:
        return columns
    with np.errstate(invalid="ignore"):
        return np.asarray(columns - period * np.round(columns / period))


def centres(grid: PixelGrid, rows: Floats, cols: Floats) -> tuple[Floats, Floats]:
    """Return x and y of pixel centres."""
    # From whole pixel numbers of the whole grid, so that a pixel's centre does not depend on
    # the window that it is asked for in.
    a, b, c, d, e, f = grid.transform
    x = c + a * (cols + 0.5) + (b * (rows + 0.5) if b else 0.0)
    y = f + e * (rows + 0.5) + (d * (cols + 0.5) if d else 0.0)
    return x, y


def source_positions(grid: PixelGrid, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Turn coordinates into fractional rows and columns (a pixel spans [n, n + 1))."""
    a, _, c, _, e, f = grid.transform
    if grid.is_aligned:
        return (y - f) / e, (x - c) / a
    back = ~grid.affine
    return back.d * x + back.e * y + back.f, back.a * x + back.b * y + back.c


def coordinates(crs: str, target: PixelGrid, rows: Floats, cols: Floats) -> tuple[Floats, Floats]:
    """Return x and y of target pixels' centres in another CRS, each through PROJ.

    Longitudes that PROJ gives are -180 or more and less than 180: see `stacbuild.geo.longitudes`.
    """
    x, y = centres(target, rows, cols)
    if not same_crs(crs, target.crs):
        x, y = _projected(crs, target, (x, y))
        if (circle := full_circle(crs)) is not None:
            x = _half_open(x, circle)
    return x, y


def _projected(crs: str, target: PixelGrid, place: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    x, y = transformer(target.crs, crs).transform(*place)
    if _beyond_limb(crs, target):
        lost = _off(crs, target, place, (x, y)) > _LIMB
        x, y = np.where(lost, np.nan, x), np.where(lost, np.nan, y)
    return x, y


@lru_cache(maxsize=64)
def _beyond_limb(crs: str, target: PixelGrid) -> bool:
    """Return whether a target grid reaches beyond the earth where PROJ gives places all the same.

    Places beyond the limb of some projections (Equal Earth, Natural Earth, sinusoidal) get
    longitudes too, which do not lead back to them. In cylindrical ones, where x goes on around
    the earth, they are meant.
    """
    operation = parse_crs(target.crs).coordinate_operation
    if operation is None or operation.method_name not in _WITHOUT_LIMB:
        return False
    samples = (np.linspace(0, n - 1, min(n, _FEW_NODES)) for n in target.shape)
    place = centres(target, *np.meshgrid(*samples, indexing="ij"))
    there = transformer(target.crs, crs).transform(*place)
    return bool((_off(crs, target, place, there) > _LIMB).any())


def _off(
    crs: str, target: PixelGrid, place: tuple[Floats, Floats], there: tuple[Floats, Floats]
) -> Floats:
    """Return how far, in target pixels, places are from what they lead back to."""
    back = transformer(target.crs, crs).transform(*there, direction="INVERSE")
    with np.errstate(invalid="ignore"):
        off = np.hypot(back[0] - place[0], back[1] - place[1])
    return np.asarray(off / np.sqrt(abs(target.affine.determinant)))


def positions(
    source: PixelGrid, target: PixelGrid, rows: Floats, cols: Floats
) -> tuple[Floats, Floats]:
    """Return the fractional source rows and columns of target pixels, each through PROJ."""
    return source_positions(source, *coordinates(source.crs, target, rows, cols))


def edge_positions(
    source: PixelGrid, target: PixelGrid, rows: Floats, cols: Floats
) -> tuple[Floats, Floats]:
    """Return the same of places on pixels' edges, the antimeridian on the side where PROJ has it.

    The eastern edge of a grid of all the earth is at 180 degrees, not where the earth begins.
    """
    x, y = centres(target, rows, cols)
    if not same_crs(source.crs, target.crs):
        x, y = _projected(source.crs, target, (x, y))
    return source_positions(source, x, y)


def nodes(pixels: slice, apart: int = STEP) -> Floats:
    """Return every 16th pixel number, the last one at or beyond the end of the window."""
    count = -(-(pixels.stop - pixels.start) // apart)
    return np.arange(count + 1, dtype=np.float64) * apart + float(pixels.start)


def span(position: Floats, margin: int) -> tuple[float, float] | None:
    """Return the first pixel and the one after the last that positions touch, *margin* more."""
    finite = position[np.isfinite(position)]
    if not finite.size:
        return None
    return np.floor(finite.min()) - margin, np.floor(finite.max()) + margin + 1


def clip(
    rows: tuple[float, float] | None, cols: tuple[float, float] | None, shape: tuple[int, int]
) -> Window | None:
    """Cut spans to what a source of this shape has; None if nothing is left."""
    if rows is None or cols is None:
        return None
    row = slice(int(max(rows[0], 0)), int(min(rows[1], shape[0])))
    col = slice(int(max(cols[0], 0)), int(min(cols[1], shape[1])))
    return (row, col) if row.start < row.stop and col.start < col.stop else None


def cuts(pixels: slice, step: int) -> Iterator[tuple[int, int]]:
    """Cut a run of pixels at the multiples of *step*."""
    edges = range((pixels.start // step + 1) * step, pixels.stop, step)
    yield from pairwise([pixels.start, *edges, pixels.stop])


def shifted(window: Window, origin: tuple[int, int]) -> Window:
    """Return a window of a part in the pixels of the whole, where the part begins at *origin*."""
    rows, cols = (
        slice(part.start + first, part.stop + first)
        for part, first in zip(window, origin, strict=True)
    )
    return rows, cols


def coincide(source: PixelGrid, target: PixelGrid) -> bool:
    """Return whether every target pixel is one of the source: nothing has to be resampled."""
    if not (same_crs(source.crs, target.crs) and source.is_aligned and target.is_aligned):
        return False
    rows, cols = target.shape
    corners = np.array([0.0, rows - 1.0]), np.array([0.0, cols - 1.0])
    at = positions(source, target, *corners)
    # Off the source's centres by no more than what transforms of nine digits are.
    off = max(float(np.abs(place - np.floor(place) - 0.5).max()) for place in at)
    steps = [abs(place[1] - place[0]) for place in at]
    return off < _OFF and all(
        abs(step - count) < _OFF for step, count in zip(steps, (rows - 1, cols - 1), strict=True)
    )


def window_key(window: Window) -> tuple[int, int, int, int]:
    """Turn a window into something that can be a key (Python 3.11 cannot hash slices)."""
    rows, cols = window
    return rows.start, rows.stop, cols.start, cols.stop
