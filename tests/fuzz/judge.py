"""Build an input in this process, and say what came of it: right, refused, wrong or crash."""

from __future__ import annotations

import re
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyproj
import xarray as xr
import yaml

from stacbuild.config import load_config
from stacbuild.cubes import build
from tests.fuzz import reference
from tests.fuzz.grids import Target, of_cube, ratio, target
from tests.fuzz.inputs import Chance, Input, Json, Layer
from tests.fuzz.rasters import raster
from tests.fuzz.zarrs import zarr_store

Verdict = Literal["right", "refused", "wrong", "crash"]

# Kinds of refusal, by what the message says. Whether one is honest for an input its generator and
# `honest` tell.
REASONS = {
    "outside": r"lies outside the data",
    "own grid": r"its own grid cannot be that of a cube",
    "complex": r"complex",
    "bands differ": r"band_as_variable",
    "around": r"cannot be computed around a pole, across the antimeridian or onto a turned grid",
    "calendar": r"cftime",
    "rotated": r"rotated",
    "unit": r"is in .*, not in the unit of its CRS",
    "empty": r"length zero|is empty|no (times|values|steps)",
    "one pixel": r"one value and no bounds",
    "undefined": r"outside of (where|what)",
}


@dataclass(frozen=True)
class Outcome:
    """What became of one seed.

    ``kind`` is that of the refusal; ``said`` the message, or what is wrong.
    """

    seed: int
    verdict: Verdict
    kind: str
    said: str
    traits: Json

    def __str__(self) -> str:
        odd = ", ".join(f"{name}={value}" for name, value in self.traits.items())
        return (
            f"{self.verdict} {self.kind}: {self.said}\n    {odd}\n"
            f"    again: .venv/bin/python -m scripts.fuzz_run --seed {self.seed} --count 1"
        )


class Wrong(Exception):  # noqa: N818 - a finding, no failure of the program
    """The cube is not what it has to be."""


def check(seed: int, folder: Path) -> Outcome:
    """Make the input of a *seed* in an empty *folder*, build it, and compare."""
    chance = Chance(seed)
    make: Callable[[Chance, Path], Input] = chance.of([raster, zarr_store])
    try:
        given = make(chance, folder)
        grid = target(chance, given)
    except Exception:
        return Outcome(seed, "crash", "generator", traceback.format_exc(), {})
    methods = _methods(chance, given, grid)
    traits = {"kind": make.__name__, **given.traits, "methods": methods}
    traits["grid"] = grid.config if grid else "its own"
    config = _configuration(folder, given, grid, methods)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            [result] = build(load_config(config), folder / "catalogs")
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        return Outcome(seed, "crash", "raised", said, traits)
    if result.status == "FAILED":
        return _refused(seed, given, grid, result.message, traits)
    try:
        with _opened(folder) as cube, _opened(folder, mask_and_scale=False) as stored:
            _compare(given, grid, methods, cube.load(), stored.load())
    except Wrong as error:
        return Outcome(seed, "wrong", str(error).partition(":")[0], str(error), traits)
    except Exception:
        return Outcome(seed, "crash", "comparing", traceback.format_exc(), traits)
    return Outcome(seed, "right", "", "", traits)


def _opened(folder: Path, **options: Any) -> xr.Dataset:
    return xr.open_zarr(folder / "data" / "cube.zarr", decode_timedelta=False, **options)


def _methods(chance: Chance, given: Input, grid: Target | None) -> Json:
    if grid is None or chance.happens(0.4):
        return {}
    if chance.happens(0.5):
        return {"interp_methods": chance.of(["nearest", "bilinear"])}
    every = ["center", "max", "mean", "median", "min", "mode", "sum"]
    return {"agg_methods": chance.of(every)}


