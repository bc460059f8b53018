"""Scenes: items with several assets of data, such as the bands of a satellite image.

Loading and planning read one raster or Zarr store at a time, from the asset ``data`` of an item. A
scene therefore becomes one item in memory for each of its assets, a *view*.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pystac
from pystac.utils import str_to_datetime

from stacbuild.stac.item_time import is_undated

DATA = "data"
"""Key of the asset of an item that has one, and of that which a view is of."""

QUALITY = "data-mask"
"""Role of an asset with classes or bits, which are no quantity."""

ASSET = "stacbuild:asset"
"""Property of a view, in memory only: the key of its asset in the item."""

# An asset of a scene states its own grid. Other items state it in their properties.
_GRID = "proj:transform"
# Fields that stand in the properties of an item of one asset.
_OF_ITEM = ("proj:", "cube:")
_DAY = dt.timedelta(days=1)
_SCENE = ("eo:cloud_cover", "grid:code")
_CHANGED = ("updated", "created")

SAME_TIME = dt.timedelta(seconds=1)
"""Scenes that are no further apart are of one time."""


def data_assets(item: pystac.Item) -> dict[str, pystac.Asset]:
    """Return the assets of an item that have its data, by their keys.

    That is ``data``, or each asset of a scene that states its grid; none for an item without data.
    """
    placed = {key: each for key, each in item.assets.items() if _GRID in each.extra_fields}
    if DATA in item.assets and len(placed) < 2:
        return {DATA: item.assets[DATA]}
    return placed


def is_on_s3(item: pystac.Item) -> bool:
    """Return whether all data of an item are read on S3 with credentials."""
    return all(
        "s3" in each.extra_fields.get("alternate", {}) for each in data_assets(item).values()
    )


def is_scene(item: pystac.Item) -> bool:
    """Return whether an item, or the item of a view, is a scene.

    It has several assets of data, or states its cloud cover or its place in a grid of tiles.
    """
    properties = item.properties
    return ASSET in properties or any(key in properties for key in _SCENE) or _has_several(item)


def is_acquisition(item: pystac.Item) -> bool:
    """Return whether an item is a scene of at most a day, and not a product of weeks or years."""
    properties = item.properties
    if not is_scene(item) or is_undated(properties):
        return False
    start, end = (properties.get(f"{which}_datetime") for which in ("start", "end"))
    return not (start and end) or is_brief(utc(start), utc(end))


def is_brief(start: dt.datetime, end: dt.datetime) -> bool:
    """Return whether a period is that of an acquisition: at most a day."""
    return end - start <= _DAY


def changed(item: pystac.Item) -> dt.datetime:
    """Return when the provider wrote or changed an item; long ago if it does not say."""
    stated = next((item.properties[key] for key in _CHANGED if item.properties.get(key)), None)
    return dt.datetime.min.replace(tzinfo=dt.UTC) if stated is None else utc(str(stated))


def utc(text: str) -> dt.datetime:
    """Return a time of an item in UTC."""
    time = str_to_datetime(text)
    return time.replace(tzinfo=dt.UTC) if time.tzinfo is None else time.astimezone(dt.UTC)


def _has_several(item: pystac.Item) -> bool:
    return ASSET not in item.properties and list(data_assets(item)) not in ([DATA], [])


def views(item: pystac.Item) -> list[pystac.Item]:
    """Return an item in memory for each asset of a scene; any other item is its own only view.

    Returns
    -------
    Items with the id, links and properties of *item*. The asset `DATA` of each is that of the view,
    whose key is the property `ASSET`, and whose ``proj:`` and ``cube:`` fields are properties. The
    other assets keep their keys.
    """
    if not _has_several(item):
        return [item]
    return [_view(item, key, asset) for key, asset in data_assets(item).items()]


def all_views(items: Iterable[pystac.Item]) -> list[pystac.Item]:
    """Return the views of several items, those of one item together."""
    return [view for item in items for view in views(item)]


def by_asset(items: Sequence[pystac.Item]) -> dict[str, list[pystac.Item]]:
    """Return views by the key of their asset, in the order of the first scene.

    Items that are no views have the key `DATA`.
    """
    found: dict[str, list[pystac.Item]] = {}
    for item in items:
        found.setdefault(asset_of(item), []).append(item)
    return found


def asset_of(item: pystac.Item) -> str:
    """Return the key in the catalog of the asset that a view is of."""
    return str(item.properties.get(ASSET, DATA))


def by_item(items: Iterable[pystac.Item]) -> dict[str, list[pystac.Item]]:
    """Return views by the path (or else the id) of their item, in order."""
    found: dict[str, list[pystac.Item]] = {}
    for item in items:
        found.setdefault(item.get_self_href() or item.id, []).append(item)
    return found


def order_by_change(items: Iterable[pystac.Item]) -> dict[str, int]:
    """Return the order of scenes of one time and processing, which when they were changed decides.

    Returns
    -------
    Positions from 0 on by the keys of `by_item`, of the scenes whose order is not that of their
    ids; mostly none.
    """
    alike: dict[tuple[str, str], list[tuple[dt.datetime, dt.datetime, str, str]]] = {}
    for key, (item, *_) in by_item(items).items():
        stated = item.properties
        time = stated.get("start_datetime") or stated.get("datetime")
        if time and is_acquisition(item):
            version = str(stated.get("processing:version", ""))
            kind = str(stated.get("stacbuild:data_id", "")), version
            alike.setdefault(kind, []).append((utc(str(time)), changed(item), item.id, key))
    found: dict[str, int] = {}
    for scenes in alike.values():
        runs: list[list[tuple[dt.datetime, dt.datetime, str, str]]] = []
        for each in sorted(scenes):
            if not runs or each[0] - runs[-1][-1][0] > SAME_TIME:
                runs.append([])
            runs[-1].append(each)
        for run in runs:
            by_id = sorted(run, key=lambda scene: scene[2])
            ordered = sorted(by_id, key=lambda scene: scene[1], reverse=True)
            if ordered != by_id:
                found |= {scene[3]: position for position, scene in enumerate(ordered)}
    return found


def with_properties(item: pystac.Item, properties: Mapping[str, Any]) -> pystac.Item:
    """Return an item in memory with other properties, and the same assets."""
    # `clone` would copy every field of every asset, and `copy.copy` every link.
    changed = object.__new__(type(item))
    vars(changed).update(vars(item))
    changed.properties = {**item.properties, **properties}
    changed.assets = dict(item.assets)
    changed.links = list(item.links)
    return changed


def _view(item: pystac.Item, key: str, asset: pystac.Asset) -> pystac.Item:
    own = {name: value for name, value in asset.extra_fields.items() if name.startswith(_OF_ITEM)}
    view = with_properties(item, {**own, ASSET: key})
    view.assets[DATA] = asset
    return view
