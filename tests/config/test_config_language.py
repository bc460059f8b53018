"""The language of configurations, key by key, each by its effect on a cube."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.errors import ConfigError
from stacbuild.planning import plan
from tests.support.built import variable_of
from tests.support.cli import configuration, geotiff, stacbuild

SOURCE = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}


def dataset(identifier: str, grid_mapping: str) -> dict[str, Any]:
    return {
        "identifier": identifier,
        "grid_mapping": grid_mapping,
        "store": "files",
        "data_id": "one.tif",
    }


def make(directory: Path, *datasets: dict[str, Any]) -> Path:
    geotiff(directory / "src" / "one.tif")
    return configuration(directory, datasets, [SOURCE])


def test_the_grid_of_another_dataset_whatever_the_order(tmp_path: Path) -> None:
    config = make(tmp_path, dataset("a", "b"), dataset("b", "c"), dataset("c", "grid"))
    stacbuild("cube", config)
    cubes = [xr.open_zarr(tmp_path / "data" / f"{name}.zarr").load() for name in "abc"]
    assert cubes[0]["lat"].size == 100
    for cube in cubes[:2]:
        np.testing.assert_array_equal(cube["lat"], cubes[2]["lat"])
        np.testing.assert_array_equal(cube["lon"], cubes[2]["lon"])
        np.testing.assert_array_equal(variable_of(cube), variable_of(cubes[2]))
    item = json.loads((tmp_path / "catalogs" / "c" / "a" / "a.json").read_text())
    assert "on the grid grid by" in item["properties"]["processing:lineage"]
    expression = item["properties"]["processing:expression"]["expression"]
    assert [grid["identifier"] for grid in expression["grid_mappings"]] == ["grid"]
    assert [each["grid_mapping"] for each in expression["datasets"]] == ["grid"]


def test_a_changed_grid_builds_anew_what_takes_it_over(tmp_path: Path) -> None:
    path = make(tmp_path, dataset("a", "b"), dataset("b", "grid"))
    build(load_config(path), tmp_path / "catalogs")
    assert [each.action for each in plan(load_config(path), tmp_path / "catalogs")] == [
        "up to date"
    ] * 2
    content = yaml.safe_load(path.read_text())
    content["grid_mappings"][0]["tile_size"] = 50
    path.write_text(yaml.safe_dump(content))
    for each in plan(load_config(path), tmp_path / "catalogs"):
        assert each.action == "rebuild"
        assert each.reason == "configuration: grid_mappings.grid.tile_size"


def test_datasets_that_take_their_grid_from_each_other_are_refused(tmp_path: Path) -> None:
    path = make(tmp_path, dataset("a", "b"), dataset("b", "a"), dataset("c", "a"))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    found = str(caught.value)
    assert "datasets.0.grid_mapping: goes in a circle: a -> b -> a" in found
    assert "datasets.1.grid_mapping: goes in a circle: b -> a -> b" in found
    assert "datasets.2" not in found
    itself = make(tmp_path / "itself", dataset("a", "a"))
    done = stacbuild("plan", itself, code=2)
    assert "goes in a circle: a -> a; one of these has to name one of grid_mappings" in done.stderr


def test_no_such_grid_and_no_such_dataset(tmp_path: Path) -> None:
    path = make(tmp_path, dataset("alpha", "alpah"))
    with pytest.raises(ConfigError, match=r"there is no grid 'alpah' \(did you mean 'alpha'"):
        load_config(path)
