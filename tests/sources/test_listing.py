"""What stores hold and what a data id is, before there is a configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio import Affine

from stacbuild.errors import ConfigError, NotFoundError, StacbuildError
from stacbuild.sources.clms.store import ClmsStore
from stacbuild.sources.listing import describe_data, list_data, sources
from stacbuild.sources.stac.providers import STORE_IDS
from tests.standins.demo import Servers
from tests.standins.s3 import BUCKET, GAMI_KEY
from tests.standins.zenodo import Record, ZenodoServer
from tests.support.cli import errors, geotiff, stacbuild
from tests.support.stac_documents import Web, collection, item, link, put_tiles

RECORD, MAP_RECORD = "13333034", "8154445"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with Web(tmp_path / "web") as server:
        yield server


def test_a_record_and_the_inside_of_an_archive(standins: Servers) -> None:
    there = {"endpoint_url": standins.endpoints.zenodo}
    found = list_data("zenodo", RECORD, params=there)
    archives = {entry.data_id: entry for entry in found}
    assert {"andorra/"} <= set(archives)
    assert archives["andorra/"].type == "zip archive"
    assert archives["andorra/"].size is not None

    before = standins.zenodo.bytes_sent
    inside = list_data("zenodo", RECORD, match="andorra/*forest*", params=there)
    assert [entry.data_id for entry in inside] == ["andorra/forest_mask_andorra.tif"]
    assert standins.zenodo.bytes_sent - before < 100_000
    maps = list_data("zenodo", MAP_RECORD, match="*cover*", params=there)
    assert [(entry.data_id, entry.type) for entry in maps] == [
        ("planet_canopy_cover_30m_v0.1.tif", "GeoTIFF")
    ]


def test_the_token_of_a_record_is_sent(tmp_path: Path) -> None:
    record = Record("7", "Seven", {"one.tif": geotiff(tmp_path / "one.tif")})
    with ZenodoServer(record) as server:
        there = {"endpoint_url": server.api, "access_token": "canary"}
        (entry,) = list_data("zenodo", "7", params=there)
        assert entry.data_id == "one.tif"
        assert server.log
        assert all(request.authorized for request in server.log)


def test_a_bucket_and_its_store(standins: Servers) -> None:
    options = {"storage_options": {"anon": True, "endpoint_url": standins.endpoints.s3}}
    (entry,) = list_data("s3", BUCKET, match="*GAMI*", params=options)
    assert (entry.data_id, entry.type) == (GAMI_KEY, "Zarr")
    facts = describe_data("s3", BUCKET, GAMI_KEY, params=options)
    # Only metadata and coordinates.
    assert not standins.s3.chunks_read
    with xr.open_zarr(f"{standins.endpoints.s3}/{BUCKET}/{GAMI_KEY}") as store:
        for name, variable in facts["variables"].items():
            assert variable["shape"] == list(store[name].shape)
            assert len(variable["shape"]) == len(variable["dimensions"])
    assert facts["crs"] == "EPSG:4326"
    age = facts["variables"]["forest_age"]
    assert set(age["dimensions"]) == {"members", "latitude", "longitude", "time"}
    assert facts["times"] == ["2010-01-01T00:00:00Z", "2020-01-01T00:00:00Z"]


def test_a_member_of_an_archive_says_that_it_has_to_be_preloaded(standins: Servers) -> None:
    there = {"endpoint_url": standins.endpoints.zenodo}
    facts = describe_data("zenodo", RECORD, "andorra/forest_mask_andorra.tif", params=there)
    assert "preloaded" in facts["note"]
    assert facts["license"] == "CC-BY-4.0"
    with pytest.raises(NotFoundError):
        describe_data("zenodo", RECORD, "andorra/nothing.tif", params=there)


def test_the_land_service_needs_no_credentials(standins: Servers) -> None:
    there = {"endpoint_url": standins.endpoints.clms}
    found = list_data("clms", match="forest-type-*", params=there)
    assert found
    assert all(entry.data_id.startswith("forest-type-") for entry in found)
    facts = describe_data("clms", "", found[0].data_id, params=there)
    assert facts["title"]
    assert "preload" in facts["note"]
    with pytest.raises(NotFoundError, match="no such file"):
        describe_data("clms", "", "forest-type-2015|nothing", params=there)
    assert not any(entry.authorized for entry in standins.clms.log)
    assert ClmsStore.__doc__


def test_a_folder(tmp_path: Path) -> None:
    geotiff(tmp_path / "a" / "one.tif")
    values = np.zeros((4, 4), "uint8")
    xr.Dataset({"v": (("y", "x"), values)}).to_zarr(tmp_path / "b.zarr", zarr_format=2)
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "readme.txt").write_text("no data")
    found = list_data("file", str(tmp_path))
    size = (tmp_path / "a" / "one.tif").stat().st_size
    assert [(entry.data_id, entry.type, entry.size) for entry in found] == [
        ("a/one.tif", "GeoTIFF", size),
        ("b.zarr", "Zarr", None),
    ]
    assert [e.data_id for e in list_data("file", str(tmp_path), match="*.zarr")] == ["b.zarr"]


def test_a_geotiff_is_described_without_its_pixels(web: Web) -> None:
    path = web.root / "big.tif"
    path.parent.mkdir()
    pixels = np.random.default_rng(1).integers(0, 99, (2, 2000, 2000)).astype("int16")
    profile: dict[str, Any] = {"driver": "GTiff", "width": 2000, "height": 2000, "count": 2}
    profile |= {"dtype": "int16", "crs": "EPSG:3035", "nodata": -9999, "tiled": True}
    transform = Affine(30, 0, 4_000_000, 0, -30, 3_000_000)
    with rasterio.open(path, "w", **profile, transform=transform) as file:
        file.write(pixels)
        file.units = ("m", "m")
    web.documents["catalog.json"] = {"links": [link("item", "item.json")], "id": "maps"}
    web.documents["item.json"] = item("big", "big.tif")
    facts = describe_data("stac", f"{web.url}/catalog.json", "maps/big")
    assert web.bytes_sent < 300_000
    assert facts["crs"] == "EPSG:3035"
    assert facts["shape"] == [2000, 2000]
    assert facts["resolution"] == [30, 30]
    assert facts["bounds"] == [4_000_000, 2_940_000, 4_060_000, 3_000_000]
    assert facts["bands"] == ["b1", "b2"]
    assert facts["chunks"] == [256, 256]
    assert (facts["nodata"], facts["unit"], facts["data_type"]) == (-9999, "m", "int16")
    assert facts["times"] == ["2018-06-01T00:00:00Z"]
    assert facts["size"] == path.stat().st_size


def test_a_catalog_and_the_inside_of_a_collection(web: Web) -> None:
    put_tiles(web)
    place = f"{web.url}/catalog.json"
    (entry,) = list_data("stac", place)
    assert (entry.data_id, entry.type) == ("forest/", "collection of 2 items")
    assert entry.title == "The forest"
    found = list_data("stac", place, match="forest/*")
    assert [(each.data_id, each.type) for each in found] == [
        ("forest/east", "GeoTIFF"),
        ("forest/west", "GeoTIFF"),
    ]
    # What is listed can be described.
    assert describe_data("stac", place, found[0].data_id)["license"] == "CC-BY-4.0"


def test_an_api_lists_its_collections_page_after_page(web: Web) -> None:
    web.documents |= {
        "": {"id": "api", "links": [link("search", f"{web.url}/search")]},
        "collections": {
            "collections": [collection("one")],
            "links": [link("next", f"{web.url}/more")],
        },
        "more": {"collections": [collection("two")], "links": []},
    }
    assert [entry.data_id for entry in list_data("stac", web.url)] == ["one/", "two/"]
    web.documents["more"]["links"] = [link("next", f"{web.url}/more")]
    with pytest.raises(StacbuildError, match="form a loop"):
        list_data("stac", web.url)


def test_the_commands(web: Web) -> None:
    put_tiles(web)
    place = f"{web.url}/catalog.json"
    listed = stacbuild("list", "stac", place, "--match", "forest/*")
    assert listed.stdout.splitlines() == ["forest/east  -  GeoTIFF", "forest/west  -  GeoTIFF"]
    as_json = json.loads(stacbuild("list", "stac", place, "--json").stdout)
    assert as_json[0]["data_id"] == "forest/"
    told = stacbuild("describe", "stac", place, "forest/west").stdout.splitlines()
    assert "crs: EPSG:4326" in told
    assert "license: CC-BY-4.0" in told
    facts = json.loads(stacbuild("describe", "stac", place, "forest/west", "--json").stdout)
    assert facts["shape"] == [120, 60]
    kinds = stacbuild("sources").stdout
    assert "zenodo\tThe files of one Zenodo record.\n  cache_store_id" in kinds
    assert "  root*\n" in kinds
    (line,) = errors(stacbuild("list", "zenod", "1", code=2))
    assert "did you mean 'zenodo'?" in line
    (line,) = errors(stacbuild("list", "https", "https://example.org", code=2))
    assert "a web server lists no folders" in line
    stacbuild("describe", "stac", place, "forest/nothing", code=3)


def test_a_hostile_title_moves_no_cursor(web: Web) -> None:
    put_tiles(web)
    web.documents["products/forest.json"]["id"] = "for\x1b[2Jest"
    told = stacbuild("list", "stac", f"{web.url}/catalog.json").stdout
    assert "\x1b" not in told


def test_every_kind_of_store_is_listed_with_what_it_needs() -> None:
    kinds = {kind.store_id: kind.parameters for kind in sources()}
    assert set(kinds) == {"clms", "file", "https", "s3", "stac", "zenodo", *STORE_IDS}
    assert kinds["zenodo"]["root"] is True
    assert kinds["zenodo"]["cache_store_params.root"] is False
    assert kinds["s3"]["storage_options.client_kwargs.endpoint_url"] is False


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(ConfigError, match="zenodo root: has to be the number"):
        list_data("zenodo", "abc")
    with pytest.raises(ConfigError, match="stac parameters: needs the address"):
        list_data("stac", "")


def test_a_field_that_is_not_closed_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a_\{time:%Y.tif.* no closing brace"):
        describe_data("file", str(tmp_path), "a_{time:%Y.tif")
    with pytest.raises(ConfigError, match=r"no closing brace"):
        list_data("file", str(tmp_path), match="a_{time:%Y.tif")
    with pytest.raises(ConfigError, match=r"may have \* and \? only"):
        list_data("file", str(tmp_path), match="a_{time:%Y}.tif")
