"""What the items of a configuration's stores may lead to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pystac

from stacbuild.config import (
    ClmsStore,
    FileStore,
    HttpsStore,
    MemoryStore,
    S3Store,
    StacStore,
    ZenodoStore,
)
from stacbuild.config.stores import S3_HOST
from stacbuild.net.hrefs import Allowed, check_item

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stacbuild.config import Config, Store


def check_items(
    items: Iterable[pystac.Item], config: Config, store: Store, catalog_dir: Path
) -> None:
    """Refuse items whose assets lead to what the configuration does not name.

    Parameters
    ----------
    store
        The one that the items say they come from; for a cube, where cubes go.

    Raises
    ------
    IntegrityError
        Naming the file of the first such item.
    """
    allowed = _allowed(config, store, catalog_dir)
    for item in items:
        check_item(item, allowed)


def _allowed(config: Config, store: Store, catalog_dir: Path) -> Allowed:
    folders = [catalog_dir]
    for each in config.data_stores:
        if isinstance(each, FileStore):
            folders.append(each.root)
        elif isinstance(each, ZenodoStore | ClmsStore):
            folders.append(each.cache)
        elif isinstance(each, StacStore) and each.folder:
            folders.append(each.folder)
    return Allowed(tuple(folders), _servers(store), _s3_root(store))


def _s3_root(store: Store) -> str | None:
    if isinstance(store, S3Store):
        return store.s3_url("")
    # A catalog names buckets as it likes, but the server is that of the configuration.
    return "s3://" if isinstance(store, StacStore) and not store.anonymous else None


def _servers(store: Store) -> tuple[str, ...]:
    match store:
        case ZenodoStore() | ClmsStore():
            return (store.api,)
        case S3Store():
            return (store.endpoint_url or f"https://{S3_HOST}",)
        case HttpsStore():
            return (store.root,)
        case StacStore():
            return (store.server,)
        case FileStore() | MemoryStore():
            return ()
