"""What a process keeps open between chunks, and when it is given back."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from stacbuild.errors import LocalError
from stacbuild.formats.geotiff import RasterFile
from stacbuild.geo.grid import PixelGrid
from stacbuild.loading import pool
from tests.support.cli import geotiff
from tests.support.folder_server import Folder


def test_an_asset_is_told_apart_by_its_server_and_keys_which_are_not_shown() -> None:
    one = pool.identity("s3://b/a", {"endpoint_url": "https://a", "key": "canary"})
    other = pool.identity("s3://b/a", {"endpoint_url": "https://b", "key": "canary"})
    assert one != other
    assert one == pool.identity("s3://b/a", {"key": "canary", "endpoint_url": "https://a"})
    assert "canary" not in str(one)
    assert pool.identity("/a", {}) == ("/a", "")


def test_a_dataset_is_lent_again_and_closed_after_a_failure(tmp_path: Path) -> None:
    path = str(geotiff(tmp_path / "a.tif"))
    with pool.using():
        with (
            pool.open_raster(path, None, "file", {}) as (_, first),
            pool.open_raster(path, None, "file", {}) as (_, second),
        ):
            assert second is not first
        with pool.open_raster(path, None, "file", {}) as (_, again):
            assert again in (first, second)
        with (
            pytest.raises(ValueError, match="x"),
            pool.open_raster(path, None, "file", {}) as (_, lent),
        ):
            raise ValueError("x")
        assert lent.closed
    assert first.closed
    assert second.closed


def test_what_another_build_holds_is_not_released(tmp_path: Path) -> None:
    xr.Dataset({"v": ("x", np.arange(3))}).to_zarr(
        tmp_path / "a.zarr", zarr_format=2, consolidated=True
    )
    with pool.using():
        with pool.using():
            kept = pool.zarr_dataset(str(tmp_path / "a.zarr"), {})
        assert pool.zarr_dataset(str(tmp_path / "a.zarr"), {}) is kept
    with pool.using():
        assert pool.zarr_dataset(str(tmp_path / "a.zarr"), {}) is not kept


def test_index_maps_are_made_once() -> None:
    grid = PixelGrid("EPSG:3035", (10.0, 0.0, 0.0, 0.0, -10.0, 0.0), (10, 10))
    window = (slice(0, 5), slice(0, 5))
    found = pool.shared_index_map(grid, grid, window)
    assert found is not None
    assert pool.shared_index_map(grid, grid, window) is found
    pool.forget()
    assert pool.shared_index_map(grid, grid, window) is not found
    pool.forget()


def test_what_is_not_there_is_not_kept(tmp_path: Path) -> None:
    with (
        pytest.raises(LocalError),
        pool.open_raster(str(tmp_path / "gone.tif"), None, "file", {}),
    ):
        pass


def test_of_many_files_the_last_ones_stay_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_MOST_FILES", 2)
    paths = [str(geotiff(tmp_path / f"{number}.tif", width=20)) for number in range(4)]
    lent = []
    with pool.using(), pool.open_raster(paths[0], None, "file", {}) as (_, held):
        for path in paths[1:]:
            with pool.open_raster(path, None, "file", {}) as (_, dataset):
                lent.append(dataset)
        assert [each.closed for each in lent] == [True, False, False]
        assert not held.closed  # another thread reads it
        with pool.open_raster(paths[2], None, "file", {}) as (_, again):
            assert again is lent[1]
    assert held.closed
    assert all(each.closed for each in lent)


def test_more_remote_files_than_local_ones_stay_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was fetched of a file would otherwise be fetched again for the next window."""
    monkeypatch.setattr(pool, "_MOST_FILES", 1)
    monkeypatch.setattr(pool, "_MOST_REMOTE", 2)
    place = tmp_path / "served"
    place.mkdir()
    names = [geotiff(place / f"{number}.tif", width=20).name for number in range(3)]
    with Folder(place) as server, pool.using():
        hrefs = [f"{server.url}/{name}" for name in names]
        for href in [*hrefs[:2], str(place / names[0]), hrefs[0], hrefs[1], hrefs[2], hrefs[1]]:
            with pool.open_raster(href, None, "https", {}) as (_, dataset):
                dataset.read(1)
        asked = Counter(request.path for request in server.log if request.method == "GET")
        once = asked[f"/{names[0]}"]
        assert asked[f"/{names[1]}"] == asked[f"/{names[2]}"] == once
        with pool.open_raster(hrefs[0], None, "https", {}) as (_, dataset):
            dataset.read(1)
        assert sum(request.path == f"/{names[0]}" for request in server.log) > once


def test_threads_that_ask_for_a_file_at_once_get_the_same_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    both = threading.Barrier(2)

    class Slow(RasterFile):
        def __init__(self, href: str, **options: Any) -> None:
            made.append(href)
            both.wait(5)  # the other file is made meanwhile, without a lock
            super().__init__(href, **options)

    monkeypatch.setattr("stacbuild.formats.geotiff.RasterFile", Slow)
    paths = [str(geotiff(tmp_path / f"{number}.tif", width=20)) for number in range(2)]

    def read(path: str) -> RasterFile:
        with pool.open_raster(path, None, "file", {}) as (file, _):
            return file

    with pool.using(), ThreadPoolExecutor(4) as threads:
        found = list(threads.map(read, paths * 2))
    assert sorted(made) == paths
    assert found[:2] == found[2:]
