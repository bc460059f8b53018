"""STAC catalogs in the layouts of other programs: where documents lie, how links are written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from stacbuild.building import CubeResult, build
from stacbuild.config import load_config
from tests.support.built import LAT, LON
from tests.support.cli import Json, configuration, geotiff

TIF = "image/tiff; application=geotiff"


def asset(href: str, kind: str = TIF, **more: Any) -> Json:
    return {"href": href, "type": kind, **more}


def item(name: str = "one", assets: Json | None = None, **more: Any) -> Json:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": "c",
        "geometry": None,
        "properties": {"datetime": "2020-06-01T00:00:00Z"},
        "links": [],
        "assets": assets or {"data": asset("./one.tif")},
        **more,
    }


def container(kind: str, name: str, *links: tuple[str, str], **more: Any) -> Json:
    """A catalog or a collection with these links: relation and address."""
    extent = {"spatial": {"bbox": [[10, 45, 11, 46]]}, "temporal": {"interval": [[None, None]]}}
    return {
        "type": kind,
        "stac_version": "1.0.0",
        "id": name,
        "description": name,
        **({"license": "CC0-1.0", "extent": extent} if kind == "Collection" else {}),
        "links": [{"rel": rel, "href": href} for rel, href in links],
        **more,
    }


def build_of(
    directory: Path, documents: Json, root: str = "stac", data_id: str = "c"
) -> CubeResult:
    """Write documents below ``stac``, beside the raster ``one.tif``, and build a cube of them."""
    geotiff(directory / "stac" / "one.tif")
    for name, content in documents.items():
        path = directory / "stac" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    store = {"identifier": "src", "store_id": "stac", "store_params": {"root": root}}
    cube = {"identifier": "cube", "store": "src", "data_id": data_id}
    [result] = build(load_config(configuration(directory, [cube], [store])), directory / "catalogs")
    return result


def check(directory: Path, result: CubeResult, times: int = 0) -> None:
    """Check that a cube is the raster, so often."""
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(directory / "data" / "cube.zarr") as cube:
        [variable] = cube.data_vars.values()
        rows, cols = np.indices((120, 120))[:, 10:110, 10:110]
        expected = (rows * 7 + cols * 3) % 100
        assert variable.sizes.get("time", 0) == times
        for each in variable.values.reshape(-1, 100, 100):
            assert np.array_equal(each, expected)


@pytest.mark.parametrize("data_id", ["c", "c/one", "one", "c.json"])
def test_catalogs_within_a_collection_only_sort_its_items(tmp_path: Path, data_id: str) -> None:
    children = ["./2020/catalog.json", "o.json", "y.json"]
    circle = [("child", "../c.json")]
    later = item("two", {"data": asset("../../one.tif")})
    later["properties"]["datetime"] = "2021-06-01T00:00:00Z"
    documents = {
        "catalog.json": container("Catalog", "root", ("child", "./c.json")),
        "c.json": container("Collection", "c", *(("child", each) for each in children)),
        "2020/catalog.json": container("Catalog", "2020", ("item", "one.json"), *circle),
        "2020/one.json": item(assets={"data": asset("../one.tif")}),
        "y.json": container("Catalog", "y", ("child", "./2021/a/catalog.json")),
        "2021/a/catalog.json": container("Catalog", "a", ("item", "./two.json")),
        "2021/a/two.json": later,
        # A collection below it is another one.
        "o.json": container("Collection", "other", ("item", "./three.json")),
        "three.json": item("three", collection="other"),
    }  # fmt: skip
    result = build_of(tmp_path, documents, data_id=data_id)
    check(tmp_path, result, times=2 if data_id in ("c", "c.json") else 0)
    collections = {path.parent.name for path in (tmp_path / "catalogs").glob("*/collection.json")}
    assert len(collections) == 2
    if data_id != "one":
        assert collections == {"c", "stac-stac-c"}


@pytest.mark.parametrize(
    ("name", "root"),
    [("collection.json", "stac"), ("mine.json", "stac/mine.json"), ("c.geojson", "stac/c.geojson")],
)
def test_a_collection_alone(tmp_path: Path, name: str, root: str) -> None:
    documents = {name: container("Collection", "c", ("item", "./one.json")), "one.json": item()}
    check(tmp_path, build_of(tmp_path, documents, root))


@pytest.mark.parametrize("kind", ["FeatureCollection", "ItemCollection"])
@pytest.mark.parametrize("name", ["search.geojson", "search"])
def test_saved_searches(tmp_path: Path, kind: str, name: str) -> None:
    saved = {"type": kind, "features": [item()]}
    check(tmp_path, build_of(tmp_path, {name: saved}, f"stac/{name}"))


def test_a_folder_without_a_catalog_names_what_there_is(tmp_path: Path) -> None:
    result = build_of(tmp_path, {"saved.json": {"type": "FeatureCollection", "features": []}})
    assert "stac/catalog.json: cannot be read" in result.message
    assert "if one of saved.json is the catalog, write its path" in result.message


@pytest.mark.parametrize("start", ["file://", "file://localhost", "file:"])
def test_addresses_of_files(tmp_path: Path, start: str) -> None:
    there = f"{start}{tmp_path}/stac/my%20file.tif"
    documents = {
        "catalog.json": container("Catalog", "c", ("item", f"{start}{tmp_path}/stac/one.json")),
        "one.json": item(assets={"data": asset(there)}),
    }
    (tmp_path / "stac").mkdir()
    shutil.copy(geotiff(tmp_path / "one.tif"), tmp_path / "stac" / "my file.tif")
    check(tmp_path, build_of(tmp_path, documents))


@pytest.mark.parametrize("href", ["file:///etc/one.tif", "file://host/one.tif", "file:one.tif"])
def test_addresses_of_files_elsewhere_are_refused(tmp_path: Path, href: str) -> None:
    documents = {
        "catalog.json": container("Catalog", "c", ("item", "one.json")),
        "one.json": item(assets={"data": asset(href)}),
    }
    result = build_of(tmp_path, documents)
    assert result.status == "FAILED"
    assert "one.json" in result.message


@pytest.mark.parametrize(
    "other",
    [
        asset("abfs://container/one.tif", roles=["data"]),
        asset("gs://bucket/one.tif"),
        asset("./one.tif", roles=["overview"]),
        asset("./one.png", "image/png", roles=["data"]),
    ],
)
def test_the_asset_that_can_be_read(tmp_path: Path, other: Json) -> None:
    roles = {"roles": other["roles"]} if other.get("roles") == ["data"] else {}
    both = {"a": other, "z": asset("./one.tif", **roles)}
    documents = {
        "catalog.json": container("Catalog", "c", ("item", "one.json")),
        "one.json": item(assets=both),
    }
    check(tmp_path, build_of(tmp_path, documents))


@pytest.mark.parametrize("media", ["application/zip", "application/zip+zarr", None])
def test_a_zarr_store_in_a_zip(tmp_path: Path, media: str | None) -> None:
    rows, cols = np.indices((120, 120))
    values = ((rows * 7 + cols * 3) % 100).astype("int16")
    ds = xr.Dataset({"v": (("lat", "lon"), values)}, {"lat": LAT, "lon": LON})
    ds.to_zarr(tmp_path / "one.zarr", zarr_format=2, consolidated=True)
    shutil.make_archive(str(tmp_path / "stac" / "one.zarr"), "zip", tmp_path / "one.zarr")
    one = {"href": "./one.zarr.zip", "roles": ["data"]} | ({"type": media} if media else {})
    documents = {
        "catalog.json": container("Catalog", "c", ("item", "one.json")),
        "one.json": item(assets={"data": one}),
    }
    check(tmp_path, build_of(tmp_path, documents))
    assert build_of(tmp_path, {}).status == "UP TO DATE"


def test_items_of_one_id_in_several_folders(tmp_path: Path) -> None:
    later = item(assets={"data": asset("../one.tif")})
    later["properties"]["datetime"] = "2021-06-01T00:00:00Z"
    documents = {
        "catalog.json": container("Catalog", "c", ("item", "one.json"), ("item", "2021/one.json")),
        "one.json": item(),
        "2021/one.json": later,
    }
    check(tmp_path, build_of(tmp_path, documents), times=2)
    # The ids are the same where the catalog was moved with all that belongs to it.
    names = sorted(path.name for path in (tmp_path / "catalogs" / "stac-stac-c").glob("*/*.json"))
    there = tmp_path / "there"
    shutil.copytree(tmp_path / "stac", there / "stac")
    assert build_of(there, {}).status == "COMPLETED"
    moved = sorted(path.name for path in (there / "catalogs" / "stac-stac-c").glob("*/*.json"))
    assert moved == names


def test_items_that_are_sorted_too_deep_are_not_left_out_in_silence(tmp_path: Path) -> None:
    depth = 12
    documents: Json = {
        f"{'d/' * level}collection.json"
        if level == 0
        else f"{'d/' * level}catalog.json": container(
            "Collection" if level == 0 else "Catalog",
            "c" if level == 0 else f"d{level}",
            ("child", "./d/catalog.json") if level < depth else ("item", "./one.json"),
        )
        for level in range(depth + 1)
    }
    raster = asset("/".join([".."] * depth) + "/one.tif")
    documents[f"{'d/' * depth}one.json"] = item(assets={"data": raster})
    result = build_of(tmp_path, documents, data_id="collection.json")
    assert "is deeper than 12 catalogs; name one further down" in result.message
    result = build_of(tmp_path, documents, data_id="d/d/catalog.json")
    check(tmp_path, result)
