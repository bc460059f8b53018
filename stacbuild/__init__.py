"""stacbuild: from one YAML file to Zarr cubes and the STAC catalog that finds them."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stacbuild.api import build, generate, harvest, open_cube, plan, remove
    from stacbuild.config import load_config
    from stacbuild.multistore import MultiSourceDataStore

__version__ = version("stacbuild")
__all__ = [
    "MultiSourceDataStore",
    "__version__",
    "build",
    "generate",
    "harvest",
    "load_config",
    "open_cube",
    "plan",
    "remove",
]

# Imported when first asked for: `stacbuild --help` needs none of what they need.
_PLACES = {
    "MultiSourceDataStore": "stacbuild.multistore",
    "build": "stacbuild.api",
    "generate": "stacbuild.api",
    "harvest": "stacbuild.api",
    "load_config": "stacbuild.config",
    "open_cube": "stacbuild.api",
    "plan": "stacbuild.api",
    "remove": "stacbuild.api",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
