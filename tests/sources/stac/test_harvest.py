"""Catalogs of others: a static one over HTTP, a real STAC API, and hostile ones."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import requests
import xarray as xr
import yaml
from rasterio import Affine

from stacbuild.config import load_config
from stacbuild.errors import (
    IntegrityError,
    NotFoundError,
    RemoteError,
    StacbuildError,
)
from stacbuild.sources.stac.query import parse
from stacbuild.sources.stac.times import interval
from stacbuild.stac.catalog import Catalog
from tests.standins.s3 import BUCKET, S3Server
from tests.support.cli import NORTH, WEST, configuration, errors, geotiff, stacbuild
from tests.support.stac_documents import (
    MIDDLE,
    TIF,
    Json,
    Told,
    Web,
    collection,
    item,
    link,
    put_tiles,
    root,
    store,
    take,
    tiles,
)


def cube_of(tmp_path: Path, params: Json, data_id: str, **entry: Any) -> xr.Dataset:
    path = configuration(
        tmp_path / "work",
        [{"identifier": "cube", "store": "other", "data_id": data_id, **entry}],
        [{"identifier": "other", "store_id": "stac", "store_params": params}],
    )
    stacbuild("cube", path)
    stacbuild("validate", path, "--deep")
    return xr.open_zarr(tmp_path / "work" / "data" / "cube.zarr", mask_and_scale=False).load()


def expected(folder: Path) -> np.ndarray[Any, Any]:
    """Read `BOX`, which the pixels of both files are aligned with, by rasterio alone."""
    with rasterio.open(folder / "west.tif") as west, rasterio.open(folder / "east.tif") as east:
        return np.hstack([west.read(1)[10:110, 10:60], east.read(1)[10:110, :50]])


def test_a_static_catalog_over_http_becomes_a_cube_of_its_tiles(web: Web, tmp_path: Path) -> None:
    put_tiles(web)
    cube = cube_of(tmp_path, {"url": f"{web.url}/catalog.json"}, "forest")
    (name,) = set(cube.data_vars) - {"spatial_ref"}
    np.testing.assert_array_equal(cube[name].values, expected(web.root / "files"))

    catalog = Catalog(tmp_path / "work" / "catalogs")
    found = catalog.find(f"stac:{web.url.partition('://')[2]}/catalog.json", "forest")
    assert [each.properties["title"] for each in found] == ["east", "west"]
    assert {each.properties["proj:code"] for each in found} == {"EPSG:4326"}
    assert {each.properties["license"] for each in found} == {"CC-BY-4.0"}
    via = {each.get_single_link("via").href for each in found}
    assert via == {f"{web.url}/products/{name}.json" for name in ("west", "east")}
    about = json.loads((catalog.root / found[0].collection_id / "collection.json").read_text())
    assert (about["title"], about["license"]) == ("The forest", "CC-BY-4.0")
    assert about["providers"][0]["name"] == "Institute"
    rels = {each["rel"]: each["href"] for each in about["links"]}
    assert rels["license"] == "https://example.org/license"
    assert rels["via"] == f"{web.url}/products/forest.json"


def test_a_harvest_twice_changes_nothing(web: Web, tmp_path: Path) -> None:
    put_tiles(web)
    catalog = Catalog(tmp_path / "catalogs")
    for changed in (True, False):
        (found,) = take(store(url=f"{web.url}/catalog.json"), "forest")
        assert catalog.put(found) is changed


def test_only_headers_are_read(web: Web) -> None:
    put_tiles(web)
    big = np.random.default_rng(1).integers(0, 99, (3000, 3000)).astype("uint8")
    profile = {"driver": "GTiff", "width": 3000, "height": 3000, "count": 1, "dtype": "uint8"}
    place = {"crs": "EPSG:4326", "transform": Affine(1e-4, 0, WEST, 0, -1e-4, NORTH)}
    with rasterio.open(
        web.root / "files" / "west.tif", "w", **profile, **place, tiled=True
    ) as file:
        file.write(big, 1)
    take(store(url=f"{web.url}/catalog.json"), "forest/west")
    assert web.bytes_sent < 500_000


@pytest.mark.parametrize(
    ("data_id", "names"),
    [
        ("forest/east", ["east"]),
        ("east", ["east"]),
        ("forest?bbox=9.99,45,10.01,45.1", ["west"]),
        ("forest?datetime=2018", ["east", "west"]),
        ("forest?datetime=2017-01-01/&asset_names=map", ["east", "west"]),
    ],
)
def test_a_data_id_is_a_query(web: Web, data_id: str, names: list[str]) -> None:
    put_tiles(web)
    (found,) = take(store(root=f"{web.url}/catalog.json"), data_id)
    assert sorted(each.properties["title"] for each in found.items) == names


def test_zarr_assets_are_read_as_stores(web: Web, tmp_path: Path) -> None:
    # As the catalog of a German research centre does: an item a product, the CRS in summaries.
    values = np.arange(120 * 120, dtype="int16").reshape(120, 120)
    y = NORTH + 0.01 - (np.arange(120) + 0.5) * 0.001
    x = WEST - 0.01 + (np.arange(120) + 0.5) * 0.001
    ds = xr.Dataset({"age": (("y", "x"), values)}, {"y": y, "x": x})
    ds.to_zarr(web.root / "age.zarr", zarr_format=2, consolidated=True)
    one = item("age", "./age.zarr")
    one["assets"]["map"]["type"] = "application/vnd+zarr"
    one["properties"] = {"datetime": None, "start_datetime": "2010-01-01T00:00:00Z"}
    one["properties"]["end_datetime"] = "2020-12-31T00:00:00Z"
    summaries = {"proj:epsg": [4326]}
    web.documents |= {
        "catalog.json": root("c.json"),
        "c.json": collection("gfz", link("item", "age.json"), summaries=summaries),
        "age.json": one,
    }
    cube = cube_of(tmp_path, {"url": f"{web.url}/catalog.json"}, "gfz/age")
    np.testing.assert_array_equal(cube["age"].values, values[10:110, 10:110])


def test_a_folder_is_a_catalog_too(web: Web, tmp_path: Path) -> None:
    put_tiles(web)
    for name, content in web.documents.items():
        path = tmp_path / "web" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    cube = cube_of(tmp_path, {"root": "../web"}, "forest")
    (name,) = set(cube.data_vars) - {"spatial_ref"}
    np.testing.assert_array_equal(cube[name].values, expected(tmp_path / "web" / "files"))
    # What is written to since is noticed, as in a folder of the user's own.
    geotiff(tmp_path / "web" / "files" / "west.tif", width=60, compress=None)
    plan = stacbuild("plan", tmp_path / "work" / "c_config.yml")
    assert "written to since it was harvested" in plan.stdout


@contextmanager
def rustac(*files: Path) -> Iterator[str]:
    """Run a real STAC API on these documents."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    program = Path(sys.executable).with_name("rustac")
    server = subprocess.Popen(
        [program, "serve", "--addr", address, *files],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            try:
                requests.get(f"http://{address}/", timeout=5).close()
                break
            except requests.ConnectionError:
                assert server.poll() is None
                time.sleep(0.05)
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait()


def test_each_tile_has_its_own_no_data(web: Web, tmp_path: Path) -> None:
    put_tiles(web)
    geotiff(web.root / "files" / "west.tif", width=60, dtype="float32", nodata=5.0)
    east = Affine(0.001, 0, MIDDLE, 0, -0.001, NORTH + 0.01)
    geotiff(web.root / "files" / "east.tif", dtype="float32", nodata=7.0, transform=east)
    cube = cube_of(tmp_path, {"url": f"{web.url}/catalog.json"}, "forest")
    (name,) = set(cube.data_vars) - {"spatial_ref"}
    stored = expected(web.root / "files")
    stored[:, :50][stored[:, :50] == 5] = np.nan
    stored[:, 50:][stored[:, 50:] == 7] = np.nan
    assert {5, 7} <= set(np.unique(stored))
    np.testing.assert_array_equal(cube[name].values, stored)


def test_tiles_that_cannot_be_one_variable(web: Web, tmp_path: Path) -> None:
    put_tiles(web)
    east = Affine(0.001, 0, MIDDLE, 0, -0.001, NORTH + 0.01)
    # A 0 of the other file is a code as good as any.
    geotiff(web.root / "files" / "east.tif", nodata=0, transform=east)
    config = configuration(
        tmp_path / "work",
        [{"identifier": "cube", "store": "other", "data_id": "forest"}],
        [
            {
                "identifier": "other",
                "store_id": "stac",
                "store_params": {"url": f"{web.url}/catalog.json"},
            }
        ],
    )
    [line] = errors(stacbuild("cube", config, code=1))
    assert "forest: its files differ in no data (" in line
    assert " has 0, " in line
    assert " has 255); they cannot be one variable; make a dataset of each kind" in line


def test_items_of_several_times_become_a_dimension(web: Web, tmp_path: Path) -> None:
    tiles(web.root / "files")
    geotiff(web.root / "files" / "all.tif")
    with rasterio.open(web.root / "files" / "all.tif", "r+") as file:
        file.write((file.read(1) + 1).astype(np.uint8), 1)
    later = {"start_datetime": "2021-01-01T00:00:00Z", "end_datetime": "2021-12-31T23:59:59Z"}
    web.documents |= {
        "catalog.json": root("./forest.json"),
        # Not in the order of their times.
        "forest.json": collection("forest", *(link("item", f"./{n}.json") for n in "bac")),
        "a.json": item("a", "files/west.tif", (9.99, 44.99, 10.05, 45.11)),
        "b.json": item("b", "files/all.tif", properties={"datetime": None} | later),
        "c.json": item("c", "files/east.tif", (10.05, 44.99, 10.17, 45.11)),
    }
    cube = cube_of(tmp_path, {"url": f"{web.url}/catalog.json"}, "forest")
    assert cube["time"].dt.strftime("%Y-%m-%d").values.tolist() == ["2018-06-01", "2021-01-01"]
    (name,) = set(cube.data_vars) - {"spatial_ref"}
    assert cube[name].dtype == np.uint8
    np.testing.assert_array_equal(cube[name][0], expected(web.root / "files"))
    with rasterio.open(web.root / "files" / "all.tif") as file:
        np.testing.assert_array_equal(cube[name][1], file.read(1)[10:110, 10:110])
    params = {"time_range": [2020, None]}
    cut = cube_of(tmp_path, {"url": f"{web.url}/catalog.json"}, "forest", open_params=params)
    # Of one time it is no dimension.
    np.testing.assert_array_equal(cut[name], cube[name][1])


def test_an_api_is_searched(web: Web, tmp_path: Path) -> None:
    tiles(web.root)
    later = {"datetime": "2021-06-01T00:00:00Z"}
    entries = [
        item("west", f"{web.url}/west.tif", (9.99, 44.99, 10.05, 45.11), collection="forest"),
        item("east", f"{web.url}/east.tif", (10.05, 44.99, 10.17, 45.11), collection="forest"),
        item("later", f"{web.url}/east.tif", collection="forest", properties=later),
        item("far", f"{web.url}/east.tif", (0, 0, 1, 1), collection="forest", properties=later),
    ]
    (tmp_path / "collection.json").write_text(json.dumps(collection("forest")))
    content = {"type": "FeatureCollection", "features": entries}
    (tmp_path / "items.json").write_text(json.dumps(content))
    with rustac(tmp_path / "collection.json", tmp_path / "items.json") as api:
        where = store(url=api)
        (found,) = take(where, "forest/later")
        assert [each.properties["title"] for each in found.items] == ["later"]
        (found,) = take(where, "forest?bbox=0,0,2,2")
        assert [each.properties["title"] for each in found.items] == ["far"]
        (found,) = take(where, "forest?bbox=9,44,11,46")
        assert sorted(each.properties["title"] for each in found.items) == ["east", "later", "west"]
        with pytest.raises(NotFoundError, match="nowhere"):
            take(where, "nowhere")
        cube = cube_of(tmp_path, {"url": api}, "forest?bbox=9,44,11,46&datetime=2018")
    (name,) = set(cube.data_vars) - {"spatial_ref"}
    np.testing.assert_array_equal(cube[name].values, expected(web.root))


@pytest.mark.parametrize(
    ("where", "fields"),
    [
        ("properties", {"proj:code": "EPSG:3035"}),
        ("properties", {"proj:epsg": 3035, "proj:transform": [1, 2, 3]}),
        ("assets", {"proj:code": "EPSG:3035", "proj:shape": "large"}),
        ("assets", {"proj:epsg": 3035}),
        ("none", {}),
    ],
)
def test_the_file_says_where_it_lies(web: Web, where: str, fields: Json) -> None:
    put_tiles(web)
    one = web.documents["products/west.json"]
    del one["properties"]["proj:epsg"]
    if where == "properties":
        one["properties"] |= fields
    elif where == "assets":
        one["assets"]["map"] |= fields
    told = Told()
    (found,) = take(store(url=f"{web.url}/catalog.json"), "forest/west", reporter=told)
    assert found.items[0].properties["proj:code"] == "EPSG:4326"
    assert found.items[0].properties["proj:transform"][0] == 0.001
    assert [("EPSG:3035" in line and "EPSG:4326" in line) for line in told.warnings] == (
        [True] if fields else []
    )


def test_what_can_be_read_is_preferred_to_what_needs_keys(web: Web) -> None:
    put_tiles(web)
    asset = web.documents["products/west.json"]["assets"]["map"]
    asset |= {
        "href": "s3://eodata/CLMS/west.tif",
        "alternate": {"https": {"href": f"{web.url}/files/west.tif"}},
    }
    (found,) = take(store(url=f"{web.url}/catalog.json"), "forest/west")
    assert found.items[0].assets["data"].href == f"{web.url}/files/west.tif"


def test_s3_is_read_at_its_endpoint(web: Web) -> None:
    put_tiles(web)
    web.documents["products/west.json"]["assets"]["map"]["href"] = "s3://files/west.tif"
    options = {"anon": True, "endpoint_url": web.url}
    (found,) = take(store(url=f"{web.url}/catalog.json", storage_options=options), "forest/west")
    assert found.items[0].assets["data"].href == f"{web.url}/files/west.tif"


@pytest.mark.parametrize("kind", ["raster", "zarr"])
def test_keys_go_to_their_endpoint(
    web: Web, s3_server: S3Server, tmp_path: Path, kind: str
) -> None:
    put_tiles(web)
    values = np.arange(120 * 120, dtype="int16").reshape(120, 120)
    asset = web.documents["products/west.json"]["assets"]["map"]
    if kind == "raster":
        path = geotiff(tmp_path / "whole.tif")
        s3_server.put("CLMS/whole.tif", path.read_bytes())
        asset["href"] = f"s3://{BUCKET}/CLMS/whole.tif"
        with rasterio.open(path) as file:
            values = file.read(1)
    else:
        y = NORTH + 0.01 - (np.arange(120) + 0.5) * 0.001
        x = WEST - 0.01 + (np.arange(120) + 0.5) * 0.001
        ds = xr.Dataset({"age": (("y", "x"), values)}, {"y": y, "x": x})
        ds.to_zarr(tmp_path / "age.zarr", zarr_format=2, consolidated=True)
        s3_server.upload(tmp_path / "age.zarr", "CLMS/age.zarr")
        asset |= {"href": f"s3://{BUCKET}/CLMS/age.zarr", "type": "application/vnd.zarr"}
    # For who has no keys; whoever has them does not need it.
    asset["alternate"] = {"https": {"href": f"{web.url}/files/nothing.tif"}}
    options = {"endpoint_url": s3_server.url, "key": "who", "secret": "canary-4711"}
    params = {"url": f"{web.url}/catalog.json", "storage_options": options}
    cube = cube_of(tmp_path, params, "forest/west")
    (name,) = set(cube.data_vars) - {"spatial_ref"}
    np.testing.assert_array_equal(cube[name].values, values[10:110, 10:110])
    reads = [read for read in s3_server.log if read.key and "CLMS" in read.key]
    assert reads
    assert all(read.signed for read in reads)
    assert not any(entry.authorized for entry in web.log)
    for file in (tmp_path / "work").rglob("*.json"):
        assert "canary-4711" not in file.read_text(), file


def test_legend_and_title_of_an_asset(web: Web) -> None:
    put_tiles(web)
    asset = web.documents["products/west.json"]["assets"]["map"]
    asset["title"] = "Forest \x1b[31mtype\u202e"
    asset["classification:classes"] = [{"value": 1, "name": "broadleaved", "percentage": 5}]
    (found,) = take(store(url=f"{web.url}/catalog.json"), "forest/west")
    data = found.items[0].assets["data"]
    assert data.title is not None
    assert data.title.isprintable()
    assert data.extra_fields["classification:classes"] == [{"value": 1, "name": "broadleaved"}]


def test_several_assets_are_told_apart_by_name(web: Web) -> None:
    put_tiles(web)
    one = web.documents["products/west.json"]
    one["assets"]["other"] = dict(one["assets"]["map"])
    one["assets"]["text"] = {"href": "../files/readme.txt", "type": "text/plain"}
    where = store(url=f"{web.url}/catalog.json")
    with pytest.raises(StacbuildError, match=r"2 assets with data.*asset_names= .*map, other"):
        take(where, "forest/west")
    with pytest.raises(StacbuildError, match="'text' is not a GeoTIFF, JPEG 2000, Zarr or NetCDF"):
        take(where, "forest/west?asset_names=text")
    assert take(where, "forest/west?asset_names=other")


@pytest.mark.parametrize(
    "href",
    [
        "file:///etc/passwd",
        "/vsicurl/http://127.0.0.1/x.tif",
        "http://169.254.169.254/latest/meta-data.tif",
        "vrt://x.tif",
        "<VRTDataset/>",
        "https://user:secret@example.org/x.tif",
        "http://[::ffff:169.254.169.254]/x.tif",
        "http://[fd00:ec2::254]/x.tif",
        "http://2852039166/x.tif",
        "javascript:alert(1)//x.tif",
        "data:image/tiff;base64,SUkqAA==",
        "ftp://example.org/x.tif",
        "../../../../etc/passwd.tif",
        "west.tif\x00",
        "west.tif\nHost: other",
        "",
        "x" * 5000,
    ],
)
def test_an_item_leads_nowhere_that_it_may_not(web: Web, href: str) -> None:
    put_tiles(web)
    web.documents["products/west.json"]["assets"]["map"]["href"] = href
    with pytest.raises((IntegrityError, NotFoundError)) as caught:
        take(store(url=f"{web.url}/catalog.json"), "forest/west")
    assert "secret" not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "href",
    [
        "../../../../etc/passwd.tif",
        "/etc/hosts.tif",
        "http://127.0.0.1:1/x.tif",
        "http://%31%32%37.0.0.1:1/x.tif",
        "http://loc%61lhost:1/x.tif",
        "http://127.0.0.1%00.example.org:1/x.tif",
        "http://168.63.129.16/x.tif",
        "http://192.0.0.192/x.tif",
    ],
)
def test_a_catalog_of_files_leads_out_of_its_folder_only_to_the_web(
    tmp_path: Path, href: str
) -> None:
    (tmp_path / "catalog.json").write_text(
        json.dumps(root() | {"links": [link("item", "item.json")]})
    )
    (tmp_path / "item.json").write_text(json.dumps(item("west", href)))
    with pytest.raises(IntegrityError, match="refused"):
        take(store(root=str(tmp_path)), "root/west")


