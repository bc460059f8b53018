"""The items that a cube is made of: found in the catalog, harvested if they are not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pystac

from stacbuild import progress
from stacbuild.config.stores import kinds_that
from stacbuild.errors import BuildError, Failures, StacbuildError, failure_of
from stacbuild.planning.allowed import check_items
from stacbuild.sources import PROFILE, harvest_store, profile_digest
from stacbuild.sources.base import Wanted, watcher_of
from stacbuild.stac.catalog import DATA_ID, STORE, Catalog, read_json
from stacbuild.stac.extensions import file_time

if TYPE_CHECKING:
    from stacbuild.config import Config, Dataset, SourceVariable, Store
    from stacbuild.profiles import Profiles


_MIXED = kinds_that(lambda model: model.is_mixed)


@dataclass(frozen=True)
class SourceCollection:
    """What a cube inherits from a collection that it was made of.

    A bucket, a folder or a web server holds datasets that have nothing to do with each other: what
    is inherited is of each of its items alone, whose id is then ``<collection>/<item>``.
    """

    id: str
    title: str
    license: str
    citation: str | None
    dois: tuple[str, ...]
    providers: tuple[dict[str, Any], ...]
    license_links: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Sources:
    """What the catalog holds for a cube now.

    Parameters
    ----------
    items
        Those of each variable, in the configuration's order.
    changed
        Why a data id has to be harvested for its items to be right, by store and data id: the
        cube is not what its sources say before that.
    absent
        Data ids whose files are not on this machine (any more), by store and data id. That is no
        reason to build what is made of them, but they have to be fetched for it.
    """

    items: list[list[pystac.Item]]
    changed: dict[tuple[str, str], str]
    absent: dict[tuple[str, str], str]


def look(
    config: Config,
    variables: Sequence[SourceVariable],
    catalog: Catalog,
    profiles: Profiles,
) -> Sources:
    """Look up the items of each variable of a dataset; nothing is fetched.

    Raises
    ------
    IntegrityError
        If an item is damaged, or leads to what the configuration does not name.
    """
    found = []
    changed: dict[tuple[str, str], str] = {}
    absent: dict[tuple[str, str], str] = {}
    for variable in variables:
        key = variable.store, variable.data_id
        try:
            items = known_items(config, variable, catalog)
            why = _why_changed(config.store(variable.store), items, profiles)
        except StacbuildError:
            raise
        except Exception as error:
            raise failure_of(error, variable.data_id) from error
        found.append(items)
        if why:
            changed[key] = why
        if not _ready(items):
            absent[key] = "not on this machine"
    return Sources(found, changed, absent)


def variable_items(
    config: Config,
    dataset: Dataset,
    variables: Sequence[SourceVariable],
    catalog: Catalog,
    profiles: Profiles,
) -> list[list[pystac.Item]]:
    """Return the items of variables of a dataset, in their order.

    What the catalog does not hold yet, or holds without its file or as it was before, is
    harvested and preloaded first, which is told.

    Raises
    ------
    StacbuildError
        What the harvester of a missing item raises; `Failures` for several.
    """
    # First described where they are; what cannot be read there is then fetched.
    for what, preload in (("harvesting", False), ("preloading", True)):
        sources = look(config, variables, catalog, profiles)
        wanted_of: dict[str, list[str]] = {}
        for store, data_id in {**sources.changed, **sources.absent}:
            wanted_of.setdefault(store, []).append(data_id)
        for store, data_ids in wanted_of.items():
            progress.say(f"{dataset.identifier}: {what} {', '.join(data_ids)} from {store}")
            wanted = Wanted(tuple(data_ids), preload=tuple(data_ids) if preload else ())
            results = harvest_store(config, store, wanted, catalog, profiles)
            failures = [(result.name, result.error) for result in results if result.error]
            if failures:
                raise failures[0][1] if len(failures) == 1 else Failures(failures)
    return [_found(config, variable, catalog) for variable in variables]


def source_collections(catalog: Catalog, items: Sequence[pystac.Item]) -> list[SourceCollection]:
    """Return what a cube inherits of some items' collections, each once, in the items' order."""
    found: dict[str, SourceCollection] = {}
    contents: dict[str, dict[str, Any]] = {}
    for item in items:
        name = str(item.collection_id)
        if name not in contents:
            contents[name] = read_json(catalog.root / name / "collection.json")
        if str(item.properties.get(STORE)).partition(":")[0] in _MIXED:
            one = _own_rights(item)
            found.setdefault(one.id, one)
        elif name not in found:
            found[name] = _collection(contents[name])
    return list(found.values())


def known_items(config: Config, variable: SourceVariable, catalog: Catalog) -> list[pystac.Item]:
    """Return the items that the catalog holds, if they lead nowhere that they may not."""
    store = config.store(variable.store)
    items = catalog.find(store.key, variable.data_id)
    check_items(items, config, store, catalog.root)
    return items


def _found(config: Config, variable: SourceVariable, catalog: Catalog) -> list[pystac.Item]:
    items = known_items(config, variable, catalog)
    if not _ready(items):
        raise BuildError(
            f"{variable.data_id}: harvesting store {variable.store!r} gave no item that can be "
            f"read; see {catalog.path}"
        )
    return items


def _why_changed(store: Store, items: Sequence[pystac.Item], profiles: Profiles) -> str:
    """Return why items are not, or not any more, what a harvest would give; empty if they are."""
    if not items:
        return "not harvested yet"
    if not all(map(is_described, items)):
        return "not preloaded yet"
    for item in items:
        said = item.properties.get(PROFILE)
        # Items that do not say it were written by hand or by an older version.
        if said and said != profile_digest(store, item.properties[DATA_ID], profiles):
            return "its profile changed"
        # What stacbuild fetched into a cache is checked when it is fetched.
        if store.cache is None and _was_written(item.assets["data"]):
            return "written to since it was harvested"
    if store.catalog_folder:
        return watcher_of(store).why_changed(store, str(items[0].properties[DATA_ID]), items)
    return ""


def _was_written(asset: pystac.Asset) -> bool:
    """Return whether a file of the user's own changed, as far as its size and time tell."""
    path, fields = Path(asset.href), asset.extra_fields
    if "://" in asset.href:
        return False
    if chunks := fields.get("stacbuild:chunks"):
        # Imported when used: to see that there is nothing to do should take no longer than that.
        from zarr.storage import LocalStore

        from stacbuild.formats.zarr_chunks import count_chunks

        now = count_chunks(LocalStore(path), chunks)
        when, updated = file_time(path), fields.get("updated")
        # Where chunks are gone and nothing was written, that is damage, of which
        # `stacbuild.loading.zarr` speaks, and no change.
        if any(now[name]["count"] < stated["count"] for name, stated in chunks.items()):
            return updated is not None and when > updated
        # Others may be just as many and as long.
        return now != chunks or updated not in (None, when)
    try:
        stated = fields.get("file:size"), fields.get("updated")
        return None not in stated and stated != (path.stat().st_size, file_time(path))
    except FileNotFoundError:
        return False


