"""The time of an item: a period, or none.

STAC 1.1 requires ``start_datetime`` and ``end_datetime`` where ``datetime`` is null, so an item
without a time has the longest period that can be written.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from pystac.utils import datetime_to_str

from stacbuild.config.patterns import Period

UNDATED = Period(
    dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
)
"""The period of an item whose time is not known."""

_FIRST = datetime_to_str(UNDATED.start)
_LAST = datetime_to_str(UNDATED.end)

FILE = "stacbuild:file"
"""Property of an item of a data id of several files: the path of the file in its store."""

ORDER = "stacbuild:order"
"""Property of an item of a list of files: its position in the list."""


def time_fields(period: Period | None) -> dict[str, Any]:
    """Return ``datetime``, ``start_datetime`` and ``end_datetime`` of an item; None: undated."""
    known = period or UNDATED
    return {
        "datetime": None if period is None else datetime_to_str(period.start),
        "start_datetime": datetime_to_str(known.start),
        "end_datetime": datetime_to_str(known.end),
    }


def is_undated(properties: Mapping[str, Any]) -> bool:
    """Return whether an item's properties state that its time is not known."""
    return (properties.get("start_datetime"), properties.get("end_datetime")) == (_FIRST, _LAST)