def test_no_signature_of_a_link_enters_the_catalog(web: Web, tmp_path: Path) -> None:
    put_tiles(web)
    forest, west = (web.documents[f"products/{name}.json"] for name in ("forest", "west"))
    west["links"] += [
        link("self", f"{web.url}/products/west.json?sig=SIGNED"),
        link("license", "https://example.org/terms?sig=SIGNED"),
    ]
    forest["links"] = [
        link("self", f"{web.url}/products/forest.json?sig=SIGNED"),
        link("item", "./west.json?sig=SIGNED"),
        link("license", "https://example.org/license?sig=SIGNED"),
        link("about", "https://example.org/about?X-Amz-Signature=SIGNED#SIGNED"),
    ]
    forest["providers"][0]["url"] = "https://user:SIGNED@example.org/?sig=SIGNED"
    web.documents["catalog.json"] = root("./products/catalog.json?sig=SIGNED")
    web.documents["products/catalog.json"] = root("./forest.json?sig=SIGNED")
    catalog = Catalog(tmp_path / "catalogs")
    for harvested in take(store(url=f"{web.url}/catalog.json"), "forest"):
        catalog.put(harvested)
    written = {path.name: path.read_text() for path in catalog.root.rglob("*.json")}
    assert len(written) == 3
    for name, content in written.items():
        assert "SIGNED" not in content, name
    text = "".join(written.values())
    for kept in (f"{web.url}/products/west.json", "https://example.org/terms"):
        assert json.dumps(kept) in text


