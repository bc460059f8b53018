"""What the items of a configuration's stores may lead to."""

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
    folders = [each.folder for each in config.data_stores if each.folder]
    allowed = Allowed((catalog_dir, *folders), store.servers, store.s3_root)
    for item in items:
        check_item(item, allowed)
