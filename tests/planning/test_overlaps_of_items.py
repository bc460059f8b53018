"""No cube is, holds or lies within what items of somebody's catalog lead to."""

from __future__ import annotations

import json
from pathlib import Path

import pystac
import pytest

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.errors import ConflictError
from stacbuild.planning import plan
from stacbuild.sources.s3.store import S3Store
from stacbuild.stac.catalog import Catalog
from stacbuild.storage.kinds import storage_of
from stacbuild.storage.output import Output
from tests.support.cli import Json, ages, configuration, geotiff
from tests.support.foreign import snapshot
from tests.support.stores import options, store


def catalog(directory: Path, href: str, kind: str = "application/vnd+zarr") -> None:
    """Write a catalog of the one item ``one``, whose asset leads to *href*."""
    item = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "one",
        "geometry": None,
        "properties": {"datetime": "2020-01-01T00:00:00Z"},
        "links": [],
        "assets": {"data": {"href": href, "type": kind, "roles": ["data"]}},
    }
    (directory / "stac").mkdir(parents=True)
    (directory / "stac" / "items.json").write_text(
        json.dumps({"type": "FeatureCollection", "features": [item]})
    )


def refused(directory: Path, dataset: Json, *said: str, storage: str = "stac/data") -> None:
    """Build, and plan. The cube is refused, and no data change."""
    source = store("stac", "stac/items.json", "stac")
    one = {"store": "stac", "data_id": "one"} | dataset
    output = {"store_id": "file", "store_params": {"root": storage}}
    config = load_config(configuration(directory, [one], [source], storage=output))
    before = snapshot(directory / "stac")
    [result] = build(config, directory / "catalogs")
    assert isinstance(result.error, ConflictError), result
    for text in said:
        assert text in result.message, result.message
    assert [each.action for each in plan(config, directory / "catalogs")] == ["conflict"]
    assert snapshot(directory / "stac") == before


@pytest.mark.parametrize("href", ["./data/soc.zarr", "./link/soc.zarr", "./linked.zarr"])
def test_a_source_in_the_place_of_the_cube(tmp_path: Path, href: str) -> None:
    catalog(tmp_path, href)
    ages(tmp_path / "stac" / "data" / "soc.zarr", 2)
    (tmp_path / "stac" / "link").symlink_to("data")
    (tmp_path / "stac" / "linked.zarr").symlink_to("data/soc.zarr")
    refused(tmp_path, {"identifier": "soc"}, "that stacbuild did not write")


@pytest.mark.parametrize("root", ["stac/data", "elsewhere"])
def test_a_cube_within_its_source(tmp_path: Path, root: str) -> None:
    catalog(tmp_path, "./data")
    ages(tmp_path / "stac" / "data", 2)
    (tmp_path / "elsewhere").symlink_to("stac/data")
    refused(tmp_path, {"identifier": "soc"}, "lies within the Zarr store", storage=root)


def test_a_cube_within_a_zarr_store_that_is_no_source(tmp_path: Path) -> None:
    catalog(tmp_path, "../one.tif", "image/tiff; application=geotiff")
    (tmp_path / "stac" / "one.tif").hardlink_to(geotiff(tmp_path / "one.tif"))
    document = tmp_path / "stac" / "items.json"
    document.write_text(document.read_text().replace("../one", "./one"))
    ages(tmp_path / "stac" / "data", 3)
    refused(tmp_path, {"identifier": "folder/soc"}, "lies within the Zarr store")


@pytest.mark.parametrize(
    "name", ["data/soc.zarr", "link/soc.zarr", "linked.zarr", "data/soc.zarr/."]
)
def test_a_cube_made_of_itself_by_an_item(tmp_path: Path, name: str) -> None:
    """It is the cube of this dataset, and would be replaced by what is made of it."""
    geotiff(tmp_path / "in" / "one.tif")
    first = {"identifier": "soc", "store": "in", "data_id": "one.tif"}
    path = configuration(tmp_path, [first], [store("in", "in")])
    [result] = build(load_config(path), tmp_path / "catalogs")
    assert result.status == "COMPLETED", result.message
    (tmp_path / "link").symlink_to("data")
    (tmp_path / "linked.zarr").symlink_to("data/soc.zarr")
    catalog(tmp_path, f"../{name}")
    (tmp_path / "stac" / "items.json").rename(tmp_path / "items.json")
    document = (tmp_path / "items.json").read_text()
    (tmp_path / "items.json").write_text(document.replace("../", "./"))
    again = {"identifier": "soc", "store": "own", "data_id": "one"}
    path = configuration(tmp_path, [again], [store("own", "items.json", "stac")])
    before = snapshot(tmp_path / "data")
    [result] = build(load_config(path), tmp_path / "catalogs")
    assert isinstance(result.error, ConflictError), result
    assert "its own source by the item" in result.message
    assert snapshot(tmp_path / "data") == before


@pytest.mark.parametrize(
    ("identifier", "href", "own"),
    [
        ("soc", "http://127.0.0.1:9000/bucket/cubes/soc-0123abcd.zarr", True),
        ("a/soc", "http://127.0.0.1:9000/bucket/cubes/a/soc-0123abcd.zarr/0", True),
        ("soc", "http://127.0.0.1:9000/bucket/cubes/age-0123abcd.zarr", False),
        ("soc", "http://127.0.0.1:9001/bucket/cubes/soc-0123abcd.zarr", False),
        ("soc", "http://127.0.0.1:9000/bucket/other/soc-0123abcd.zarr", False),
    ],
)
def test_a_cube_in_a_bucket(tmp_path: Path, identifier: str, href: str, own: bool) -> None:
    params = {"root": "bucket/cubes", "storage_options": options("http://127.0.0.1:9000")}
    storage = S3Store.model_validate({"identifier": "s", "store_id": "s3", "store_params": params})
    output = Output(storage_of(storage), identifier, Catalog(tmp_path), "c", None)
    item = pystac.Item("one", None, None, None, {"start_datetime": "", "end_datetime": ""})
    item.add_asset("data", pystac.Asset(href))
    if own:
        with pytest.raises(ConflictError, match="and its own source"):
            output.storage.check_sources(output, [item])
    else:
        output.storage.check_sources(output, [item])
