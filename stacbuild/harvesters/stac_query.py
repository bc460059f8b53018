"""Data ids of a STAC catalog: ``collection[/item][?key=value&...]``, a query that is one line.

Keys are those of the item search of STAC API 1.0.0 (``bbox``, ``datetime``, ``query``), and
``asset_names``, which says what of each item is meant.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from pystac.utils import str_to_datetime

from stacbuild.errors import StacbuildError

Json = dict[str, Any]
Box = tuple[float, float, float, float]

_KEYS = ("asset_names", "bbox", "datetime", "query")


@dataclass(frozen=True)
class Query:
    """Which items of a catalog, and what of them.

    Parameters
    ----------
    collection
        Id of a collection; of an item, where a static catalog has no such collection.
    item
        Id of one item of it.
    bbox
        West, south, east, north in degrees; items that touch it are meant. West is more than
        east if the box crosses the antimeridian.
    interval
        First and last instant, None where it is open; items whose period touches it are meant.
    terms
        Of the API's query extension, such as ``eo:cloud_cover<10``.
    asset
        Key of the asset that is meant.
    """

    collection: str
    item: str | None = None
    bbox: Box | None = None
    interval: tuple[dt.datetime | None, dt.datetime | None] | None = None
    terms: tuple[str, ...] = ()
    asset: str | None = None

    @property
    def one_item(self) -> bool:
        """Whether the query names its item and leaves nothing to be searched."""
        return self.item is not None

    @property
    def datetime(self) -> str | None:
        """The interval as the API writes it."""
        if self.interval is None:
            return None
        ends = (f"{end:%Y-%m-%dT%H:%M:%SZ}" if end else ".." for end in self.interval)
        return "/".join(ends)

    def takes(self, item: Json) -> bool:
        """Tell whether an item lies in box and interval; one that does not say it is taken."""
        return self._in_box(item.get("bbox")) and self._in_time(item.get("properties"))

    def _in_box(self, box: Any) -> bool:
        if self.bbox is None or not _is_box(box):
            return True
        half = len(box) // 2
        west, south, east, north = box[0], box[1], box[half], box[half + 1]
        if south > self.bbox[3] or north < self.bbox[1]:
            return False
        return any(
            w1 <= e2 and w2 <= e1
            for w1, e1 in _spans(west, east)
            for w2, e2 in _spans(self.bbox[0], self.bbox[2])
        )

    def _in_time(self, properties: Any) -> bool:
        if self.interval is None or not isinstance(properties, dict):
            return True
        first = instant(properties.get("start_datetime")) or instant(properties.get("datetime"))
        last = instant(properties.get("end_datetime")) or first
        start, end = self.interval
        after = first is not None and end is not None and first > end
        before = last is not None and start is not None and last < start
        return not (after or before)


def parse(data_id: str) -> Query:
    """Read a data id.

    Raises
    ------
    StacbuildError
        Naming what of it is not understood.
    """
    path, _, tail = data_id.partition("?")
    collection, _, item = path.strip("/").partition("/")
    if not collection:
        raise StacbuildError(f"{data_id}: names no collection; write collection or collection/item")
    given: dict[str, list[str]] = {}
    for key, value in parse_qsl(tail, keep_blank_values=True):
        if key not in _KEYS or not value:
            raise StacbuildError(
                f"{data_id}: {key!r} is not understood; after '?' there may be "
                f"{', '.join(f'{known}=...' for known in _KEYS)}, with '&' between them"
            )
        given.setdefault(key, []).append(value)
    for key, values in given.items():
        if key != "query" and len(values) > 1:
            raise StacbuildError(f"{data_id}: {key} is there twice; write it once")
    assets = [name for text in given.get("asset_names", ()) for name in text.split(",")]
    if len(assets) > 1:
        raise StacbuildError(
            f"{data_id}: names {len(assets)} assets; write a variable for each of them"
        )
    return Query(
        collection,
        item or None,
        _box(data_id, given["bbox"][0]) if "bbox" in given else None,
        interval(data_id, given["datetime"][0]) if "datetime" in given else None,
        tuple(given.get("query", ())),
        assets[0] if assets else None,
    )


def interval(where: str, text: str) -> tuple[dt.datetime | None, dt.datetime | None]:
    """Read ``2018``, ``2018-06-01``, an instant, or two of them with ``/`` between.

    A year, month or day means all of it; an end that is empty or ``..`` is open.

    Raises
    ------
    StacbuildError
        Naming *where* it stands.
    """
    first, slash, last = text.partition("/")
    start, end = _period(first), _period(last if slash else first)
    open_ends = first in ("", ".."), bool(slash) and last in ("", "..")
    wrong = (start is None and not open_ends[0]) or (end is None and not open_ends[1])
    if wrong or (start and end and start[0] > end[1]):
        raise StacbuildError(
            f"{where}: {text!r} is no time; write 2018, 2018-06-01, or a start and an end with '/' "
            "between them"
        )
    return start[0] if start else None, end[1] if end else None


def instant(value: Any) -> dt.datetime | None:
    """Read a time as items write it; None if it is none."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        when = str_to_datetime(value)
        return when.replace(tzinfo=dt.UTC) if when.tzinfo is None else when.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def _period(text: str) -> tuple[dt.datetime, dt.datetime] | None:
    found = re.fullmatch(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", text)
    if not found:
        when = instant(text)
        return (when, when) if when else None
    year, month, day = (int(part) if part else None for part in found.groups())
    try:
        start = dt.datetime(year or 0, month or 1, day or 1, tzinfo=dt.UTC)
        if day:
            after = start + dt.timedelta(days=1)
        elif month:
            after = (start + dt.timedelta(days=31)).replace(day=1)
        else:
            after = start.replace(year=start.year + 1)
    except (ValueError, OverflowError):
        return None
    return start, after - dt.timedelta(seconds=1)


def _box(data_id: str, text: str) -> Box:
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


def _is_box(box: Any) -> bool:
    return (
        isinstance(box, list)
        and len(box) in (4, 6)
        and all(isinstance(value, int | float) for value in box)
    )


def _spans(west: float, east: float) -> list[tuple[float, float]]:
    return [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