def test_links_that_are_scripts_are_not_taken_over(web: Web, tmp_path: Path) -> None:
    put_tiles(web)
    script = "javascript:alert(1)"
    forest, west = (web.documents[f"products/{name}.json"] for name in ("forest", "west"))
    for document in (forest, west):
        document["links"] += [
            {"rel": rel, "href": href}
            for rel in ("license", "about", "cite-as", "via", "preview")
            for href in (script, script.upper(), f" {script}", "data:text/html,javascript")
        ]
    forest["providers"][0]["url"] = script
    west["properties"]["providers"] = [{"name": "Mallory", "url": f"\t{script}"}]
    west["assets"]["other"] = {"href": script, "type": "text/html"}
    catalog = Catalog(tmp_path / "catalogs")
    for harvested in take(store(url=f"{web.url}/catalog.json"), "forest"):
        catalog.put(harvested)
    text = "".join(path.read_text() for path in catalog.root.rglob("*.json"))
    assert "Mallory" in text
    assert "javascript" not in text.lower()


@pytest.mark.parametrize(
    "names",
    [
        ("w\u00e4ld", "w\u00f6ld"),
        ("a" * 150 + "1", "a" * 150 + "2"),
        ("a b", "a-b"),
    ],
)
def test_collections_of_similar_ids_keep_their_own_licences(
    web: Web, tmp_path: Path, names: tuple[str, str]
) -> None:
    put_tiles(web)
    children = []
    for number, (name, tile) in enumerate(zip(names, ("west", "east"), strict=True)):
        children.append(f"./products/{number}.json")
        web.documents[f"products/{number}.json"] = collection(
            name,
            link("item", f"./{tile}.json"),
            license=("CC-BY-4.0", "proprietary")[number],
            providers=[{"name": f"Institute {number}"}],
        )
    web.documents["catalog.json"] = root(*children)
    catalog = Catalog(tmp_path / "catalogs")
    for name in names:
        for harvested in take(store(url=f"{web.url}/catalog.json"), name):
            catalog.put(harvested)
    found = catalog.collection_ids()
    assert sorted((one["license"], one["providers"][0]["name"]) for one in found.values()) == [
        ("CC-BY-4.0", "Institute 0"),
        ("other", "Institute 1"),
    ]


