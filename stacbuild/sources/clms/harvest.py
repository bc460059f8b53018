"""Harvesting of products of the Copernicus Land Monitoring Service (CLMS).

A data id is ``<slug>|<file>``: the product's name in the URL of its page, and the name of one of
its pre-packaged files. Each product becomes a collection, described from the search record; each
downloaded tile of a file becomes an item with the data id of that file. A file that was not
preloaded has no items, as nothing of the CLMS can be read in place.
"""

from __future__ import annotations

import datetime as dt
import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from typing import Any

import pystac

from stacbuild import progress
from stacbuild.errors import AuthError, Failure, NotFoundError, StacbuildError
from stacbuild.formats.geotiff import open_raster
from stacbuild.net.http import public_url, session
from stacbuild.profiles import DataProfile, Profiles
from stacbuild.sources.base import Wanted, collected, raise_collected
from stacbuild.sources.clms.api import ClmsApi, Json
from stacbuild.sources.clms.auth import read_credentials
from stacbuild.sources.clms.delivery import Delivery, Polling, Tile, deliver, present, request
from stacbuild.sources.clms.store import ClmsStore
from stacbuild.sources.stated import stated_fields, stated_links
from stacbuild.stac.catalog import STORE, Harvest, slug
from stacbuild.stac.extensions import declare_extensions
from stacbuild.stac.raster_item import raster_item

_SHA256 = "1220"  # multihash prefix of a SHA-256 in hexadecimal digits


def canonical_data_id(data_id: str) -> str:
    """Return the data id without the ``.zarr`` that other tools append."""
    return data_id.removesuffix(".zarr")


def harvest(
    store: ClmsStore,
    wanted: Wanted,
    profiles: Profiles,
    *,
    polling: Polling = Polling(),  # noqa: B008 - frozen
) -> Iterator[Harvest]:
    """Harvest the products of *wanted*, and download the files of ``wanted.preload``.

    All files are requested before the first one is waited for, so that the CLMS prepares them at
    the same time. Failures do not stop other products.

    Parameters
    ----------
    polling
        Pauses and limit while waiting for tasks.

    Yields
    ------
    Harvest
        A product, with an item for each downloaded tile.

    Raises
    ------
    StacbuildError
        After the last product: the failure, or `Failures` if there are several.
    """
    failures: list[Failure] = []
    with session(progress.current().say) as http:
        api = ClmsApi(
            store.api, http, lambda: read_credentials(store.credentials, store.credentials_inline)
        )
        records, products = _find(store, wanted, api, failures)
        awaited = _request(chain(*products.values()), wanted, api, failures)
        for product, deliveries in products.items():
            tiles: dict[Delivery, tuple[Tile, ...]] = {}
            for delivery in deliveries:
                with collected(failures, delivery.data_id):
                    if delivery in awaited:
                        tiles[delivery] = deliver(delivery, api, http, polling)
                    else:
                        tiles[delivery] = present(delivery) or ()
            of = _Product(product, records[product], store.key, profiles)
            yield _describe(of, deliveries, tiles, failures)
    raise_collected(failures)


def _find(
    store: ClmsStore, wanted: Wanted, api: ClmsApi, failures: list[Failure]
) -> tuple[dict[str, Json], dict[str, list[Delivery]]]:
    """Return the search records, and the wanted files of each product."""
    data_ids = sorted({canonical_data_id(each) for each in (*wanted.data_ids, *wanted.preload)})
    records = api.search({data_id.partition("|")[0] for data_id in data_ids})
    products: dict[str, list[Delivery]] = {}
    for data_id in data_ids:
        with collected(failures, data_id):
            delivery = _delivery(data_id, records, store)
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
    deliveries: Iterable[Delivery], wanted: Wanted, api: ClmsApi, failures: list[Failure]
) -> set[Delivery]:
    """Request the files to preload that are not on disk; return those to wait for."""
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
            failures.append((delivery.data_id, error))
            break
        except StacbuildError as error:
            failures.append((delivery.data_id, error))
    return awaited


@dataclass(frozen=True)
class _Product:
    """A product: its name, search record and profiles."""

    name: str
    record: Json
    store_key: str
    profiles: Profiles

    def profile(self, data_id: str) -> DataProfile:
        """Return the profile of a file, with the period of the product."""
        return _with_period(self.profiles.of(self.store_key, data_id), self.record)


def _describe(
    product: _Product,
    deliveries: Sequence[Delivery],
    tiles: Mapping[Delivery, Sequence[Tile]],
    failures: list[Failure],
) -> Harvest:
    # Ids of items include the file's name where several files have a tile of the same name.
    names = Counter(tile.path.stem for found in tiles.values() for tile in found)
    items: list[pystac.Item] = []
    for delivery, found in tiles.items():
        with collected(failures, delivery.data_id):
            items += [
                _item(product, delivery, tile, unique=names[tile.path.stem] == 1) for tile in found
            ]
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
    """Return the text of a description, which is plain text or simple HTML."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", str(markup or ""))).split())


def _bbox(record: Json) -> list[float]:
    """Return the union of the bounding boxes of a record (degrees); by default the globe."""
    bboxes = []
    for each in (record.get("geographicBoundingBox") or {}).get("items") or ():
        with suppress(KeyError, TypeError, ValueError):
            bboxes.append([float(each[side]) for side in ("west", "south", "east", "north")])
    if not bboxes:
        return [-180.0, -90.0, 180.0, 90.0]
    west, south, east, north = zip(*bboxes, strict=True)
    return [min(west), min(south), max(east), max(north)]


def _period(record: Json) -> tuple[dt.datetime | None, dt.datetime | None]:
    """Return start and end (UTC); an end date includes all of its day."""
    begin, end = (_time(record.get(f"temporalExtent{which}")) for which in ("Start", "End"))
    if end and len(record["temporalExtentEnd"]) == len("2015-12-31"):
        end += dt.timedelta(days=1, seconds=-1)
    return begin, end


def _time(text: Any) -> dt.datetime | None:
    # Dates in another format are ignored; a profile can state them.
    try:
        time = dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return time.astimezone(dt.UTC) if time.tzinfo else time.replace(tzinfo=dt.UTC)


def _with_period(profile: DataProfile, record: Json) -> DataProfile:
    begin, end = _period(record)
    stated = {"start_datetime": begin, "end_datetime": end}
    return profile.model_copy(update={name: time for name, time in stated.items() if time})
