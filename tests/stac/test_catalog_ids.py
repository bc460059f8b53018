"""Ids become file names: they are unique for each source, and not too long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.sources import harvest
from stacbuild.stac.catalog import Catalog, slug
from tests.support.cli import configuration, geotiff
from tests.support.stac_documents import Json, collection, item, link, root


def harvested(folder: Path, store: Json, *data_ids: str) -> dict[str, str]:
    """Harvest the data ids of a store; return the path of each item in the catalog."""
    config = load_config(
        configuration(
            folder,
            [
                {"identifier": f"cube{n}", "store": "other", "data_id": data_id}
                for n, data_id in enumerate(data_ids)
            ],
            [{"identifier": "other", **store}],
        )
    )
    results = harvest(config, folder / "catalogs")
    assert [each.error for each in results] == [None] * len(results)
    catalog = Catalog(folder / "catalogs")
    key = config.store("other").key
    found = {}
    for data_id in data_ids:
        [one] = catalog.find(key, data_id)
        assert one.properties["stacbuild:data_id"] == data_id
        found[data_id] = str(Path(one.self_href).relative_to(catalog.root))
    return found


def files(root: str) -> Json:
    return {"store_id": "file", "store_params": {"root": root}}


def apart(paths: dict[str, str], folder: Path) -> bool:
    """Return whether the paths are distinct, also on a case-insensitive file system."""
    everything = [
        str(path.relative_to(folder)).casefold() for path in (folder / "catalogs").rglob("*.json")
    ]
    return len(set(everything)) == len(everything) and len({*paths.values()}) == len(paths)


def test_data_ids_longer_than_a_file_name(tmp_path: Path) -> None:
    deep = "/".join(["S2B_MSIL2A_20180421.SAFE", "x" * 120, "y" * 120])
    names = [f"{deep}/a.tif", f"{deep}/b.tif", f"{'z' * 200}.tif"]
    for name in names:
        geotiff(tmp_path / "in" / name)
    first = harvested(tmp_path, files("in"), *names)
    assert apart(first, tmp_path)
    assert max(len(part.encode()) for path in first.values() for part in path.split("/")) < 200
    assert harvested(tmp_path, files("in"), *reversed(names)) == first
    results = build(load_config(tmp_path / "c_config.yml"), tmp_path / "catalogs")
    assert [each.status for each in results] == ["COMPLETED"] * 3, results


@pytest.mark.parametrize(
    "names",
    [
        ["Forest.tif", "forest.tif", "FOREST.tif"],
        ["forêt.tif", "for-t.tif", "for t.tif"],
        ["森林.tif", "лес.tif", "tif.tif"],
        ["a/b.tif", "a-b.tif", "a_b.tif"],
    ],
)
def test_data_ids_that_differ_little(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        geotiff(tmp_path / "in" / name)
    first = harvested(tmp_path, files("in"), *names)
    assert apart(first, tmp_path)
    assert harvested(tmp_path, files("in"), *names) == first
    for name in reversed(names):
        assert harvested(tmp_path, files("in"), name) == {name: first[name]}


def test_stores_whose_addresses_differ_little(tmp_path: Path) -> None:
    found: dict[str, str] = {}
    for folder in ("my data", "my-data", "My-Data"):
        geotiff(tmp_path / folder / "one.tif")
        found |= {folder: harvested(tmp_path, files(folder), "one.tif")["one.tif"]}
    assert apart(found, tmp_path)
    for folder, path in found.items():
        assert harvested(tmp_path, files(folder), "one.tif")["one.tif"] == path


def test_collections_of_a_catalog_that_differ_little(tmp_path: Path) -> None:
    """The ids of collections in a foreign catalog never overwrite files of others."""
    geotiff(tmp_path / "in" / "a.tif")
    names = ["Forest", "forest", "for est", "for-est", "x" * 300 + "1", "x" * 300 + "2"]
    documents: dict[str, Any] = {"catalog": root(*(f"c{n}.json" for n in range(len(names))))}
    for n, name in enumerate(names):
        documents[f"c{n}"] = collection(name, link("item", f"i{n}.json"), title=f"No {n}")
        documents[f"i{n}"] = item("../same", "./a.tif")
    for name, content in documents.items():
        (tmp_path / "in" / f"{name}.json").write_text(json.dumps(content))
    store = {"store_id": "stac", "store_params": {"root": "in"}}
    found = harvested(tmp_path, store, *names)
    assert apart(found, tmp_path)
    folders = {name: path.partition("/")[0] for name, path in found.items()}
    for n, name in enumerate(names):
        about = json.loads((tmp_path / "catalogs" / folders[name] / "collection.json").read_text())
        assert about["title"] == f"No {n}"
    for name in names:
        assert harvested(tmp_path, store, name)[name] == found[name]


def test_slugs() -> None:
    assert slug("a b/c.tif") == "a-b-c.tif"
    assert slug("..") == "_"
    assert slug("x" * 180) == "x" * 180
    long = slug("x" * 181)
    assert long.startswith("x" * 150)
    assert len(long) == 180
    assert slug(long) == long
    assert slug("x" * 182) != long


@pytest.mark.parametrize(
    "name", ["collection.json", "Collection.JSON", "thumbnail.png", "items.parquet"]
)
def test_cubes_with_the_names_of_files_of_the_catalog(tmp_path: Path, name: str) -> None:
    geotiff(tmp_path / "in" / "a.tif")
    cubes = [{"identifier": n, "store": "in", "data_id": "a.tif"} for n in (name, "catalog.json")]
    config = load_config(configuration(tmp_path, cubes, [{"identifier": "in", **files("in")}]))
    for status in ("COMPLETED", "UP TO DATE"):
        results = build(config, tmp_path / "catalogs")
        assert [each.status for each in results] == [status] * 2, results
    assert not (tmp_path / "catalogs" / "c" / name).is_dir()
    assert len([*Catalog(tmp_path / "catalogs").items()]) == 3
