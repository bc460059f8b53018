"""Harvesting of stores of any kind into the catalog."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stacbuild import progress
from stacbuild.config.overlaps import check_catalog_folder
from stacbuild.errors import (
    ConfigError,
    Failures,
    IntegrityError,
    LocalError,
    StacbuildError,
    failure_of,
)
from stacbuild.profiles import Profiles
from stacbuild.progress import Reporter
from stacbuild.runs import one_run
from stacbuild.sources.base import Wanted, harvester_of
from stacbuild.sources.unmatched import warn_unmatched
from stacbuild.stac.catalog import DATA_ID, STORE, Catalog, Harvest, with_digest
from stacbuild.stac.checksums import keep_state, keep_version
from stacbuild.stac.item_time import FILE
from stacbuild.stac.scenes import data_assets

if TYPE_CHECKING:
    import pystac

    from stacbuild.config import Config, SourceVariable, Store

PROFILE = "stacbuild:profile"
"""Property of a source's item: a digest of the profiles that were applied."""


@dataclass(frozen=True)
class HarvestResult:
    """Result of harvesting one collection, or the failure of one data id.

    Parameters
    ----------
    name
        Id of the collection; of a failure, the store or the data id.
    items
        Number of items written to the catalog.
    href
        Path of the collection; None for a failure.
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
    """Harvest the stores that datasets of a configuration use, and preload ``preload_datasets``.

    Parameters
    ----------
    config
        The configuration.
    catalog_dir
        The folder of ``catalog.json``.
    stores
        Identifiers of the stores to harvest; by default all that are used.

    Returns
    -------
    One result per collection. Failures are results with an error and do not stop the others.

    Raises
    ------
    ConfigError
        If no dataset uses one of *stores*.
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
            f"store {unknown[0]!r}: no dataset uses such a store; there are: {', '.join(wanted)}"
        )
    results = [
        result
        for identifier in wanted
        if not stores or identifier in stores
        for result in harvest_store(config, identifier, wanted[identifier], catalog, profiles)
    ]
    warn_unmatched(config, catalog, profiles)
    catalog.renew_mirrors()
    return results


def harvest_store(
    config: Config, identifier: str, wanted: Wanted, catalog: Catalog, profiles: Profiles
) -> list[HarvestResult]:
    """Harvest one store into the catalog; failures are results with an error."""
    store = config.store(identifier)
    start = time.monotonic()
    wanted = replace(wanted, folders=config.folders)
    results = []
    try:
        for found in harvester_of(store).harvest(store, wanted, profiles):
            for item in found.items:
                data_id = item.properties[DATA_ID]
                file = item.properties.get(FILE)
                item.properties[PROFILE] = profile_digest(store, data_id, profiles, file)
                _state_rights(item, found.collection)
            # Another thread may harvest the same scene for its data id.
            with catalog.alone():
                _make_collection_unique(found, catalog)
                _make_items_unique(found, catalog)
                _keep_states(found, catalog)
                changed = catalog.put(found)
            results.append(_completed(found, changed, catalog, time.monotonic() - start))
            start = time.monotonic()
    except Failures as failures:
        results += [_failed(name, error, start) for name, error in failures.failures]
    except StacbuildError as error:
        results.append(_failed(identifier, error, start))
    except Exception as error:  # noqa: BLE001 - one store must not stop the others
        results.append(_failed(identifier, failure_of(error), start))
    return results


def _state_rights(item: pystac.Item, collection: pystac.Collection) -> None:
    """Copy licence and providers to the item: a search finds items without their collections."""
    item.properties.setdefault("license", collection.license)
    if collection.providers:
        providers = [provider.to_dict() for provider in collection.providers]
        item.properties.setdefault("providers", providers)


def _make_collection_unique(found: Harvest, catalog: Catalog) -> None:
    """Change the id of a collection if another store's has it, ignoring case.

    Distinct addresses can have the same slug, as ``file:a b`` and ``file:a-b``, and some file
    systems ignore case.
    """
    collection = found.collection
    store = collection.extra_fields.get(STORE)
    for name, content in catalog.collection_ids().items():
        if name.casefold() != collection.id.casefold():
            continue
        if name != collection.id or content.get(STORE, store) != store:
            collection.id = with_digest(collection.id, f"{store}\n{collection.id}")
            return


def _make_items_unique(found: Harvest, catalog: Catalog) -> None:
    """Change ids of items that another data id has, ignoring case.

    Distinct data ids can have the same slug, as ``forest.tif`` and ``forest.zarr``, and some file
    systems ignore case.
    """
    known = set(catalog.item_ids(found.collection.id))
    spelled = {name.casefold(): name for name in known}
    taken: dict[str, tuple[str, str]] = {}
    for item in found.items:
        data_id = item.properties[DATA_ID]
        name = item.id if item.id in known else spelled.get(item.id.casefold(), item.id)
        try:
            path = catalog.item_path(found.collection.id, name)
            existing = catalog.read_item(path) if name in known and path.exists() else None
        except IntegrityError:
            existing = None  # damaged, and about to be overwritten
        owner = str(existing.properties.get(DATA_ID)) if existing else data_id
        if taken.setdefault(item.id.casefold(), (name, owner)) != (item.id, data_id):
            item.id = with_digest(item.id, f"{data_id}{item.properties.get(FILE, '')}")


def _keep_states(found: Harvest, catalog: Catalog) -> None:
    """Keep the recorded states of files that are the same as when they were harvested."""
    known = set(catalog.item_ids(found.collection.id))
    for item in found.items:
        assets = {
            key: asset
            for key, asset in data_assets(item).items()
            if "://" in asset.href or "updated" in asset.extra_fields
        }
        if item.id not in known or not assets:
            continue
        with contextlib.suppress(IntegrityError, LocalError):
            path = catalog.item_path(found.collection.id, item.id)
            previous = data_assets(catalog.read_item(path))
            for key, asset in assets.items():
                if key in previous:
                    keep = keep_version if "://" in asset.href else keep_state
                    keep(asset, previous[key])


def load_profiles(config: Config) -> Profiles:
    """Read the profiles of the package and those in ``profiles`` beside the configuration."""
    return Profiles.load([config.directory / "profiles"])


def profile_digest(store: Store, data_id: str, profiles: Profiles, file: str | None = None) -> str:
    """Return a digest of the profiles of a data id (or of one of its files) and its collection.

    It is a property of the item, by which changes of profiles are detected.
    """
    collection = store.collection_key(data_id)
    applied = profiles.of(store.key, data_id, file), profiles.collection(store.key, collection)
    text = "".join(each.model_dump_json(exclude_none=True) for each in applied)
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
    variables = [each for dataset in config.datasets for each in dataset.variables]
    return {
        store: Wanted(
            tuple(data_ids),
            tuple(preload.get(store, ())),
            store in force,
            skip=skipped_ids(variables, store),
        )
        for store, data_ids in used.items()
    }


def skipped_ids(variables: Iterable[SourceVariable], store: str) -> frozenset[str]:
    """Return the data ids of a store of which no variable needs items that cannot be read."""
    of_store = [each for each in variables if each.store == store]
    needed = {each.data_id for each in of_store if each.open_params.errors != "skip"}
    return frozenset(each.data_id for each in of_store) - needed


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
