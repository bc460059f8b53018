"""Items of a single document: an item, an item collection, or the assets of a collection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stacbuild.errors import IntegrityError, NotFoundError, StacbuildError
from stacbuild.sources.stac.items import (
    choose,
    collection_of,
    is_of_items,
    items_within,
    nothing_in,
    of_assets,
)
from stacbuild.sources.stac.query import Query
from stacbuild.sources.stac.reader import Reader
from tests.support.stac_documents import collection, item, link, store

Json = dict[str, Any]


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(store(root=str(tmp_path / "catalog.json")))


@pytest.mark.parametrize("kind", ["Feature", "FeatureCollection", "ItemCollection"])
def test_documents_of_items(kind: str) -> None:
    assert is_of_items({"type": kind})
    assert not is_of_items({"type": "Collection"})
    assert not is_of_items({})


def test_an_item_collection(reader: Reader, tmp_path: Path) -> None:
    where = str(tmp_path / "saved.json")
    features = [item("a", "a.tif"), {"no": "item"}, item("b", "b.tif", collection="other")]
    document = {"type": "FeatureCollection", "features": features}
    found = list(items_within(reader, where, document))
    # Without a name of its own it has that of its file.
    assert [(each.collection["id"], each.id) for each in found] == [("saved", "a"), ("other", "b")]
    assert len(reader.left_out) == 1
    named = [each.collection["id"] for each in items_within(reader, where, {**document, "id": "x"})]
    assert named == ["x", "other"]
    with pytest.raises(IntegrityError, match="is an ItemCollection without features"):
        list(items_within(reader, where, {"type": "ItemCollection", "features": None}))


def test_an_item_and_the_collection_it_links_to(reader: Reader, tmp_path: Path) -> None:
    where = str(tmp_path / "i.json")
    single = {**item("i", "a.tif"), "links": []}
    assert collection_of(reader, where, single) == ({"id": "i", "links": []}, where)
    single["collection"] = "c"
    # What is linked to is not there, or is no collection; links to the web are not followed.
    (tmp_path / "item.json").write_text('{"type": "Feature", "id": "x"}')
    for href in ("./none.json", "./item.json", "https://8.8.8.8/c.json"):
        single["links"] = [link("collection", href)]
        assert collection_of(reader, where, single)[0]["id"] == "c"
    (tmp_path / "collection.json").write_text('{"type": "Collection", "id": "mine"}')
    single["links"] = [link("collection", "./collection.json")]
    known, at = collection_of(reader, where, single)
    assert (known["id"], Path(at).name) == ("mine", "collection.json")


def test_items_are_chosen_by_collection_or_by_name(reader: Reader, tmp_path: Path) -> None:
    features = [item("a", "a.tif", collection="c"), item("b", "b.tif", collection="d")]
    document = {"type": "FeatureCollection", "features": features}
    found = list(items_within(reader, str(tmp_path / "s.json"), document))

    def chosen(name: str) -> list[str]:
        return [each.id for each in choose(reader, iter(found), Query(*name.split("/")))]

    assert chosen("c") == ["a"]
    assert chosen("c/a") == ["a"]
    assert chosen("c/b") == []
    assert chosen("b") == ["b"]


def test_assets_of_a_collection_are_an_item() -> None:
    tif = {"href": "./a.tif", "type": "image/tiff"}
    document = collection(
        "c", title="Cover", assets={"data": tif, "v": tif | {"roles": ["visual"]}}
    )
    document |= {"proj:code": "EPSG:3035", "extent": {
        "spatial": {"bbox": [[0, 1, 2, 3]]}, "temporal": {"interval": [["2020-01-01", None]]}
    }}  # fmt: skip
    found = of_assets("/c.json", document)
    assert found is not None
    assert found.whole
    assert list(found.content["assets"]) == ["data"]
    assert found.content["bbox"] == [0, 1, 2, 3]
    properties = found.content["properties"]
    assert (properties["title"], properties["proj:code"]) == ("Cover", "EPSG:3035")
    # An open end is no period.
    assert properties["datetime"] == "2020-01-01"
    assert "start_datetime" not in properties
    document["extent"]["temporal"]["interval"] = [["2020-01-01", "2021-01-01"]]
    found = of_assets("/c.json", document)
    assert found is not None
    assert found.content["properties"]["end_datetime"] == "2021-01-01"


@pytest.mark.parametrize(
    "change",
    [
        {"assets": None},
        {"assets": {"a": {"href": "a.png", "type": "image/png"}}},
        {"assets": {"a": "a.tif"}},
        {"assets": {"a": {"href": "a.tif", "roles": ["thumbnail"]}}},
        {"id": 7, "assets": {"a": {"href": "a.tif"}}},
    ],
)
def test_collections_without_data(change: Json) -> None:
    assert of_assets("/c.json", collection("c") | change) is None


def test_extents_that_are_malformed_are_left_out() -> None:
    document = collection("c") | {"assets": {"a": {"href": "a.tif"}}}
    for extent in (None, {}, {"spatial": {"bbox": []}, "temporal": {"interval": [[]]}}, 7):
        found = of_assets("/c.json", document | {"extent": extent})
        assert found is not None
        assert "bbox" not in found.content
        assert found.content["properties"]["datetime"] is None


@pytest.mark.parametrize(
    ("change", "kind", "why"),
    [
        ({"links": [link("child", "./a.json")]}, NotFoundError, "name a collection below it"),
        ({"links": [link("items", "./items")]}, StacbuildError, "is a collection of a STAC API"),
        ({"assets": {"a": {}, "b": {}}}, NotFoundError, r"none of its own assets \(a, b\)"),
        ({"links": []}, NotFoundError, "has no items, and no assets"),
    ],
)
def test_the_reason_for_nothing(change: Json, kind: type[Exception], why: str) -> None:
    with pytest.raises(kind, match=why):
        raise nothing_in("/c.json", collection("c") | change)
