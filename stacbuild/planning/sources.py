"""The source items of a cube: from the catalog, or harvested if it lacks them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pystac

from stacbuild import progress
from stacbuild.config.data_ids import short
from stacbuild.config.stores import kinds_that
from stacbuild.errors import BuildError, StacbuildError, failure_of
from stacbuild.planning.allowed import check_items
from stacbuild.sources import PROFILE, harvest_store, profile_digest, skipped_ids
from stacbuild.sources.base import Wanted, raise_collected, watcher_of
from stacbuild.stac.catalog import DATA_ID, Catalog, read_json
from stacbuild.stac.checksums import is_same_file
from stacbuild.stac.extensions import UNREAD, file_time
from stacbuild.stac.files import store_kind
from stacbuild.stac.item_time import FILE
from stacbuild.stac.scenes import all_views, is_scene

if TYPE_CHECKING:
    from stacbuild.config import Config, Dataset, SourceVariable, Store
    from stacbuild.profiles import Profiles


_MIXED = kinds_that(lambda model: model.is_mixed)


@dataclass(frozen=True)
class SourceCollection:
    """Metadata that a cube inherits from the collection of its sources.

    Datasets in a bucket, a folder or on a web server are unrelated: there the metadata are those of
    each item, with the id ``<collection>/<item>``.
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
    """The source items of a cube in the catalog, and which of them have to be harvested.

    Parameters
    ----------
    items
        The items of each variable, in the configuration's order.
    changed
        Why data ids have to be harvested again, by store and data id; the cube is outdated.
    absent
        Data ids whose files are not on this machine, by store and data id. The cube is not outdated
        by that, but a build has to fetch them.
    """

    items: list[list[pystac.Item]]
    changed: dict[tuple[str, str], str]
    absent: dict[tuple[str, str], str]


def find_sources(
    config: Config,
    variables: Sequence[SourceVariable],
    catalog: Catalog,
    profiles: Profiles,
) -> Sources:
    """Return the items that the catalog has for each variable; nothing is fetched.

    Raises
    ------
    IntegrityError
        If an item is damaged, or refers to files that the configuration does not name.
    """
    found = []
    changed: dict[tuple[str, str], str] = {}
    absent: dict[tuple[str, str], str] = {}
    for variable in variables:
        key = variable.store, variable.data_id
        try:
            items = known_items(config, variable, catalog)
            why = _why_changed(config.store(variable.store), items, profiles)
            if not why and variable.open_params.errors != "skip" and (count := len(unread(items))):
                why = f"{count} of its assets could not be read when it was harvested"
        except StacbuildError:
            raise
        except Exception as error:
            raise failure_of(error, variable.label) from error
        found.append(items)
        if why:
            changed[key] = why
        if not _ready(items, config.store(variable.store)):
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

    Items that are missing or outdated, or whose file is missing, are harvested and preloaded first.

    Raises
    ------
    StacbuildError
        If a source cannot be harvested; `Failures` for several.
    """
    # Sources are described in place if possible; archives and the like have to be preloaded.
    for what, preload in (("harvesting", False), ("preloading", True)):
        sources = find_sources(config, variables, catalog, profiles)
        wanted_of: dict[str, list[str]] = {}
        for store, data_id in {**sources.changed, **sources.absent}:
            wanted_of.setdefault(store, []).append(data_id)
        for store, data_ids in wanted_of.items():
            progress.say(
                f"{dataset.identifier}: {what} {', '.join(map(short, data_ids))} from {store}"
            )
            ids = tuple(data_ids)
            skip = skipped_ids(variables, store)
            wanted = Wanted(ids, preload=ids if preload else (), in_place=True, skip=skip)
            results = harvest_store(config, store, wanted, catalog, profiles)
            raise_collected([(result.name, result.error) for result in results if result.error])
    return [_readable_items(config, variable, catalog) for variable in variables]


def source_collections(catalog: Catalog, items: Sequence[pystac.Item]) -> list[SourceCollection]:
    """Return the metadata that a cube inherits from its items' collections, in their order."""
    found: dict[str, SourceCollection] = {}
    contents: dict[str, dict[str, Any]] = {}
    for item in items:
        name = str(item.collection_id)
        if name not in contents:
            contents[name] = read_json(catalog.root / name / "collection.json")
        if store_kind(item) in _MIXED:
            of_item = _of_item(item)
            found.setdefault(of_item.id, of_item)
        elif name not in found:
            found[name] = _of_collection(contents[name])
    return list(found.values())


