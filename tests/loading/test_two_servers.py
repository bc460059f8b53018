"""Two S3 servers with the same bucket and key: each cube is of the server that its store names."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr

import stacbuild
from stacbuild import loading as load
from stacbuild.loading import pool
from tests.standins.s3 import S3Server
from tests.support.built import zarr_store
from tests.support.cli import configuration, geotiff

Json = dict[str, Any]
BUCKET = "twins"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[S3Server]]:
    """Two servers whose bucket holds ``in/one.zarr`` and ``in/one.tif``, of 3 and of 7."""
    with S3Server() as first, S3Server(realm="other") as second:
        for server, value in ((first, 3), (second, 7)):
            folder = tmp_path_factory.mktemp("objects")
            values = np.full((2, 120, 120), value, "uint8")
            zarr_store(folder / "one.zarr", ["2020-01-01", "2021-01-01"], band_data=values)
            # Of both bands together, so that what is decoded is kept for the second one.
            raster(folder / "one.tif", np.full((2, 120, 120), value, "uint8"))
            server.upload(folder, "in", BUCKET)
        yield [first, second]


def raster(path: Path, values: np.ndarray[Any, Any]) -> None:
    geotiff(path, count=len(values), interleave="pixel")
    with rasterio.open(path, "r+") as file:
        file.write(values)


def store(identifier: str, url: str, secret: str = "testing") -> Json:
    options = {"key": "testing", "secret": secret, "endpoint_url": url}
    return {
        "identifier": identifier,
        "store_id": "s3",
        "store_params": {"root": f"{BUCKET}/in", "storage_options": options},
    }


def values_of(path: Path) -> dict[str, set[int]]:
    with xr.open_zarr(path, mask_and_scale=False) as cube:
        return {
            str(name): {int(value) for value in np.unique(array)}
            for name, array in cube.data_vars.items()
        }


@pytest.mark.parametrize("data_id", ["one.zarr", "one.tif"])
def test_one_cube_of_two_servers(tmp_path: Path, servers: list[S3Server], data_id: str) -> None:
    stores = [store(f"s{number}", server.url) for number, server in enumerate(servers)]
    variables = [
        {"identifier": f"v{number}", "store": f"s{number}", "data_id": data_id} for number in (0, 1)
    ]
    path = configuration(tmp_path, [{"identifier": "cube", "variables": variables}], stores)
    [result] = stacbuild.build(path)
    assert result.status == "COMPLETED", result.message
    assert values_of(tmp_path / "data" / "cube.zarr") == {"v0": {3}, "v1": {7}}


@pytest.mark.parametrize("data_id", ["one.zarr", "one.tif"])
def test_two_builds_in_threads(tmp_path: Path, servers: list[S3Server], data_id: str) -> None:
    """All three hold what is open at once: two of them read one server by different credentials."""
    cases = [(servers[0].url, "testing"), (servers[1].url, "testing"), (servers[0].url, "another")]

    def run(number: int) -> str:
        stores = [store("source", *cases[number])]
        dataset = {"identifier": "cube", "store": "source", "data_id": data_id}
        [result] = stacbuild.build(
            configuration(tmp_path / str(number), [dataset], stores), errors="collect"
        )
        return result.message if result.status != "COMPLETED" else ""

    with load.using(), ThreadPoolExecutor(len(cases)) as threads:
        assert list(threads.map(run, range(len(cases)))) == ["", "", ""]
    found = [values_of(tmp_path / str(n) / "data" / "cube.zarr") for n in range(len(cases))]
    assert [values for each in found for values in each.values()] == [{3}, {7}, {3}]


def test_what_tells_assets_apart_shows_no_secret(servers: list[S3Server]) -> None:
    options = {"endpoint_url": servers[0].url, "key": "a-key-id", "secret": "a-secret"}
    known = pool.identity("s3://twins/in/one.zarr", options)
    assert "a-secret" not in repr(known)
    assert "a-key-id" not in repr(known)
    assert known == pool.identity("s3://twins/in/one.zarr", dict(reversed(options.items())))
    for changed in ({"secret": "b-secret"}, {"key": "b-key-id"}, {"endpoint_url": servers[1].url}):
        assert pool.identity("s3://twins/in/one.zarr", options | changed) != known


def test_two_variables_of_one_file_keep_their_own_fill_values(tmp_path: Path) -> None:
    """What is decoded once for all bands has "no data" filled in as one variable wants it."""
    data = np.full((2, 120, 120), 5, "uint8")
    data[:, :60] = 255
    raster(tmp_path / "src" / "one.tif", data)
    source = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}
    variables = [
        {
            "identifier": f"v{fill}",
            "store": "files",
            "data_id": "one.tif",
            "spatial_resample_params": {"fill_values": fill},
        }
        for fill in (255, 99)
    ]
    path = configuration(tmp_path, [{"identifier": "cube", "variables": variables}], [source])
    [result] = stacbuild.build(path)
    assert result.status == "COMPLETED", result.message
    assert values_of(tmp_path / "data" / "cube.zarr") == {"v255": {5, 255}, "v99": {5, 99}}
