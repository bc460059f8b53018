"""Harvest products of the Copernicus Land Monitoring Service (CLMS).

A data id is ``<slug>|<file>``: the product's name in the address of its page, and the name of one
of its pre-packaged files. Each product becomes a collection, described from the search record;
each tile of a file that is on this machine becomes an item with the data id of that file. A file
that was not preloaded has no items: the CLMS serves nothing that could be read in place.
"""

from __future__ import annotations

import datetime as dt
import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from typing import Any

import pystac

from stacbuild import progress
from stacbuild.errors import AuthError, Failures, NotFoundError, StacbuildError, failure_of
from stacbuild.formats.geotiff import open_raster
from stacbuild.net.http import public_url, session
from stacbuild.profiles import DataProfile, Profiles
from stacbuild.sources.base import Wanted
from stacbuild.sources.clms.api import ClmsApi, Json
from stacbuild.sources.clms.auth import read_credentials
from stacbuild.sources.clms.delivery import Delivery, Polling, Tile, deliver, present, request
from stacbuild.sources.clms.store import ClmsStore
from stacbuild.sources.stated import stated_fields, stated_links
from stacbuild.stac.catalog import STORE, Harvest, slug
from stacbuild.stac.extensions import declare_extensions
from stacbuild.stac.raster_item import raster_item

_SHA256 = "1220"  # multihash prefix of a SHA-256 in hexadecimal digits

_Failed = list[tuple[str, StacbuildError]]


def canonical_data_id(data_id: str) -> str:
    """Return the data id without the ``.zarr`` that configurations of other tools append."""
    return data_id.removesuffix(".zarr")


def harvest(
    store: ClmsStore,
    wanted: Wanted,
    profiles: Profiles,
    *,
    polling: Polling = Polling(),  # noqa: B008 - frozen
) -> Iterator[Harvest]:
    """Describe the products of *wanted*, and fetch the files of ``wanted.preload``.

    All files are requested first and waited for then, so that the CLMS prepares them at the same
    time. What fails does not keep other products from being harvested.

    Parameters
    ----------
    polling
        How to wait for what was requested.

    Yields
    ------
    Harvest
        A product, with an item for each tile that is on this machine.

    Raises
    ------
    StacbuildError
        After the last product: what failed, or `Failures` if that was more than one.
    """
    failed: _Failed = []
    with session(progress.current().say) as http:
        api = ClmsApi(
            store.api, http, lambda: read_credentials(store.credentials, store.credentials_inline)
        )
        records, products = _find(store, wanted, api, failed)
        awaited = _request(chain(*products.values()), wanted, api, failed)
        for product, deliveries in products.items():
            tiles: dict[Delivery, tuple[Tile, ...]] = {}
            for delivery in deliveries:
                try:
                    if delivery in awaited:
                        tiles[delivery] = deliver(delivery, api, http, polling)
                    else:
                        tiles[delivery] = present(delivery) or ()
                except Exception as error:  # noqa: BLE001 - whatever it is, it is this one's
                    failed.append((delivery.data_id, failure_of(error, delivery.data_id)))
            of = _Product(product, records[product], store.key, profiles)
            yield _describe(of, deliveries, tiles, failed)
    if failed:
        raise failed[0][1] if len(failed) == 1 else Failures(failed)


def _find(
    store: ClmsStore, wanted: Wanted, api: ClmsApi, failed: _Failed
) -> tuple[dict[str, Json], dict[str, list[Delivery]]]:
    """Return the search records, and what is wanted of each product."""
    data_ids = sorted({canonical_data_id(each) for each in (*wanted.data_ids, *wanted.preload)})
    records = api.search({data_id.partition("|")[0] for data_id in data_ids})
    products: dict[str, list[Delivery]] = {}
    for data_id in data_ids:
        try:
            delivery = _delivery(data_id, records, store)
        except NotFoundError as error:
            failed.append((data_id, error))
        else:
            products.setdefault(data_id.partition("|")[0], []).append(delivery)
    return records, products


def _delivery(data_id: str, records: Mapping[str, Json], store: ClmsStore) -> Delivery:
    product, _, file = data_id.partition("|")
    record = records.get(product)
    if record is None:
        raise NotFoundError(
            f"{store.api}: there is no product {product!r}{_or(product, records)}; "
            "it is the last part of the address of its page"
        )
    entries = {
        entry["file"]: entry
        for entry in reversed((record.get("downloadable_files") or {}).get("items") or [])
        if isinstance(entry.get("file"), str)
    }
    if file not in entries:
        raise NotFoundError(
            f"{store.api}: product {product!r} has no file {file!r}{_or(file, entries)}; "
            f"a data id is <product>|<file>"
        )
    return Delivery(
        data_id=data_id,
        dataset=str(record["UID"]),
        file=str(entries[file]["@id"]),
        version=str(entries[file].get("version") or "") or None,
        folder=store.cache / slug(product) / slug(file),
    )


