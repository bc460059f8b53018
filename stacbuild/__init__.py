"""stacbuild: from one YAML file to Zarr cubes and the STAC catalog that finds them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stacbuild.api import (
        build,
        describe,
        export,
        generate,
        harvest,
        list_data,
        load,
        open_catalog,
        open_cube,
        plan,
        remove,
        validate,
    )
    from stacbuild.building import CubeResult
    from stacbuild.config import Config, load_config
    from stacbuild.errors import (
        AuthError,
        BuildError,
        ConfigError,
        ConflictError,
        Failures,
        IntegrityError,
        LocalError,
        LockedError,
        MissingError,
        NoKeysError,
        NotFoundError,
        RemoteError,
        StacbuildError,
    )
    from stacbuild.multistore import MultiSourceDataStore
    from stacbuild.planning import CubePlan
    from stacbuild.progress import Reporter
    from stacbuild.removal.remove import Removal
    from stacbuild.sources import HarvestResult
    from stacbuild.sources.listing_base import Entry
    from stacbuild.validation.found import Found
    from stacbuild.validation.validate import Check

    __version__: str

__all__ = [
    "AuthError",
    "BuildError",
    "Check",
    "Config",
    "ConfigError",
    "ConflictError",
    "CubePlan",
    "CubeResult",
    "Entry",
    "Failures",
    "Found",
    "HarvestResult",
    "IntegrityError",
    "LocalError",
    "LockedError",
    "MissingError",
    "MultiSourceDataStore",
    "NoKeysError",
    "NotFoundError",
    "RemoteError",
    "Removal",
    "Reporter",
    "StacbuildError",
    "__version__",
    "build",
    "describe",
    "export",
    "generate",
    "harvest",
    "list_data",
    "load",
    "load_config",
    "open_catalog",
    "open_cube",
    "plan",
    "remove",
    "validate",
]

# Modules are imported when one of their names is first used, since `stacbuild --help` needs none of
# their dependencies.
_MODULES = {
    "api": (
        "build describe export generate harvest list_data load open_catalog open_cube plan "
        "remove validate"
    ),
    "building": "CubeResult",
    "config": "Config load_config",
    "errors": (
        "AuthError BuildError ConfigError ConflictError Failures IntegrityError LocalError "
        "LockedError MissingError NoKeysError NotFoundError RemoteError StacbuildError"
    ),
    "multistore": "MultiSourceDataStore",
    "planning": "CubePlan",
    "progress": "Reporter",
    "removal.remove": "Removal",
    "sources": "HarvestResult",
    "sources.listing_base": "Entry",
    "validation.found": "Found",
    "validation.validate": "Check",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # Imported when used: it would take most of the import time of the package.
        from importlib.metadata import version

        return version("stacbuild")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
