"""Warnings about patterns in the user's profiles that match nothing: most likely a typo."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from stacbuild import progress
from stacbuild.errors import StacbuildError
from stacbuild.profiles import Named, Profiles
from stacbuild.stac.catalog import DATA_ID, STORE, Catalog
from stacbuild.stac.item_time import FILE

if TYPE_CHECKING:
    from stacbuild.config import Config


def warn_unmatched(config: Config, catalog: Catalog, profiles: Profiles) -> None:
    """Warn of patterns that match nothing in the configuration and the catalog."""
    if not profiles.has_own:
        return
    variables: defaultdict[str, dict[str, list[str]]] = defaultdict(dict)
    collections: defaultdict[str, list[str]] = defaultdict(list)
    for dataset in config.datasets:
        for variable in dataset.variables:
            store = config.store(variable.store)
            variables[store.key].setdefault(variable.data_id, [])
            collections[store.key].append(store.collection_key(variable.data_id))
    try:
        for item in catalog.items():
            key, data_id = item.properties.get(STORE), item.properties.get(DATA_ID)
            # Items of other configurations count: they may share the folder of profiles.
            is_cube = any(link.rel == "derived_from" for link in item.links)
            if isinstance(key, str) and isinstance(data_id, str) and not is_cube:
                names = [str(name) for name in item.properties.get("cube:variables", {})]
                for name in {data_id, item.properties.get(FILE, data_id)}:
                    variables[key].setdefault(name, []).extend(names)
                collections[key].append(str(item.collection_id))
    except StacbuildError:
        # A damaged item is reported elsewhere, and could be the match.
        return
    stores = {key: Named(variables[key], collections[key]) for key in variables}
    for line in profiles.unmatched(stores):
        progress.warn(line)
