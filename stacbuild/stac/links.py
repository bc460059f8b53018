"""Links, hrefs and extents in plain STAC JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pystac

from stacbuild.net.hrefs import is_local, is_relative_path
from stacbuild.stac.item_time import is_undated

Json = dict[str, Any]

DATA_ID = "stacbuild:data_id"

_STRUCTURAL = {"root", "parent", "child", "item", "collection", "self"}


def plain(entity: pystac.Item | pystac.Collection) -> Json:
    """Return an item or a collection as STAC 1.1 JSON."""
    content = entity.to_dict(include_self_link=False, transform_hrefs=False)
    content["stac_version"] = "1.1.0"
    content["stac_extensions"] = sorted(set(content.get("stac_extensions") or []))
    return json.loads(json.dumps(content))  # type: ignore[no-any-return]


def without_replaced(
    items: list[Json], fresh: Sequence[pystac.Item]
) -> tuple[list[Json], list[Json]]:
    """Split items into those to keep, and those missing from a new harvest of their data id."""
    ids = {item.id for item in fresh}
    data_ids = {item.properties.get(DATA_ID) for item in fresh} - {None}
    kept: list[Json] = []
    gone: list[Json] = []
    for item in items:
        replaced = item["id"] not in ids and item["properties"].get(DATA_ID) in data_ids
        (gone if replaced else kept).append(item)
    return kept, gone


def hrefs(content: Json, rel: str) -> list[str]:
    """Return the hrefs of all links with a relation type."""
    return [link["href"] for link in content.get("links", []) if link["rel"] == rel]


def own_links(content: Json, directory: Path) -> list[Json]:
    """Return the links that are not about the structure of a catalog, relative to a folder."""
    links = [link for link in content.get("links", []) if link["rel"] not in _STRUCTURAL]
    for link in links:
        link["href"] = relative(link["href"], directory)
    return sorted(links, key=lambda link: (link["rel"], link["href"]))


def link_to(rel: str, href: str, media_type: str, title: str | None = None) -> Json:
    """Return a link object."""
    link = {"rel": rel, "href": href, "type": media_type}
    return link | {"title": title} if title else link


def extent(items: list[Json], stated: Json) -> Json:
    """Return the union of the items' extents; the stated one where the items have none."""
    bboxes = [item["bbox"] for item in items if item.get("bbox")]
    extent = json.loads(json.dumps(stated))
    if bboxes:
        # Those with heights have six numbers.
        flat = [(*bbox[:2], *bbox[len(bbox) // 2 :][:2]) for bbox in bboxes]
        west, south, east, north = zip(*flat, strict=True)
        extent["spatial"]["bbox"] = [[min(west), min(south), max(east), max(north)]]
    starts, ends = [], []
    for item in items:
        properties = item["properties"]
        if is_undated(properties):
            continue
        starts.append(properties.get("start_datetime") or properties.get("datetime"))
        ends.append(properties.get("end_datetime") or properties.get("datetime"))
    if any(starts):
        extent["temporal"]["interval"] = [[min(filter(None, starts)), max(filter(None, ends))]]
    elif items and all(is_undated(item["properties"]) for item in items):
        extent["temporal"]["interval"] = [[None, None]]
    return extent  # type: ignore[no-any-return]


def relative(href: str, directory: Path) -> str:
    """Return an href, made relative to a folder if it is a local absolute path."""
    return os.path.relpath(href, directory).replace(os.sep, "/") if is_local(href) else href


def absolute(href: str, directory: Path) -> str:
    """Return an href, made absolute if it is a path relative to a folder."""
    if "://" in href or not is_relative_path(href):
        return href
    return os.path.normpath(os.path.join(directory, href))  # noqa: PTH118 - for thousands of items


def relative_assets(content: Json, directory: Path) -> None:
    """Make local hrefs of assets and their alternates relative to a folder, in place."""
    for asset in content.get("assets", {}).values():
        asset["href"] = relative(asset["href"], directory)
        for alternate in asset.get("alternate", {}).values():
            alternate["href"] = relative(alternate["href"], directory)
