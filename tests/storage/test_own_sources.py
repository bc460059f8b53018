"""A cube is not written over the files it is made from, nor into a Zarr store."""

from __future__ import annotations

import os
from pathlib import Path

import pystac
import pytest

from stacbuild.errors import ConflictError
from stacbuild.sources.s3.store import S3Store
from stacbuild.storage.own_sources import check_bucket, check_folder
from tests.support.items import raster_item


def source(href: Path | str) -> pystac.Item:
    item = raster_item()
    item.assets["data"].href = str(href)
    return item


def test_sources_elsewhere(tmp_path: Path) -> None:
    beside = tmp_path / "cube.zarr.tif"
    beside.touch()
    hrefs = [tmp_path / "a.tif", beside, "https://host.example/cube.zarr/a.tif"]
    check_folder(tmp_path / "cube.zarr", map(source, hrefs))


@pytest.mark.parametrize("kind", ["file", "link", "folder_link", "hard_link", "itself"])
def test_sources_within_the_cube(tmp_path: Path, kind: str) -> None:
    cube = tmp_path / "data" / "cube.zarr"
    (cube / "v").mkdir(parents=True)
    inner = cube / "v" / "a.tif"
    inner.touch()
    href = inner
    if kind == "link":
        href = tmp_path / "b.tif"
        href.symlink_to(inner)
    elif kind == "folder_link":
        (tmp_path / "other").symlink_to(cube / "v")
        href = tmp_path / "other" / "a.tif"
    elif kind == "hard_link":
        cube, href = tmp_path / "cube.nc", tmp_path / "b.nc"
        cube.touch()
        os.link(cube, href)
    elif kind == "itself":
        href = cube
    with pytest.raises(ConflictError, match="which is its own source by the item i"):
        check_folder(cube, [source(tmp_path / "fine.tif"), source(href)])


@pytest.mark.parametrize("name", ["zarr.json", ".zgroup", ".zarray"])
def test_a_cube_within_a_store(tmp_path: Path, name: str) -> None:
    (tmp_path / "other.zarr").mkdir()
    (tmp_path / "other.zarr" / name).touch()
    with pytest.raises(ConflictError, match=r"lies within the Zarr store .*other\.zarr"):
        check_folder(tmp_path / "other.zarr" / "group" / "cube.zarr", [])


def test_earlier_builds_in_a_bucket() -> None:
    params = {"root": "bucket/cubes", "storage_options": {"endpoint_url": "https://host.example"}}
    store = S3Store.model_validate({"identifier": "s", "store_id": "s3", "store_params": params})
    root = "https://host.example/bucket/cubes"
    fine = ("cube-notes.zarr", "other-0123abcd.zarr", "cube.zarr", "deep/cube-0123abcd.zarr")
    check_bucket(store, "cube", (source(f"{root}/{name}") for name in fine))
    check_bucket(store, "cube", [source("https://host.example/bucket/cube-0123abcd.zarr")])
    for name in ("cube-0123abcd.zarr", "cube-0123abcd.zarr/0"):
        with pytest.raises(ConflictError, match="and its own source by the item i"):
            check_bucket(store, "cube", [source(f"{root}/{name}")])
    with pytest.raises(ConflictError):
        check_bucket(store, "deep/cube", [source(f"{root}/deep/cube-0123abcd.zarr")])
