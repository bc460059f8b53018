"""A cube against its input: grid, names, times, units, and every pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyproj
import xarray as xr
from numpy.typing import NDArray

from tests.fuzz import reference
from tests.fuzz.grids import Target, of_cube, ratio
from tests.fuzz.inputs import Input, Json, Layer


class Wrong(Exception):  # noqa: N818 - a finding, no failure of the program
    """The cube is not what it has to be."""


@dataclass(frozen=True)
class Case:
    """An input, the grid that it is put on (None for its own) and methods of resampling."""

    given: Input
    grid: Target | None
    methods: Json


@dataclass(frozen=True)
class _Made:
    """One variable of a cube on a grid: decoded, and as it is stored."""

    name: str
    array: xr.DataArray
    stored: NDArray[Any]
    grid: Target


def compare(case: Case, cube: xr.Dataset, stored: xr.Dataset) -> None:
    """Compare a cube, opened decoded and as it is stored, with what it is made of.

    Raises
    ------
    Wrong
        Saying what is wrong, behind a word for its kind.
    """
    given = case.given
    dims = ("lat", "lon") if "lat" in cube.dims else ("y", "x")
    if case.grid is None:
        crs = pyproj.CRS.from_wkt(cube["spatial_ref"].attrs["crs_wkt"])
        grid = of_cube(dims, cube, crs)
        _check_own(given, grid)
    else:
        grid = case.grid
        _check_coordinates(grid, dims, cube)
    names = {str(name) for name in cube.data_vars}
    if names != set(given.layers):
        raise Wrong(f"variables: {sorted(names)}, not {sorted(given.layers)}")
    if given.times is not None:
        times = cube["time"].values
        if times.shape != given.times.shape or not _same_times(times, given.times):
            raise Wrong(f"times: {times}, not {given.times}")
    for name, layer in given.layers.items():
        array = cube[name]
        if sorted(map(str, array.dims[:-2])) != sorted(layer.dims):
            raise Wrong(f"dimensions: {name} has {array.dims}, not {layer.dims}")
        order = *layer.dims, *array.dims[-2:]
        raw = stored[name].transpose(*order).values
        _check_layer(layer, case, _Made(name, array.transpose(*order), raw, grid))


def _same_times(one: Any, other: Any) -> bool:
    one, other = one.astype("M8[s]"), other.astype("M8[s]")
    return bool(((one == other) | (np.isnat(one) & np.isnat(other))).all())


def _check_coordinates(grid: Target, dims: tuple[str, str], cube: xr.Dataset) -> None:
    for dim, wanted in zip(dims, (grid.y, grid.x), strict=True):
        got = cube[dim].values
        if got.shape != wanted.shape or np.abs(got - wanted).max() > 1e-6 * grid.step:
            raise Wrong(f"coordinates: {dim} is {got}, not {wanted}")


def _check_own(given: Input, grid: Target) -> None:
    """Compare a cube's own grid with the input's pixels, which all have to be there."""
    a, _, c, _, e, f = tuple(given.transform)[:6]
    rows, cols = given.shape
    if (len(grid.y), len(grid.x)) != (rows, cols):
        raise Wrong(f"own grid: {len(grid.y)} x {len(grid.x)} pixels, not {rows} x {cols}")
    x, y = c + a * (np.arange(cols) + 0.5), f + e * (np.arange(rows) + 0.5)
    off = [np.sort(grid.x) - np.sort(x), np.sort(grid.y) - np.sort(y)]
    if given.crs.is_geographic:
        turn = 360 / np.degrees(given.crs.axis_info[0].unit_conversion_factor)
        each = np.sort(grid.x % turn) - np.sort(x % turn)
        off[0] = each if np.abs(each).max() < np.abs(off[0]).max() else off[0]
    if max(float(np.abs(each).max()) for each in off) > 1e-3 * abs(a):
        raise Wrong(f"own grid: x from {grid.x[0]} and y from {grid.y[0]}, not {x[0]} and {y[0]}")


def _check_layer(layer: Layer, case: Case, made: _Made) -> None:
    name, array = made.name, made.array
    if array.shape[:-2] != layer.raw.shape[:-2]:
        raise Wrong(f"dimensions: {name} is {array.shape}, not {layer.raw.shape[:-2]} of the grid")
    if not layer.raw.size:
        return
    unit = array.attrs.get("units")
    if isinstance(layer.unit, list):
        if unit is not None:
            raise Wrong(f"unit: {name} has {unit!r} for all of {layer.unit}")
    elif (unit or None) != layer.unit and not (unit is None and layer.unit == "1"):
        raise Wrong(f"unit: {name} has {unit!r}, not {layer.unit!r}")
    tried = []
    for method in _possible(layer, case, made.grid):
        wrong = _differences(layer, case.given, method, made)
        if wrong.any() and method != "nearest":
            wrong &= _differences(layer, case.given, method, _undodged(made))
        if not wrong.any():
            return
        tried.append(_described(method, layer, case.given, made, wrong))
    raise Wrong("; or ".join(tried))


def _possible(layer: Layer, case: Case, grid: Target) -> list[str]:
    """Return the methods that may have been used: several near a ratio where they change."""
    if case.grid is None:
        return ["nearest"]
    given, methods = case.given, case.methods
    a, b, _, d, e, _ = tuple(given.transform)[:6]
    (least, most), found = ratio(given, grid), set()
    if given.crs.equals(grid.crs, ignore_axis_order=True) and not (b or d):
        # Where pixels coincide nothing is resampled.
        same = max(abs(abs(a) - grid.step), abs(abs(e) - grid.step)) < 1e-6 * grid.step
        found = {"nearest"} if same else set()
    stated = []
    if not most <= 0.98:
        stated.append(methods.get("agg_methods"))
    if not least >= 1.02:
        stated.append(methods.get("interp_methods"))
    for each in stated:
        if each:
            found.add("nearest" if each == "center" else each)
        elif layer.raw.dtype.kind != "f" or layer.classes:
            found.add("nearest")
        else:
            found |= {"bilinear"} if not least > 2.1 else set()
            found |= {"mean"} if not most < 1.9 else set()
    return sorted(found, key=lambda method: method != "nearest")


def _undodged(made: _Made) -> _Made:
    """Return a variable in which what is next to "no data" is as if computed as that.

    GDAL takes a result that happens to be the value of "no data" one down, or up from the lowest.
    """
    fill = made.array.encoding.get("_FillValue")
    if made.stored.dtype.kind not in "iu" or fill is None:
        return made
    low = fill == np.iinfo(made.stored.dtype).min
    moved = made.stored == (fill + 1 if low else fill - 1)
    step = made.array.encoding.get("scale_factor", 1.0) * (-1 if low else 1)
    return replace(made, array=made.array.where(~moved, made.array + step))


def _differences(layer: Layer, given: Input, method: str, made: _Made) -> NDArray[np.bool_]:
    grid, got = made.grid, made.array.values.astype("f8")
    if method == "nearest":
        wrong = reference.nearest(given, grid, layer.decoded, got)
        if made.stored.dtype.kind in "iu" and layer.raw.dtype.itemsize == 8:
            # More digits than a double has.
            wrong |= reference.nearest(given, grid, layer.raw, made.stored) & ~np.isnan(got)
        return wrong
    values = layer.decoded
    whole = layer.raw.dtype.kind in "iub"
    rounding = 0.51 * float(np.max(np.abs(layer.scale))) if whole else 1e-6
    if method == "bilinear":
        return reference.bilinear(given, grid, values, got, rounding)
    pixels = max(float(np.nan_to_num(ratio(given, grid)[0])), 0.2)
    straight = given.crs.equals(grid.crs, ignore_axis_order=True) and not given.transform.b
    spare = 0.02 + (0.1 if straight else 0.5) / pixels + (0 if straight else 0.2)
    how = reference.Aggregate(method, rounding, spare)
    return reference.aggregated(given, grid, values, got, how)


def _described(
    method: str, layer: Layer, given: Input, made: _Made, wrong: NDArray[np.bool_]
) -> str:
    first = tuple(int(n) for n in np.argwhere(wrong)[0])
    at = reference.positions(given, made.grid)
    row, col = at.row[first[-2:]], at.col[first[-2:]]
    rows, cols = given.shape
    pixel = (
        int(np.clip(np.nan_to_num(row), 0, rows - 1)),
        int(np.clip(np.nan_to_num(col), 0, cols - 1)),
    )
    there = layer.decoded[(*first[:-2], *pixel)]
    return (
        f"{method}: {int(wrong.sum())} of {wrong.size} of {made.name}, first at {first} over row "
        f"{row:.6g}, column {col:.6g}: {made.array.values[first]}, pixel there {there}"
    )
