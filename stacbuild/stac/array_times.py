"""The times of files of arrays (NetCDF, Zarr) that are one data id.

A file has the times of its dimension ``time``. A file without usable times is one step, at the time
that its item states. Files with the same times are tiles of one mosaic.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pystac
from pystac.utils import str_to_datetime

from stacbuild.stac.data_href import data_href
from stacbuild.stac.item_time import is_undated

BY_PROFILE = "stacbuild:time_by_profile"
"""Field of the dimension ``time`` in an item: its only time is that of a profile."""

Times = tuple[dt.datetime, ...]


def stated_time(item: pystac.Item) -> dt.datetime | None:
    """Return the time of a file whose only step is at the time of its item.

    None if the times of the file itself count, or nothing states its time.
    """
    properties = item.properties
    if is_undated(properties):
        return None
    time = properties["cube:dimensions"].get("time")
    if time is None or time.get(BY_PROFILE) or is_one_number(time):
        start = properties.get("start_datetime")
        return str_to_datetime(start) if start else item.datetime
    return None


def is_one_number(time: Mapping[str, Any]) -> bool:
    """Return whether a dimension is of one value that is no time, such as one without a unit."""
    values, extent = time.get("values") or [None], time.get("extent") or [0, 0]
    return time.get("type") != "temporal" and len(values) == 1 and extent[0] == extent[-1]


def times_of(item: pystac.Item) -> Times:
    """Return the times of a file: all, or the first and last; none if it has none."""
    if (stated := stated_time(item)) is not None:
        return (stated,)
    time = item.properties["cube:dimensions"].get("time", {})
    if time.get("type") != "temporal":
        return ()
    # Not compared as text, since some have fractions of a second.
    known = time.get("values") or [each for each in time["extent"] if each is not None]
    return tuple(map(str_to_datetime, known))


def steps_of(items: Sequence[pystac.Item]) -> list[list[list[pystac.Item]]]:
    """Return the items of a data id by times, and those of one time by file.

    Times are in order, files in that of *items*. An area at both ends of the longitudes makes two
    items of one file.
    """
    steps: dict[Times, dict[str, list[pystac.Item]]] = {}
    known: dict[str, Times] = {}
    for item in items:
        href = data_href(item.assets["data"])
        if href not in known:
            known[href] = times_of(item)
        steps.setdefault(known[href], {}).setdefault(href, []).append(item)
    ordered = sorted(steps.items(), key=lambda step: step[0][:1])
    return [list(files.values()) for _, files in ordered]


def gain_time(steps: Sequence[Sequence[Sequence[pystac.Item]]]) -> set[str]:
    """Return the variables that get the dimension ``time`` in files of several times without it.

    Those that have it in another file; if none of the files has it, all variables.
    """
    first = [files[0][0] for files in steps]
    stated = [item for item in first if stated_time(item) is not None]
    if not stated or len(steps) == 1:
        return set()
    variables = [item.properties["cube:variables"] for item in first]
    along = {name for each in variables for name, entry in each.items() if _along_time(entry)}
    return along or {name for each in variables for name in each}


def _along_time(entry: Mapping[str, Any]) -> bool:
    return "time" in entry["dimensions"]
