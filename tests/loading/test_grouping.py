"""Scenes become times: which are mosaicked, which are duplicates, which is on top.

Each pixel of the cubes is compared with a reference that uses NumPy and pyproj only.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import Transformer

from stacbuild.api.datasets import load
from stacbuild.config import load_config
from stacbuild.errors import BuildError
from stacbuild.loading.grouping import period_of, solar_day
from stacbuild.planning import plan
from stacbuild.progress import Silent
from tests.support.scenes.written import Band, Scene, Target, built_scenes, config_of, put_scenes

SIZE = 96  # pixels of 10 m
# Where zones 32 and 33 meet.
LON, LAT = 12.0, 49.0
NEW, OLD = {"raster:scale": 1e-4, "raster:offset": -0.1}, {"raster:scale": 1e-4}


def place(epsg: int, side: float = 10.0) -> tuple[float, float]:
    """Return the meeting of the zones in a CRS, on a corner of a pixel."""
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(LON, LAT)
    return round(x / side) * side, round(y / side) * side


X, Y = place(3035)
TARGET = Target(3035, X - 600.0, Y + 300.0, 20.0, (30, 60))


class Listener(Silent):
    """A reporter that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        """Keep the message."""
        self.said.append(message)


def scene(name: str, when: str, seed: int, zone: int = 32, **changes: Any) -> Scene:
    """Return a scene of a tile: west of the meeting and over it (32), or east of it (33)."""
    random = np.random.default_rng(seed)
    packing = changes.pop("packing", NEW)
    red = random.integers(1, 9000, (SIZE, SIZE), dtype="uint16")
    red[random.random((SIZE, SIZE)) < 0.3] = 0
    nir = random.integers(0, 9000, (SIZE, SIZE), dtype="uint16")
    scl = random.integers(0, 12, (SIZE // 2, SIZE // 2), dtype="uint8")
    bands = {
        "red": Band(red, fields=packing),
        "nir": Band(nir, fields=NEW),
        "scl": Band(scl, side=20.0),
    }
    x, y = place(32600 + zone)
    left = x - 700 if zone == 32 else x - 250
    properties = {
        "platform": "sentinel-2a",
        "grid:code": f"MGRS-{zone}UQV",
        "eo:cloud_cover": 10.0,
        "processing:version": "05.00",
        **changes.pop("properties", {}),
    }
    return Scene(name, when, bands, 32600 + zone, left, y + 480, properties, **changes)


def loaded(directory: Path, dataset: Mapping[str, Any], *names: str) -> xr.Dataset:
    """Return variables of a cube that is not written, as it would be stored."""
    config = load_config(config_of(directory, TARGET.mapping, dict(dataset)))
    found = load(config, "cube", directory / "catalogs", mask_and_scale=False)
    with found:
        return found[list(names)].compute(scheduler="sync")


def opened(directory: Path, *, scaled: bool = False) -> xr.Dataset:
    with xr.open_zarr(directory / "data" / "cube.zarr", mask_and_scale=scaled) as cube:
        return cube.load()


def mosaic(scenes: Sequence[Scene], key: str) -> tuple[Any, Any]:
    """Return the numbers of the first scene with data, and where there is one."""
    values = np.zeros(TARGET.shape, scenes[0].bands[key].values.dtype)
    filled = np.zeros(TARGET.shape, np.bool_)
    for each in scenes:
        own, valid = TARGET.taken(each, key)
        values = np.where(valid & ~filled, own, values)
        filled |= valid
    return values, filled


def reflectance(scenes: Sequence[Scene], key: str) -> Any:
    """Return the values of the first scene with data, each by its own scale and offset."""
    values = np.full(TARGET.shape, np.nan)
    for each in reversed(scenes):
        own, valid = TARGET.taken(each, key)
        fields = each.bands[key].fields
        scaled = own * np.float64(fields["raster:scale"]) + fields.get("raster:offset", 0.0)
        values = np.where(valid, scaled, values)
    return values.astype("float32")


OLDER = scene(
    "a-0", "2020-03-05T10:20:30Z", 1, packing=OLD, properties={"processing:version": "02.14"}
)
NEWER = scene("a-1", "2020-03-05T10:20:30Z", 2)
EAST = scene("b", "2020-03-05T10:20:23Z", 3, 33)
LATER = scene(
    "c", "2020-03-07T10:20:30Z", 4, packing=OLD, properties={"processing:version": "02.14"}
)
# Beside the grid by less than a pixel of a sample of it.
FAR = replace(scene("far", "2020-03-09T10:20:30Z", 5), left=place(32632)[0] + 700.0)
ALL = [OLDER, NEWER, EAST, LATER, FAR]


def test_a_day_is_a_mosaic_of_tiles_in_two_zones_and_two_baselines(tmp_path: Path) -> None:
    put_scenes(tmp_path, ALL)
    listener = Listener()
    result = built_scenes(tmp_path, TARGET.mapping, reporter=listener)
    assert result.status == "COMPLETED", result.message
    cube = opened(tmp_path)
    times = ["2020-03-05T10:20:23", "2020-03-07T10:20:30"]
    np.testing.assert_array_equal(cube["time"].values, np.array(times, "datetime64[ns]"))
    days = [[EAST, NEWER], [LATER]]
    # The zones differ, and so do both from the grid: neither covers it.
    assert 0.1 < mosaic([NEWER], "scl")[1].mean() < 0.9
    for index, day in enumerate(days):
        np.testing.assert_array_equal(cube["red"][index], reflectance(day, "red"))
        for key in ("nir", "scl"):
            expected, filled = mosaic(day, key)
            np.testing.assert_array_equal(cube[key][index], np.where(filled, expected, 0))
    assert cube["red"].dtype == "float32"
    assert "scale_factor" not in cube["red"].attrs
    assert (cube["nir"].dtype, cube["scl"].dtype) == ("uint16", "uint8")
    # Made of those that are laid, whatever else the catalog has.
    item = json.loads((tmp_path / "catalogs" / "c" / "cube" / "cube.json").read_text())
    made_of = [link["title"] for link in item["links"] if link["rel"] == "derived_from"]
    assert made_of == ["a-1", "b", "c"]
    assert item["properties"]["end_datetime"] == LATER.when
    scaled = opened(tmp_path, scaled=True)
    np.testing.assert_allclose(
        scaled["nir"][0], reflectance(days[0], "nir"), rtol=0, atol=1e-6, equal_nan=True
    )
    [dropped] = [line for line in listener.said if "newer processing" in line]
    assert "a-0 is left out" in dropped
    [empty] = [line for line in listener.said if "touches the grid" in line]
    assert "1 of 3 times left out" in empty
    assert "2020-03-09" in empty
    [unpacked] = [line for line in listener.said if "unpacked" in line]
    assert unpacked.startswith("s2: red: its scenes differ in scale or offset")


def test_the_numbers_of_the_files_without_scaling(tmp_path: Path) -> None:
    put_scenes(tmp_path, ALL)
    cube = loaded(tmp_path, {"open_params": {"apply_scaling": False}}, "red", "nir")
    for key in ("red", "nir"):
        expected, filled = mosaic([EAST, NEWER], key)
        np.testing.assert_array_equal(cube[key][0], np.where(filled, expected, 0))
        assert not {"scale_factor", "add_offset"} & set(cube[key].attrs)


@pytest.mark.parametrize(
    ("params", "groups"),
    [
        ({"duplicates": "all"}, [[NEWER, EAST, OLDER], [LATER]]),
        ({"groupby": "time"}, [[EAST], [NEWER], [LATER]]),
        ({"groupby": "id", "duplicates": "newest"}, [[EAST], [NEWER], [LATER]]),
        ({"groupby": "P1M"}, [[NEWER, EAST, LATER]]),
        ({"groupby": "P1D"}, [[NEWER, EAST], [LATER]]),
        # Selected before they are grouped: the month is there, though it began earlier.
        ({"groupby": "P1M", "time_range": ["2020-03-06", None]}, [[LATER]]),
    ],
)
def test_groups(
    tmp_path: Path, params: Mapping[str, Any], groups: Sequence[Sequence[Scene]]
) -> None:
    # Laid in the order of processing, of time and of ids.
    groups = [
        sorted(
            group, key=lambda each: (each.properties["processing:version"] == "02.14", each.when)
        )
        for group in groups
    ]
    searched = "s2?datetime=2020-01-01/2020-12-31" if "time_range" in params else "s2"
    put_scenes(tmp_path, ALL, data_id=searched)
    cube = loaded(tmp_path, {"data_id": searched, "open_params": dict(params)}, "red")
    starts = [min(each.when for each in group).rstrip("Z") for group in groups]
    np.testing.assert_array_equal(cube["time"].values, np.array(starts, "datetime64[ns]"))
    for index, group in enumerate(groups):
        expected, filled = mosaic(group, "red")
        if cube["red"].dtype == "float32":
            expected = reflectance(group, "red")
        np.testing.assert_array_equal(
            cube["red"][index],
            np.where(
                filled, expected, expected.dtype.type(0) if expected.dtype.kind == "u" else np.nan
            ),
        )


def test_values_are_physical_before_they_are_interpolated(tmp_path: Path) -> None:
    # One reflectance in two encodings, side by side: at the seam, too.
    left, right = (
        replace(scene(name, NEWER.when, 1, properties={"grid:code": name}), bands={"red": band})
        for name, band in (
            ("left", Band(np.full((SIZE, SIZE), 6000, "uint16"), fields=NEW)),
            ("right", Band(np.full((SIZE, SIZE), 5000, "uint16"), fields=OLD)),
        )
    )
    right = replace(right, left=left.left + SIZE * 10)
    put_scenes(tmp_path, [left, right])
    params = {"spatial_resample_params": {"interp_methods": "bilinear", "agg_methods": "mean"}}
    red = loaded(tmp_path, params, "red")["red"]
    inside = np.isfinite(red)
    assert inside.mean() > 0.9
    np.testing.assert_allclose(red.values[inside], 0.5, rtol=0, atol=1e-6)


def test_a_value_is_nodata_only_where_its_own_item_says_so(tmp_path: Path) -> None:
    first = replace(NEWER, bands={"nir": NEWER.bands["nir"]})
    second = replace(LATER, bands={"nir": replace(LATER.bands["nir"], nodata=None)})
    put_scenes(tmp_path, [first, second])
    nir = loaded(tmp_path, {}, "nir")["nir"]
    assert nir.dtype == "float32"
    for index, each in enumerate((first, second)):
        np.testing.assert_array_equal(nir[index], reflectance([each], "nir"))


def test_classes_stay_integers_where_items_differ_in_nodata(tmp_path: Path) -> None:
    classes = {"classification:classes": [{"value": 4, "name": "vegetation"}]}
    scl = NEWER.bands["scl"]
    bands = [
        replace(scl, values=scl.values | 1, fields=classes, nodata=nodata) for nodata in (0, None)
    ]
    scenes = [
        replace(each, bands={"scl": band}) for each, band in zip((NEWER, LATER), bands, strict=True)
    ]
    put_scenes(tmp_path, scenes)
    found = loaded(tmp_path, {}, "scl")["scl"]
    assert (found.dtype, found.attrs["_FillValue"]) == ("uint8", 0)
    for index, each in enumerate(scenes):
        expected, filled = mosaic([each], "scl")
        np.testing.assert_array_equal(found[index], np.where(filled, expected, 0))


def test_a_plan_has_the_times_after_grouping(tmp_path: Path) -> None:
    put_scenes(tmp_path, ALL)
    [planned] = plan(load_config(config_of(tmp_path, TARGET.mapping)), tmp_path / "catalogs")
    assert planned.expected is not None, planned.reason
    shapes = {each.name: (each.dtype, each.shape) for each in planned.expected.variables}
    shape = (2, *TARGET.shape)
    assert shapes == {"red": ("float32", shape), "nir": ("uint16", shape), "scl": ("uint8", shape)}


def test_parts_of_one_overpass_are_both_taken(tmp_path: Path) -> None:
    # A tile that is cut along the track is two products, seconds apart, of the same processing.
    parts = [NEWER, scene("a-2", "2020-03-05T10:20:44Z", 6)]
    put_scenes(tmp_path, parts)
    expected, filled = mosaic(parts, "scl")
    np.testing.assert_array_equal(
        loaded(tmp_path, {}, "scl")["scl"][0], np.where(filled, expected, 0)
    )


def test_the_same_processing_twice_is_the_one_changed_last(tmp_path: Path) -> None:
    again = scene("a-0", NEWER.when, 7, properties={"updated": "2024-05-01T00:00:00Z"})
    put_scenes(tmp_path, [NEWER, again])
    expected, filled = mosaic([again], "scl")
    np.testing.assert_array_equal(
        loaded(tmp_path, {}, "scl")["scl"][0], np.where(filled, expected, 0)
    )


def test_two_passes_of_one_day_are_no_duplicates(tmp_path: Path) -> None:
    # At high latitudes, the next orbit sees the tile again.
    second = scene("second", "2020-03-05T12:00:30Z", 8, properties={"processing:version": "02.14"})
    put_scenes(tmp_path, [NEWER, second])
    expected, filled = mosaic([NEWER, second], "scl")
    np.testing.assert_array_equal(
        loaded(tmp_path, {}, "scl")["scl"][0], np.where(filled, expected, 0)
    )


def test_scenes_of_one_time_cannot_be_grouped_by_id(tmp_path: Path) -> None:
    put_scenes(tmp_path, [NEWER, scene("b", NEWER.when, 3, 33)])
    with pytest.raises(BuildError, match="a-1 and b have the same time 2020-03-05T10:20:30Z"):
        loaded(tmp_path, {"open_params": {"groupby": "id"}}, "red")


def test_products_of_years_keep_their_times(tmp_path: Path) -> None:
    # Tiles of land cover have a place in a grid of tiles, too, and are of no solar day.
    year = {"start_datetime": "2020-01-01T00:00:00Z", "end_datetime": "2020-12-31T23:59:59Z"}
    tiles = [
        replace(each, properties=each.properties | year | {"processing:version": version})
        for each, version in ((NEWER, "1"), (EAST, "2"))
    ]
    put_scenes(tmp_path, tiles)
    cube = loaded(tmp_path, {}, "scl")
    assert "time" not in cube.dims
    expected, filled = mosaic(tiles, "scl")
    np.testing.assert_array_equal(cube["scl"], np.where(filled, expected, 0))


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("bbox", "start", "end", "middle", "day"),
    [
        ([9, 48, 10, 49], "2020-03-05T10:00:00", None, 9.0, "2020-03-05"),
        # 23:30 UTC is the next day at 9° E, and 00:30 UTC the day before at 100° W.
        ([9, 48, 10, 49], "2020-03-05T23:30:00", None, 9.0, "2020-03-06"),
        ([-101, 30, -99, 31], "2020-03-05T00:30:00", None, -100.0, "2020-03-04"),
        # Both sides of the antimeridian, as seen from the grid.
        ([179, 0, 180, 1], "2020-03-05T22:00:00", None, -179.9, "2020-03-05"),
        ([-180, 0, -179, 1], "2020-03-05T22:00:00", None, -179.9, "2020-03-05"),
        ([179.5, 0, -179.5, 1], "2020-03-05T22:00:00", None, 179.9, "2020-03-06"),
        ([179.5, 0, 0, -179.5, 1, 9], "2020-03-05T22:00:00", None, 179.9, "2020-03-06"),
        (None, "2020-03-05T23:30:00", None, 9.0, "2020-03-06"),
        # A date, a whole day and a month stay what they are.
        ([-101, 30, -99, 31], "2020-03-05T00:00:00", None, -100.0, "2020-03-05"),
        ([-101, 30, -99, 31], "2020-03-05T00:00:00", "2020-03-05T23:59:59", -100.0, "2020-03-05"),
        ([-101, 30, -99, 31], "2020-03-05T00:00:00", "2020-04-05T00:00:00", -100.0, "2020-03-05"),
    ],
)
def test_solar_days(bbox: Any, start: str, end: str | None, middle: float, day: str) -> None:
    assert solar_day(bbox, (at(start), at(end or start)), middle).isoformat() == day


@pytest.mark.parametrize(
    ("duration", "same", "other"),
    [
        ("P1D", "2020-03-05T23:59:59", "2020-03-06"),
        ("P10D", "2020-03-05T10:00:00", "2020-03-15"),
        ("P1W", "2020-03-08T23:00:00", "2020-03-09"),
        ("P1M", "2020-03-31", "2020-04-01"),
        ("P3M", "2020-01-01", "2020-04-01"),
        ("P1Y", "2020-12-31", "2021-01-01"),
        ("P10Y", "2029-12-31", "2019-12-31"),
    ],
)
def test_periods(duration: str, same: str, other: str) -> None:
    here = period_of(duration, at("2020-03-05T09:00:00"))
    assert period_of(duration, at(same)) == here
    assert period_of(duration, at(other)) != here
