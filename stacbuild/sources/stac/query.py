"""Data ids of a STAC catalog: ``collection[/item][?key=value&...]``, a query on one line.

Keys are those of the item search of STAC API 1.0.0 (``bbox``, ``datetime``, ``query``), and
``asset_names``, which selects the asset of each item.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from pystac.utils import str_to_datetime

from stacbuild.errors import StacbuildError
from stacbuild.geo.bbox import BBox

Json = dict[str, Any]

_KEYS = ("asset_names", "bbox", "datetime", "query")
_SECOND = dt.timedelta(seconds=1)
_TICK = dt.timedelta(microseconds=1)
_LAST = dt.datetime.max.replace(tzinfo=dt.UTC) - _SECOND


@dataclass(frozen=True)
class Query:
    """A selection of items of a catalog, and of their asset.

    Parameters
    ----------
    collection
        Id of a collection; or of an item, where a static catalog has no such collection.
    item
        Id of one item in it.
    bbox
        West, south, east, north in degrees; items that touch it match. West is greater than east
        if it crosses the antimeridian.
    interval
        First and last instant, None for an open end; items whose period touches it match.
    terms
        Terms of the API's query extension, such as ``eo:cloud_cover<10``.
    asset
        Key of the asset.
    """

    collection: str
    item: str | None = None
    bbox: BBox | None = None
    interval: tuple[dt.datetime | None, dt.datetime | None] | None = None
    terms: tuple[str, ...] = ()
    asset: str | None = None

    @property
    def path(self) -> str:
        """The part before ``?``: collection and item, or the path of a document."""
        return self.collection if self.item is None else f"{self.collection}/{self.item}"

    @property
    def datetime(self) -> str | None:
        """The interval, widened to whole seconds, which every API accepts."""
        if self.interval is None:
            return None
        start, end = self.interval
        if end is not None and end.microsecond:
            # `takes` leaves out items in the rest of the second.
            end = end.replace(microsecond=0) + (_SECOND if end < _LAST else dt.timedelta(0))
        return "/".join(_rfc3339(when) if when else ".." for when in (start, end))

    def takes(self, item: Json) -> bool:
        """Return whether an item is in bbox and interval; one without bbox or time matches."""
        return self._in_bbox(item.get("bbox")) and self.in_time(item)

    def _in_bbox(self, bbox: Any) -> bool:
        if self.bbox is None or not _is_bbox(bbox):
            return True
        half = len(bbox) // 2
        west, south, east, north = bbox[0], bbox[1], bbox[half], bbox[half + 1]
        if south > self.bbox[3] or north < self.bbox[1]:
            return False
        return overlap((west, east), (self.bbox[0], self.bbox[2]))

    def in_time(self, item: Json) -> bool:
        """Return whether the period of an item touches the interval, both closed."""
        properties = item.get("properties")
        if self.interval is None or not isinstance(properties, dict):
            return True
        first = instant(properties.get("start_datetime")) or instant(properties.get("datetime"))
        last = instant(properties.get("end_datetime")) or first
        start, end = self.interval
        after = first is not None and end is not None and first > end
        before = last is not None and start is not None and last < start
        return not (after or before)


def parse(data_id: str) -> Query:
    """Parse a data id; raise StacbuildError if it is not valid."""
    path, _, tail = data_id.partition("?")
    collection, _, item = path.strip("/").partition("/")
    if not collection:
        raise StacbuildError(f"{data_id}: names no collection; write collection or collection/item")
    params: dict[str, list[str]] = {}
    for key, value in parse_qsl(tail, keep_blank_values=True):
        if key not in _KEYS or not value:
            raise StacbuildError(
                f"{data_id}: {key!r} is not understood; after '?' there may be "
                f"{', '.join(f'{known}=...' for known in _KEYS)}, with '&' between them"
            )
        params.setdefault(key, []).append(value)
    for key, values in params.items():
        if key != "query" and len(values) > 1:
            raise StacbuildError(f"{data_id}: {key} is repeated; write it once")
    assets = [name for text in params.get("asset_names", ()) for name in text.split(",")]
    if len(assets) > 1:
        raise StacbuildError(
            f"{data_id}: names {len(assets)} assets; write a variable for each of them"
        )
    return Query(
        collection,
        item or None,
        _bbox(data_id, params["bbox"][0]) if "bbox" in params else None,
        interval(data_id, params["datetime"][0]) if "datetime" in params else None,
        tuple(params.get("query", ())),
        assets[0] if assets else None,
    )


def interval(where: str, text: str) -> tuple[dt.datetime | None, dt.datetime | None]:
    """Parse ``2018``, ``2018-06-01``, an instant, or two of them separated by ``/``.

    A year, month or day is all of it; an end that is empty or ``..`` is open.

    Raises
    ------
    StacbuildError
        The message begins with *where*.
    """
    first, slash, last = text.partition("/")
    start, end = _period(first), _period(last if slash else first)
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


def _rfc3339(when: dt.datetime) -> str:
    # `%Y` does not pad years before 1000.
    return f"{when.replace(microsecond=0, tzinfo=None).isoformat()}Z"


def _period(text: str) -> tuple[dt.datetime, dt.datetime] | None:
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


def _bbox(data_id: str, text: str) -> BBox:
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        west = south = east = north = float("nan")
    if not (-90 <= south <= north <= 90 and -180 <= west <= 180 and -180 <= east <= 180):
        raise StacbuildError(
            f"{data_id}: bbox={text} has to be four degrees with commas between them: "
            "west,south,east,north"
        )
    return west, south, east, north


def _is_bbox(bbox: Any) -> bool:
    return (
        isinstance(bbox, list)
        and len(bbox) in (4, 6)
        and all(isinstance(value, int | float) for value in bbox)
    )


def _spans(west: float, east: float) -> list[tuple[float, float]]:
    """Return a range of longitudes normalized to -180 to 180, as one or two ranges."""
    if -180 <= west <= east <= 180:
        return [(west, east)]
    width = east - west if west <= east else (east - west) % 360
    if width >= 360:
        return [(-180.0, 180.0)]
    first = (west + 180) % 360 - 180
    last = first + width
    return [(first, last)] if last <= 180 else [(first, 180.0), (-180.0, last - 360)]


def overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Return whether two ranges of longitudes, west to east, overlap modulo 360."""
    return any(w1 <= e2 and w2 <= e1 for w1, e1 in _spans(*one) for w2, e2 in _spans(*other))