def test_links_in_circles_end(web: Web) -> None:
    put_tiles(web)
    web.documents["products/forest.json"]["links"] += [
        link("child", "../catalog.json"),
        link("child", "./forest.json"),
        link("item", "./west.json"),
    ]
    (found,) = take(store(url=f"{web.url}/catalog.json"), "forest")
    assert len(found.items) == 2


def test_a_child_that_is_gone_hides_no_other(web: Web) -> None:
    put_tiles(web)
    web.documents["catalog.json"]["links"].insert(0, link("child", "gone.json"))
    (found,) = take(store(url=f"{web.url}/catalog.json"), "forest")
    assert len(found.items) == 2
    # A file that an item names and that is gone would be a hole that nobody sees.
    web.documents["products/west.json"]["assets"]["map"]["href"] = "../files/gone.tif"
    with pytest.raises(NotFoundError, match=r"gone\.tif"):
        take(store(url=f"{web.url}/catalog.json"), "forest")


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("catalog.json", {"links": "x"}),
        ("catalog.json", {"links": [None, {"rel": "child"}]}),
        ("catalog.json", {"links": [link("child", "http://[::1")]}),
        ("products/forest.json", {"license": 5, "providers": [1, {"name": 5}], "keywords": 5}),
        ("products/forest.json", {"title": 5, "summaries": 5, "extent": 5, "sci:doi": 5}),
        ("products/west.json", {"bbox": ["a", 1, 2, 3]}),
        ("products/west.json", {"properties": []}),
        ("products/west.json", {"properties": {"datetime": "0001-01-01T00:00:00+23:59"}}),
        ("products/west.json", {"properties": {"datetime": 5, "proj:epsg": 10**30}}),
        ("products/west.json", {"assets": [1]}),
        ("products/west.json", {"assets": {"a": {"href": 5, "type": TIF}}}),
        ("products/west.json", {"assets": {"a": {"href": "x.tif", "type": TIF, "roles": 5}}}),
        ("products/west.json", {"assets": {"a": {"href": "s3:x", "type": 5, "alternate": [1]}}}),
    ],
)
def test_malformed_documents_are_errors_or_do_not_matter(
    web: Web, part: str, changes: Json
) -> None:
    put_tiles(web)
    web.documents[part] |= changes
    # Any other exception would be one that nobody foresaw.
    with contextlib.suppress(StacbuildError):
        take(store(url=f"{web.url}/catalog.json"), "forest/west")


