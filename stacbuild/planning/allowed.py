"""Check that items only refer to files and servers that the configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pystac

from stacbuild.net.hrefs import Allowed, check_item

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stacbuild.config import Config, Store


def check_items(
    items: Iterable[pystac.Item], config: Config, store: Store, catalog_dir: Path
) -> None:
    """Check that the assets of items are in folders and on servers of the configuration.

    Parameters
    ----------
    store
        The store that the items come from; for items of cubes, the storage.

    Raises
    ------
    IntegrityError
        If an href refers elsewhere; names the item's file.
    """
    allowed = Allowed((catalog_dir, *config.folders), store.servers, store.s3_root)
    for item in items:
        check_item(item, allowed)
