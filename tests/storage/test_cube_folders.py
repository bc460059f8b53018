"""Identifiers with ``/``: cubes in folders of the storage, one a site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import rasterio
import s3fs
import xarray as xr

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.errors import ConfigError
from stacbuild.pictures.find import find_cube
from stacbuild.planning import plan
from stacbuild.stac.catalog import Catalog, cube_id
from stacbuild.validation.validate import validate
from tests.standins.s3 import S3Server
from tests.support.built import variable_of
from tests.support.cli import Json, configuration, geotiff, stacbuild

FILES = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}
SITES = ("AU-Dry/sen2", "AU-Dry-sen2", "AU-Dry/era5", "x/y/z")


def config_of(folder: Path, *names: str, storage: Json | None = None, **entry: Any) -> Path:
    geotiff(folder / "src" / "one.tif")
    source = {"store": "files", "data_id": "one.tif", **entry}
    datasets = [{"identifier": name, **source} for name in names]
    return configuration(folder, datasets, [FILES], storage=storage)


def expected(folder: Path) -> Any:
    with rasterio.open(folder / "src" / "one.tif") as file:
        return file.read(1)[10:110, 10:110]


def hidden(folder: Path) -> list[str]:
    """Return what lies beside the cubes but their locks."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob(".*")
        if not path.name.endswith(".lock")
    ]


@pytest.mark.parametrize("form", ["zarr", "netcdf", "levels"])
def test_a_cube_lies_in_its_folder(tmp_path: Path, form: str) -> None:
    path = config_of(tmp_path, *SITES, format_id=form)
    config, catalogs = load_config(path), tmp_path / "catalogs"
    results = build(config, catalogs)
    assert [each.status for each in results] == ["COMPLETED"] * len(SITES), results
    ending = ".nc" if form == "netcdf" else ".zarr"
    for name in SITES:
        place = tmp_path / "data" / f"{name}{ending}"
        assert place.exists()
        [found] = [each for each in results if each.name == name]
        cube = find_cube(name, catalogs).href
        # Of a pyramid, all levels rather than the first.
        assert Path(cube) == place
        assert found.href == (f"{place}/0" if form == "levels" else str(place))
        opened = (
            xr.open_dataset(cube, engine="h5netcdf", mask_and_scale=False)
            if form == "netcdf"
            else xr.open_zarr(found.href, mask_and_scale=False)
        )
        with opened:
            np.testing.assert_array_equal(variable_of(opened), expected(tmp_path))
    assert hidden(tmp_path / "data") == []
    assert {each.action for each in plan(config, catalogs)} == {"up to date"}
    assert [
        check.found.problems for check in validate(catalogs, config) if check.found.problems
    ] == []
    # Built anew, each in its place.
    results = build(config, catalogs, datasets=["AU-Dry/sen2"], force=True)
    assert [each.status for each in results] == ["COMPLETED"], results
    assert hidden(tmp_path / "data") == []
    items = [item.id for item in Catalog(catalogs).items() if item.collection_id == "c"]
    assert sorted(items) == sorted(map(cube_id, SITES))
    assert not any("/" in each for each in items)


def test_in_a_bucket(tmp_path: Path, s3_server: S3Server) -> None:
    # To put something makes the bucket.
    s3_server.put("of-others/kept.txt", b"kept", "sites")
    options = {"endpoint_url": s3_server.url, "key": "testing", "secret": "testing"}
    storage = {
        "store_id": "s3",
        "store_params": {"root": "sites/cubes", "storage_options": options},
    }
    path = config_of(tmp_path, "a/sen2", "b/sen2", storage=storage)
    for words in ((), ("--force",)):
        # In a process of its own, which closes the connections of s3fs.
        lines = stacbuild("cube", path, *words).stdout.splitlines()
        hrefs = [line.split("\t")[0] for line in lines]
        assert f"{s3_server.url}/sites/cubes/a/sen2-" in hrefs[0]
        for href in hrefs:
            with xr.open_zarr(href, mask_and_scale=False) as cube:
                np.testing.assert_array_equal(variable_of(cube), expected(tmp_path))
    assert stacbuild("plan", path).stdout.count("up to date") >= 2
    fs = s3fs.S3FileSystem(**options, use_listings_cache=False)
    # The older ones were removed, and only they.
    assert len(fs.ls("sites/cubes/a")) == len(fs.ls("sites/cubes/b")) == 1


def test_in_memory(tmp_path: Path) -> None:
    storage = {"store_id": "memory", "store_params": {"root": "of-sites"}}
    config = load_config(config_of(tmp_path, "a/sen2", "a-sen2", storage=storage))
    for _ in range(2):
        results = build(config, tmp_path / "catalogs")
        assert [each.href for each in results] == [
            "memory://of-sites/a/sen2.zarr",
            "memory://of-sites/a-sen2.zarr",
        ]
    fs = fsspec.filesystem("memory")
    assert not [path for path in fs.find("/of-sites") if "staging" in path]
    fs.rm("/of-sites", recursive=True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../out", "is not a valid identifier"),
        ("a/../b", "is not a valid identifier"),
        ("a/..", "is not a valid identifier"),
        ("/a", "is not a valid identifier"),
        ("a/", "is not a valid identifier"),
        ("a//b", "is not a valid identifier"),
        ("a/.b", "is not a valid identifier"),
        ("a\\b", "is not a valid identifier"),
        ("a/b c", "is not a valid identifier"),
        ("a.zarr/b", "is in a folder that is named like a cube; rename 'a.zarr'"),
        ("a.Zarr/b", "is in a folder"),
        ("x/a.nc/b", "is in a folder"),
        ("/".join(["abcdefghi"] * 11), "more than 100 characters"),
    ],
)
def test_identifiers_that_lead_elsewhere(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(config_of(tmp_path, name))
    assert said in str(caught.value)


def test_only_cubes_have_folders(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'AU-DRY/SEN2' is the identifier of datasets\.0"):
        load_config(config_of(tmp_path, "AU-Dry/sen2", "AU-DRY/SEN2"))
    source = {"identifier": "a/b", "store": "files", "data_id": "one.tif"}
    path = configuration(tmp_path, [{"identifier": "a", "variables": [source]}], [FILES])
    with pytest.raises(ConfigError, match="'a/b' is not a valid identifier"):
        load_config(path)


def test_the_grid_of_a_dataset_in_a_folder(tmp_path: Path) -> None:
    config = load_config(config_of(tmp_path, "AU-Dry/sen2", "AU-Dry/agb"))
    content = config.resolved()
    content["datasets"][1]["grid_mapping"] = "AU-Dry/sen2"
    again = load_config(content, base_dir=tmp_path)
    results = build(again, tmp_path / "catalogs")
    assert [each.status for each in results] == ["COMPLETED"] * 2, results
