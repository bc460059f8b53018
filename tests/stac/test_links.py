"""Links, hrefs and extents of plain STAC JSON."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pystac

from stacbuild.stac.links import (
    absolute,
    extent,
    hrefs,
    link_to,
    plain,
    relative,
    relative_assets,
    without_replaced,
)


def item(name: str, data_id: str | None = None) -> pystac.Item:
    when = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    properties = {"stacbuild:data_id": data_id} if data_id else {}
    return pystac.Item(name, None, None, when, properties)


def test_what_a_harvest_no_longer_names_goes() -> None:
    known = [plain(item("a-1", "a")), plain(item("a-2", "a")), plain(item("b", "b"))]
    stay, gone = without_replaced(known, [item("a-1", "a"), item("a-3", "a"), item("other")])
    assert [each["id"] for each in stay] == ["a-1", "b"]
    assert [each["id"] for each in gone] == ["a-2"]


def test_extents_unite_the_items_and_keep_what_is_stated() -> None:
    stated = {
        "spatial": {"bbox": [[-180, -90, 180, 90]]},
        "temporal": {"interval": [["1990", None]]},
    }
    assert extent([], stated) == stated
    items: list[dict[str, Any]] = [
        {"bbox": [0, 1, 2, 3], "properties": {"datetime": "2020-01-01T00:00:00Z"}},
        {"bbox": None, "properties": {"start_datetime": "2018", "end_datetime": "2021"}},
        {"bbox": [-5, 2, 1, 9], "properties": {"datetime": None}},
    ]
    found = extent(items, stated)
    assert found["spatial"]["bbox"] == [[-5, 1, 2, 9]]
    assert found["temporal"]["interval"] == [["2018", "2021"]]
    assert stated["spatial"]["bbox"] == [[-180, -90, 180, 90]]


def test_paths_are_relative_and_addresses_stay(tmp_path: Path) -> None:
    href = str(tmp_path / "data" / "a.zarr")
    assert relative(href, tmp_path / "catalogs" / "c") == "../../data/a.zarr"
    assert absolute("../../data/a.zarr", tmp_path / "catalogs" / "c") == href
    for url in ("https://host.example/a", "s3://bucket/a"):
        assert relative(url, tmp_path) == absolute(url, tmp_path) == url
    content = {"assets": {"data": {"href": href, "alternate": {"s3": {"href": "s3://b/a"}}}}}
    relative_assets(content, tmp_path)
    assert content["assets"]["data"] == {
        "href": "data/a.zarr",
        "alternate": {"s3": {"href": "s3://b/a"}},
    }


def test_links_by_relation() -> None:
    content = {"links": [link_to("item", "a.json", "x", "A"), link_to("parent", "b.json", "x")]}
    assert hrefs(content, "item") == ["a.json"]
    assert content["links"][0]["title"] == "A"
    assert "title" not in content["links"][1]
    assert hrefs({}, "item") == []


def test_plain_json_is_of_stac_1_1() -> None:
    content = plain(item("a"))
    assert content["stac_version"] == "1.1.0"
    assert content["stac_extensions"] == []
    assert hrefs(content, "self") == []
