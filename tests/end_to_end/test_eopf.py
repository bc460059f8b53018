"""Cubes of Sentinel-2 scenes as the EOPF sample service publishes them: nested Zarr groups."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest

import stacbuild
from stacbuild.errors import StacbuildError
from tests.support.scenes.eopf import OFFSET, SCALE, Scene
from tests.support.scenes.eopf_cubes import (
    FIRST,
    LATER,
    Files,
    built,
    catalog,
    configured,
    loaded,
    on_10_m,
)
from tests.support.stac_documents import Told


@pytest.mark.parametrize(("zarr_format", "served"), [(2, False), (3, False), (2, True)])
def test_bands_of_scenes_are_variables(tmp_path: Path, zarr_format: int, served: bool) -> None:
    catalog(tmp_path, FIRST, LATER, zarr_format=zarr_format)
    params = {"asset_names": ["B04", "nir08", "SCL"]}
    with Files(tmp_path) as server:
        api = {"store_id": "eopf-zarr", "store_params": {"url": server.url}}
        config = configured(tmp_path, params, api if served else None)
        cube = built(tmp_path, config)
        [again] = stacbuild.plan(config)
        assert again.action == "up to date", again
    expected = {"B04": (10, "b04"), "nir08": (20, "b8a"), "SCL": (20, "scl")}
    assert set(cube.data_vars) == set(expected)
    for name, (resolution, stored) in expected.items():
        for step, scene in enumerate((FIRST, LATER)):
            pixels = on_10_m(scene, resolution, stored)
            np.testing.assert_array_equal(cube[name].values[step], pixels)
    assert cube["B04"].attrs["scale_factor"] == SCALE
    assert cube["B04"].attrs["add_offset"] == OFFSET
    assert cube["B04"].attrs["_FillValue"] == 0
    assert cube["B04"].attrs["units"] == "1"
    assert not [key for key in cube["B04"].attrs if key.startswith(("proj:", "_eopf"))]
    documents = [
        json.loads(each.read_text()) for each in (tmp_path / "catalogs").rglob("S2A*.json")
    ]
    assert len(documents) == 2
    for item in documents:
        assert set(item["assets"]) == set(params["asset_names"])
        assert "cube:variables" not in item["properties"]
        assert set(item["assets"]["B04"]["cube:variables"]) == {"b04"}
        assert item["assets"]["SCL"]["proj:shape"] == [60, 60]
        assert item["assets"]["B04"]["href"].endswith(".zarr/measurements/reflectance/r10m")


def test_a_group_is_all_of_its_bands(tmp_path: Path) -> None:
    catalog(tmp_path, FIRST)
    params = {"asset_names": "SR_10m", "variable_names": ["b02", "b03"]}
    told = Told()
    cube = loaded(configured(tmp_path, params), told)
    assert told.warnings == []
    assert set(cube.data_vars) == {"b02", "b03"}
    np.testing.assert_array_equal(cube["b03"].values, FIRST.pixels(10, "b03"))


def test_scenes_are_filtered_and_mosaicked_across_zones(tmp_path: Path) -> None:
    """Where the first scene has no data, the nearest pixels of one in another zone are taken."""
    to_other = pyproj.Transformer.from_crs(32634, 32635, always_xy=True)
    x, y = to_other.transform(FIRST.west + 600, FIRST.north - 200)
    other = Scene(tile="35UCE", seed=2, west=round(x, -1) - 600, north=round(y, -1) + 600)
    late = replace(FIRST, seed=3, time="2025-02-01T10:00:00Z")
    catalog(tmp_path, FIRST, late, other)
    params = {"asset_names": ["B04", "B08"], "filter": "datetime < DATE('2025-02-01')"}
    cube = loaded(configured(tmp_path, params))
    assert "time" not in cube.dims
    ys, xs = np.meshgrid(cube["y"].values, cube["x"].values, indexing="ij")
    there_x, there_y = to_other.transform(xs, ys)
    columns = np.floor((there_x - other.west) / 10).astype(int)
    rows = np.floor((other.north - there_y) / 10).astype(int)
    inside = (columns >= 0) & (columns < 120) & (rows >= 0) & (rows < 120)
    for name in ("b04", "b08"):
        first, second = FIRST.pixels(10, name), other.pixels(10, name)
        expected = first.copy()
        gaps = (first == 0) & inside
        expected[gaps] = second[rows[gaps], columns[gaps]]
        assert (expected != first).any()
        np.testing.assert_array_equal(cube[name.upper()].values, expected)


def test_tiles_of_one_time_fill_each_other(tmp_path: Path) -> None:
    # The first has no data in its upper rows, where the second has.
    other = replace(FIRST, tile="34UDE", seed=4, west=FIRST.west - 600, north=FIRST.north + 600)
    catalog(tmp_path, FIRST, other)
    cube = loaded(configured(tmp_path, {"asset_names": ["B04", "SCL"]}))
    first, second = (scene.pixels(10, "b04") for scene in (FIRST, other))
    expected = first.copy()
    expected[:60, :60] = np.where(first[:60, :60] == 0, second[60:, 60:], first[:60, :60])
    np.testing.assert_array_equal(cube["B04"].values, expected)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"asset_names": "product"}, "holds groups and no arrays"),
        ({"asset_names": ["B04", "B99"]}, "'B99' is not an asset of it"),
        ({"asset_names": ["B04", "product_metadata"]}, "'product_metadata' is not"),
    ],
)
def test_an_asset_that_is_no_band_is_named(
    tmp_path: Path, params: dict[str, Any], reason: str
) -> None:
    catalog(tmp_path, FIRST)
    with pytest.raises(StacbuildError, match=reason):
        stacbuild.build(configured(tmp_path, params))


def test_scenes_with_different_bands_are_named(tmp_path: Path) -> None:
    catalog(tmp_path, FIRST, LATER)
    search = json.loads((tmp_path / "search.json").read_text())
    assets = search["features"][1]["assets"]
    assets["B04_10m"]["href"] = assets["B04_10m"]["href"].replace("b04", "b08")
    (tmp_path / "search.json").write_text(json.dumps(search))
    with pytest.raises(StacbuildError, match=r"different variables \(b04, b08\)"):
        stacbuild.build(configured(tmp_path, {"asset_names": ["B04", "SCL"]}))


def test_numbers_as_they_are_stored(tmp_path: Path) -> None:
    catalog(tmp_path, FIRST)
    params = {"asset_names": ["B04", "SCL"], "apply_scaling": False}
    cube = loaded(configured(tmp_path, params))
    np.testing.assert_array_equal(cube["B04"].values, FIRST.pixels(10, "b04"))
    assert not {"scale_factor", "add_offset"} & {*cube["B04"].attrs, *cube["B04"].encoding}
    assert "units" not in cube["B04"].attrs


def test_scenes_are_grouped_to_solar_days(tmp_path: Path) -> None:
    """The newest processing of a tile is taken, and tiles seconds apart are one time."""
    old = replace(FIRST, baseline="04.00", seed=7)
    beside = replace(
        FIRST, tile="34UDE", west=FIRST.west - 600, time="2025-01-09T10:04:15Z", seed=4
    )
    catalog(tmp_path, old, FIRST, beside, LATER)
    cube = loaded(configured(tmp_path, {"asset_names": ["B04", "SCL"]}))
    assert cube["time"].values.tolist() == [
        np.datetime64(each.time[:-1], "ns").item() for each in (FIRST, LATER)
    ]
    first, second = (scene.pixels(10, "b04") for scene in (FIRST, beside))
    expected = first.copy()
    expected[:, :60] = np.where(first[:, :60] == 0, second[:, 60:], first[:, :60])
    np.testing.assert_array_equal(cube["B04"].values[0], expected)
    np.testing.assert_array_equal(cube["B04"].values[1], LATER.pixels(10, "b04"))


def test_scenes_that_differ_in_scale_are_unpacked(tmp_path: Path) -> None:
    """Before they are mosaicked, each by its own scale and offset."""
    other = replace(FIRST, tile="34UDE", seed=4, offset=0.0)
    catalog(tmp_path, FIRST, other)
    cube = loaded(configured(tmp_path, {"asset_names": ["B04", "SCL"]}))
    values = []
    for scene in (FIRST, other):
        numbers = scene.pixels(10, "b04")
        values.append(np.where(numbers == 0, np.nan, numbers * SCALE + scene.offset))
    expected = np.where(np.isnan(values[0]), values[1], values[0])
    np.testing.assert_allclose(cube["B04"].values, expected, rtol=1e-6)
    assert cube["B04"].dtype.kind == "f"
    assert "scale_factor" not in cube["B04"].attrs


def test_scale_and_nodata_of_quality_layers_are_those_of_the_product(tmp_path: Path) -> None:
    catalog(tmp_path, FIRST)
    cube = loaded(configured(tmp_path, {"asset_names": ["AOT", "SCL"]}))
    assert cube["AOT"].attrs["scale_factor"] == 0.001
    assert cube["AOT"].attrs["_FillValue"] == cube["SCL"].attrs["_FillValue"] == 0
    assert "scale_factor" not in cube["SCL"].attrs
    np.testing.assert_array_equal(cube["AOT"].values, FIRST.pixels(10, "aot"))


def test_without_a_grid_mapping_pixels_are_those_of_the_scenes(tmp_path: Path) -> None:
    scene = replace(FIRST, west=400_000)  # the first is at the edge of its zone
    catalog(tmp_path, scene)
    to_degrees = pyproj.Transformer.from_crs(32634, 4326, always_xy=True)
    centre = to_degrees.transform(scene.west + 600, scene.north - 600)
    params = {
        "asset_names": ["B04", "B8A"],
        "point": list(centre),
        "bbox_width": 400,
        "spatial_res": 20,
    }
    cube = loaded(configured(tmp_path, params, grid_mapping=None))
    assert cube["B8A"].shape == (20, 20)
    np.testing.assert_array_equal(cube["B8A"].values, scene.pixels(20, "b8a")[20:40, 20:40])