def _or(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""


def _request(
    deliveries: Iterable[Delivery], wanted: Wanted, api: ClmsApi, failed: _Failed
) -> set[Delivery]:
    """Request what is to be preloaded and not here; return what there is to wait for."""
    preload = {canonical_data_id(data_id) for data_id in wanted.preload}
    awaited = set()
    for delivery in deliveries:
        if delivery.data_id not in preload:
            continue
        try:
            if wanted.force or present(delivery) is None:
                request(delivery, api)
                awaited.add(delivery)
        except AuthError as error:
            # The next request would be refused as well.
            failed.append((delivery.data_id, error))
            break
        except StacbuildError as error:
            failed.append((delivery.data_id, error))
    return awaited


@dataclass(frozen=True)
class _Product:
    """A product by its name, its search record, and what profiles state of it."""

    name: str
    record: Json
    store_key: str
    profiles: Profiles

    def profile(self, data_id: str) -> DataProfile:
        """Return what is stated of a file."""
        return _with_period(self.profiles.of(self.store_key, data_id), self.record)


def _describe(
    product: _Product,
    deliveries: Sequence[Delivery],
    tiles: Mapping[Delivery, Sequence[Tile]],
    failed: _Failed,
) -> Harvest:
    # Two files of a product may name tiles alike; then the file's name tells the items apart.
    names = Counter(tile.path.stem for found in tiles.values() for tile in found)
    items: list[pystac.Item] = []
    for delivery, found in tiles.items():
        try:
            items += [
                _item(product, delivery, tile, unique=names[tile.path.stem] == 1) for tile in found
            ]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this one's
            failed.append((delivery.data_id, failure_of(error, delivery.data_id)))
    versions = {delivery.version for delivery in deliveries}
    version = versions.pop() if len(versions) == 1 else None
    return Harvest(_collection(product, version), tuple(items))


def _item(product: _Product, delivery: Delivery, tile: Tile, *, unique: bool) -> pystac.Item:
    profile, record = product.profile(delivery.data_id), product.record
    file = delivery.data_id.partition("|")[2]
    within = tile.path.relative_to(delivery.folder).with_suffix("").as_posix()
    fields = {"file:size": tile.size, "file:checksum": f"{_SHA256}{tile.sha256}"}
    with open_raster(str(tile.path)) as dataset:
        item = raster_item(
            dataset,
            item_id=slug(tile.path.stem if unique else f"{file}/{within}"),
            data_id=delivery.data_id,
            store_key=product.store_key,
            href=str(tile.path),
            profile=profile,
            asset_fields=fields,
            properties={"version": delivery.version} if delivery.version else None,
        )
    item.properties["title"] = f"{profile.title or record.get('title') or file}: {tile.path.stem}"
    _link_page(item, record)
    return item


def _collection(product: _Product, version: str | None) -> pystac.Collection:
    record, profile = product.record, product.profiles.collection(product.store_key, product.name)
    title = profile.title or record.get("title") or product.name
    fields = stated_fields(profile)
    collection = pystac.Collection(
        id=slug(product.name),
        title=title,
        description=profile.description or _text(record.get("description")) or title,
        extent=pystac.Extent(
            pystac.SpatialExtent([_bbox(record)]), pystac.TemporalExtent([[*_period(record)]])
        ),
        license=fields.pop("license", "other"),
        keywords=fields.pop("keywords", None),
        providers=[pystac.Provider.from_dict(each) for each in fields.pop("providers", [])],
        extra_fields={
            STORE: product.store_key,
            **({"version": version} if version else {}),
            **fields,
        },
    )
    for link in stated_links(profile):
        collection.add_link(link)
    _link_page(collection, record)
    declare_extensions(collection)
    return collection


def _link_page(entity: pystac.Item | pystac.Collection, record: Json) -> None:
    page = record.get("@id")
    if isinstance(page, str) and page.startswith(("https://", "http://")):
        entity.add_link(pystac.Link("via", public_url(page), "text/html", "Page of the product"))


def _text(markup: Any) -> str:
    """Return the words of a description, which is plain text or a little HTML."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", str(markup or ""))).split())


def _bbox(record: Json) -> list[float]:
    """Unite the boxes of a record (degrees); the whole globe if there is none."""
    boxes = []
    for box in (record.get("geographicBoundingBox") or {}).get("items") or ():
        try:
            boxes.append([float(box[side]) for side in ("west", "south", "east", "north")])
        except (KeyError, TypeError, ValueError):
            continue
    if not boxes:
        return [-180.0, -90.0, 180.0, 90.0]
    west, south, east, north = zip(*boxes, strict=True)
    return [min(west), min(south), max(east), max(north)]


def _period(record: Json) -> tuple[dt.datetime | None, dt.datetime | None]:
    """Return begin and end (UTC); a date at the end means all of its day."""
    begin, end = (_time(record.get(f"temporalExtent{which}")) for which in ("Start", "End"))
    if end and len(record["temporalExtentEnd"]) == len("2015-12-31"):
        end += dt.timedelta(days=1, seconds=-1)
    return begin, end


def _time(text: Any) -> dt.datetime | None:
    # A date in another form says nothing that could be relied upon; the profile may.
    try:
        time = dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return time.astimezone(dt.UTC) if time.tzinfo else time.replace(tzinfo=dt.UTC)


def _with_period(profile: DataProfile, record: Json) -> DataProfile:
    begin, end = _period(record)
    stated = {"start_datetime": begin, "end_datetime": end}
    return profile.model_copy(update={name: time for name, time in stated.items() if time})