def test_a_bottomless_catalog_is_refused(web: Web) -> None:
    web.documents |= {"0": root("1")} | {str(i): root(str(i + 1)) for i in range(1, 40)}
    with pytest.raises(IntegrityError, match="deeper than 12"):
        take(store(url=f"{web.url}/0"), "forest")
    assert len(web.log) < 20


def test_a_huge_document_is_refused(web: Web) -> None:
    web.documents["catalog.json"] = b" " * (33 << 20)
    with pytest.raises(RemoteError, match="larger than 32 MB"):
        take(store(url=f"{web.url}/catalog.json"), "forest")


def test_pages_of_a_search_in_a_circle_end(web: Web) -> None:
    page = {"type": "FeatureCollection", "features": [item("west", "x.tif")]}
    search = {"rel": "search", "type": "application/geo+json", "method": "GET"}
    web.documents |= {
        "": root()
        | {
            "conformsTo": ["https://api.stacspec.org/v1.0.0/item-search"],
            "links": [
                search | {"href": f"{web.url}/search"},
                {"rel": "root", "href": web.url},
            ],
        },
        "collections/forest": collection("forest"),
        "search": page | {"links": [{"rel": "next", "href": f"{web.url}/search?token=1"}]},
    }
    with pytest.raises(RemoteError, match="form a loop"):
        take(store(url=web.url), "forest")
    assert len(web.log) < 10


