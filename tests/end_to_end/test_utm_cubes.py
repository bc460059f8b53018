"""Cubes of scenes that name no grid: in the UTM zone of their area, pixel upon pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import Transformer

from stacbuild import build, load_config, plan
from stacbuild.config import Config
from tests.support.cli import configuration
from tests.support.scenes.written import LEFT, STORE, TOP, Band, Scene, Target, put_scenes

POINT = list(Transformer.from_crs(32632, 4326, always_xy=True).transform(LEFT + 640, TOP - 640))
AREA: dict[str, Any] = {"point": POINT, "bbox_width": 400}


def scene(number: int, **changes: Any) -> Scene:
    random = np.random.default_rng(number)
    bands = {
        "red": Band(random.integers(1, 9000, (128, 128), dtype="uint16")),
        "scl": Band(random.integers(3, 7, (64, 64), dtype="uint8"), side=20.0),
    }
    return Scene(f"scene-{number}", f"2020-03-0{number}T10:20:30Z", bands, **changes)


def configured(directory: Path, params: dict[str, Any], *others: dict[str, Any]) -> Config:
    made = {
        "identifier": "cube",
        "store": "scenes",
        "data_id": "s2?asset_names=red,scl",
        "open_params": params,
    }
    path = configuration(directory, [made, *others], [STORE])
    # The support's configurations have a grid for every dataset.
    path.write_text(path.read_text().replace("- grid_mapping: grid\n  ", "- ", 1))
    return load_config(path)


def harvested(directory: Path, config: Config, *scenes: Scene) -> Path:
    """Put scenes into the catalog as a harvest of the first dataset."""
    put_scenes(directory, scenes, config.dataset("cube").variables[0].data_id)
    return directory / "catalogs"


def opened(directory: Path, name: str = "cube") -> xr.Dataset:
    with xr.open_zarr(directory / "data" / f"{name}.zarr", mask_and_scale=False) as cube:
        return cube.load()


@pytest.mark.parametrize("params", [AREA | {"spatial_res": 10}, AREA])
def test_pixels_of_the_tile_are_taken_as_they_are(tmp_path: Path, params: dict[str, Any]) -> None:
    config, one = configured(tmp_path, params), scene(1)
    catalog = harvested(tmp_path, config, one)
    (planned,) = plan(config, catalog)
    (result,) = build(config, catalog)
    cube = opened(tmp_path)
    assert planned.grid is not None
    assert cube["red"].shape == (1, *planned.grid.shape) == (1, 40, 40)
    column, row = (cube["x"].values[0] - 5 - LEFT) / 10, (TOP - cube["y"].values[0] - 5) / 10
    assert (column, row) == (44, 44)
    np.testing.assert_array_equal(cube["red"][0], one.bands["red"].values[44:84, 44:84])
    # Each pixel of 20 m is four.
    coarse = np.kron(one.bands["scl"].values, np.ones((2, 2), "uint8"))
    np.testing.assert_array_equal(cube["scl"][0], coarse[44:84, 44:84])
    assert result.status == "COMPLETED"
    assert [each.action for each in plan(config, catalog)] == ["up to date"]


def test_a_neighbouring_zone_fills_the_whole_square(tmp_path: Path) -> None:
    point = [12.0005, 49.0]
    params = {"point": point, "bbox_width": 400, "spatial_res": 10}
    config = configured(tmp_path, params)
    x, y = Transformer.from_crs(4326, 32632, always_xy=True).transform(*point)
    west = scene(1, left=round(x, -1) - 640.0, top=round(y, -1) + 640.0)
    build(config, harvested(tmp_path, config, west))
    cube = opened(tmp_path)
    assert cube["spatial_ref"].attrs["crs_wkt"].startswith('PROJCRS["WGS 84 / UTM zone 33N"')
    corner = cube["x"].values[0] - 5, cube["y"].values[0] + 5
    target = Target(32633, *corner, 10, (40, 40))
    expected, valid = target.taken(west, "red")
    assert valid.all()
    np.testing.assert_array_equal(cube["red"][0], expected)


def test_another_dataset_takes_that_grid(tmp_path: Path) -> None:
    other = {
        "identifier": "other",
        "store": "scenes",
        "data_id": "s3",
        "grid_mapping": "cube",
    }
    config = configured(tmp_path, AREA | {"spatial_res": 20}, other)
    catalog = harvested(tmp_path, config, scene(1))
    put_scenes(tmp_path, [scene(2, left=LEFT + 5, top=TOP + 5)], "s3")
    build(config, catalog)
    cube, same = opened(tmp_path), opened(tmp_path, "other")
    assert cube["red"].shape == same["red"].shape == (1, 20, 20)
    assert cube["x"].equals(same["x"])
    assert cube["y"].equals(same["y"])
    assert [each.action for each in plan(config, catalog)] == ["up to date"] * 2


def test_the_grid_is_not_known_before_the_harvest(tmp_path: Path) -> None:
    config = configured(tmp_path, AREA | {"spatial_res": 10})
    (planned,) = plan(config, tmp_path / "catalogs")
    assert planned.grid is None
    assert planned.action == "create"
    assert planned.harvest[0].endswith("not harvested yet")


def test_later_scenes_do_not_move_the_grid(tmp_path: Path) -> None:
    config = configured(tmp_path, AREA | {"spatial_res": 10})
    catalog = harvested(tmp_path, config, scene(1))
    build(config, catalog)
    before = opened(tmp_path)
    harvested(tmp_path, config, scene(1), scene(2, left=LEFT - 500, top=TOP + 300))
    (planned,) = plan(config, catalog)
    assert planned.action == "rebuild"
    assert "grid" not in planned.reason
    build(config, catalog)
    assert opened(tmp_path)["x"].equals(before["x"])


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"spatial_res": 10}, "spatial_res needs an area: bbox, or point and bbox_width"),
        ({"point": POINT, "spatial_res": 10}, "spatial_res needs an area"),
        ({"bbox": [0, 85, 1, 86], "spatial_res": 10}, "beyond the zones of UTM"),
        ({"bbox": [0, 10, 80, 20], "spatial_res": 10}, "too wide for a zone of UTM"),
        (AREA | {"spatial_res": 0}, "has to be more than 0"),
    ],
)
def test_areas_without_such_a_grid(tmp_path: Path, params: dict[str, Any], said: str) -> None:
    with pytest.raises(Exception, match=said):
        configured(tmp_path, params)


def test_a_resolution_beside_a_grid_is_refused(tmp_path: Path) -> None:
    other = {
        "identifier": "other",
        "store": "scenes",
        "data_id": "s3",
        "grid_mapping": "cube",
        "open_params": AREA | {"spatial_res": 10},
    }
    with pytest.raises(Exception, match="is the resolution of a cube without a grid_mapping"):
        configured(tmp_path, AREA, other)
