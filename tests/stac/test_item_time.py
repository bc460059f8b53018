"""The time of an item, or none."""

from __future__ import annotations

from stacbuild.config.patterns import period_of
from stacbuild.stac.item_time import is_undated, time_fields


def test_a_period() -> None:
    fields = time_fields(period_of({"year": "2020"}))
    assert list(fields.values()) == [
        "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "2020-12-31T23:59:59Z",
    ]  # fmt: skip
    assert not is_undated(fields)


def test_no_time() -> None:
    assert time_fields(None)["datetime"] is None
    assert is_undated(time_fields(None))
    assert not is_undated({"datetime": None})
