"""A cube is found by its store, its item, or its name in the catalog."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pystac
import pytest

from stacbuild.errors import ConfigError, MissingError
from stacbuild.pictures.find import Found, find_cube


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    root = pystac.Catalog("stacbuild", "A catalog.")
    when = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    extent = pystac.Extent(
        pystac.SpatialExtent([[0, 0, 1, 1]]), pystac.TemporalExtent([[when, None]])
    )
    collection = pystac.Collection("c", "C", extent)
    root.add_child(collection)
    for name, properties in (
        ("senf", {"cube:variables": {}, "processing:expression": {}}),
        ("source", {"cube:variables": {}}),
        ("map", {}),
    ):
        item = pystac.Item(name, None, None, when, properties)
        item.add_asset("data", pystac.Asset(f"../../../data/{name}.zarr"))
        collection.add_item(item)
    root.normalize_and_save(str(tmp_path / "cat"), pystac.CatalogType.SELF_CONTAINED)
    return tmp_path / "cat"


def test_stores_and_files_are_what_they_are(
    tmp_path: Path, catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b.nc").write_text("")
    for name in ("data/x.zarr/0", "y"):
        Path(name).mkdir(parents=True)
        (Path(name) / "zarr.json").write_text("{}")
    for text, name, href in [
        ("https://host.example/data/a.zarr?key=v.zarr", "a", None),
        ("https://host.example/a.zarr/0/", "a", None),
        ("s3://bucket/a.zarr.zip", "a", None),
        ("a b.nc", "a b", tmp_path / "a b.nc"),
        (str(tmp_path / "a b.nc"), "a b", tmp_path / "a b.nc"),
        (f"file://{tmp_path}/a%20b.nc", "a b", tmp_path / "a b.nc"),
        ("./data/x.zarr/", "x", tmp_path / "data" / "x.zarr"),
        ("data/x.zarr/0", "x", tmp_path / "data" / "x.zarr" / "0"),
        ("y", "y", tmp_path / "y"),
    ]:
        assert find_cube(text, catalog) == Found(name, str(href or text))


def test_an_item_leads_to_its_store(
    tmp_path: Path, catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Found("senf", str(tmp_path / "data" / "senf.zarr"))
    monkeypatch.chdir(tmp_path)
    # A folder that is no store does not hide the cube of its name.
    Path("senf").mkdir()
    for text in ("senf", "cat/c/senf/senf.json", str(catalog / "c" / "senf" / "senf.json")):
        assert find_cube(text, catalog) == found


def test_a_pyramid_is_found_with_all_its_levels(tmp_path: Path, catalog: Path) -> None:
    path = catalog / "c" / "senf" / "senf.json"
    item = json.loads(path.read_text())
    item["assets"]["data"]["href"] += "/0"
    item["assets"]["multiscales"] = {"href": "../../../data/senf.zarr"}
    path.write_text(json.dumps(item))
    assert find_cube("senf", catalog) == Found("senf", str(tmp_path / "data" / "senf.zarr"))


def test_what_is_no_cube_is_named_with_those_there_are(catalog: Path) -> None:
    # An item without variables is of a source.
    with pytest.raises(MissingError, match=r"map: .*; its cubes are senf$"):
        find_cube("map", catalog)
    # Sources with variables can be drawn, but are not what a name of a cube leads to.
    assert find_cube("source", catalog).name == "source"


def test_a_catalog_without_cubes_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"no cubes; build one with stacbuild cube, .*--catalog"):
        find_cube("senf", tmp_path / "none")


def test_cubes_of_one_name_are_told_apart_by_collection_or_configuration(
    tmp_path: Path, catalog: Path
) -> None:
    content = json.loads((catalog / "c" / "collection.json").read_text())
    root = pystac.Catalog.from_file(str(catalog / "catalog.json"))
    root.add_child(pystac.Collection("d", "D", pystac.Collection.from_dict(content).extent))
    for name in ("senf", "only"):
        item = pystac.Item(
            name, None, None, dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
            {
                "cube:variables": {}, "processing:expression": {},
                "stacbuild:configuration": "../d.yml",
            },
        )  # fmt: skip
        item.add_asset("data", pystac.Asset(f"../../../other/{name}.zarr"))
        root.get_child("d").add_item(item)
    root.normalize_and_save(str(catalog), pystac.CatalogType.SELF_CONTAINED)
    with pytest.raises(ConfigError, match=r"senf: is ambiguous in .*name one of c/senf, d/senf$"):
        find_cube("senf", catalog)
    other = str(tmp_path / "other" / "senf.zarr")
    assert find_cube("d/senf", catalog) == Found("d-senf", other)
    assert find_cube("c/senf", catalog).href == str(tmp_path / "data" / "senf.zarr")
    assert find_cube("senf", catalog, tmp_path / "d.yml") == Found("senf", other)
    with pytest.raises(MissingError, match=r"its cubes are only, c/senf, d/senf$"):
        find_cube("nothing", catalog)
