"""Items of the files of one data id: their ids, their times, and what they have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pystac
from pystac.utils import datetime_to_str

from stacbuild import progress
from stacbuild.config.data_ids import entries, is_list, short
from stacbuild.config.patterns import Period, compiled, is_pattern
from stacbuild.errors import StacbuildError
from stacbuild.sources.dating import PROFILE, TIFF_DATE, shown
from stacbuild.stac.array_times import BY_PROFILE, is_one_number, steps_of, times_of
from stacbuild.stac.catalog import with_digest
from stacbuild.stac.item_time import FILE, ORDER, is_undated, time_fields


@dataclass(frozen=True)
class Note:
    """A warning about a file.

    Parameters
    ----------
    kind
        Of several files with warnings of one kind, only the first is shown.
    """

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Member:
    """The item of one of several files.

    Parameters
    ----------
    dated_by
        What states its time; empty if nothing does.
    """

    item: pystac.Item
    file: str
    dated_by: str
    notes: tuple[Note, ...] = ()


def warn_of(notes: Iterable[tuple[str, Note]]) -> None:
    """Warn of each kind of note once, with the first file and the number of the others."""
    files: dict[str, list[tuple[str, Note]]] = {}
    for file, note in notes:
        files.setdefault(note.kind or note.text, []).append((file, note))
    for found in files.values():
        more = f" (so {len(found) - 1} more of its files)" if len(found) > 1 else ""
        progress.warn(f"{found[0][0]}: {found[0][1].text}{more}")


def combine(data_id: str, members: Sequence[Member]) -> None:
    """Complete the items of the files of one data id, in their order.

    Raises
    ------
    StacbuildError
        Some have a time and some have none, or they are not of one kind.
    """
    _check_kinds(data_id, members)
    _check_dated(data_id, members)
    mark(data_id, members)
    if len(members) > 1 and "cube:variables" in members[0].item.properties:
        _check_arrays(data_id, members)
    _of_one_time(data_id, members)
    _warn_of_same_place(data_id, [member.item for member in members])


def mark(data_id: str, members: Sequence[Member]) -> None:
    """Set file, position, id and title of the items of the files of one data id."""
    items = [member.item for member in members]
    taken = Counter(item.id.casefold() for item in items)
    for place, (item, member) in enumerate(zip(items, members, strict=True)):
        item.properties[FILE] = member.file
        if is_list(data_id):
            item.properties[ORDER] = place
        if taken[item.id.casefold()] > 1:
            item.id = with_digest(item.id, member.file)
        if item.properties["title"] == data_id:
            item.properties["title"] = member.file
        if item.assets["data"].title == data_id:
            item.assets["data"].title = member.file


def _check_kinds(data_id: str, members: Sequence[Member]) -> None:
    kinds = {"cube:variables" in member.item.properties: member.file for member in members}
    if len(kinds) > 1:
        raise StacbuildError(
            f"{short(data_id)}: {kinds[False]} is a raster, and {kinds[True]} is not; name files "
            "of one kind"
        )


def _check_arrays(data_id: str, members: Sequence[Member]) -> None:
    """Raise an error if files of arrays cannot be joined along time, or mosaicked."""
    first = members[0]
    for member in members:
        dimensions = member.item.properties["cube:dimensions"]
        _let_profile_count(member)
        if why := _no_times(dimensions):
            raise StacbuildError(
                f"{short(data_id)}: {member.file} {why}; files of arrays are joined along time: "
                "name one of them"
            )
        if different := _data(member.item).keys() ^ _data(first.item).keys():
            raise StacbuildError(
                f"{short(data_id)}: {first.file} and {member.file} have different variables "
                f"({', '.join(sorted(different)[:5])}); make a dataset of the files with each"
            )
        if _dimensions(member.item) != _dimensions(first.item):
            raise StacbuildError(
                f"{short(data_id)}: {first.file} and {member.file} name their dimensions "
                "differently; rename those of one"
            )
    steps = steps_of([member.item for member in members])
    if not times_of(steps[0][0][0]) and len(steps) > 1:
        raise StacbuildError(
            f"{short(data_id)}: {_file(steps[0])} states no times, {_file(steps[1])} does; name "
            "files of one kind"
        )
    _check_places(data_id, steps)
    for one, following in pairwise(steps):
        end, start = times_of(one[0][0])[-1], times_of(following[0][0])[0]
        if end >= start:
            raise StacbuildError(
                f"{short(data_id)}: the times of {_file(one)} (to {datetime_to_str(end)}) and "
                f"{_file(following)} (from {datetime_to_str(start)}) overlap; name files that "
                "follow one another"
            )


def _let_profile_count(member: Member) -> None:
    """Make the time of a profile the only time of a file, which may state another one."""
    time = member.item.properties["cube:dimensions"].get("time")
    if time is not None and member.dated_by == PROFILE and len(time.get("values", ())) == 1:
        time["values"] = [member.item.properties["start_datetime"]]
        time[BY_PROFILE] = True


def _no_times(dimensions: Mapping[str, Any]) -> str:
    """Return why dimensions cannot be joined along time; empty if they can."""
    temporal = [name for name, each in dimensions.items() if each.get("type") == "temporal"]
    if "time" not in dimensions and temporal:
        return f"has a dimension of times that is not called time ({', '.join(temporal)})"
    if "time" in dimensions and not temporal and not is_one_number(dimensions["time"]):
        return "has a dimension time without times that can be decoded"
    return ""


def _check_places(data_id: str, steps: Sequence[Sequence[Sequence[pystac.Item]]]) -> None:
    """Raise an error if the files of one time lie elsewhere than all those of other times."""
    known = {_place(parts[0]) for parts in steps[0]}
    for files in steps[1:]:
        found = {_place(parts[0]) for parts in files}
        # A tile may be missing at some times.
        if not found & known:
            raise StacbuildError(
                f"{short(data_id)}: {_file(steps[0])} and {_file(files)} have different grids, and "
                "different times; name files on one grid"
            )
        known |= found


def _file(files: Sequence[Sequence[pystac.Item]]) -> str:
    return str(files[0][0].properties[FILE])


def _data(item: pystac.Item) -> dict[str, Any]:
    found = item.properties["cube:variables"]
    return {name: each for name, each in found.items() if each["type"] == "data"}


def _dimensions(item: pystac.Item) -> dict[str, list[str]]:
    """Return the dimensions of each variable besides the time, which some files may lack."""
    return {
        name: [dim for dim in each["dimensions"] if dim != "time"]
        for name, each in _data(item).items()
    }


def _check_dated(data_id: str, members: Sequence[Member]) -> None:
    undated = [each.file for each in members if is_undated(each.item.properties)]
    dated = [each for each in members if not is_undated(each.item.properties)]
    if undated and dated:
        raise StacbuildError(
            f"{short(data_id)}: nothing states the time of {undated[0]}"
            f"{f' and {len(undated) - 1} more' if len(undated) > 1 else ''}, but that of "
            f"{dated[0].file} is stated by {dated[0].dated_by}; state start_datetime in a profile, "
            "or name the time in the pattern, as in ndvi_{time:%Y_%m}.tif"
        )


def _of_one_time(data_id: str, members: Sequence[Member]) -> None:
    """Make files that lie beside each other tiles of one time, if only `TIFF_DATE` dates them.

    This is often the time of production, which differs by seconds from tile to tile.
    """
    items = [member.item for member in members]
    times = {item.properties["start_datetime"] for item in items}
    if len(times) < 2 or any(member.dated_by != TIFF_DATE for member in members):
        return
    if max(Counter(map(_place, items)).values()) > 1:
        return
    first = min(items, key=lambda item: str(item.properties["start_datetime"]))
    last = max(items, key=lambda item: str(item.properties["end_datetime"]))
    start = pystac.utils.str_to_datetime(first.properties["start_datetime"])
    end = pystac.utils.str_to_datetime(last.properties["end_datetime"])
    fields = time_fields(Period(start, end))
    for item in items:
        item.properties |= fields
        item.datetime = start
    progress.warn(
        f"{short(data_id)}: {len(items)} files side by side, whose times "
        f"({shown(Period(start, end))}) are stated by TIFFTAG_DATETIME only, are taken as tiles of "
        "one time; name the time in the pattern if they are not, as in ndvi_{time:%Y_%m}.tif"
    )


def _warn_of_same_place(data_id: str, items: Sequence[pystac.Item]) -> None:
    """Warn of files of one time and place: only the first of them is seen."""
    first: dict[str, pystac.Item] = {}
    hidden: list[tuple[pystac.Item, pystac.Item]] = []
    for item in items:
        key = f"{_place(item)} {item.properties['start_datetime']}"
        if (other := first.setdefault(key, item)) is not item:
            hidden.append((other, item))
    if not hidden:
        return
    one, other = (each.properties[FILE] for each in hidden[0])
    more = f", and {len(hidden) - 1} more such files" if len(hidden) > 1 else ""
    why = "and have no time" if is_undated(items[0].properties) else "and time"
    advice = (
        "name those to take"
        if any(compiled(each).parts for each in entries(data_id) if is_pattern(each))
        else "if they are of different times, name the time in the pattern, as in "
        "ndvi_{time:%Y_%m}.tif"
    )
    progress.warn(
        f"{short(data_id)}: {one} and {other} have the same pixels {why}{more}; "
        f"{other} is used only where {one} has no data; {advice}"
    )


def _place(item: pystac.Item) -> str:
    fields = ("proj:code", "proj:wkt2", "proj:bbox", "proj:shape")
    return str([item.properties.get(field) for field in fields])
