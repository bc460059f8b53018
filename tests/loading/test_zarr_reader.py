"""Quality layers in Zarr groups mask bands in Zarr groups."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import stacbuild
from stacbuild.errors import Failures, StacbuildError
from tests.support.scenes.eopf import Scene
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

CLOUDS = [3, 8, 9, 10]


def clouds(scene: Scene, values: list[int] = CLOUDS, dilate: int = 0) -> NDArray[np.bool_]:
    """Return which pixels of 10 m are masked."""
    found = np.isin(scene.pixels(20, "scl"), values)
    if dilate:
        wide = np.pad(found, dilate)
        rows, columns = found.shape
        near = range(-dilate, dilate + 1)
        found = np.logical_or.reduce(
            [
                wide[dilate + y : dilate + y + rows, dilate + x : dilate + x + columns]
                for y in near
                for x in near
                if np.hypot(x, y) <= dilate
            ]
        )
    return found.repeat(2, 0).repeat(2, 1)


@pytest.mark.parametrize(
    ("rule", "masked"),
    [
        ({"values": [3], "dilate": 1}, clouds(FIRST, [3], 1)),
        ({"classes": ["cloud_shadows"]}, clouds(FIRST, [3])),
    ],
)
def test_masked_pixels_are_nodata(tmp_path: Path, rule: Any, masked: Any) -> None:
    catalog(tmp_path, FIRST)
    params = {"asset_names": ["B04", "B8A", "SCL"], "mask": {"asset": "SCL", **rule}}
    cube = loaded(configured(tmp_path, params))
    for name, resolution, stored in (("B04", 10, "b04"), ("B8A", 20, "b8a")):
        expected = np.where(masked, 0, on_10_m(FIRST, resolution, stored))
        np.testing.assert_array_equal(cube[name].values, expected)


def test_the_next_scene_fills_what_is_masked(tmp_path: Path) -> None:
    second = replace(FIRST, tile="34UDE", seed=4)
    catalog(tmp_path, FIRST, second)
    params = {"asset_names": ["B04"], "mask": {"asset": "SCL", "values": CLOUDS}}
    cube = loaded(configured(tmp_path, params))
    assert list(cube.data_vars) == ["B04"]
    planes = [np.where(clouds(each), 0, each.pixels(10, "b04")) for each in (FIRST, second)]
    expected = np.where(planes[0] == 0, planes[1], planes[0])
    np.testing.assert_array_equal(cube["B04"].values, expected)


@pytest.mark.parametrize("asset", ["SR_10m", "product"])
def test_a_mask_is_one_variable(tmp_path: Path, asset: str) -> None:
    catalog(tmp_path, FIRST)
    params = {"asset_names": ["B04"], "mask": {"asset": asset, "values": [1]}}
    reason = "is a Zarr group of b02, b03, b04, b08" if asset == "SR_10m" else "holds groups"
    with pytest.raises(StacbuildError, match=reason):
        stacbuild.build(configured(tmp_path, params))


@pytest.mark.parametrize(
    ("errors", "part", "asset"), [("skip", "measurements", "B04"), ("fail", "conditions", "SCL")]
)
def test_a_scene_that_cannot_be_read_is_named_or_left_out(
    tmp_path: Path, errors: str, part: str, asset: str
) -> None:
    catalog(tmp_path / "web", FIRST, LATER)
    params = {"asset_names": ["B04"], "mask": {"asset": "SCL", "values": CLOUDS}, "errors": errors}
    told = Told()
    with Files(tmp_path / "web") as server:
        store = {"store_id": "stac", "store_params": {"url": server.url}}
        config = configured(tmp_path, params, store)
        stacbuild.harvest(config)
        shutil.rmtree(tmp_path / "web" / f"{LATER.id}.zarr" / part)
        (tmp_path / "web" / f"{LATER.id}.zarr" / ".zmetadata").unlink()
        if errors == "fail":
            with pytest.raises(Failures, match=f"{LATER.id}.*asset {asset}"):
                stacbuild.build(config)
            return
        cube = built(tmp_path, config, told)
    assert "time" not in cube.dims
    assert any(LATER.id in line and "leaves out the scene" in line for line in told.warnings)
    expected = np.where(clouds(FIRST), 0, FIRST.pixels(10, "b04"))
    np.testing.assert_array_equal(cube["B04"].values, expected)


def test_a_damaged_chunk_is_named_with_its_scene(tmp_path: Path) -> None:
    catalog(tmp_path, FIRST)
    config = configured(tmp_path, {"asset_names": ["B04", "B08"]})
    stacbuild.harvest(config)
    chunk = tmp_path / f"{FIRST.id}.zarr" / "measurements/reflectance/r10m/b08/0.0"
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(StacbuildError, match=r"asset B08.*b08 cannot be read") as caught:
        stacbuild.build(config)
    assert FIRST.id in str(caught.value)
    assert json.dumps(str(caught.value)).count("\\n") <= 1