def is_described(item: pystac.Item) -> bool:
    """Return whether an item says where its pixels lie; those of archives do once preloaded."""
    return "proj:transform" in item.properties


def _ready(items: Sequence[pystac.Item]) -> bool:
    """Return whether there are items and all can be opened: described, and files present."""
    return bool(items) and all(
        is_described(item) and _is_there(item.assets["data"].href) for item in items
    )


def _is_there(href: str) -> bool:
    return "://" in href or Path(href).exists()


def _own_rights(item: pystac.Item) -> SourceCollection:
    properties = item.properties
    return SourceCollection(
        id=f"{item.collection_id}/{item.id}",
        title=str(properties.get("title") or properties[DATA_ID]),
        license=str(properties.get("license", "other")),
        citation=properties.get("sci:citation"),
        dois=_dois(properties),
        providers=tuple(properties.get("providers", ())),
        license_links=tuple(
            dict(link.to_dict(transform_href=False)) for link in item.links if link.rel == "license"
        ),
    )


def _dois(content: dict[str, Any]) -> tuple[str, ...]:
    stated = [content.get("sci:doi")]
    stated += [entry.get("doi") for entry in content.get("sci:publications", [])]
    return tuple(doi for doi in stated if doi)


def _collection(content: dict[str, Any]) -> SourceCollection:
    return SourceCollection(
        id=content["id"],
        title=content.get("title", content["id"]),
        license=content["license"],
        citation=content.get("sci:citation"),
        dois=_dois(content),
        providers=tuple(content.get("providers", ())),
        license_links=tuple(link for link in content["links"] if link["rel"] == "license"),
    )
