"""Items of pystac from JSON that stacbuild wrote, of which a product has thousands."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pystac
from pystac.utils import str_to_datetime

from stacbuild.stac.links import absolute

Json = dict[str, Any]

_PARSED = {
    "type",
    "stac_version",
    "id",
    "geometry",
    "bbox",
    "stac_extensions",
    "collection",
    "links",
    "assets",
    "properties",
}

# Tiles have few times, and parsing one takes as long as all else of an item.
_time = lru_cache(maxsize=256)(str_to_datetime)


def item_of_json(content: Json, path: Path) -> pystac.Item:
    """Return the item in a file, with absolute paths in the hrefs of local assets.

    It has parts of *content*, which must not be used afterwards.

    Raises
    ------
    Exception
        Whatever pystac raises for something that is no item.
    """
    item = _item(content)
    folder = path.parent
    for asset in item.assets.values():
        asset.href = absolute(asset.href, folder)
        for alternate in asset.extra_fields.get("alternate", {}).values():
            alternate["href"] = absolute(alternate["href"], folder)
    item.remove_links(pystac.RelType.SELF)
    item.add_link(pystac.Link.self_href(str(path)))
    return item


def _item(content: Json) -> pystac.Item:
    properties = content.get("properties", {})
    plain = content.get("type") == "Feature" and "stac_version" in content
    if not plain or properties.get("deprecated"):
        # It raises an error, or warns that the item is deprecated. No migration is needed, since
        # stacbuild writes the current version of STAC.
        return pystac.Item.from_dict(content, migrate=False, preserve_dict=False)
    when = properties.get("datetime")
    identifier: Any = content.get("id")
    item = pystac.Item(
        identifier,
        content.get("geometry"),
        content.get("bbox"),
        None if when is None else _time(when),
        properties,
        stac_extensions=content.get("stac_extensions"),
        collection=content.get("collection"),
        extra_fields={key: content[key] for key in content.keys() - _PARSED},
        assets={key: pystac.Asset.from_dict(each) for key, each in content["assets"].items()},
    )
    item.links = [pystac.Link.from_dict(link).set_owner(item) for link in content.get("links", ())]
    return item
