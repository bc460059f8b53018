"""Data ids of a STAC catalog are queries in one line."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from stacbuild.errors import StacbuildError
from stacbuild.sources.stac.query import instant, interval, overlap, parse


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc, arg-type]


def test_collection_item_and_terms() -> None:
    found = parse("s2/a/b?asset_names=B04&bbox=1,2,3,4&datetime=2018&query=eo:cloud_cover<10")
    assert (found.collection, found.item, found.path) == ("s2", "a/b", "s2/a/b")
    assert (found.asset, found.bbox, found.terms) == ("B04", (1, 2, 3, 4), ("eo:cloud_cover<10",))
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
        "s2?asset_names=B04,B08",
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
    ("text", "expected"),
    [
        ("2018-02", (utc(2018, 2, 1), utc(2018, 2, 28, 23, 59, 59, 999999))),
        ("2018/..", (utc(2018, 1, 1), None)),
        ("/2018-06-01", (None, utc(2018, 6, 1, 23, 59, 59, 999999))),
        ("2018-06-01T12:00:00+02:00", (utc(2018, 6, 1, 10), utc(2018, 6, 1, 10))),
        ("9999", (utc(9999, 1, 1), dt.datetime.max.replace(tzinfo=dt.UTC))),
    ],
)
def test_a_year_month_or_day_is_all_of_it(text: str, expected: Any) -> None:
    assert interval("x", text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2016-12-31T23:59:60Z", utc(2017, 1, 1)),
        ("2020-01-01t00:00:00.1234567z", utc(2020, 1, 1, 0, 0, 0, 123456)),
        ("yesterday", None),
        (7, None),
        ("2" * 100, None),
    ],
)
def test_instants_as_items_write_them(value: Any, expected: dt.datetime | None) -> None:
    assert instant(value) == expected


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
