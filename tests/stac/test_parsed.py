"""Items are as pystac reads them, in less time."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pystac
import pytest
from pystac.extensions.version import DeprecatedWarning

from stacbuild.stac import parsed
from stacbuild.stac.catalog import Catalog
from stacbuild.stac.parsed import item_of_json
from tests.support.many_items import COLLECTION, an_item, put


def content_of(root: Path, **properties: Any) -> tuple[dict[str, Any], Path]:
    item = an_item(7, root, **properties)
    asset = item.assets["data"]
    asset.extra_fields |= {"alternate": {"s3": {"href": "s3://b/a.tif"}}, "unit": "m"}
    item.add_asset("extra", pystac.Asset("https://example.com/a.txt", title="a"))
    item.extra_fields["more"] = {"a": 1}
    put(Catalog(root), item)
    path = root / COLLECTION / "i_007" / "i_007.json"
    return json.loads(path.read_text()), path


@pytest.mark.parametrize(
    "properties", [{}, {"title": "t"}, {"datetime": None, "start_datetime": "2020-01-01T00:00:00Z"}]
)
def test_an_item_is_that_of_pystac(tmp_path: Path, properties: dict[str, Any]) -> None:
    content, path = content_of(tmp_path / "catalogs")
    content["properties"] |= properties
    if "start_datetime" in properties:
        content["properties"]["end_datetime"] = "2020-12-31T00:00:00Z"
    expected = pystac.Item.from_dict(copy.deepcopy(content), migrate=False)
    expected.set_self_href(str(path))
    found = item_of_json(copy.deepcopy(content), path)
    href = found.assets["data"].href
    assert href == str(tmp_path / "src" / "d_7.tif")
    expected.assets["data"].href = href
    assert found.to_dict(transform_hrefs=False) == expected.to_dict(transform_hrefs=False)
    assert [link.to_dict(transform_href=False) for link in found.links] == [
        link.to_dict(transform_href=False) for link in expected.links
    ]
    assert all(link.owner is found for link in found.links)
    assert found.assets["data"].owner is found
    assert found.datetime == expected.datetime
    assert (found.collection_id, found.extra_fields) == (COLLECTION, {"more": {"a": 1}})
    assert found.self_href == str(path)


def test_what_is_no_item_is_refused_as_by_pystac(tmp_path: Path) -> None:
    content, path = content_of(tmp_path / "catalogs")
    for key in ("type", "stac_version"):
        with pytest.raises(pystac.STACTypeError):
            item_of_json({k: v for k, v in content.items() if k != key}, path)
    content["properties"]["deprecated"] = True
    content["stac_extensions"].append(
        "https://stac-extensions.github.io/version/v1.2.0/schema.json"
    )
    with pytest.warns(DeprecatedWarning):
        item_of_json(content, path)


def test_equal_times_are_parsed_once(tmp_path: Path) -> None:
    content, path = content_of(tmp_path / "catalogs")
    parsed._time.cache_clear()
    for _ in range(5):
        item_of_json(copy.deepcopy(content), path)
    assert (parsed._time.cache_info().misses, parsed._time.cache_info().hits) == (1, 4)
