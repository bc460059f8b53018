"""Cubes of scenes as four providers state them, compared with the formula by NumPy alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr

import stacbuild
from tests.support.scenes import items as scenes
from tests.support.scenes.items import NORTH, SIDE, WEST, Json, put


def cube_of(folder: Path, names: list[str], *several: Json, **params: Any) -> xr.Dataset:
    """Return the cube of scenes on the pixels of their tile, as xarray opens it by default."""
    put(folder / "catalog", *several)
    edge = SIDE * 10
    config = {
        "data_stores": [
            {"identifier": "scenes", "store_id": "stac", "store_params": {"root": "catalog"}},
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "data"}},
        ],
        "grid_mappings": [
            {
                "identifier": "utm",
                "crs": "EPSG:32632",
                "spatial_res": params.pop("spatial_res", 10),
                "bbox": [WEST, NORTH - edge, WEST + edge, NORTH],
            }
        ],
        "datasets": [
            {
                "identifier": "cube",
                "grid_mapping": "utm",
                "store": "scenes",
                "data_id": several[0]["collection"],
                "open_params": {"asset_names": names, **params},
            }
        ],
    }
    path = folder / "config.yml"
    path.write_text(json.dumps(config))
    stacbuild.build(stacbuild.load_config(path))
    return xr.open_zarr(folder / "data" / "cube.zarr").load()


def numbers(folder: Path, scene: Json, key: str) -> np.ndarray[Any, Any]:
    """Return the digital numbers of an asset on pixels of 10 m, 0 where it has no data."""
    with rasterio.open(folder / "catalog" / scene["assets"][key]["href"]) as file:
        size = round(file.transform.a) // 10
        return np.repeat(np.repeat(file.read(1), size, 0), size, 1).astype(float)


@pytest.mark.parametrize(
    ("scene", "name", "key", "packing"),
    [
        (scenes.earth_search(shifted=True), "red", "red", (0.0001, 0)),
        (scenes.earth_search(shifted=False), "red", "red", (0.0001, -0.1)),
        (
            scenes.earth_search(shifted=False, baseline="02.14", offset=0),
            "nir08",
            "nir08",
            (1e-4, 0),
        ),
        (scenes.cdse(), "red", "B04_10m", (0.0001, -0.1)),
        (scenes.planetary_computer(), "B04", "B04", (0.0001, -0.1)),
        (scenes.planetary_computer(baseline="02.12"), "B11", "B11", (0.0001, 0)),
    ],
)
def test_values_are_reflectance(
    tmp_path: Path, scene: Json, name: str, key: str, packing: tuple[float, float]
) -> None:
    cube = cube_of(tmp_path, [name, "SCL"], scene)
    found = numbers(tmp_path, scene, key)
    expected = np.where(found == 0, np.nan, found * packing[0] + packing[1])
    assert set(cube.data_vars) - {"spatial_ref"} == {name, "SCL"}
    np.testing.assert_allclose(cube[name].values.squeeze(), expected, atol=1e-7)
    layer = next(each for each in scene["assets"] if each.casefold().startswith("scl"))
    classes = numbers(tmp_path, scene, layer)
    expected = np.where(classes == 0, np.nan, classes)
    np.testing.assert_array_equal(cube["SCL"].values.squeeze(), expected)


def test_landsat_is_reflectance_and_its_bits_are_bits(tmp_path: Path) -> None:
    scene = scenes.usgs()
    cube = cube_of(tmp_path, ["red", "qa_pixel"], scene)
    found = numbers(tmp_path, scene, "red")
    expected = np.where(found == 0, np.nan, found * 2.75e-05 - 0.2)
    np.testing.assert_allclose(cube["red"].values.squeeze(), expected, atol=1e-7)
    bits = xr.open_zarr(tmp_path / "data" / "cube.zarr", mask_and_scale=False)["qa_pixel"]
    np.testing.assert_array_equal(bits.values.squeeze(), numbers(tmp_path, scene, "qa_pixel"))


def test_the_band_in_the_resolution_of_the_cube_is_read(tmp_path: Path) -> None:
    scene = scenes.cdse()
    cube = cube_of(tmp_path, ["B04", "SCL"], scene, spatial_res=20)
    with rasterio.open(tmp_path / "catalog" / scene["assets"]["B04_20m"]["href"]) as file:
        found = file.read(1).astype(float)
    expected = np.where(found == 0, np.nan, found * 0.0001 - 0.1)
    np.testing.assert_allclose(cube["B04"].values.squeeze(), expected, atol=1e-7)


def test_scenes_before_and_after_the_offset_are_reflectance_both(tmp_path: Path) -> None:
    """One day of each processing baseline: stored as reflectance, or with the packing of each."""
    early = scenes.planetary_computer("early", baseline="03.00")
    late = scenes.planetary_computer("late", baseline="04.00", datetime="2022-03-05T10:37:41Z")
    cube = cube_of(tmp_path, ["B04", "SCL"], early, late)
    for step, (scene, offset) in enumerate([(early, 0), (late, -0.1)]):
        found = numbers(tmp_path, scene, "B04")
        expected = np.where(found == 0, np.nan, found * 0.0001 + offset)
        np.testing.assert_allclose(cube["B04"].values[step], expected, atol=1e-6)


def test_digital_numbers_on_request(tmp_path: Path) -> None:
    scene = scenes.planetary_computer()
    cube = cube_of(tmp_path, ["B04", "SCL"], scene, apply_scaling=False)
    found = numbers(tmp_path, scene, "B04")
    expected = np.where(found == 0, np.nan, found)
    np.testing.assert_array_equal(cube["B04"].values.squeeze(), expected)


def test_a_cube_is_rebuilt_when_another_duplicate_is_the_newest(tmp_path: Path) -> None:
    first, second = (
        scenes.planetary_computer(name, updated=f"2024-0{month}-01T00:00:00Z")
        for month, name in ((1, "a"), (2, "b"))
    )
    folder = tmp_path / "catalog"
    rasters = ("B04", np.full((SIDE, SIDE), 2000)), ("B04", np.full((SIDE, SIDE), 3000))
    for scene, (key, pixels) in zip((first, second), rasters, strict=True):
        scenes.raster(folder / scene["assets"][key]["href"], 10, pixels)
    assert np.allclose(cube_of(tmp_path, ["B04"], first, second)["B04"], 0.2)
    first["properties"]["updated"] = "2024-03-01T00:00:00Z"
    put(folder, first, second)
    config = stacbuild.load_config(tmp_path / "config.yml")
    stacbuild.harvest(config)
    (planned,) = stacbuild.plan(config)
    assert planned.action == "rebuild"
    assert np.allclose(cube_of(tmp_path, ["B04"], first, second)["B04"], 0.1)
