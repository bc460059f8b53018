"""``stac_extensions`` lists the extensions whose fields an entity uses."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from pathlib import Path

import pystac

from stacbuild.stac.extensions import EXTENSIONS, declare_extensions, file_time, multihash_md5


def test_exactly_the_extensions_of_the_fields_are_declared() -> None:
    item = pystac.Item("a", None, None, dt.datetime(2020, 1, 1, tzinfo=dt.UTC), {"proj:code": None})
    fields = {
        "file:size": 7,
        "bands": [{"name": "b", "raster:scale": 2}],
        "alternate": {"s3": {"href": "s3://b/a", "storage:refs": ["s3"]}},
    }
    item.add_asset("data", pystac.Asset("a.tif", extra_fields=fields))
    item.stac_extensions = ["https://other.example/schema.json"]
    declare_extensions(item)
    wanted = ("alternate", "file", "proj", "raster", "storage")
    assert item.stac_extensions == sorted(EXTENSIONS[name] for name in wanted)


def test_of_a_collection_summaries_and_item_assets_count() -> None:
    extent = pystac.Extent(
        pystac.SpatialExtent([[0, 0, 1, 1]]), pystac.TemporalExtent([[None, None]])
    )
    fields = {"sci:doi": "10.1/x", "item_assets": {"data": {"classification:classes": []}}}
    collection = pystac.Collection("c", "C", extent, extra_fields=fields)
    collection.summaries.add("proj:code", ["EPSG:4326"])
    declare_extensions(collection)
    assert collection.stac_extensions == sorted(
        EXTENSIONS[k] for k in ("sci", "classification", "proj")
    )


def test_a_checksum_is_a_multihash() -> None:
    digest = hashlib.md5(b"x", usedforsecurity=False).hexdigest()
    # Code of md5 as a varint, and a length of 16 bytes.
    assert multihash_md5(digest.upper()) == "d50110" + digest


def test_a_folder_is_as_old_as_its_newest_file(tmp_path: Path) -> None:
    for name, when in (("old", 1e9), ("inner/new", 1.5e9)):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        os.utime(path, (when, when))
    assert file_time(tmp_path) == "2017-07-14T02:40:00.000000Z"
    assert file_time(tmp_path / "old") == "2001-09-09T01:46:40.000000Z"
