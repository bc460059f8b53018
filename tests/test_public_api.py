"""The public functions: what they give, that they change nothing, and that several may run."""

from __future__ import annotations

import copy
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml

import stacbuild
from stacbuild.errors import ConfigError, NotFoundError
from tests.support.built import variable_of
from tests.support.cli import configuration, geotiff

SOURCE = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}
DATASETS = [{"identifier": name, "store": "files", "data_id": f"{name}.tif"} for name in "ab"]


def make(directory: Path, **changes: Any) -> Path:
    for name in "ab":
        geotiff(directory / "src" / f"{name}.tif", **changes)
    return configuration(directory, DATASETS, [SOURCE])


def test_there_is_nothing_else() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = stacbuild.nothing


def test_to_import_it_is_light() -> None:
    code = "import sys, stacbuild; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "asyncio",
        "dask",
        "email",
        "importlib.metadata",
        "numpy",
        "pydantic",
        "pystac",
        "rasterio",
        "requests",
        "xarray",
        "zarr",
    }
    assert not heavy & set(done.stdout.split())


def test_from_a_file_to_an_open_cube(tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(NotFoundError, match="build it first"):
        stacbuild.open_cube(path, "a")
    assert [each.action for each in stacbuild.plan(path)] == ["create", "create"]
    assert [each.status for each in stacbuild.harvest(path)] == ["COMPLETED"]
    assert [each.status for each in stacbuild.build(path, datasets=["a"])] == ["COMPLETED"]
    assert [each.action for each in stacbuild.plan(path)] == ["up to date", "create"]
    with stacbuild.open_cube(path, "a") as cube:
        with rasterio.open(tmp_path / "src" / "a.tif") as file:
            expected = file.read(1)[10:110, 10:110]
        np.testing.assert_array_equal(variable_of(cube).squeeze(), expected)
        assert variable_of(cube).chunks is not None
    with pytest.raises(ConfigError, match="there is no dataset 'c'"):
        stacbuild.open_cube(path, "c")


def test_a_configuration_is_left_as_it_is(tmp_path: Path) -> None:
    content = yaml.safe_load(make(tmp_path).read_text())
    content["data_stores"][0]["store_params"]["root"] = str(tmp_path / "data")
    content["data_stores"][1]["store_params"]["root"] = str(tmp_path / "src")
    before = copy.deepcopy(content)
    config = stacbuild.load_config(content)
    resolved = config.resolved()
    for _ in range(2):  # the second time, too
        stacbuild.build(content, tmp_path / "catalogs")
        stacbuild.build(config, tmp_path / "catalogs", force=True)
    assert content == before
    assert config.resolved() == resolved


def test_builders_in_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Of the same source: what one has open, another that ends sooner must not close."""
    make(tmp_path)
    paths = []
    for number in range(4):
        content = yaml.safe_load((tmp_path / "c_config.yml").read_text())
        content["data_stores"][0]["store_params"]["root"] = f"data{number}"
        content["grid_mappings"][0]["tile_size"] = 10 + 30 * number
        path = tmp_path / f"c{number}_config.yml"
        path.write_text(yaml.safe_dump(content))
        paths.append(path)
    together = threading.Barrier(len(paths))

    def run(path: Path) -> list[Any]:
        together.wait()
        return stacbuild.build(path, tmp_path / path.stem)

    with ThreadPoolExecutor(len(paths)) as threads:
        results = list(threads.map(run, paths))
    assert [each.message for found in results for each in found if each.status != "COMPLETED"] == []
    with rasterio.open(tmp_path / "src" / "a.tif") as file:
        expected = file.read(1)[10:110, 10:110]
    for path in paths:
        for name in "ab":
            with stacbuild.open_cube(path, name, tmp_path / path.stem) as cube:
                np.testing.assert_array_equal(variable_of(cube).squeeze(), expected)


def test_the_pool_is_given_back_when_the_last_builder_is_done(tmp_path: Path) -> None:
    from stacbuild.loading import pool

    path = geotiff(tmp_path / "one.tif")
    with pool.using():
        with pool.using(), pool.open_raster(str(path), None, "file", {}) as (_, first):
            pass
        pool.release()
        assert not first.closed  # the outer one still reads it
    assert first.closed
