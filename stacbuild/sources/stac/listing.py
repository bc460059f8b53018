"""Listing of a foreign STAC catalog."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stacbuild.formats.file_format import Format
from stacbuild.safe_text import clean
from stacbuild.sources.describe import bits_of, classes_of
from stacbuild.sources.listing_base import Entry, matches, matches_inside
from stacbuild.sources.stac.asset import Data, choice_of, stated_classes, text
from stacbuild.sources.stac.asset_kind import is_array_file, is_jpeg2000, kind_of, readable
from stacbuild.sources.stac.asset_names import resolution_of
from stacbuild.sources.stac.found import Found
from stacbuild.sources.stac.items import is_of_items, items_within, nothing_in, of_assets
from stacbuild.sources.stac.product import stated_grid
from stacbuild.sources.stac.quality import bitfields_of, is_quality
from stacbuild.sources.stac.query import Query, parse
from stacbuild.sources.stac.reader import Reader, links
from stacbuild.sources.stac.scaling import scaling_of
from stacbuild.sources.stac.scene_properties import band_properties, scene_properties
from stacbuild.sources.stac.search import collections, find, is_api
from stacbuild.sources.stac.store import StacStore
from stacbuild.sources.stac.values import entries_of, stated_values
from stacbuild.sources.stac.walk import documents, items_of

Json = dict[str, Any]

_KINDS = {"raster": "GeoTIFF", "zarr": "Zarr"}


def entries(store: StacStore, match: str | None) -> Iterator[Entry]:
    """Yield the collections, and the items of those that *match* looks into."""
    with Reader(store) as reader:
        landing = reader.json(reader.root)
        if is_of_items(landing):
            yield from _saved(list(items_within(reader, reader.root, landing)), match)
        elif is_api(landing):
            for document in collections(reader):
                name = str(document.get("id"))
                if matches_inside(name, match):
                    yield from _items(name, find(reader, Query(name)), match)
                elif matches(f"{name}/", match) or matches(name, match):
                    yield _collection(name, document, None)
        else:
            yield from _static(reader, landing, match)
        reader.warn_left_out()


def describe_assets(store: StacStore, data_id: str) -> Json:
    """Return what an item states about each of its assets, if it has several to choose from.

    Scale and offset are those that are applied. No header is read.
    """
    query = parse(data_id)
    if query.assets or query.item is None:
        return {}
    with Reader(store) as reader:
        founds = find(reader, query)
    if len(founds) != 1 or len(choice_of(founds[0])) < 2:
        return {}
    [found] = founds
    properties = found.content["properties"]
    kinds = readable(found.content["assets"])
    shown = {
        "data_id": data_id,
        "title": text(properties.get("title"), 300),
        "datetime": text(properties.get("datetime"), 100),
        "bbox": found.content.get("bbox"),
        **scene_properties(found),
        "note": "choose by asset_names; this is what the item states, no file was read",
        "assets": {key: _stated(found, key, kinds[key]) for key in kinds},
    }
    return {key: value for key, value in shown.items() if value is not None}


def _stated(found: Found, key: str, kind: str) -> Json:
    asset = found.content["assets"][key]
    data = Data(key, kind, "", None, asset)
    values = entries_of(found, data, [])[0]
    scaling = scaling_of(found, data, values)
    grid = stated_grid(found, data)
    band = band_properties(asset)
    shown: Json = {
        "title": text(asset.get("title"), 300),
        "type": _type(asset),
        "band": band.get("eo:common_name"),
        "crs": grid.crs if grid else None,
        "shape": list(grid.shape) if grid else None,
        "resolution": resolution_of(key, asset) or (grid.transform[0] if grid else None),
        "data_type": next((each["data_type"] for each in stated_values(found, data)), None),
        "nodata": values.get("nodata", scaling.nodata if scaling else None),
        "unit": values.get("unit"),
        "scale": scaling.scale if scaling else values.get("raster:scale"),
        "offset": scaling.offset if scaling else values.get("raster:offset"),
        "scaling": scaling.reason if scaling else None,
        "quality": "classes or bits" if is_quality(data) else None,
        "classes": classes_of({"classification:classes": stated_classes(asset) or ()}) or None,
        "bits": bits_of(bitfields_of(data)) or None,
        "size": size if isinstance(size := asset.get("file:size"), int) else None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _static(reader: Reader, landing: Json, match: str | None) -> Iterator[Entry]:
    some = False
    for location, document in documents(reader, landing):
        name = str(document.get("id"))
        count = len(links(document, "item"))
        # Catalogs of catalogs have no data themselves.
        if not count:
            whole = of_assets(location, document)
            some |= whole is not None
            yield from _items(name, [whole] if whole else [], match)
            continue
        some = True
        if matches_inside(name, match):
            yield from _items(name, items_of(reader, location, document), match)
        elif matches(f"{name}/", match) or matches(name, match):
            yield _collection(name, document, count)
    if not some:
        raise nothing_in(reader.root, landing)


def _type(asset: Json) -> str:
    if is_jpeg2000(asset):
        return str(Format.JPEG2000)
    return "NetCDF" if is_array_file(asset) else _KINDS[str(kind_of(asset))]


def _saved(founds: list[Found], match: str | None) -> Iterator[Entry]:
    """Yield the data ids of an item collection, or of a single item."""
    by_collection: dict[str, list[Found]] = {}
    for found in founds:
        by_collection.setdefault(str(found.collection["id"]), []).append(found)
    for name, some in by_collection.items():
        if len(founds) == 1 or matches_inside(name, match):
            yield from _items(name, some, match)
        elif matches(f"{name}/", match) or matches(name, match):
            yield _collection(name, some[0].collection, len(some))


def _collection(name: str, document: Json, count: int | None) -> Entry:
    kind = "collection" if count is None else f"collection of {count} item{'s' * (count != 1)}"
    return Entry(f"{name}/", kind, title=text(document.get("title"), 300))


def _items(name: str, founds: Iterator[Found] | list[Found], match: str | None) -> Iterator[Entry]:
    for found in founds:
        data_id = name if found.whole else f"{name}/{found.id}"
        if not matches(data_id, match):
            continue
        assets = found.content["assets"]
        known = readable(assets)
        title = text(found.content["properties"].get("title"), 300)
        if len(known) > 1 and scene_properties(found):
            yield Entry(data_id, f"scene of {', '.join(map(clean, known))}", None, title)
            continue
        for key in known:
            asset = assets[key]
            size = asset.get("file:size")
            yield Entry(
                data_id if len(known) == 1 else f"{data_id}?asset_names={key}",
                _type(asset),
                size if isinstance(size, int) else None,
                title,
            )
