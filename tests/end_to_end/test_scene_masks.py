"""Clouds of scenes of a day: hidden before they are mosaicked, against NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from stacbuild.building import build
from stacbuild.config import load_config
from tests.support.cli import configuration
from tests.support.rasters import Recorder
from tests.support.scenes import items as scenes

RANDOM = np.random.default_rng(8)
RED = {name: RANDOM.integers(1, 9000, (24, 24)) for name in "ab"}
SCL = {name: RANDOM.choice([1, 4, 5, 8, 9], (12, 12), p=[0.1, 0.4, 0.2, 0.2, 0.1]) for name in "ab"}
# The second scene is 60 m further east, so six columns of 10 m.
SHIFT = 6


@pytest.mark.parametrize("dilate", [0, 1])
def test_the_next_scene_of_the_day_fills_what_is_masked(tmp_path: Path, dilate: int) -> None:
    found = []
    for number, name in enumerate("ab"):
        corner = (scenes.WEST + number * 10 * SHIFT, scenes.NORTH)
        when = f"2020-03-05T10:37:4{number}Z"
        item = scenes.earth_search(name, datetime=when, **{"grid:code": f"MGRS-32TM{name.upper()}"})
        for asset in item["assets"].values():
            asset["proj:transform"][2] = corner[0]
        found.append(item)
        folder = tmp_path / "stac" / name
        scenes.raster(folder / "red.tif", 10, RED[name], corner=corner, nodata=0)
        scenes.raster(folder / "scl.tif", 20, SCL[name], corner=corner, dtype="uint8")
    scenes.put(tmp_path / "stac", *found)
    mask = {"asset": "scl", "classes": ["cloud_medium_probability", "cloud_high_probability"]}
    params = {"asset_names": ["red", "scl"], "mask": mask | {"dilate": dilate}}
    bbox = [scenes.WEST, scenes.NORTH - 240, scenes.WEST + 300, scenes.NORTH]
    grid = {
        "identifier": "g",
        "crs": "EPSG:32632",
        "spatial_res": 10,
        "bbox": bbox,
        "tile_size": 16,
    }
    dataset = {"identifier": "cube", "store": "s", "data_id": "sentinel-2-l2a"}
    path = configuration(
        tmp_path,
        [dataset | {"grid_mapping": "g", "open_params": params | {"apply_scaling": False}}],
        [{"identifier": "s", "store_id": "stac", "store_params": {"root": "stac"}}],
        grids=[grid],
    )
    [result] = build(load_config(path), tmp_path / "catalogs", reporter=Recorder())
    assert result.status == "COMPLETED", result.message
    red, scl = np.zeros((24, 30), "u2"), np.full((24, 30), -1)
    for name, left in (("b", SHIFT), ("a", 0)):  # the earlier one is on top
        masked = np.isin(SCL[name], [8, 9])
        for rows, cols in ((1, 0), (-1, 0), (0, 1), (0, -1)) if dilate else ():
            ring = np.pad(np.isin(SCL[name], [8, 9]), 1)
            masked |= np.roll(ring, (rows, cols), (0, 1))[1:-1, 1:-1]
        clear = ~masked.repeat(2, 0).repeat(2, 1)
        red[:, left : left + 24][clear] = RED[name][clear]
        scl[:, left : left + 24][clear] = SCL[name].repeat(2, 0).repeat(2, 1)[clear]
    with xr.open_zarr(tmp_path / "data" / "cube.zarr", mask_and_scale=False) as cube:
        np.testing.assert_array_equal(cube["red"].values.reshape(red.shape), red)
        kept = cube["scl"].values.reshape(scl.shape)
        fill = cube["scl"].attrs["_FillValue"]
    hidden = scl < 0
    assert (kept[hidden] == fill).all()
    np.testing.assert_array_equal(kept[~hidden], scl[~hidden])
    assert hidden.any()
    assert (red[:, 6:24][~hidden[:, 6:24]] > 0).all()
