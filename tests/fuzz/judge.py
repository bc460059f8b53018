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
import xarray as xr
import yaml
from numpy.typing import NDArray

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.progress import Silent
from tests.fuzz import reference
from tests.fuzz.compare import Case, Wrong, compare
from tests.fuzz.grids import Target, target
from tests.fuzz.inputs import Chance, Input, Json
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
    "around": r"cannot be computed around a pole, across the antimeridian or onto a rotated grid",
    "calendar": r"cftime",
    "rotated": r"rotated",
    "unit": r"is in .*, not in the unit of its CRS",
    "empty": r"length zero|is empty|no (times|values|steps)",
    "one pixel": r"one value, and neither",
    "undefined": r"outside of (where|what)",
    "no time": r"time has no value \(NaT\) at step",
    "sum": r"^(.*: )?sum gives .*, which u?int\d+ cannot hold",
    "collision": r"has pixels of the value -?[\d.]+, which is no data in the cube",
    "64 bits": r"integers (beyond 2\*\*53|of 64 bits)",
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


def check(seed: int, folder: Path) -> Outcome:
    """Make the input of a *seed* in an empty *folder*, build it, and compare."""
    chance = Chance(seed)
    make: Callable[[Chance, Path], Input] = chance.of([raster, zarr_store])
    try:
        given = make(chance, folder)
        grid = target(chance, given)
    except Exception:  # noqa: BLE001 - whatever it is, the next seed is tried
        return Outcome(seed, "crash", "generator", traceback.format_exc(), {})
    methods = _methods(chance, given, grid)
    traits = {"kind": make.__name__, **given.traits, "methods": methods}
    traits["grid"] = grid.config if grid else "its own"
    config = _configuration(folder, given, grid, methods)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            [result] = build(load_config(config), folder / "catalogs", reporter=Silent())
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        return Outcome(seed, "crash", "raised", said, traits)
    if result.status == "FAILED":
        return _refused(seed, given, grid, result.message, traits)
    try:
        with _opened(folder) as cube, _opened(folder, mask_and_scale=False) as stored:
            compare(Case(given, grid, methods), cube.load(), stored.load())
    except Wrong as error:
        return Outcome(seed, "wrong", str(error).partition(":")[0], str(error), traits)
    except Exception:  # noqa: BLE001 - a cube that cannot be read is a finding
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
    a, b, _, d, e, f = tuple(given.transform)[:6]
    if kind == "own grid":
        rotated = max(abs(b), abs(d)) * max(given.shape) > 1e-3 * abs(a)
        beyond = given.crs.is_geographic and max(abs(f), abs(f + e * given.shape[0])) > _pole(given)
        return grid is None and (rotated or beyond)
    if kind == "64 bits":
        return any(layer.raw.dtype.itemsize == 8 for layer in given.layers.values())
    if kind == "collision":
        # The value that is taken for no data where a source of integers states none.
        return any(_reaches_its_limit(layer.raw) for layer in given.layers.values())
    if kind == "sum":
        return any(layer.raw.dtype.kind in "iu" for layer in given.layers.values())
    if kind == "no time":
        return given.times is not None and bool(np.isnat(given.times).any())
    if kind == "outside" and grid is not None:
        every = np.zeros(given.shape)
        return bool(
            reference.nearest(given, grid, every, np.zeros((len(grid.y), len(grid.x)))).all()
        )
    return kind == "around" and grid is not None


def _pole(given: Input) -> float:
    """Return the latitude of the north pole in units of an input's CRS, and a little more."""
    return float(90 / np.degrees(given.crs.axis_info[0].unit_conversion_factor)) + 1e-6


def _reaches_its_limit(values: NDArray[Any]) -> bool:
    if values.dtype.kind not in "iu":
        return False
    limits = np.iinfo(values.dtype)
    return bool((values == (limits.max if values.dtype.kind == "u" else limits.min)).any())
