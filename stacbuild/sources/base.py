"""What every harvester takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pystac


@dataclass(frozen=True)
class Wanted:
    """What is asked of one store.

    Parameters
    ----------
    data_ids
        Data ids of this store that the configuration's datasets use.
    preload
        Data ids whose files are to be brought to this machine now.
    force
        Fetch again what is here already.
    """

    data_ids: tuple[str, ...]
    preload: tuple[str, ...] = ()
    force: bool = False


@dataclass(frozen=True)
class Harvest:
    """One collection with its items, without links between them (the catalog adds those).

    Parameters
    ----------
    thumbnails
        PNGs by the id of the item that each is of, or of the collection if it has none yet.
    """

    collection: pystac.Collection
    items: tuple[pystac.Item, ...]
    thumbnails: Mapping[str, bytes] = field(default_factory=dict)
