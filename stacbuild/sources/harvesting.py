"""From sources to items of the catalog, whatever kind of store they are in."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stacbuild import progress
from stacbuild.config.overlaps import check_catalog_folder
from stacbuild.errors import ConfigError, Failures, IntegrityError, StacbuildError, failure_of
from stacbuild.profiles import Profiles
from stacbuild.progress import Reporter
from stacbuild.runs import one_run
from stacbuild.sources.base import Wanted, harvester_of
from stacbuild.sources.unmatched import tell_of_unmatched
from stacbuild.stac.catalog import DATA_ID, STORE, Catalog, Harvest, with_digest

if TYPE_CHECKING:
    import pystac

    from stacbuild.config import Config, Store

PROFILE = "stacbuild:profile"
"""Property of a source's item: a digest of the profiles that it was described with."""


@dataclass(frozen=True)
class HarvestResult:
    """What became of one collection, or of one data id that could not be harvested.

    Parameters
    ----------
    name
        Id of the collection; if it failed, the store or the data id.
    items
        Number of items put into the catalog.
    href
        The collection's file; None if it failed.
    """

    name: str
    status: Literal["COMPLETED", "FAILED"]
    message: str
    seconds: float
    items: int = 0
    href: str | None = None
    error: StacbuildError | None = None


def harvest(
    config: Config,
    catalog_dir: Path,
    *,
    stores: Sequence[str] = (),
    reporter: Reporter | None = None,
) -> list[HarvestResult]:
    """Harvest the stores that a configuration's datasets use, and preload what it names.

    Parameters
    ----------
    config
        The configuration.
    catalog_dir
        The folder of ``catalog.json``.
    stores
        Identifiers of the stores to harvest; all that are used if empty.

    Returns
    -------
    One result a collection. A failure is a result with its error; the others go on.

    Raises
    ------
    ConfigError
        If *stores* names one that no dataset uses.
    """
    with one_run(), progress.reported_to(reporter):
        return _harvest(config, catalog_dir, stores)


def _harvest(config: Config, catalog_dir: Path, stores: Sequence[str]) -> list[HarvestResult]:
    check_catalog_folder(config, catalog_dir)
    profiles = load_profiles(config)
    catalog = Catalog(catalog_dir)
    wanted = _wanted(config)
    unknown = sorted(set(stores) - set(wanted))
    if unknown:
        raise ConfigError(
            f"--store {unknown[0]}: no dataset uses such a store; there are: {', '.join(wanted)}"
        )
    results = [
        result
        for identifier in wanted
        if not stores or identifier in stores
        for result in harvest_store(config, identifier, wanted[identifier], catalog, profiles)
    ]
    tell_of_unmatched(config, catalog, profiles)
    return results


def harvest_store(
    config: Config, identifier: str, wanted: Wanted, catalog: Catalog, profiles: Profiles
) -> list[HarvestResult]:
    """Harvest one store into the catalog; what fails becomes a result with its error.

    Harvesters give what they can and raise at the end, so one bad name keeps no other out.
    """
    store = config.store(identifier)
    start = time.monotonic()
    results = []
    try:
        for found in harvester_of(store).harvest(store, wanted, profiles):
            for item in found.items:
                data_id = item.properties[DATA_ID]
                item.properties[PROFILE] = profile_digest(store, data_id, profiles)
                _state_rights(item, found.collection)
            _keep_apart(found, catalog)
            _make_distinct(found, catalog)
            changed = catalog.put(found)
            results.append(_completed(found, changed, catalog, time.monotonic() - start))
            start = time.monotonic()
    except Failures as failures:
        results += [_failed(name, error, start) for name, error in failures.failures]
    except StacbuildError as error:
        results.append(_failed(identifier, error, start))
    except Exception as error:  # noqa: BLE001 - what nobody foresaw in one store stops no other
        results.append(_failed(identifier, failure_of(error), start))
    return results


def _state_rights(item: pystac.Item, collection: pystac.Collection) -> None:
    """State on the item, too, whose data it is: a search finds items without their collections."""
    item.properties.setdefault("license", collection.license)
    if collection.providers:
        stated = [provider.to_dict() for provider in collection.providers]
        item.properties.setdefault("providers", stated)


def _keep_apart(found: Harvest, catalog: Catalog) -> None:
    """Change the id of a collection that is another store's already, but for case.

    Ids have fewer characters than addresses: ``file:a b`` and ``file:a-b`` become the same. Some
    file systems take ``Forest`` and ``forest`` for one.
    """
    collection = found.collection
    store = collection.extra_fields.get(STORE)
    for name, content in catalog.collection_ids().items():
        if name.casefold() != collection.id.casefold():
            continue
        if name != collection.id or content.get(STORE, store) != store:
            collection.id = with_digest(collection.id, f"{store}\n{collection.id}")
            return


def _make_distinct(found: Harvest, catalog: Catalog) -> None:
    """Disambiguate items: distinct data ids can have the same slug.

    So ``forest.tif`` and ``forest.zarr`` are both found, whichever was harvested first; so are
    ``Forest`` and ``forest``, which some file systems take for one.
    """
    known = catalog.item_ids(found.collection.id)
    spelled = {name.casefold(): name for name in known}
    taken: dict[str, tuple[str, str]] = {}
    for item in found.items:
        data_id = item.properties[DATA_ID]
        name = item.id if item.id in known else spelled.get(item.id.casefold(), item.id)
        try:
            there = catalog.get(found.collection.id, name)
        except IntegrityError:
            there = None  # damaged, and about to be written anew
        owner = str(there.properties.get(DATA_ID)) if there else data_id
        if taken.setdefault(item.id.casefold(), (name, owner)) != (item.id, data_id):
            item.id = with_digest(item.id, data_id)


def load_profiles(config: Config) -> Profiles:
    """Read the profiles of the package and those in ``profiles`` beside the configuration."""
    return Profiles.load([config.directory / "profiles"])


def profile_digest(store: Store, data_id: str, profiles: Profiles) -> str:
    """Return a digest of what the profiles say of a data id and of its collection.

    It stands in the item, so that a profile that says something else now is noticed.
    """
    collection = store.collection_key(data_id)
    facts = profiles.of(store.key, data_id), profiles.collection(store.key, collection)
    text = "".join(each.model_dump_json(exclude_none=True) for each in facts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _wanted(config: Config) -> dict[str, Wanted]:
    used: dict[str, dict[str, None]] = {}
    for dataset in config.datasets:
        for variable in dataset.variables:
            used.setdefault(variable.store, {})[variable.data_id] = None
    preload: dict[str, dict[str, None]] = {}
    force = set()
    for entry in config.preload_datasets:
        used.setdefault(entry.store, {})
        preload.setdefault(entry.store, {}).update(dict.fromkeys(entry.data_ids))
        if config.general.force_preload or entry.preload_params.force_preload:
            force.add(entry.store)
    return {
        store: Wanted(tuple(data_ids), tuple(preload.get(store, ())), store in force)
        for store, data_ids in used.items()
    }


def _failed(name: str, error: StacbuildError, start: float) -> HarvestResult:
    return HarvestResult(name, "FAILED", str(error), time.monotonic() - start, error=error)


def _completed(found: Harvest, changed: bool, catalog: Catalog, seconds: float) -> HarvestResult:
    count = len(found.items)
    items = "1 item" if count == 1 else f"{count} items"
    return HarvestResult(
        name=found.collection.id,
        status="COMPLETED",
        message=f"{items}{'' if changed else ', unchanged'}",
        seconds=seconds,
        items=count,
        href=str(catalog.root / found.collection.id / "collection.json"),
    )
