"""What every harvester takes."""

from __future__ import annotations

from dataclasses import dataclass


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
