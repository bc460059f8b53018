"""Items with several assets: a variable each, named by them, and one item in the catalog."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import Transformer

from stacbuild.api.datasets import load
from stacbuild.config import load_config
from stacbuild.planning import plan
from stacbuild.removal.remove import remove
from stacbuild.stac.catalog import Catalog
from stacbuild.validation.validate import validate
from tests.support.scenes.written import (
    Band,
    Scene,
    Target,
    built_scenes,
    config_of,
    put_scenes,
)

DAYS = ["2020-03-05T10:20:30Z", "2020-03-07T10:20:30Z"]


def a_scene(number: int, when: str = DAYS[0], **changes: Any) -> Scene:
    """Return a scene of two bands of 10 m and one of classes of 20 m."""
    random = np.random.default_rng(number)
    bands = {
        "red": Band(random.integers(1, 9000, (128, 128), dtype="uint16")),
        "nir": Band(random.integers(1, 9000, (128, 128), dtype="uint16")),
        "scl": Band(random.integers(3, 7, (64, 64), dtype="uint8"), side=20.0),
    }
    return Scene(f"scene-{number}", when, bands, **changes)


def target_in(scene: Scene) -> Target:
    """Return a grid in another CRS around the middle of a scene."""
    x, y = scene.left + 640, scene.top - 640
    x, y = Transformer.from_crs(scene.epsg, 3035, always_xy=True).transform(x, y)
    return Target(3035, round(x) - 200.0, round(y) + 240.0, 20.0, (24, 20))


def opened(directory: Path) -> xr.Dataset:
    with xr.open_zarr(directory / "data" / "cube.zarr", mask_and_scale=False) as cube:
        return cube.load()


def test_each_asset_is_a_variable_of_its_name(tmp_path: Path) -> None:
    scenes = [a_scene(number, when) for number, when in enumerate(DAYS)]
    put_scenes(tmp_path, scenes)
    target = target_in(scenes[0])
    result = built_scenes(tmp_path, target.mapping)
    assert result.status == "COMPLETED", result.message
    cube = opened(tmp_path)
    assert set(cube.data_vars) == {"red", "nir", "scl"}
    assert (
        cube["time"].values.tolist()
        == np.array([day.rstrip("Z") for day in DAYS], "datetime64[ns]").tolist()
    )
    for name, array in cube.data_vars.items():
        assert array.dims == ("time", "y", "x")
        assert "long_name" not in array.attrs
        for index, scene in enumerate(scenes):
            expected, valid = target.taken(scene, str(name))
            assert valid.all()
            np.testing.assert_array_equal(array[index].values, expected)
    item = json.loads((tmp_path / "catalogs" / "c" / "cube" / "cube.json").read_text())
    sources = [link for link in item["links"] if link["rel"] == "derived_from"]
    assert [link["title"] for link in sources] == ["scene-0", "scene-1"]
    assert "2 source items" in item["properties"]["processing:lineage"]


def test_a_single_scene_has_a_time(tmp_path: Path) -> None:
    put_scenes(tmp_path, [a_scene(0)])
    result = built_scenes(tmp_path, target_in(a_scene(0)).mapping)
    assert result.status == "COMPLETED", result.message
    assert opened(tmp_path).sizes == {"time": 1, "y": 24, "x": 20}


@pytest.mark.parametrize("key", ["interp_methods", "agg_methods"])
def test_classes_are_averaged_with_no_others(tmp_path: Path, key: str) -> None:
    made = a_scene(0)
    bands = dict(made.bands) | {"scl": replace(made.bands["scl"], role="data-mask")}
    put_scenes(tmp_path, [replace(made, bands=bands)])
    target = replace(target_in(made), side=16.0 if key == "interp_methods" else 60.0, shape=(6, 5))
    params = {"spatial_resample_params": {key: "bilinear" if key == "interp_methods" else "mean"}}
    config = load_config(config_of(tmp_path, target.mapping, params))
    with load(config, "cube", tmp_path / "catalogs", mask_and_scale=False) as cube:
        expected, _ = target.taken(made, "scl")
        np.testing.assert_array_equal(cube["scl"][0].values, expected)
        assert key == "interp_methods" or (cube["red"][0] != target.taken(made, "red")[0]).any()


def test_a_second_build_is_up_to_date_until_an_asset_changes(tmp_path: Path) -> None:
    scenes = [a_scene(0)]
    put_scenes(tmp_path, scenes)
    mapping = target_in(scenes[0]).mapping
    assert built_scenes(tmp_path, mapping).status == "COMPLETED"
    config, catalogs = load_config(config_of(tmp_path, mapping)), tmp_path / "catalogs"
    [planned] = plan(config, catalogs)
    assert planned.action == "up to date", planned.reason
    # Checksums of all assets are recorded, so a file that was only touched is the same.
    for path in (tmp_path / "scenes").glob("*.tif"):
        path.touch()
    [planned] = plan(config, catalogs)
    assert planned.action == "up to date", planned.reason
    changed = a_scene(1)
    put_scenes(
        tmp_path, [replace(scenes[0], bands=dict(scenes[0].bands) | {"scl": changed.bands["scl"]})]
    )
    [planned] = plan(config, catalogs)
    assert planned.action == "rebuild"
    assert planned.reasons == ("source scenes/scene-0: content changed",)


def test_validate_checks_each_asset(tmp_path: Path) -> None:
    put_scenes(tmp_path, [a_scene(0)])
    catalogs = tmp_path / "catalogs"
    checks = validate(catalogs, deep=True)
    names = [f"scenes/scene-0/{key}" for key in ("red", "nir", "scl")]
    assert [check.name for check in checks] == ["catalog", *names]
    assert all(check.well for check in checks)
    (tmp_path / "scenes" / "scene-0_nir.tif").unlink()
    assert [check.name for check in validate(catalogs) if not check.well] == [names[1]]


def test_remove_takes_the_item_of_a_scene_with_its_last_cube(tmp_path: Path) -> None:
    put_scenes(tmp_path, [a_scene(0)])
    mapping = target_in(a_scene(0)).mapping
    assert built_scenes(tmp_path, mapping).status == "COMPLETED"
    remove(load_config(config_of(tmp_path, mapping)), tmp_path / "catalogs", ["cube"], sources=True)
    assert not list(Catalog(tmp_path / "catalogs").items())
    assert len(list((tmp_path / "scenes").glob("*.tif"))) == 3


def test_an_item_without_one_of_the_assets_is_named(tmp_path: Path) -> None:
    whole, lacking = a_scene(0), a_scene(1, DAYS[1])
    bands = {key: band for key, band in lacking.bands.items() if key != "nir"}
    put_scenes(tmp_path, [whole, replace(lacking, bands=bands)])
    result = built_scenes(tmp_path, target_in(whole).mapping)
    assert result.status == "FAILED"
    assert "scene-1 has no nir" in result.message