def _configuration(folder: Path, given: Input, grid: Target | None, methods: Json) -> Path:
    def store(identifier: str, root: str) -> Json:
        return {"identifier": identifier, "store_id": "file", "store_params": {"root": root}}

    dataset: Json = {"identifier": "cube", "store": "files", "data_id": given.name, **given.params}
    content: Json = {
        "datasets": [dataset],
        "data_stores": [store("storage", "data"), store("files", "src")],
    }
    if methods:
        dataset["spatial_resample_params"] = methods
    if grid is not None:
        dataset["grid_mapping"] = "grid"
        content["grid_mappings"] = [grid.config]
    path = folder / "c_config.yml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def _refused(seed: int, given: Input, grid: Target | None, said: str, traits: Json) -> Outcome:
    if "please report" in said or "\n" in said.strip() or not said.strip():
        return Outcome(seed, "crash", "unforeseen", said, traits)
    kinds = [kind for kind, text in REASONS.items() if re.search(text, said)]
    for kind in kinds:
        if honest(kind, given, grid):
            return Outcome(seed, "refused", kind, said, traits)
    return Outcome(seed, "wrong", f"refused ({', '.join(kinds) or 'unknown'})", said, traits)


def honest(kind: str, given: Input, grid: Target | None) -> bool:
    """Return whether there is a reason of this kind to refuse an input."""
    if kind in given.reasons:
        return True
    a, b, _, d, e, _ = tuple(given.transform)[:6]
    if kind == "own grid":
        rotated, square = bool(b or d), abs(abs(e / a) - 1) * max(given.shape) < 0.01
        return grid is None and (rotated or not square or given.crs.to_epsg() is None)
    if kind == "outside" and grid is not None:
        every = np.zeros(given.shape)
        return bool(reference.nearest(given, grid, every, np.zeros(_shape(grid))).all())
    return kind == "around" and grid is not None


def _shape(grid: Target) -> tuple[int, int]:
    return len(grid.y), len(grid.x)


def _compare(
    given: Input, grid: Target | None, methods: Json, cube: xr.Dataset, stored: xr.Dataset
) -> None:
    dims, crs = _spatial(cube)
    if grid is None:
        grid = of_cube(dims, cube, crs.to_epsg() or 0)
        _check_own(given, grid)
    else:
        _check_coordinates(grid, dims, cube)
    names = {str(name) for name in cube.data_vars}
    if names != set(given.layers):
        raise Wrong(f"variables: {sorted(names)}, not {sorted(given.layers)}")
    if given.times is not None:
        times = cube["time"].values
        if times.shape != given.times.shape or not _same_times(times, given.times):
            raise Wrong(f"times: {times}, not {given.times}")
    for name, layer in given.layers.items():
        _check_layer(name, layer, given, grid, methods, cube[name], stored[name])


def _spatial(cube: xr.Dataset) -> tuple[tuple[str, str], pyproj.CRS]:
    dims = ("lat", "lon") if "lat" in cube.dims else ("y", "x")
    wkt = cube["spatial_ref"].attrs["crs_wkt"]
    return dims, pyproj.CRS.from_wkt(wkt)


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
    if _shape(grid) != (rows, cols):
        raise Wrong(f"own grid: {_shape(grid)} pixels, not {(rows, cols)}")
    x, y = c + a * (np.arange(cols) + 0.5), f + e * (np.arange(rows) + 0.5)
    off = [np.sort(grid.x) - np.sort(x), np.sort(grid.y) - np.sort(y)]
    if given.crs.is_geographic:
        turn = 360 / np.degrees(given.crs.axis_info[0].unit_conversion_factor)
        each = np.sort(grid.x % turn) - np.sort(x % turn)
        off[0] = each if np.abs(each).max() < np.abs(off[0]).max() else off[0]
    if max(float(np.abs(each).max()) for each in off) > 1e-3 * abs(a):
        raise Wrong(f"own grid: x from {grid.x[0]} and y from {grid.y[0]}, not {x[0]} and {y[0]}")


