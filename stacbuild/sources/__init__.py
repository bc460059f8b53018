"""Kinds of store, a package each, and what they share: harvest, list, describe, preload.

`stacbuild.sources.base` documents the package of a kind.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stacbuild.sources.base import Wanted
    from stacbuild.sources.harvesting import (
        PROFILE,
        HarvestResult,
        harvest,
        harvest_store,
        load_profiles,
        profile_digest,
        skipped_ids,
    )

__all__ = [
    "PROFILE",
    "HarvestResult",
    "Wanted",
    "harvest",
    "harvest_store",
    "load_profiles",
    "profile_digest",
    "skipped_ids",
]


def __getattr__(name: str) -> Any:
    # Imported on first use: the configuration imports the models of kinds from this package.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "base" if name == "Wanted" else "harvesting"
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
