"""Data ids of a STAC catalog are queries in one line."""

from __future__ import annotations

from typing import Any

import pytest

from stacbuild.errors import StacbuildError
from stacbuild.sources.stac.query import overlap, parse


def test_collection_item_and_terms() -> None:
    found = parse("s2/a/b?asset_names=B04&bbox=1,2,3,4&datetime=2018&query=eo:cloud_cover<10")
    assert (found.collection, found.item, found.path) == ("s2", "a/b", "s2/a/b")
    assert (found.assets, found.bbox, found.filter.terms) == (
        ("B04",),
        (1, 2, 3, 4),
        ("eo:cloud_cover<10",),
    )
    # As every API takes it: whole seconds, and not shorter than the year.
    assert found.datetime == "2018-01-01T00:00:00Z/2019-01-01T00:00:00Z"
    assert parse("s2").datetime is None


@pytest.mark.parametrize(
    "data_id",
    [
        "",
        "?bbox=1,2,3,4",
        "s2?colour=red",
        "s2?datetime=",
        "s2?datetime=2018&datetime=2019",
        "s2?asset_names=B04,B04",
        "s2?asset_names=B04,",
        "s2?spatial_res=fine",
        "s2?bbox=1,2,3",
        "s2?bbox=0,5,1,2",
        "s2?bbox=0,0,1,nan",
        "s2?datetime=2019/2018",
        "s2?datetime=soon",
    ],
)
def test_what_is_not_understood_is_named(data_id: str) -> None:
    with pytest.raises(StacbuildError):
        parse(data_id)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((170, -170), (175, 180), True),
        ((170, -170), (-180, -175), True),
        ((170, -170), (0, 10), False),
        ((350, 355), (-10, -5), True),
        ((0, 400), (50, 60), True),
        ((0, 10), (10, 20), True),
    ],
)
def test_longitudes_wherever_they_count_from(
    one: tuple[float, float], other: tuple[float, float], *, expected: bool
) -> None:
    assert overlap(one, other) is expected
    assert overlap(other, one) is expected


def test_items_that_touch_box_and_time_are_taken() -> None:
    query = parse("s2?bbox=0,0,1,1&datetime=2018")
    inside: dict[str, Any] = {
        "bbox": [1, 1, 2, 2],
        "properties": {"datetime": "2018-12-31T23:59:59.5Z"},
    }
    assert query.takes(inside)
    assert query.takes({"bbox": [0, 0, -9, 1, 1, 9]})
    assert not query.takes(inside | {"bbox": [1.1, 0, 2, 1]})
    assert not query.takes(inside | {"properties": {"datetime": "2019-01-01T00:00:00Z"}})
    period = {"start_datetime": "2017-06-01T00:00:00Z", "end_datetime": "2018-01-01T00:00:00Z"}
    assert query.takes(inside | {"properties": period})
