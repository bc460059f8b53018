"""Which scenes are one time of a cube, which of them are duplicates, and their order.

A group is mosaicked: its first scene with data wins. The time of a group is that of its earliest
scene.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pystac
from pystac.utils import datetime_to_str

from stacbuild.errors import BuildError
from stacbuild.geo.coverage import overlaps
from stacbuild.geo.crs import transformer
from stacbuild.geo.grid import PixelGrid
from stacbuild.loading.area import items_within
from stacbuild.loading.scene_assets import usable
from stacbuild.loading.select import positions_within, utc_times
from stacbuild.stac.item_time import is_undated
from stacbuild.stac.scenes import (
    SAME_TIME,
    by_item,
    changed,
    is_acquisition,
    utc,
    with_properties,
)

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable

# Scenes of one tile and platform within this time are of one overpass: the next is 100 minutes
# later, and the products of one overpass that is cut along the track follow each other in seconds.
_OVERPASS = dt.timedelta(minutes=10)
_DAY = dt.timedelta(days=1)
_EPOCH = dt.date(1970, 1, 1)
_MONDAY = dt.date(1970, 1, 5)
_SHOWN = 3
_VERSIONS = ("processing:version", "s2:processing_baseline")


@dataclass(frozen=True)
class _Scene:
    """What grouping needs of one item, and its views."""

    item: pystac.Item
    views: Sequence[pystac.Item]
    start: dt.datetime
    end: dt.datetime

    @property
    def version(self) -> tuple[int, ...]:
        """The version of its processing as numbers; empty if it states none."""
        stated = next((self.item.properties[key] for key in _VERSIONS if self._has(key)), "")
        return tuple(map(int, re.findall(r"\d+", str(stated))))

    @property
    def changed(self) -> dt.datetime:
        """When the provider wrote or changed it; long ago if it does not say."""
        return changed(self.item)

    @property
    def tile(self) -> tuple[str, ...]:
        """Where it is in a grid of tiles, else its extent; and the platform."""
        properties = self.item.properties
        place = properties.get("grid:code") or [round(edge, 4) for edge in self.item.bbox or ()]
        return str(place), str(properties.get("platform", "")).lower()

    def _has(self, key: str) -> bool:
        return bool(self.item.properties.get(key))


@dataclass(frozen=True)
class Grouped:
    """The items of a data id, each with the time of its group, in the order that they are laid.

    ``notes`` say what was left out, a line each.
    """

    items: list[pystac.Item]
    notes: tuple[str, ...] = ()


def grouped(variable: SourceVariable, items: Sequence[pystac.Item], grid: PixelGrid) -> Grouped:
    """Group scenes to times, as ``open_params.groupby`` and ``duplicates`` state.

    Parameters
    ----------
    items
        Items of one asset, or views of several. If none is a scene and nothing is stated, they are
        returned as they are: those with the same time are tiles of it.
    grid
        The grid of the cube: scenes that do not touch it are left out.

    Returns
    -------
    Copies in memory, whose time is that of their group. Groups
    are in order of time. In a group, newer versions of processing are first (by number), then
    earlier scenes, then those that were changed last, then by id.

    Raises
    ------
    BuildError
        If an item has no time, two items of ``groupby: id`` have the same, or no scene touches the
        grid.
    """
    params = variable.open_params
    if not _is_grouped(variable, items):
        return Grouped(list(items))
    scenes = _within(variable, [_scene(variable, views) for views in by_item(items).values()])
    notes = []
    if params.duplicates != "all":
        scenes, dropped = _newest(scenes)
        if dropped:
            notes.append(
                f"{variable.label}: {_listed(dropped)} left out, since newer processing of the "
                "same tile and time is there (open_params.duplicates: all takes them, too)"
            )
    key = _key(params.groupby or "solar_day", grid)
    groups: dict[object, list[_Scene]] = {}
    for scene in _ordered(scenes):
        groups.setdefault(key(scene), []).append(scene)
    on_grid = _on(grid)
    there = {name: list(filter(on_grid, group)) for name, group in groups.items()}
    empty = [groups[name] for name, group in there.items() if not group]
    if empty:
        days = sorted(f"{min(scene.start for scene in group):%Y-%m-%d}" for group in empty)
        more = f" and {len(days) - _SHOWN} more" if len(days) > _SHOWN else ""
        notes.append(
            f"{variable.label}: {len(empty)} of {len(groups)} times left out, since no scene of "
            f"them touches the grid: {', '.join(days[:_SHOWN])}{more}"
        )
    if len(empty) == len(groups):
        raise BuildError(f"{variable.label}: no scene has a pixel on the grid; choose others")
    kept = sorted((group for group in there.values() if group), key=_earliest)
    if params.groupby == "id":
        _check_times(variable, [group[0] for group in kept])
    return Grouped([view for group in kept for view in _timed(group)], tuple(notes))


def used_items(
    variable: SourceVariable, items: Sequence[pystac.Item], grid: PixelGrid
) -> list[pystac.Item]:
    """Return the items that a cube is made of, unchanged: of scenes, only those that are laid.

    Raises
    ------
    BuildError
        As `grouped`, `usable` and `items_within`.
    """
    if not _is_grouped(variable, items):
        return list(items)
    laid = by_item(grouped(variable, items_within(variable, usable(variable, items)), grid).items)
    return [item for name, views in by_item(items).items() if name in laid for item in views]


def _is_grouped(variable: SourceVariable, items: Sequence[pystac.Item]) -> bool:
    params = variable.open_params
    return bool(params.groupby or params.duplicates) or any(map(is_acquisition, items))


def _scene(variable: SourceVariable, views: Sequence[pystac.Item]) -> _Scene:
    item = views[0]
    properties = item.properties
    start = properties.get("start_datetime") or properties.get("datetime")
    if not start or is_undated(properties):
        raise BuildError(
            f"{variable.label}: {item.id} has no time; leave groupby and duplicates out of "
            "open_params"
        )
    begin = utc(str(start))
    end = properties.get("end_datetime")
    return _Scene(item, views, begin, max(begin, utc(str(end))) if end else begin)


def _within(variable: SourceVariable, scenes: list[_Scene]) -> list[_Scene]:
    """Return the scenes within ``open_params.time_range``, if there are any.

    Otherwise a period could begin before the range, and be left out as a whole.
    """
    limits = variable.open_params.time_range
    if limits is None:
        return scenes
    times = utc_times([scene.start.isoformat() for scene in scenes])
    return [scenes[position] for position in positions_within(times, limits)] or scenes


def _newest(scenes: Sequence[_Scene]) -> tuple[list[_Scene], list[_Scene]]:
    """Return the newest of scenes of the same tile, platform and overpass, and the others.

    Scenes of an overpass with the same version of processing and other times are both kept: they
    are its parts.
    """
    by_tile: dict[tuple[str, ...], list[_Scene]] = {}
    for scene in sorted(scenes, key=_earliest_of):
        by_tile.setdefault(scene.tile, []).append(scene)
    dropped: list[_Scene] = []
    for same in by_tile.values():
        overpass: list[_Scene] = []
        for scene in same:
            if overpass and scene.start - overpass[-1].start > _OVERPASS:
                dropped += _older(overpass)
                overpass = []
            overpass.append(scene)
        dropped += _older(overpass)
    gone = {id(scene) for scene in dropped}
    return [scene for scene in scenes if id(scene) not in gone], dropped


def _older(overpass: Sequence[_Scene]) -> list[_Scene]:
    """Return the scenes of one overpass that are older than others of it."""
    newest = max(scene.version for scene in overpass)
    older = [scene for scene in overpass if scene.version != newest]
    first: _Scene | None = None
    for scene in _ordered([scene for scene in overpass if scene.version == newest]):
        if first is None or scene.start - first.start > SAME_TIME:
            first = scene
        elif scene.changed > first.changed:
            older.append(first)
            first = scene
        else:
            older.append(scene)
    return older


def _ordered(scenes: Sequence[_Scene]) -> list[_Scene]:
    """Return scenes in the order in which they are laid, the first on top."""
    found = sorted(scenes, key=lambda scene: scene.item.id)
    found.sort(key=lambda scene: scene.changed, reverse=True)
    found.sort(key=_earliest_of)
    # Sorting keeps the order of what is equal, also in reverse.
    found.sort(key=lambda scene: scene.version, reverse=True)
    return found


def _earliest_of(scene: _Scene) -> dt.datetime:
    return scene.start


def _earliest(group: Sequence[_Scene]) -> dt.datetime:
    return min(scene.start for scene in group)


def _key(groupby: str, grid: PixelGrid) -> Callable[[_Scene], object]:
    """Return the function that names the group of a scene."""
    if groupby == "id":
        return lambda scene: (scene.item.id, scene.item.get_self_href())
    if groupby == "time":
        return lambda scene: scene.start
    if groupby == "solar_day":
        middle = _longitude(grid)
        return lambda scene: solar_day(scene.item.bbox, (scene.start, scene.end), middle)
    return lambda scene: period_of(groupby, scene.start)


def solar_day(
    bbox: Sequence[float] | None, period: tuple[dt.datetime, dt.datetime], middle: float
) -> dt.date:
    """Return the date of local solar time: UTC plus the longitude of the scene's centre / 15 h.

    Parameters
    ----------
    bbox
        Of the scene, in degrees, west more than east across the antimeridian. None is *middle*.
    period
        Its first and last time. The date is that in the middle of them. That of a period of more
        than a day, and of a time at midnight, which is a date, is the date as it stands.
    middle
        Longitude of the centre of the grid, from which scenes are less than 180 degrees away: those
        on both sides of the antimeridian are of the same day.
    """
    start, end = period
    midnight = start.time() == dt.time()
    if end - start > _DAY or (midnight and end == start):
        return start.date()
    longitude = middle
    if bbox:
        west, east = bbox[0], bbox[len(bbox) // 2]
        longitude = west + ((east - west) % 360 if east < west else east - west) / 2
    # Within half a turn of the grid.
    longitude = middle + (longitude - middle + 180) % 360 - 180
    return (start + (end - start) / 2 + dt.timedelta(hours=longitude / 15)).date()


def period_of(duration: str, time: dt.datetime) -> tuple[str, int]:
    """Return the number of the period that a time (UTC) is in.

    Days are counted from 1970-01-01, weeks from the Monday after it, months from January of the
    year 0, and years from 0: ``P3M`` are the quarters of years.
    """
    count, unit = int(duration[1:-1]), duration[-1]
    number = {
        "D": (time.date() - _EPOCH).days,
        "W": (time.date() - _MONDAY).days // 7,
        "M": time.year * 12 + time.month - 1,
        "Y": time.year,
    }[unit]
    return duration, number // count


def _longitude(grid: PixelGrid) -> float:
    """Return the longitude of the centre of a grid, 0 if it has none."""
    west, south, east, north = grid.bounds
    x, _ = transformer(grid.crs, "EPSG:4326").transform((west + east) / 2, (south + north) / 2)
    return float(x) if abs(x) <= 360 else 0.0  # infinite where it cannot be projected


def _on(grid: PixelGrid) -> Callable[[_Scene], bool]:
    """Return the function that says whether a scene touches the grid."""

    @functools.cache  # scenes of one tile are on one grid
    def is_on(source: PixelGrid) -> bool:
        return overlaps(source, grid)

    return lambda scene: any(
        is_on(PixelGrid.from_properties(view.properties)) for view in scene.views
    )


def _timed(group: Sequence[_Scene]) -> list[pystac.Item]:
    """Return the views of a group with its time."""
    time = datetime_to_str(_earliest(group))
    # No longer a period, so that a month of scenes is not taken for a product of a month.
    times = dict.fromkeys(("datetime", "start_datetime", "end_datetime"), time)
    return [with_properties(view, times) for scene in group for view in scene.views]


def _check_times(variable: SourceVariable, scenes: Sequence[_Scene]) -> None:
    known: dict[dt.datetime, _Scene] = {}
    for scene in scenes:
        other = known.setdefault(scene.start, scene)
        if other is not scene:
            raise BuildError(
                f"{variable.label}: {other.item.id} and {scene.item.id} have the same time "
                f"{datetime_to_str(scene.start)}, so they cannot be two times of a cube; state "
                "open_params.groupby: time"
            )


def _listed(scenes: Sequence[_Scene]) -> str:
    names = sorted(str(scene.item.properties.get("title", scene.item.id)) for scene in scenes)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    verb = "are" if len(names) > 1 else "is"
    return f"{', '.join(names[:_SHOWN])}{more} {verb}"