def known_items(config: Config, variable: SourceVariable, catalog: Catalog) -> list[pystac.Item]:
    """Return the items of a variable in the catalog, after checking their hrefs.

    A scene is several: its `stacbuild.stac.scenes.views`.
    """
    store = config.store(variable.store)
    items = catalog.find(store.key, variable.data_id)
    check_items(items, config, store, catalog.root)
    return all_views(items)


def _readable_items(
    config: Config, variable: SourceVariable, catalog: Catalog
) -> list[pystac.Item]:
    items = known_items(config, variable, catalog)
    if not _ready(items, config.store(variable.store)):
        raise BuildError(
            f"{variable.label}: harvesting store {variable.store!r} found no item that can be "
            f"read; see {catalog.path}"
        )
    return items


def _why_changed(store: Store, items: Sequence[pystac.Item], profiles: Profiles) -> str:
    """Return why items are missing or outdated; empty if they are not."""
    if not items:
        return "not harvested yet"
    if not all(map(is_described, items)):
        return "not preloaded yet"
    if store.is_watched and FILE in items[0].properties:
        data_id = str(items[0].properties[DATA_ID])
        if why := watcher_of(store).why_changed(store, data_id, items):
            return why

    @cache
    def digest(data_id: str, file: str | None) -> str:
        return profile_digest(store, data_id, profiles, file)

    for item in items:
        profile = item.properties.get(PROFILE)
        # Items that were written by hand or by an older version have none.
        if profile and profile != digest(item.properties[DATA_ID], item.properties.get(FILE)):
            return "its profile changed"
        # Files in a cache are checked when they are fetched.
        if store.cache is None and _was_modified(item.assets["data"]):
            file = item.properties.get(FILE)
            return f"{f'{file} was ' if file else ''}written to since it was harvested"
    if store.catalog_folder:
        return watcher_of(store).why_changed(store, str(items[0].properties[DATA_ID]), items)
    return ""


def _was_modified(asset: pystac.Asset) -> bool:
    """Return whether size or modification time of a local file changed, and its content may."""
    path, fields = Path(asset.href), asset.extra_fields
    if "://" in asset.href:
        return False
    if chunks := fields.get("stacbuild:chunks"):
        # Imported late, so that a plan without work is fast.
        from zarr.storage import LocalStore

        from stacbuild.formats.zarr_chunks import count_chunks

        now = count_chunks(LocalStore(path), chunks)
        when, updated = file_time(path), fields.get("updated")
        # Missing chunks without a later modification are damage, which `stacbuild.loading.zarr`
        # reports, and no change.
        if any(now[name]["count"] < stated["count"] for name, stated in chunks.items()):
            return updated is not None and when > updated
        # Other chunks may have the same number and size, so compare the time, too.
        return now != chunks or updated not in (None, when)
    try:
        stated = fields.get("file:size"), fields.get("updated")
        changed = None not in stated and stated != (path.stat().st_size, file_time(path))
        return changed and not is_same_file(asset)
    except FileNotFoundError:
        return False


def is_described(item: pystac.Item) -> bool:
    """Return whether an item has a geotransform; items of archives have one once preloaded."""
    return "proj:transform" in item.properties


def unread(items: Sequence[pystac.Item]) -> list[dict[str, str]]:
    """Return what was left out when items were harvested: ``item``, ``asset`` and ``reason``."""
    lists = {id(found): found for item in items if (found := item.properties.get(UNREAD))}
    return [each for found in lists.values() for each in found]


def _ready(items: Sequence[pystac.Item], store: Store) -> bool:
    """Return whether there are items, all of them described, and their files exist.

    A scene without its file is ready, unless it can be fetched: a build names all of them.
    """
    files = [item for item in items if store.cache is not None or not is_scene(item)]
    hrefs = [item.assets["data"].href for item in files]
    exist = all("://" in href or Path(href).exists() for href in hrefs)
    return exist and len(items) > 0 and all(map(is_described, items))


def _of_item(item: pystac.Item) -> SourceCollection:
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
    stated += [publication.get("doi") for publication in content.get("sci:publications", [])]
    return tuple(doi for doi in stated if doi)


def _of_collection(content: dict[str, Any]) -> SourceCollection:
    return SourceCollection(
        id=content["id"],
        title=content.get("title", content["id"]),
        license=content["license"],
        citation=content.get("sci:citation"),
        dois=_dois(content),
        providers=tuple(content.get("providers", ())),
        license_links=tuple(link for link in content["links"] if link["rel"] == "license"),
    )
