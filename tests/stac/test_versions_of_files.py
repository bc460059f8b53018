"""Files of a server that are replaced by others of the same name and size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml

import stacbuild
from stacbuild.errors import StacbuildError
from tests.standins.s3 import S3Server
from tests.support.array_files import LAT, LON
from tests.support.file_server import FileServer
from tests.support.own_files import raster


class Remote:
    """A configuration of one cube of one file of a server."""

    def __init__(self, path: Path, server: FileServer) -> None:
        self.path, self.server = path, server

    def put(self, name: str, seed: int) -> Any:
        path = self.path / name
        if name.endswith(".tif"):
            values = raster(path, seed=seed)
        else:
            values = np.random.default_rng(seed).integers(0, 9, (LAT.size, LON.size), "i2")
            dataset = xr.Dataset({"v": (("lat", "lon"), values)}, {"lat": LAT, "lon": LON})
            dataset.to_netcdf(path, engine="netcdf4")
        self.server.files[f"/{name}"] = path.read_bytes()
        return values

    def config(self, data_id: str) -> stacbuild.Config:
        content = {
            "data_stores": [
                {"identifier": "s", "store_id": "https", "store_params": {"root": self.server.url}},
                {"identifier": "storage", "store_id": "file", "store_params": {"root": "cubes"}},
            ],
            "datasets": [{"identifier": "c", "store": "s", "data_id": data_id}],
        }
        (self.path / "c.yml").write_text(yaml.safe_dump(content))
        return stacbuild.load_config(self.path / "c.yml")

    def values(self) -> Any:
        [array] = xr.open_zarr(self.path / "cubes/c.zarr", mask_and_scale=False).data_vars.values()
        return array.values

    def item(self) -> Path:
        [found] = [
            path
            for path in self.path.glob("catalogs/*/*/*.json")
            if "stacbuild:served" in path.read_text()
        ]
        return found


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    with FileServer() as server:
        yield Remote(tmp_path, server)


def action(config: stacbuild.Config) -> str:
    [plan] = stacbuild.plan(config)
    return plan.action


@pytest.mark.parametrize("name", ["a.tif", "a.nc"])
def test_other_bytes_are_refused_until_they_are_harvested(remote: Remote, name: str) -> None:
    remote.put(name, 1)
    config = remote.config(name)
    stacbuild.build(config)
    stacbuild.harvest(config)
    assert action(config) == "up to date"
    new = remote.put(name, 2)
    with pytest.raises(StacbuildError, match=rf"{name}: changed since it was harvested \(ETag"):
        stacbuild.build(config, force=True)
    stacbuild.harvest(config)
    [plan] = stacbuild.plan(config)
    assert (plan.action, "content changed" in " ".join(plan.reasons)) == ("rebuild", True)
    stacbuild.build(config)
    assert np.array_equal(remote.values(), new)
    stacbuild.harvest(config)
    assert action(config) == "up to date"


def test_items_without_a_version_stay_up_to_date(remote: Remote) -> None:
    remote.put("a.tif", 1)
    config = remote.config("a.tif")
    stacbuild.build(config)
    path = remote.item()
    item = json.loads(path.read_text())
    del item["assets"]["data"]["stacbuild:served"]
    path.write_text(json.dumps(item))
    stacbuild.harvest(config)
    assert remote.item() == path
    assert action(config) == "up to date"


def test_a_server_that_states_nothing_is_read(remote: Remote) -> None:
    remote.server.etags = False
    remote.put("a.nc", 1)
    config = remote.config("a.nc")
    stacbuild.build(config)
    new = remote.put("a.nc", 2)
    stacbuild.build(config, force=True)
    assert np.array_equal(remote.values(), new)


def test_a_plan_that_lists_a_bucket_sees_other_bytes(s3_server: S3Server, tmp_path: Path) -> None:
    for day in (1, 2):
        raster(tmp_path / f"{day}.tif", seed=day)
        s3_server.put(f"served/a_2020010{day}.tif", (tmp_path / f"{day}.tif").read_bytes(), "files")
    options = {"anon": True, "endpoint_url": s3_server.url}
    content = {
        "data_stores": [
            {"identifier": "s", "store_id": "s3", "store_params":
             {"root": "files/served", "storage_options": options}},
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "cubes"}},
        ],
        "datasets": [{"identifier": "c", "store": "s", "data_id": "a_*.tif"}],
    }  # fmt: skip
    (tmp_path / "c.yml").write_text(yaml.safe_dump(content))
    config = stacbuild.load_config(tmp_path / "c.yml")
    stacbuild.build(config)
    assert action(config) == "up to date"
    new = raster(tmp_path / "2.tif", seed=3)
    s3_server.put("served/a_20200102.tif", (tmp_path / "2.tif").read_bytes(), "files")
    [plan] = stacbuild.plan(config)
    assert "a_20200102.tif changed" in " ".join(plan.reasons)
    stacbuild.build(config)
    cube = xr.open_zarr(tmp_path / "cubes/c.zarr", mask_and_scale=False)
    [array] = cube.data_vars.values()
    assert np.array_equal(array.values[1], new)


def test_validation_names_it(remote: Remote) -> None:
    remote.put("a.nc", 1)
    config = remote.config("a.nc")
    stacbuild.build(config)
    remote.put("a.nc", 2)
    with pytest.raises(StacbuildError, match="when it was harvested; harvest it again"):
        stacbuild.validate(config, remote=True)
