"""Composites of scenes: masked, mosaicked by solar day, and reduced by month."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import stacbuild
from tests.support.cli import Json
from tests.support.scenes.written import (
    LEFT,
    TOP,
    Band,
    Scene,
    Target,
    built_scenes,
    config_of,
    put_scenes,
)

SIZE = 48
# Of two overlapping tiles of each day, on their own pixels.
TARGET = Target(32632, LEFT, TOP, 10.0, (SIZE, 72))
DAYS = ("2020-01-03", "2020-01-13", "2020-01-23", "2020-02-02")
PACKING = {"raster:scale": 1e-4, "raster:offset": -0.1}
CLOUDS = (3, 8, 9)
MASK: Json = {"asset": "SCL", "values": list(CLOUDS)}
NAMES = ["B04", "B08"]


def written(folder: Path, dataset: Json) -> list[list[Scene]]:
    """Write the scenes of each day, named as on the Planetary Computer, of a cube."""
    config = stacbuild.load_config(config_of(folder, TARGET.mapping, dataset))
    data_id = config.datasets[0].variables[0].data_id
    random = np.random.default_rng(4)
    days = []
    for day in DAYS:
        tiles = []
        for number, left in enumerate((LEFT, LEFT + 240)):
            red, nir = random.integers(1001, 9000, (2, SIZE, SIZE), dtype="uint16")
            red[random.random((SIZE, SIZE)) < 0.2] = 0
            scl = random.integers(0, 12, (SIZE // 2, SIZE // 2), dtype="uint8")
            bands = {
                "B04": Band(red, fields=PACKING | {"eo:common_name": "red"}),
                "B08": Band(nir, fields=PACKING | {"eo:common_name": "nir"}),
                "SCL": Band(scl, side=20.0, role="data-mask"),
            }
            tile = {"eo:cloud_cover": 5.0, "grid:code": f"MGRS-32U{number}", "platform": "s"}
            when = f"{day}T10:00:0{number}Z"
            tiles.append(Scene(f"s{number}_{day}", when, bands, left=left, properties=tile))
        days.append(tiles)
    put_scenes(folder, [tile for tiles in days for tile in tiles], data_id)
    return days


def mosaics(days: list[list[Scene]], name: str) -> np.ndarray[Any, Any]:
    """Return the reflectance of each day, NaN where masked or nodata in all tiles."""
    found = []
    for tiles in days:
        mosaic = np.full(TARGET.shape, np.nan)
        for tile in tiles:
            values, valid = TARGET.taken(tile, name)
            clear = ~np.isin(TARGET.taken(tile, "SCL")[0], CLOUDS)
            take = valid & clear & np.isnan(mosaic)
            mosaic[take] = values[take] * 1e-4 - 0.1
        found.append(mosaic)
    return np.array(found)


def composite(
    folder: Path, methods: Any, *, params: Json | None = None, **more: Any
) -> tuple[list[list[Scene]], xr.Dataset]:
    dataset: Json = {
        "open_params": {"asset_names": NAMES, "mask": MASK},
        "temporal_resample_params": {"frequency": "MS", "agg_methods": methods} | (params or {}),
        **more,
    }
    days = written(folder, dataset)
    result = built_scenes(folder, TARGET.mapping, dataset)
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(folder / "data" / "cube.zarr") as cube:
        return days, cube.load()


def test_a_median_of_what_is_clear_with_its_counts(tmp_path: Path) -> None:
    days, cube = composite(tmp_path, "median", params={"counts": True})
    assert [str(time)[:10] for time in cube["time"].values] == ["2020-01-01", "2020-02-01"]
    for name in NAMES:
        values = mosaics(days, name)
        for step, month in enumerate((values[:3], values[3:])):
            count = np.isfinite(month).sum(axis=0)
            np.testing.assert_array_equal(cube[f"{name}_count"].values[step], count)
            some = count > 0
            found = cube[name].values[step]
            np.testing.assert_allclose(found[some], np.nanmedian(month[:, some], axis=0), atol=1e-6)
            assert np.isnan(found[~some]).all()
    (planned,) = stacbuild.plan(tmp_path / "c_config.yml")
    assert planned.action == "up to date"


def _composite_of_one_scene(folder: Path, methods: Any) -> tuple[list[list[Scene]], xr.Dataset]:
    index = {"module_path": "stacbuild.indices", "function_name": "with_ndvi"}
    if methods == "medoid":
        # The classes, whose meaning few providers state, do not weigh in.
        return composite(
            folder, methods, open_params={"asset_names": [*NAMES, "SCL"], "mask": MASK}
        )
    return composite(folder, methods, params={"variables": NAMES}, custom_processing=index)


@pytest.mark.parametrize("methods", ["medoid", {"max_by": "ndvi"}])
def test_all_bands_of_a_pixel_are_of_one_scene(tmp_path: Path, methods: Any) -> None:
    days, cube = _composite_of_one_scene(tmp_path, methods)
    red, nir = (mosaics(days, name)[:3] for name in NAMES)
    complete = np.isfinite(red) & np.isfinite(nir)
    if methods == "medoid":
        off = np.hypot(red[:, None] - red[None], nir[:, None] - nir[None])
        score = -np.where(complete, np.nansum(np.where(np.isfinite(off), off, 0), axis=1), np.inf)
    else:
        score = np.where(complete, (nir - red) / (nir + red), -np.inf)
    best, second = np.sort(np.maximum(score, -1e9), axis=0)[[-1, -2]]
    # Of two scenes both are the medoid: the earlier is taken.
    plain = complete.any(axis=0) & (best - second > 1e-6)
    assert plain.mean() > 0.4
    at = score.argmax(axis=0)[None]
    for name, values in zip(NAMES, (red, nir), strict=True):
        expected = np.take_along_axis(values, at, axis=0)[0]
        np.testing.assert_allclose(cube[name].values[0][plain], expected[plain], atol=1e-6)
        assert np.isnan(cube[name].values[0][~complete.any(axis=0)]).all()


def test_a_plan_of_them(tmp_path: Path) -> None:
    params = {"frequency": "MS", "agg_methods": "medoid", "counts": True}
    dataset: Json = {
        "open_params": {"asset_names": NAMES, "mask": MASK},
        "temporal_resample_params": params,
    }
    written(tmp_path, dataset)
    (planned,) = stacbuild.plan(config_of(tmp_path, TARGET.mapping, dataset))
    found = {
        each["name"]: (each["dtype"], each["shape"]) for each in planned.to_dict()["variables"]
    }
    shape = [2, *TARGET.shape]
    expected = {"B04": "uint16", "B04_count": "int32", "B08": "uint16", "B08_count": "int32"}
    assert found == {name: (dtype, shape) for name, dtype in expected.items()}


def test_averages_of_classes_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for methods, warned in (("median", True), ({"B04": "median", "SCL": "first"}, False)):
        folder = tmp_path / str(warned)
        composite(folder, methods, open_params={"asset_names": ["B04", "SCL"]})
        told = "SCL has classes or bits, whose median has no meaning" in caplog.text
        assert told == warned
        caplog.clear()
