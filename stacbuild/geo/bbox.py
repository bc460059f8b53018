"""Validate bboxes and CRSs of a configuration, before a grid is made of them.

Numbers are read as the decimals that are written: 0.00025, not the double nearest to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

from affine import Affine

from stacbuild.geo.crs import full_circle, is_lonlat, parse_crs, to_lonlat
from stacbuild.geo.crs_text import canonical_crs, is_code

BBox = tuple[float, float, float, float]
"""West, south, east, north."""

Resolution = float | tuple[float, float]
"""Width and height of a pixel; one number if they are equal."""

TOLERANCE = 1e-6
"""A bbox within this fraction of a pixel of a whole number of pixels is that many pixels."""

SKEW = 1e-3
"""A skew that shifts the last row or column by no more than this many pixels is rounding."""

MAX_SIDE = 2**31 - 1

WIDEST = 0.75
"""Largest share of all longitudes that a bbox across the antimeridian may span."""

# A bbox more than this many degrees outside of the area of use suggests the wrong CRS. Wide enough
# for the neighbouring UTM zone, too narrow for degrees given where metres are expected.
_MARGIN = 10.0


def sides(resolution: Resolution) -> tuple[float, float]:
    """Return width and height of a pixel of a resolution."""
    return resolution if isinstance(resolution, tuple) else (resolution, resolution)


def unwrapped(bbox: BBox, crs: str) -> BBox:
    """Return a bbox across the antimeridian with its east beyond 180; others unchanged.

    Such a bbox is in a geographic CRS and has west more than east. It spans at most three quarters
    of all longitudes: a wider one more likely has its edges interchanged.
    """
    west, south, east, north = bbox
    if west <= east or (circle := full_circle(crs)) is None:
        return bbox
    # The decimals that are written, so that no digit is lost: -179.9 + 360 is 180.1.
    beyond = float(exact(east) + exact(circle))
    if west > circle / 2 or east < -circle / 2 or beyond - west > WIDEST * circle:
        return bbox
    return west, south, beyond, north


def to_bbox(values: Iterable[object]) -> BBox:
    """Return west, south, east, north as floats, in any CRS.

    Raises
    ------
    ValueError
        If they are not four finite numbers, south less than north and west less than east, or more
        across the antimeridian (see `unwrapped`).
    """
    try:
        west, south, east, north = (float(value) for value in values)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        msg = "has to be four numbers: west, south, east, north"
        raise ValueError(msg) from None
    if not all(map(math.isfinite, (west, south, east, north))):
        msg = "has to be four finite numbers: west, south, east, north"
        raise ValueError(msg)
    beyond = unwrapped((west, south, east, north), "EPSG:4326")[2]
    if west >= beyond or south >= north:
        msg = "is empty: [west, south, east, north] needs west < east and south < north"
        raise ValueError(msg)
    return west, south, east, north


def square(point: tuple[float, float], width: float, crs: str) -> BBox:
    """Return west, south, east, north of a square around a point, in the point's CRS.

    For a geographic CRS, *width* is in metres along geodesics from the point to the north, east,
    south and west. For any other, it is in units of the CRS, which are assumed to be metres.
    """
    x, y = point
    known = parse_crs(canonical_crs(crs))
    if not known.is_geographic:
        return x - width / 2, y - width / 2, x + width / 2, y + width / 2
    geod = known.get_geod()
    assert geod is not None  # noqa: S101 - a geographic CRS has an ellipsoid
    lon, lat, _ = geod.fwd([x] * 4, [y] * 4, [0, 90, 180, 270], [width / 2] * 4)
    return float(lon[3]), float(lat[2]), float(lon[1]), float(lat[0])


def check_bbox(
    bbox: BBox, crs: str | None, resolution: Resolution | None, *, beyond: float = 0.0
) -> None:
    """Check that *bbox* is valid, within the area of its CRS, and at least one pixel in size.

    *crs* and *resolution* are None if they are invalid themselves; checks that need them are
    skipped. *beyond* is how many degrees *bbox* may extend beyond longitudes -180 and 180. West may
    be more than east in a geographic CRS: the bbox crosses the antimeridian.

    Raises
    ------
    ValueError
        If *bbox* fails a check; the message names the reason.
    """
    crs = None if crs is None else canonical_crs(crs)
    circle = None if crs is None else full_circle(crs)
    crosses = crs is not None and bbox != (bbox := unwrapped(bbox, crs))
    west, south, east, north = bbox
    if west >= east:
        msg = f"west ({west}) has to be less than east ({east})"
        if circle is not None and west > east:
            msg += f"; across the antimeridian, a bbox spans at most {WIDEST * circle:g} degrees"
        raise ValueError(msg)
    if south >= north:
        msg = f"south ({south}) has to be less than north ({north}): [west, south, east, north]"
        raise ValueError(msg)
    if circle is not None and crosses:
        beyond = circle
    if resolution is None:
        if crs is not None:
            _check_area(_to_poles(bbox, crs, 0), crs, beyond=beyond)
        return
    for low, high, step, side in zip(
        (west, south), (east, north), sides(resolution), ("width", "height"), strict=True
    ):
        pixels = (high - low) / step
        if pixels < 1 - TOLERANCE:
            msg = f"its {side} of {high - low} is less than one pixel of {step}"
            raise ValueError(msg)
        if pixels > MAX_SIDE:
            msg = f"its {side} of {high - low} is {pixels:.3g} pixels of {step}: too many"
            raise ValueError(msg)
    if crs is None:
        return
    width, height = sides(resolution)
    _check_area(_to_poles(bbox, crs, height), crs, beyond=beyond)
    # Extending the bbox to whole pixels may cross the pole or the antimeridian.
    columns, fits_x = count_pixels(west, east, width)
    rows, fits_y = count_pixels(south, north, height)
    grown_east = east if fits_x else round(west + columns * width, 9)
    grown_south = south if fits_y else round(north - rows * height, 9)
    grown = _to_poles((west, grown_south, grown_east, north), crs, height)
    if crosses and circle is not None and grown_east - west > circle:
        msg = f"grown to whole pixels, {list(grown)} covers more than all longitudes"
        raise ValueError(msg)
    _check_area(grown, crs, "grown to whole pixels, ", beyond=beyond)


def _to_poles(bbox: BBox, crs: str, resolution: float) -> BBox:
    """Return *bbox* clipped to a pole on the centres of its last row, as in grids of models."""
    circle = full_circle(crs)
    west, south, east, north = bbox
    if circle is None:
        return bbox
    pole, half = circle / 4, resolution / 2
    if abs(-south - pole - half) <= TOLERANCE * resolution:
        south = -pole
    if abs(north - pole - half) <= TOLERANCE * resolution:
        north = pole
    return west, south, east, north


def _check_area(bbox: BBox, text: str, when: str = "", *, beyond: float = 0.0) -> None:
    crs = parse_crs(text)
    name = text if is_code(text) else crs.name
    west, south, east, north = bbox
    if (circle := full_circle(crs)) is not None:
        slack = 1e-6
        half, quarter = circle / 2 + beyond + slack, circle / 4 + slack
        if west < -half or east > half or south < -quarter or north > quarter:
            unit = crs.axis_info[0].unit_name
            msg = (
                f"{when}{list(bbox)} reaches beyond longitude "
                f"-{circle / 2:g} to {circle / 2:g} and latitude -{circle / 4:g} to {circle / 4:g} "
                f"({name} is in {unit}s; [west, south, east, north])"
            )
            if circle / 2 < east <= circle + slack:
                msg += "; across the antimeridian, west is more than east: [170, -20, -170, -10]"
            raise ValueError(msg)
    called = f"{name} ({crs.name})" if is_code(text) else name
    degrees = bbox
    if not is_lonlat(crs):
        # The area of use is in degrees from Greenwich, regardless of the CRS.
        degrees = to_lonlat(crs).transform_bounds(*bbox)
        if not all(math.isfinite(edge) for edge in degrees):
            msg = f"{list(bbox)} lies outside of what {called} can represent"
            raise ValueError(msg)
    area = crs.area_of_use
    # An area across the antimeridian has west > east, so its edges cannot be compared.
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
            f"{list(bbox)} lies far outside of the area of {called}: at [{where}] "
            f"in degrees, while that area is {list(area.bounds)}; check the units and the order"
        )
        raise ValueError(msg)


def unskewed(transform: Sequence[float], shape: tuple[int, int]) -> Affine | None:
    """Return *transform* without a skew that is only rounding; None if the skew is larger.

    A skew is rounding if it shifts no pixel of *shape* (rows, columns) by more than `SKEW` pixels.
    """
    a, b, c, d, e, f = tuple(transform)[:6]
    rows, columns = shape
    if a and e and abs(b) * rows <= SKEW * abs(a) and abs(d) * columns <= SKEW * abs(e):
        return Affine(a, 0.0, c, 0.0, e, f)
    return None


def count_pixels(low: float, high: float, step: float) -> tuple[int, bool]:
    """Return the least number of steps that covers *low* to *high*, and whether it is exact."""
    pixels = (exact(high) - exact(low)) / exact(step)
    nearest = round(pixels)
    if nearest >= 1 and abs(pixels - nearest) <= TOLERANCE:
        return nearest, True
    return math.ceil(pixels), False


def exact(value: float) -> Fraction:
    """Return the decimal as written (0.00025), not the double nearest to it."""
    return Fraction(repr(float(value)))
