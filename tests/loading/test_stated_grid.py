"""Items that were edited: their grid is compared with that of the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stacbuild.building import CubeResult, build
from stacbuild.config import load_config
from stacbuild.errors import IntegrityError
from stacbuild.sources import harvest
from stacbuild.validation.validate import validate
from tests.support.built import LAT, LON, SOURCES, zarr_store
from tests.support.cli import Json, configuration, geotiff


def shifted(properties: Json) -> None:
    properties["proj:transform"][2] += 0.01


def halved(properties: Json) -> None:
    properties["proj:shape"] = [60, 60]


def upside_down(properties: Json) -> None:
    properties["proj:transform"][4] *= -1
    properties["proj:transform"][5] -= 0.12


def finer(properties: Json) -> None:
    properties["proj:transform"][0] /= 1.1


def in_another_crs(properties: Json) -> None:
    properties["proj:code"] = "EPSG:4258"


Change = Callable[[Json], None]
CHANGES = [shifted, halved, upside_down, finer, in_another_crs]


def harvested(folder: Path, name: str, **dataset: Any) -> Path:
    if name.endswith(".tif"):
        geotiff(folder / "src" / name)
    else:
        values = np.arange(LAT.size * LON.size, dtype="f4").reshape(1, LAT.size, LON.size)
        zarr_store(folder / "src" / name, ["2020-01-01"], v=values)
    one = {"identifier": "cube", "store": "files", "data_id": name} | dataset
    config = configuration(folder, [one], [SOURCES])
    harvest(load_config(config), folder / "catalogs")
    return config


def edit(folder: Path, change: Change) -> None:
    [path] = (folder / "catalogs").glob("file-src/one/one.json")
    content = json.loads(path.read_text())
    change(content["properties"])
    path.write_text(json.dumps(content))


def run(config: Path) -> CubeResult:
    [result] = build(load_config(config), config.parent / "catalogs")
    return result


@pytest.mark.parametrize("name", ["one.tif", "one.zarr"])
@pytest.mark.parametrize("change", CHANGES)
def test_an_item_with_another_grid_than_its_file(tmp_path: Path, name: str, change: Change) -> None:
    config = harvested(tmp_path, name)
    edit(tmp_path, change)
    result = run(config)
    assert isinstance(result.error, IntegrityError)
    assert f"{tmp_path}/src/{name}: its item states" in result.message
    assert not (tmp_path / "data" / "cube.zarr").exists()
    checks = validate(tmp_path / "catalogs", load_config(config), deep=True)
    assert f"src/{name}: its item states" in str(checks)
    harvest(load_config(config), tmp_path / "catalogs")
    assert run(config).status == "COMPLETED"


@pytest.mark.parametrize("name", ["one.tif", "one.zarr"])
def test_an_item_that_is_cut_is_compared_as_a_whole(tmp_path: Path, name: str) -> None:
    cut = {"open_params": {"bbox": [10.02, 45.02, 10.08, 45.08]}}
    config = harvested(tmp_path, name, **cut)
    assert run(config).status == "COMPLETED"
    edit(tmp_path, shifted)
    assert "its item states" in run(config).message
