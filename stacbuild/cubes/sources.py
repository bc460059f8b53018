"""The items that a cube is made of: found in the catalog, harvested if they are not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pystac

from stacbuild.catalog import Catalog, read_json
from stacbuild.cubes.allowed import check_items
from stacbuild.errors import BuildError, Failures
from stacbuild.harvesters import harvest_store
from stacbuild.harvesters.base import Wanted

if TYPE_CHECKING:
    from stacbuild.config import Config, Dataset
    from stacbuild.profiles import Profiles
    from stacbuild.progress import Reporter


@dataclass(frozen=True)
class SourceCollection:
    """What a cube inherits from a collection that it was made of."""

    id: str
    title: str
    license: str
    citation: str | None
    dois: tuple[str, ...]
    providers: tuple[dict[str, Any], ...]
    license_links: tuple[dict[str, Any], ...]


def source_items(
    config: Config, dataset: Dataset, catalog: Catalog, profiles: Profiles, reporter: Reporter
) -> list[list[pystac.Item]]:
    """Give the items of each variable of a dataset, in the configuration's order.

    What the catalog does not hold yet, or holds without its file, is harvested and preloaded
    first, and the reporter is told so.

    Raises
    ------
    StacbuildError
        What the harvester of a missing item raises; `Failures` for several.
    """
    # First described where they are; what cannot be read there is then fetched.
    for what, preload in (("harvesting", False), ("preloading", True)):
        for store, data_ids in _missing(config, dataset, catalog).items():
            reporter.say(f"{dataset.identifier}: {what} {', '.join(data_ids)} from {store}")
            wanted = Wanted(data_ids, preload=data_ids if preload else ())
            results = harvest_store(config, store, wanted, catalog, profiles, reporter)
            failures = [(result.name, result.error) for result in results if result.error]
            if failures:
                raise failures[0][1] if len(failures) == 1 else Failures(failures)
    return [_found(config, variable, catalog) for variable in dataset.variables]


def source_collections(catalog: Catalog, items: Sequence[pystac.Item]) -> list[SourceCollection]:
    """Give the collections of some items, each once, in the items' order."""
    ids = dict.fromkeys(str(item.collection_id) for item in items)
    return [_collection(read_json(catalog.root / name / "collection.json")) for name in ids]


def _missing(config: Config, dataset: Dataset, catalog: Catalog) -> dict[str, tuple[str, ...]]:
    """Give the data ids that cannot be read yet, by the identifier of their store."""
    missing: dict[str, tuple[str, ...]] = {}
    for variable in dataset.variables:
        if not _ready(_known(config, variable, catalog)):
            missing[variable.store] = (*missing.get(variable.store, ()), variable.data_id)
    return missing


def _known(config: Config, variable: Any, catalog: Catalog) -> list[pystac.Item]:
    """Give the items that the catalog holds, if they lead nowhere that they may not."""
    store = config.store(variable.store)
    items = catalog.find(store.key, variable.data_id)
    check_items(items, config, store, catalog.root)
    return items


def _found(config: Config, variable: Any, catalog: Catalog) -> list[pystac.Item]:
    items = _known(config, variable, catalog)
    if not _ready(items):
        raise BuildError(
            f"{variable.data_id}: harvesting store {variable.store!r} gave no item that can be "
            f"read; see {catalog.path}"
        )
    return items


def _ready(items: Sequence[pystac.Item]) -> bool:
    """Tell whether there are items and all of them can be opened: described, and files present."""
    return bool(items) and all(
        "proj:transform" in item.properties and _is_there(item.assets["data"].href)
        for item in items
    )


def _is_there(href: str) -> bool:
    return "://" in href or Path(href).exists()


def _collection(content: dict[str, Any]) -> SourceCollection:
    publications = content.get("sci:publications", [])
    dois = [content.get("sci:doi"), *(entry.get("doi") for entry in publications)]
    return SourceCollection(
        id=content["id"],
        title=content.get("title", content["id"]),
        license=content["license"],
        citation=content.get("sci:citation"),
        dois=tuple(doi for doi in dois if doi),
        providers=tuple(content.get("providers", ())),
        license_links=tuple(link for link in content["links"] if link["rel"] == "license"),
    )
