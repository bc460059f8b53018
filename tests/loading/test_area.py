"""Items are cut to the box of ``open_params``."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pystac
import pytest

from stacbuild.config.datasets import SourceVariable
from stacbuild.errors import BuildError
from stacbuild.loading.area import ORIGIN, items_within, origin_of


def item(west: float = 0.0, columns: int = 10, *, skew: float = 0.0) -> pystac.Item:
    fields = {
        "proj:code": "EPSG:4326",
        "proj:shape": [10, columns],
        "proj:transform": [1.0, skew, west, skew, -1.0, 50.0],
    }
    return pystac.Item("a", None, None, dt.datetime(2020, 1, 1, tzinfo=dt.UTC), fields)


def variable(**params: Any) -> SourceVariable:
    return SourceVariable.model_validate({"store": "s", "data_id": "a.tif", "open_params": params})


def cut(box: list[float], *items: pystac.Item) -> list[tuple[list[int], list[int], float]]:
    found = items_within(variable(bbox=box), items)
    return [
        (
            each.properties[ORIGIN],
            each.properties["proj:shape"],
            each.properties["proj:transform"][2],
        )
        for each in found
    ]


def test_pixels_with_their_centre_in_the_box_are_meant() -> None:
    whole = item()
    assert cut([2.4, 45.0, 5.5, 47.6], whole) == [([2, 2], [3, 3], 2)]
    # What the item itself says stays.
    assert whole.properties["proj:shape"] == [10, 10]
    assert origin_of(whole.properties) == (0, 0)


def test_without_a_box_items_stay() -> None:
    whole = item()
    assert items_within(variable(), [whole]) == [whole]


def test_a_box_on_both_ends_of_a_file_is_two_parts() -> None:
    assert cut([-2.0, 45.0, 2.0, 46.0], item(0, 360)) == [
        ([4, 0], [1, 2], 0),
        ([4, 358], [1, 2], -2),
    ]


def test_a_box_in_another_crs() -> None:
    params = {"bbox": [0, 6_106_854, 222_638, 6_274_861], "crs": "EPSG:3857"}
    (found,) = items_within(variable(**params), [item()])
    assert found.properties["proj:shape"] == [1, 2]


def test_what_cannot_be_cut_is_named() -> None:
    with pytest.raises(BuildError, match=r"a\.tif: no pixel"):
        cut([100.0, 45.0, 101.0, 46.0], item())
    with pytest.raises(BuildError, match="item a: "):
        cut([0.0, 45.0, 2.0, 46.0], item(skew=0.1))
