"""No output is, holds or lies within a source, a cache or the catalog."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.config.overlaps import ENDINGS
from stacbuild.errors import ConfigError
from stacbuild.planning import plan
from stacbuild.sources import harvest
from stacbuild.storage.formats import FORMATS
from tests.support.cli import Json, ages, configuration, errors, geotiff, stacbuild
from tests.support.foreign import snapshot
from tests.support.stores import options, store


def s3(root: str, server: str = "http://127.0.0.1:9000") -> Json:
    return {"store_id": "s3", "store_params": {"root": root, "storage_options": options(server)}}


def refused(config: Path, *said: str) -> None:
    before = snapshot(config.parent)
    with pytest.raises(ConfigError) as caught:
        load_config(config)
    message = str(caught.value)
    for text in said:
        assert text in message, message
    assert snapshot(config.parent) == before


def test_endings_are_those_of_the_formats() -> None:
    assert {name: form.ending for name, form in FORMATS.items()} == ENDINGS


def test_a_cube_with_the_name_of_its_own_source(tmp_path: Path) -> None:
    ages(tmp_path / "data" / "soc.zarr")
    dataset = {"identifier": "soc", "store": "in", "data_id": "soc.zarr"}
    config = configuration(tmp_path, [dataset], [store("in", "data")])
    refused(config, "c_config.yml:", "datasets.0.data_id: ", "'soc'", "is its own source")
    before = snapshot(tmp_path)
    (line,) = errors(stacbuild("cube", config, "--force", code=2))
    assert "data/soc.zarr" in line
    assert snapshot(tmp_path) == before
    # In one folder is fine as long as the names differ.
    dataset["identifier"] = "other"
    config = configuration(tmp_path, [dataset], [store("in", "data")])
    (result,) = build(load_config(config), tmp_path / "catalogs")
    assert result.status == "COMPLETED", result.message


@pytest.mark.parametrize(
    ("root", "data_id"),
    [
        ("link", "soc.zarr"),
        ("x/../data", "soc.zarr"),
        (".", "data/soc.zarr"),
        ("data/soc.zarr", "0"),
        ("data", "soc.zarr/0"),
        ("inner", "soc.zarr"),
    ],
)
def test_other_names_of_the_same_source(tmp_path: Path, root: str, data_id: str) -> None:
    ages(tmp_path / "data" / "soc.zarr")
    (tmp_path / "link").symlink_to("data")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "soc.zarr").symlink_to("../data/soc.zarr")
    dataset = {"identifier": "soc", "store": "in", "data_id": data_id}
    refused(configuration(tmp_path, [dataset], [store("in", root)]), "is its own source")


def test_a_folder_for_cubes_that_leads_into_a_source(tmp_path: Path) -> None:
    ages(tmp_path / "in" / "soc.zarr")
    (tmp_path / "data").symlink_to("in/soc.zarr")
    dataset = {"identifier": "age", "store": "in", "data_id": "soc.zarr"}
    config = configuration(tmp_path, [dataset], [store("in", "in")])
    refused(config, "datasets.0.identifier: ", "in the source", "in/soc.zarr")


def test_a_file_that_is_the_source_by_a_hard_link(tmp_path: Path) -> None:
    geotiff(tmp_path / "in" / "one.tif")
    (tmp_path / "data").mkdir()
    os.link(tmp_path / "in" / "one.tif", tmp_path / "data" / "one.nc")
    dataset = {"identifier": "one", "store": "in", "data_id": "one.tif", "format_id": "netcdf"}
    refused(configuration(tmp_path, [dataset], [store("in", "in")]), "is its own source")


@pytest.mark.parametrize("cache", ["data", ".", "data/age.zarr", "data/age.zarr/inner"])
def test_caches(tmp_path: Path, cache: str) -> None:
    zenodo = store("record", "123", "zenodo", cache_store_params={"root": cache})
    dataset = {"identifier": "age", "store": "record", "data_id": "a.tif"}
    config = configuration(tmp_path, [dataset], [zenodo])
    refused(config, "datasets.0.identifier: ", "the cache of store 'record'")


@pytest.mark.parametrize("catalog", ["data", "data/age.zarr", "data/age.zarr/x", "in/age.zarr/c"])
def test_the_catalog(tmp_path: Path, catalog: str) -> None:
    ages(tmp_path / "in" / "age.zarr")
    dataset = {"identifier": "age", "store": "in", "data_id": "age.zarr"}
    config = load_config(configuration(tmp_path, [dataset], [store("in", "in")]))
    before = snapshot(tmp_path)
    for function in (plan, build, harvest):
        with pytest.raises(ConfigError, match="the catalog"):
            function(config, tmp_path / catalog)
    assert snapshot(tmp_path) == before


def test_a_cube_of_another_datasets_cube_and_a_circle(tmp_path: Path) -> None:
    geotiff(tmp_path / "in" / "one.tif")
    first = {"identifier": "one", "store": "in", "data_id": "one.tif"}
    second = {"identifier": "two", "store": "cubes", "data_id": "one.zarr"}
    stores = [store("in", "in"), store("cubes", "data")]
    config = configuration(tmp_path, [first, second], stores)
    results = build(load_config(config), tmp_path / "catalogs")
    assert [each.status for each in results] == ["COMPLETED"] * 2, results
    first |= {"store": "cubes", "data_id": "two.zarr"}
    refused(configuration(tmp_path, [first, second], stores), "goes in a circle")


@pytest.mark.parametrize(
    ("kind", "root", "data_id"),
    [
        ("s3", "bucket/cubes", "age-0123abcd.zarr"),
        ("s3", "bucket", "cubes/age-0123abcd.zarr/0"),
        ("https", "http://127.0.0.1:9000/bucket", "cubes/age-0123abcd.zarr"),
    ],
)
def test_a_cube_in_a_bucket_made_of_itself(
    tmp_path: Path, kind: str, root: str, data_id: str
) -> None:
    more = {"storage_options": options("http://127.0.0.1:9000")} if kind == "s3" else {}
    dataset = {"identifier": "age", "store": "in", "data_id": data_id}
    stores = [store("in", root, kind, **more)]
    config = configuration(tmp_path, [dataset], stores, storage=s3("bucket/cubes"))
    refused(config, "datasets.0.data_id: ", "its own source")


def test_a_bucket_for_cubes_in_a_source(tmp_path: Path) -> None:
    more = {"storage_options": options("http://127.0.0.1:9000")}
    dataset = {"identifier": "age", "store": "in", "data_id": "soc.zarr"}
    stores = [store("in", "bucket", "s3", **more)]
    config = configuration(tmp_path, [dataset], stores, storage=s3("bucket/soc.zarr/cubes"))
    refused(config, "datasets.0.identifier: ", "in the source 'soc.zarr'")


AWS = "https://s3.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("server", "kind", "root"),
    [
        ("https://S3.example.org:443", "s3", "https://s3.example.org"),
        ("http://s3.example.org", "s3", "http://s3.example.org.:80/"),
        ("https://s3.example.org", "https", "https://s3.example.org:443/bucket"),
        (AWS, "s3", "https://s3.amazonaws.com"),
        (AWS, "https", "https://bucket.s3.us-east-1.amazonaws.com"),
        (AWS, "https", "https://s3.dualstack.eu-west-1.amazonaws.com/bucket"),
    ],
)
def test_other_spellings_of_the_server(tmp_path: Path, server: str, kind: str, root: str) -> None:
    dataset = {"identifier": "age", "store": "in", "data_id": "soc.zarr"}
    if kind == "s3":
        source = store("in", "bucket", "s3", storage_options=options(root))
    else:
        source = store("in", root, "https")
    config = configuration(
        tmp_path, [dataset], [source], storage=s3("bucket/soc.zarr/cubes", server)
    )
    refused(config, "datasets.0.identifier: ", "in the source 'soc.zarr'")


@pytest.mark.parametrize(
    ("server", "root", "data_id"),
    [
        ("http://127.0.0.1:9000", "bucket/cubes", "soc-0123abcd.zarr"),
        ("http://127.0.0.1:9000", "bucket/cubes-2", "age-0123abcd.zarr"),
        ("http://127.0.0.1:9000", "bucket/cubes", "age-2.zarr"),
        ("http://127.0.0.1:9001", "bucket/cubes", "age-0123abcd.zarr"),
    ],
)
def test_what_is_another_key(tmp_path: Path, server: str, root: str, data_id: str) -> None:
    dataset = {"identifier": "age", "store": "in", "data_id": data_id}
    stores = [store("in", root, "s3", storage_options=options(server))]
    load_config(configuration(tmp_path, [dataset], stores, storage=s3("bucket/cubes")))