def test_a_search_without_end_is_stopped(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page leads to another that is new, so that no circle tells."""
    monkeypatch.setattr("stacbuild.sources.stac.found.MOST_ITEMS", 1000)
    web.documents |= {
        "": root()
        | {
            "conformsTo": ["https://api.stacspec.org/v1.0.0/item-search"],
            "links": [
                {"rel": "search", "type": "application/geo+json", "href": f"{web.url}/search"},
                {"rel": "root", "href": web.url},
            ],
        },
        "collections/forest": collection("forest"),
    }
    for page in range(30):
        web.documents[f"search{page or ''}"] = {
            "type": "FeatureCollection",
            "features": [item(f"i{page}-{each}", "x.tif") for each in range(100)],
            "links": [{"rel": "next", "href": f"{web.url}/search{page + 1}"}],
        }
    with pytest.raises(StacbuildError, match="more than 1000 items match"):
        take(store(url=web.url), "forest")
    assert len(web.log) < 20


def test_a_collection_of_very_many_items_is_left_early(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many links as one document holds: what is too much is not read to its end."""
    links = [link("item", f"i{each}.json") for each in range(50_000)]
    monkeypatch.setattr("stacbuild.sources.stac.found.MOST_ITEMS", 1000)
    web.documents |= {
        "catalog.json": root("c.json"),
        "c.json": collection("forest", *links),
    }
    web.documents |= {f"i{each}.json": item(f"i{each}", "x.tif") for each in range(2000)}
    with pytest.raises(StacbuildError, match="more than 1000 items match"):
        take(store(url=f"{web.url}/catalog.json"), "forest")
    assert len(web.log) < 1100


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html></html>", b"[1]", b"{", b'"\xff"'])
def test_what_is_no_catalog_is_named(web: Web, content: bytes) -> None:
    web.documents["catalog.json"] = content
    with pytest.raises(StacbuildError, match=r"catalog\.json") as caught:
        take(store(url=f"{web.url}/catalog.json"), "forest")
    assert caught.value.exit_code in (3, 4)


def test_an_item_with_a_hostile_id_stays_in_the_catalog(web: Web, tmp_path: Path) -> None:
    put_tiles(web)
    web.documents["products/west.json"]["id"] = "../../../\x1b[31mevil"
    web.documents["products/forest.json"]["id"] = "../forest"
    catalog = Catalog(tmp_path / "catalogs")
    for found in take(store(url=f"{web.url}/catalog.json"), "east"):
        catalog.put(found)
    with pytest.raises(NotFoundError) as caught:
        take(store(url=f"{web.url}/catalog.json"), "..")
    assert str(caught.value).isprintable()
    files = [path for path in tmp_path.rglob("*.json") if "web" not in path.parts]
    assert len(files) == 3


def test_open_params_say_the_same_as_a_data_id(web: Web, tmp_path: Path) -> None:
    put_tiles(web)
    one: Json = {
        "identifier": "cube",
        "store": "other",
        "data_id": "forest",
        "grid_mapping": "grid",
    }
    one["open_params"] = {
        "bbox": [9.0, 44.0, 11.0, 46.0],
        "time_range": ["2018-01-01", None],
        "asset_names": ["map"],
    }
    other: Json = {"identifier": "other", "store_id": "stac"}
    other["store_params"] = {"url": f"{web.url}/catalog.json"}
    path = configuration(tmp_path / "work", [one], [other])
    before = yaml.safe_load(path.read_text())
    config = load_config(before)
    assert before == yaml.safe_load(path.read_text())
    (variable,) = config.datasets[0].variables
    assert variable.data_id == "forest?asset_names=map&bbox=9.0,44.0,11.0,46.0&datetime=2018-01-01/"
    # What was resolved means the same when it is read again.
    again = load_config(config.resolved() | {"data_stores": before["data_stores"]})
    assert again.datasets[0].variables[0].data_id == variable.data_id
    query = parse(variable.data_id)
    assert (query.assets, query.bbox) == (("map",), (9.0, 44.0, 11.0, 46.0))
    stacbuild("cube", path)
    cube = xr.open_zarr(tmp_path / "work" / "data" / "cube.zarr", mask_and_scale=False).load()
    (name,) = set(cube.data_vars) - {"spatial_ref"}
    np.testing.assert_array_equal(cube[name].values, expected(web.root / "files"))
    one["open_params"]["bbox"] = "wrong"
    one["open_params"]["point"] = [1, 2]
    path = configuration(tmp_path / "wrong", [one], [other])
    assert errors(stacbuild("plan", path, code=2))


def test_a_query_that_is_not_understood_is_named() -> None:
    for wrong in (
        "?",
        "a?bbox=1,2,3",
        "a?datetime=soon",
        "a?box=1",
        "a?asset_names=x,x",
        "a?asset_names=x,",
        "a?asset_names=x&spatial_res=-1",
        "a?spatial_res=inf",
    ):
        with pytest.raises(StacbuildError):
            parse(wrong)
    assert parse("a/b?query=eo:cloud_cover<10").filter.terms == ("eo:cloud_cover<10",)
    start, end = interval("here", "2018-02")
    assert f"{start} {end}" == "2018-02-01 00:00:00+00:00 2018-02-28 23:59:59.999999+00:00"


def test_boxes_across_the_antimeridian() -> None:
    query = parse("a?bbox=170,-10,-170,10")
    assert query.takes({"bbox": [175, 0, 176, 1]})
    assert query.takes({"bbox": [-176, 0, -175, 1]})
    assert not query.takes({"bbox": [0, 0, 1, 1]})
    assert query.takes({"bbox": [179, 0, 5, -179, 1, 9]})


def test_the_store_needs_one_address(tmp_path: Path) -> None:
    path = configuration(
        tmp_path,
        [{"identifier": "cube", "store": "other", "data_id": "forest"}],
        [{"identifier": "other", "store_id": "stac", "store_params": {}}],
    )
    (line,) = errors(stacbuild("plan", path, code=2))
    assert "needs the address of a catalog" in line


def test_without_a_crs_the_error_names_the_file(web: Web) -> None:
    put_tiles(web)
    geotiff(web.root / "files" / "west.tif", crs=None)
    with pytest.raises(IntegrityError, match=r"west\.tif"):
        take(store(url=f"{web.url}/catalog.json"), "forest/west")
