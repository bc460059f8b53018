"""The registry of kinds of store: one line per kind, with its package.

Modules are imported late: reading a configuration needs the models of all kinds, but no harvester.
"""

from __future__ import annotations

import importlib
from types import ModuleType

KINDS = {
    "zenodo": "stacbuild.sources.zenodo",
    "s3": "stacbuild.sources.s3",
    "file": "stacbuild.sources.file",
    "https": "stacbuild.sources.https",
    "memory": "stacbuild.sources.memory",
    "clms": "stacbuild.sources.clms",
    "stac": "stacbuild.sources.stac",
}
"""The package of each kind by its ``store_id``; `stacbuild.sources.base` defines its content."""


def load_module(store_id: str, name: str) -> ModuleType:
    """Import a module of the package of a kind, such as ``harvest``."""
    return importlib.import_module(f"{KINDS[store_id]}.{name}")
