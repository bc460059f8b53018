"""Scenes that a harvest cannot read: all are listed, or a cube is made without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from stacbuild.building import CubeResult, build
from stacbuild.config import load_config
from stacbuild.stac.files import read_json
from tests.support.cli import Json, configuration
from tests.support.rasters import Recorder
from tests.support.scenes import items as scenes

GRID = {
    "identifier": "g",
    "crs": "EPSG:32632",
    "spatial_res": 10,
    "bbox": [scenes.WEST, scenes.NORTH - 240, scenes.WEST + 240, scenes.NORTH],
}


def local(folder: Path, *names: str, **open_params: Any) -> Path:
    """Return a configuration of scenes in a folder, not harvested."""
    found = []
    for number, name in enumerate(names):
        found.append(scenes.earth_search(name, datetime=f"2020-03-0{number + 5}T10:37:41Z"))
    scenes.put(folder / "stac", *found)
    params = {"asset_names": ["red", "nir"], "apply_scaling": False, **open_params}
    dataset = {"identifier": "cube", "store": "scenes", "data_id": "sentinel-2-l2a"}
    store = {"identifier": "scenes", "store_id": "stac", "store_params": {"root": "stac"}}
    mapping = {"grid_mapping": "g", "open_params": params}
    return configuration(folder, [dataset | mapping], [store], grids=[GRID])


def run(path: Path) -> tuple[CubeResult, list[str]]:
    told = Recorder()
    [result] = build(load_config(path), path.parent / "catalogs", reporter=told)
    return result, told.warnings


def properties(result: CubeResult) -> Json:
    assert result.status == "COMPLETED", result.message
    found: Json = read_json(Path(str(result.item)))["properties"]
    return found


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("kind", ["all files", "one file", "no such asset"])
def test_scenes_that_a_harvest_cannot_read_are_left_out(tmp_path: Path, kind: str) -> None:
    path = local(tmp_path, "a", "b", "c", errors="skip")
    if kind == "no such asset":
        item = tmp_path / "stac" / "b.json"
        item.write_text(item.read_text().replace('"nir"', '"near"').replace("nir-jp2", "x"))
    else:
        (tmp_path / "stac" / "b" / "nir.tif").unlink()
        if kind == "all files":
            truncate(tmp_path / "stac" / "b" / "red.tif")
    result, warnings = run(path)
    found = properties(result)["stacbuild:skipped"]
    assert {each["item"].split("-")[0] for each in found} == {"b"}
    assert found[0]["asset"] == "nir"
    assert len(found) == 1 + (kind == "all files")
    assert str(tmp_path) not in str(found)
    assert any(
        each.startswith("b: left out, since asset nir cannot be read: ") for each in warnings
    )
    assert any(
        each.startswith(f"cube: leaves out the scene of item {found[0]['item']}")
        for each in warnings
    )
    with xr.open_zarr(tmp_path / "data" / "cube.zarr") as cube:
        assert cube["time"].dt.day.values.tolist() == [5, 7]
    again, _ = run(path)
    assert again.status == "UP TO DATE"


def test_scenes_that_a_harvest_cannot_read_fail_with_all_listed(tmp_path: Path) -> None:
    path = local(tmp_path, "a", "b", "c")
    (tmp_path / "stac" / "b" / "nir.tif").unlink()
    truncate(tmp_path / "stac" / "c" / "red.tif")
    result, _ = run(path)
    first, second = result.message.splitlines()
    assert first.startswith("item b, asset nir: ")
    assert second.startswith("item c, asset red: ")


def test_a_cube_that_needs_all_scenes_harvests_what_was_left_out(tmp_path: Path) -> None:
    path = local(tmp_path, "a", "b", errors="skip")
    missing = tmp_path / "stac" / "b" / "nir.tif"
    content = missing.read_bytes()
    missing.unlink()
    run(path)
    path.write_text(path.read_text().replace("errors: skip", "errors: fail"))
    result, _ = run(path)
    assert result.message.startswith("item b, asset nir: ")
    missing.write_bytes(content)
    result, _ = run(path)
    assert "stacbuild:skipped" not in properties(result)
    with xr.open_zarr(tmp_path / "data" / "cube.zarr") as cube:
        assert cube.sizes["time"] == 2
