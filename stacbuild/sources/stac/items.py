"""Items in a single document: an item, an item collection, or the assets of a collection.

A saved search is an item collection (GeoJSON ``FeatureCollection``). Some collections have no
items: their data are assets of the collection itself.
"""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from stacbuild.errors import IntegrityError, NotFoundError, StacbuildError
from stacbuild.net.hrefs import is_relative_path
from stacbuild.net.http import public_url
from stacbuild.sources.stac.asset_kind import readable
from stacbuild.sources.stac.found import Found, counted, item_of
from stacbuild.sources.stac.query import Query
from stacbuild.sources.stac.reader import Json, Reader, links

_NO_DATA = frozenset({"thumbnail", "overview", "metadata", "visual"})


def is_of_items(document: Json) -> bool:
    """Return whether a document is an item or an item collection, not a catalog."""
    # ItemCollection is the type before STAC 1.0.
    return document.get("type") in ("Feature", "FeatureCollection", "ItemCollection")


def items_within(reader: Reader, location: str, document: Json) -> Iterator[Found]:
    """Yield the item of a document, or those of an item collection.

    Features that are not items are left out, with a warning.
    """
    if document.get("type") == "Feature":
        item = item_of(location, document)
        collection, where = collection_of(reader, location, item)
        yield Found(item, location, collection, where)
        return
    features = document.get("features")
    if not isinstance(features, list):
        raise IntegrityError(f"{_shown(location)}: is an ItemCollection without features")
    name = document.get("id") or PurePosixPath(urlsplit(location).path).stem
    for index, feature in enumerate(features):
        try:
            item = item_of(f"{location}: features[{index}]", feature)
        except IntegrityError as error:
            reader.leave_out(f"{location} {index}", error)
            continue
        known = item.get("collection")
        collection = {"id": known if isinstance(known, str) and known else str(name), "links": []}
        yield Found(item, _base(reader, location, item), collection, location)


def choose(reader: Reader, founds: Iterator[Found], query: Query) -> Iterator[Found]:
    """Yield the items of a document that a query matches: by collection and item, or by item."""
    everything = list(founds)
    named = [found for found in everything if found.collection["id"] == query.collection]
    wanted = query.item if named else query.path
    count = 0
    for found in named or everything:
        if wanted in (None, found.id) and query.takes(found.content):
            count = counted(reader, count)
            yield found


def of_assets(location: str, document: Json) -> Found | None:
    """Return the assets of a collection as one item; None if none of them can be read."""
    assets = document.get("assets")
    if not isinstance(assets, dict) or not isinstance(document.get("id"), str):
        return None
    data = {
        key: asset
        for key, asset in assets.items()
        if isinstance(asset, dict) and not _NO_DATA & _roles(asset)
    }
    known = {key: data[key] for key in readable(data)}
    if not known:
        return None
    properties = {key: value for key, value in document.items() if ":" in key}
    properties |= {key: document[key] for key in ("title", "description") if key in document}
    start, end = _interval(document)
    properties |= {"datetime": start}
    if start and end:
        properties |= {"start_datetime": start, "end_datetime": end}
    item: Json = {
        "type": "Feature",
        "id": document["id"],
        "properties": properties,
        "assets": known,
        "links": document.get("links"),
    }
    with contextlib.suppress(KeyError, IndexError, TypeError):
        item["bbox"] = document["extent"]["spatial"]["bbox"][0]
    return Found(item, location, document, location, whole=True)


def collection_of(reader: Reader, location: str, item: Json) -> tuple[Json, str]:
    """Return the collection that an item links to, and its location; a minimal one without a link.

    Links from a local file to the web are not followed for that.

    Raises
    ------
    RemoteError, AuthError
        The server of the collection does not answer.
    """
    for link in links(item, "collection", "parent"):
        try:
            where = reader.resolve(location, link.get("href"))
            if ("://" in where) != ("://" in location):
                continue
            document = reader.json(where)
        except (NotFoundError, IntegrityError):
            continue
        if isinstance(document.get("id"), str) and document.get("type") in (
            "Collection",
            "Catalog",
        ):
            return document, where
    name = item.get("collection")
    return {"id": name if isinstance(name, str) and name else item["id"], "links": []}, location


def nothing_in(location: str, document: Json) -> StacbuildError:
    """Return the error for a document that neither has nor is an item."""
    where = _shown(location)
    if links(document, "child"):
        return NotFoundError(f"{where}: has no items of its own; name a collection below it")
    if links(document, "items") and not links(document, "item"):
        return StacbuildError(
            f"{where}: is a collection of a STAC API; write the API's address as url, and "
            f"{str(document.get('id'))[:100]} as data_id"
        )
    assets = document.get("assets")
    names = ", ".join(map(str, assets))[:200] if isinstance(assets, dict) else ""
    has = (
        f"none of its own assets ({names}) is a GeoTIFF, JPEG 2000, Zarr or NetCDF"
        if names
        else "no assets"
    )
    return NotFoundError(f"{where}: has no items, and {has}")


def _base(reader: Reader, location: str, item: Json) -> str:
    """Return the location that relative hrefs of an item of an item collection refer to.

    An API writes them relative to the item's ``self`` link. A local item collection may have its
    files beside it: if one exists there, that location is used.
    """
    own = next((link.get("href") for link in links(item, "self")), None)
    if not isinstance(own, str) or not own.startswith(("https://", "http://")):
        return location
    hrefs = [a.get("href") for a in item["assets"].values() if isinstance(a, dict)]
    relative = [each for each in hrefs if isinstance(each, str) and is_relative_path(each)]
    folder = posixpath.dirname(location)
    if "://" not in location and any(Path(folder, each).exists() for each in relative):
        return location
    try:
        return reader.resolve(location, own)
    except IntegrityError:
        return location


def _roles(asset: Json) -> frozenset[str]:
    roles = asset.get("roles")
    return frozenset(map(str, roles)) if isinstance(roles, list) else frozenset()


def _interval(document: Json) -> tuple[Any, Any]:
    try:
        start, end = document["extent"]["temporal"]["interval"][0]
    except (KeyError, IndexError, TypeError, ValueError):
        return None, None
    return start, end


def _shown(location: str) -> str:
    return public_url(location) if "://" in location else location
