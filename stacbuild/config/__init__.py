"""The configuration: one YAML file in the language of the notebook's tool.

>>> config = load_config("scs2_config.yml")  # doctest: +SKIP
>>> [dataset.identifier for dataset in config.datasets]  # doctest: +SKIP
['senf', 'gami', 'liu', 'clms']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stacbuild.config.datasets import (
        CustomProcessing,
        Dataset,
        MultiDataset,
        SingleDataset,
        SourceVariable,
    )
    from stacbuild.config.load import config_schema, load_config
    from stacbuild.config.models import Config, General, GridMapping, PreloadDataset
    from stacbuild.config.store import Store

__all__ = [
    "Config",
    "CustomProcessing",
    "Dataset",
    "General",
    "GridMapping",
    "MultiDataset",
    "PreloadDataset",
    "SingleDataset",
    "SourceVariable",
    "Store",
    "config_schema",
    "load_config",
]

# Imported on first use: the models of stores are part of the configuration's models and import
# their base class from this package.
_MODULES = {
    "Config": "models",
    "CustomProcessing": "datasets",
    "Dataset": "datasets",
    "General": "models",
    "GridMapping": "models",
    "MultiDataset": "datasets",
    "PreloadDataset": "models",
    "SingleDataset": "datasets",
    "SourceVariable": "datasets",
    "Store": "store",
    "config_schema": "load",
    "load_config": "load",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
