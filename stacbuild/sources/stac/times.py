"""Times of data ids and of foreign items."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from pystac.utils import str_to_datetime

from stacbuild.errors import StacbuildError

_SECOND = dt.timedelta(seconds=1)
_TICK = dt.timedelta(microseconds=1)


def interval(where: str, text: str) -> tuple[dt.datetime | None, dt.datetime | None]:
    """Parse ``2018``, ``2018-06-01``, an instant, or two of them separated by ``/``.

    A year, month or day is all of it; an end that is empty or ``..`` is open.

    Raises
    ------
    StacbuildError
        The message begins with *where*.
    """
    first, slash, last = text.partition("/")
    start, end = period(first), period(last if slash else first)
    open_ends = first in ("", ".."), bool(slash) and last in ("", "..")
    wrong = (start is None and not open_ends[0]) or (end is None and not open_ends[1])
    if wrong or (start and end and start[0] > end[1]):
        raise StacbuildError(
            f"{where}: {text!r} is not a time; write 2018, 2018-06-01, or a start and an end with "
            "'/' between them"
        )
    return start[0] if start else None, end[1] if end else None


def instant(value: Any) -> dt.datetime | None:
    """Parse a time of an item (RFC 3339 and similar) to UTC; None if it is not valid.

    Digits beyond the microsecond are truncated; second 60, a leap second, is the next one.
    """
    if not isinstance(value, str) or len(value) > 64:
        return None
    text = value.strip().upper()
    leap = re.fullmatch(r"(.*[T ]\d\d:?\d\d:?)60(?=\D|$)(.*)", text)
    try:
        when = str_to_datetime(f"{leap[1]}59{leap[2]}" if leap else text)
        when += _SECOND if leap else dt.timedelta(0)
        return when.replace(tzinfo=dt.UTC) if when.tzinfo is None else when.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def period(text: str) -> tuple[dt.datetime, dt.datetime] | None:
    """Return first and last instant of a year, month, day or instant; None if it is none."""
    found = re.fullmatch(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", text)
    if not found:
        when = instant(text)
        return (when, when) if when else None
    year, month, day = (int(part) if part else None for part in found.groups())
    try:
        start = dt.datetime(year or 0, month or 1, day or 1, tzinfo=dt.UTC)
    except ValueError:
        return None
    try:
        if day:
            after = start + dt.timedelta(days=1)
        elif month:
            after = (start + dt.timedelta(days=31)).replace(day=1)
        else:
            after = start.replace(year=start.year + 1)
    except (ValueError, OverflowError):
        return start, dt.datetime.max.replace(tzinfo=dt.UTC)
    # Both ends are included, and a day ends with any fraction of its last second.
    return start, after - _TICK