def _check_layer(
    name: str,
    layer: Layer,
    given: Input,
    grid: Target,
    methods: Json,
    array: xr.DataArray,
    raw: xr.DataArray,
) -> None:
    lead = [str(dim) for dim in array.dims[:-2]]
    if sorted(lead) != sorted(layer.dims):
        raise Wrong(f"dimensions: {name} has {array.dims}, not {layer.dims}")
    array = array.transpose(*layer.dims, *array.dims[-2:])
    stored = raw.transpose(*array.dims).values
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
    for method in _possible(layer, given, grid, methods):
        wrong = _differences(layer, given, grid, method, array, stored)
        if not wrong.any():
            return
        tried.append(_described(name, method, layer, given, grid, array, wrong))
    raise Wrong("; or ".join(tried))


def _possible(layer: Layer, given: Input, grid: Target, methods: Json) -> list[str]:
    """Return the methods that may have been used: several near a ratio where they change."""
    if "bbox" not in grid.config:
        return ["nearest"]
    a, b, _, d, e, _ = tuple(given.transform)[:6]
    pixels, near = ratio(given, grid), set()
    if given.crs.equals(grid.crs, ignore_axis_order=True) and not (b or d):
        # Where pixels coincide nothing is resampled.
        same = max(abs(abs(a) - grid.step), abs(abs(e) - grid.step)) < 1e-6 * grid.step
        near = {"nearest"} if same else set()
    stated = []
    if np.isnan(pixels) or pixels > 0.98:
        stated.append(methods.get("agg_methods"))
    if np.isnan(pixels) or pixels < 1.02:
        stated.append(methods.get("interp_methods"))
    found = near
    integer = layer.raw.dtype.kind != "f" or layer.classes
    for each in stated:
        if each:
            found.add("nearest" if each == "center" else each)
        elif integer:
            found.add("nearest")
        else:
            found |= {"bilinear"} if not pixels > 2.1 else set()
            found |= {"mean"} if not pixels < 1.9 else set()
    return sorted(found, key=lambda method: method != "nearest")


def _differences(
    layer: Layer, given: Input, grid: Target, method: str, array: xr.DataArray, stored: Any
) -> np.ndarray[Any, Any]:
    got = array.values.astype("f8")
    if method == "nearest":
        wrong = reference.nearest(given, grid, layer.decoded, got)
        if layer.raw.dtype.kind in "iu" and layer.raw.dtype.itemsize == 8:
            # More digits than a double has.
            wrong |= reference.nearest(given, grid, layer.raw, stored) & ~np.isnan(got)
        return wrong
    values = layer.decoded
    whole = layer.raw.dtype.kind in "iub"
    rounding = 0.51 * float(np.max(np.abs(layer.scale))) if whole else 1e-6
    if method == "bilinear":
        return reference.bilinear(given, grid, values, got, rounding)
    pixels = max(ratio(given, grid), 0.2)
    straight = given.crs.equals(grid.crs, ignore_axis_order=True) and not given.transform.b
    spare = 0.02 + (0.1 if straight else 0.5) / pixels + (0 if straight else 0.2)
    how = reference.Aggregate(method, rounding, spare, 0.1 if straight else 0.25)
    return reference.aggregated(given, grid, values, got, how)


def _described(
    name: str,
    method: str,
    layer: Layer,
    given: Input,
    grid: Target,
    array: xr.DataArray,
    wrong: np.ndarray[Any, Any],
) -> str:
    first = tuple(int(n) for n in np.argwhere(wrong)[0])
    at = reference.positions(given, grid)
    row, col = at.row[first[-2:]], at.col[first[-2:]]
    r, c = (
        int(np.clip(np.nan_to_num(v), 0, n - 1))
        for v, n in zip((row, col), given.shape, strict=True)
    )
    there = layer.decoded[(*first[:-2], r, c)]
    return (
        f"{method}: {int(wrong.sum())} of {wrong.size} of {name}, first at {first} over row "
        f"{row:.6g}, column {col:.6g}: {array.values[first]}, pixel there {there}"
    )
