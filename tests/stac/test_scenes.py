"""Views of items with several assets."""

from __future__ import annotations

from typing import Any

import pystac
import pytest

from stacbuild.geo.grid import PixelGrid
from stacbuild.stac.scenes import (
    by_asset,
    by_item,
    data_assets,
    is_scene,
    order_by_change,
    views,
)

TIME = {"start_datetime": "2020-01-01T00:00:00Z", "end_datetime": "2020-01-01T00:00:00Z"}


def grid(side: float) -> dict[str, Any]:
    shape = [int(640 // side)] * 2
    transform = [side, 0, 500000, 0, -side, 5400000]
    return {"proj:code": "EPSG:32632", "proj:shape": shape, "proj:transform": transform}


def item(assets: dict[str, Any], **properties: Any) -> pystac.Item:
    """Return an item with assets of these fields."""
    made = pystac.Item("scene", None, None, None, TIME | properties)
    for key, fields in assets.items():
        made.add_asset(key, pystac.Asset(f"/{key}.tif", extra_fields=fields))
    return made


def test_each_asset_is_a_view_on_its_own_grid() -> None:
    scene = item({"red": grid(10), "scl": grid(20), "thumbnail": {}}, **grid(10))
    found = views(scene)
    assert list(by_asset(found)) == ["red", "scl"]
    assert list(by_item(found)) == ["scene"]
    sides = [PixelGrid.from_properties(view.properties).transform[0] for view in found]
    assert sides == [10, 20]
    assert [view.assets["data"].href for view in found] == ["/red.tif", "/scl.tif"]
    # The others are there, for masks; and a view has no views but itself.
    assert found[0].assets["scl"].href == "/scl.tif"
    assert views(found[1]) == [found[1]]
    assert "data" not in scene.assets
    assert "stacbuild:asset" not in scene.properties


@pytest.mark.parametrize(
    ("assets", "keys"),
    [
        ({"data": {}}, ["data"]),
        ({"data": {}, "multiscales": {}, "thumbnail": {}}, ["data"]),
        # Of one asset, wherever its grid is stated.
        ({"data": grid(10)}, ["data"]),
        # A provider may call one of several assets so.
        ({"data": grid(10), "qa": grid(10)}, ["data", "qa"]),
        ({"red": grid(10)}, ["red"]),
        ({"thumbnail": {}}, []),
    ],
)
def test_assets_of_data(assets: dict[str, Any], keys: list[str]) -> None:
    made = item(assets)
    assert list(data_assets(made)) == keys
    assert len(views(made)) == max(1, len(keys))
    assert (views(made) == [made]) == (keys in (["data"], []))


@pytest.mark.parametrize(
    ("assets", "properties", "expected"),
    [
        ({"data": {}}, {}, False),
        ({"data": {}}, {"eo:cloud_cover": 0}, True),
        ({"data": {}}, {"grid:code": "MGRS-32TMT"}, True),
        ({"red": grid(10), "nir": grid(10)}, {}, True),
    ],
)
def test_scenes(assets: dict[str, Any], properties: dict[str, Any], expected: bool) -> None:
    made = item(assets, **properties)
    assert is_scene(made) == expected
    assert all(is_scene(view) == expected for view in views(made))


def test_when_scenes_were_changed_decides_the_order_of_equal_ones_only() -> None:
    def order(*scenes: tuple[str, str, str]) -> dict[str, int]:
        items = []
        for number, (time, version, updated) in enumerate(scenes):
            properties = {"processing:version": version, "updated": updated, "eo:cloud_cover": 1}
            each = item({"data": {}}, **properties, **dict.fromkeys(TIME, time))
            each.id = f"s{number}"
            items.append(each)
        return order_by_change(items)

    first, second, later = (f"2020-01-01T00:00:{second}Z" for second in ("00", "00.5", "09"))
    assert order((first, "05.00", "2021"), (second, "05.00", "2022")) == {"s1": 0, "s0": 1}
    assert order((first, "05.00", "2022"), (second, "05.00", "2021")) == {}
    assert order((first, "05.00", "2021"), (later, "05.00", "2022")) == {}
    assert order((first, "05.00", "2021"), (second, "05.10", "2022")) == {}
