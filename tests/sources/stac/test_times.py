"""Times as data ids and items write them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from stacbuild.sources.stac.times import instant, interval


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc, arg-type]


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
