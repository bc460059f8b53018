"""Data ids of a STAC catalog: ``collection[/item][?key=value&...]``, a query on one line.

Keys are those of the item search of STAC API 1.0.0 (``bbox``, ``datetime``, ``query``, ``filter``
as CQL2 text); ``asset_names``, which selects assets of each item; and ``spatial_res``, in metres,
which decides between several resolutions of an asset. Values may be percent-encoded;
``&`` and ``%`` in a value have to be. ``+`` is itself, no space.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from stacbuild.errors import StacbuildError
from stacbuild.geo.bbox import BBox
from stacbuild.sources.stac.filters import NO_FILTER, Filter
from stacbuild.sources.stac.times import instant, interval

Json = dict[str, Any]

_KEYS = ("asset_names", "bbox", "datetime", "filter", "query", "spatial_res")
_SECOND = dt.timedelta(seconds=1)
_LAST = dt.datetime.max.replace(tzinfo=dt.UTC) - _SECOND


@dataclass(frozen=True)
class Query:
    """A selection of items of a catalog, and of their assets.

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
    filter
        Conditions on the properties of items.
    assets
        Names of the assets; empty for the only one with data. Several make an item a scene.
    spatial_res
        Pixel size in metres that is preferred where a name matches several resolutions.
    """

    collection: str
    item: str | None = None
    bbox: BBox | None = None
    interval: tuple[dt.datetime | None, dt.datetime | None] | None = None
    filter: Filter = NO_FILTER
    assets: tuple[str, ...] = ()
    spatial_res: float | None = None

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
        """Return whether an item is in bbox and interval, and passes the filter.

        One without bbox or time is in both.
        """
        return self._in_bbox(item.get("bbox")) and self.in_time(item) and self.filter.takes(item)

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
    for term in tail.split("&") if tail else ():
        key, value = (unquote(part) for part in (*term.split("=", 1), "")[:2])
        if key not in _KEYS or not value:
            raise StacbuildError(
                f"{data_id}: {key!r} is not understood; after '?' there may be "
                f"{', '.join(f'{known}=...' for known in _KEYS)}, with '&' between them, and "
                "%26 for an '&' within a value"
            )
        params.setdefault(key, []).append(value)
    for key, values in params.items():
        if key != "query" and len(values) > 1:
            raise StacbuildError(f"{data_id}: {key} is repeated; write it once")
    conditions = Filter(params.get("filter", [None])[0], tuple(params.get("query", ())))
    try:
        conditions.check()
    except StacbuildError as error:
        raise StacbuildError(f"{data_id}: {error}") from None
    return Query(
        collection,
        item or None,
        _bbox(data_id, params["bbox"][0]) if "bbox" in params else None,
        interval(data_id, params["datetime"][0]) if "datetime" in params else None,
        conditions,
        _assets(data_id, params["asset_names"][0]) if "asset_names" in params else (),
        _resolution(data_id, params["spatial_res"][0]) if "spatial_res" in params else None,
    )


def _assets(data_id: str, text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",")]
    if "" in names or len(set(names)) < len(names):
        raise StacbuildError(
            f"{data_id}: asset_names={text} has to be distinct names with commas between them"
        )
    return tuple(names)


def _resolution(data_id: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise StacbuildError(f"{data_id}: spatial_res={text} has to be a pixel size in metres")
    return value


def _rfc3339(when: dt.datetime) -> str:
    # `%Y` does not pad years before 1000.
    return f"{when.replace(microsecond=0, tzinfo=None).isoformat()}Z"


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
