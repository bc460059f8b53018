"""Listed data ids, patterns, and stores from parameters, for all kinds of store."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from stacbuild.config.models import hint
from stacbuild.config.other_stores import INSTEAD, PROVIDERS, stac_store
from stacbuild.config.store import Store
from stacbuild.config.stores import AnyStore, kinds_that
from stacbuild.errors import ConfigError

_READABLE = kinds_that(lambda model: model.readable)
_ADAPTER: TypeAdapter[Store] = TypeAdapter(AnyStore)


@dataclass(frozen=True)
class Entry:
    """A data id of a store, or (ending with ``/``) a prefix of several.

    Parameters
    ----------
    type
        GeoTIFF, Zarr, zip archive or collection.
    size
        Bytes, if the store lists it.
    title
        Title in the source.
    """

    data_id: str
    type: str
    size: int | None = None
    title: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-serializable data without unknown values."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def make_store(
    store_id: str | Store, root: str = "", params: Mapping[str, Any] | None = None
) -> Store:
    """Return a store from its parameters; paths are relative to the current folder.

    Parameters
    ----------
    store_id
        Kind of store, or a store of a configuration, which is returned as it is.

    Raises
    ------
    ConfigError
        With a line for each mistake.
    """
    if not isinstance(store_id, str):
        if root or params:
            raise ConfigError(
                f"store {store_id.identifier!r} of the configuration has its own root and "
                "parameters; leave these out"
            )
        if store_id.store_id in _READABLE:
            return store_id
        store_id = store_id.store_id
    if store_id not in (*_READABLE, *PROVIDERS):
        if store_id in INSTEAD:
            raise ConfigError(f"{store_id!r} is not supported; {INSTEAD[store_id]}")
        raise ConfigError(
            f"{store_id!r} is not a kind of store to read from{hint(store_id, _READABLE)}"
        )
    store_params = dict(params or {}) | ({"root": root} if root else {})
    try:
        data = {"identifier": "source", "store_id": store_id, "store_params": store_params}
        return _ADAPTER.validate_python(stac_store(data))
    except ValidationError as error:
        problems = []
        for each in error.errors(include_url=False, include_input=False):
            key = ".".join(str(part) for part in each["loc"][2:])
            message = each["msg"].removeprefix("Value error, ")
            problems.append(f"{store_id} {key or 'parameters'}: {message}")
        raise ConfigError(problems) from None


def matches(data_id: str, pattern: str | None) -> bool:
    """Return whether a data id matches a pattern; without one, all do."""
    return pattern is None or fnmatch.fnmatchcase(data_id, pattern)


def matches_inside(name: str, pattern: str | None) -> bool:
    """Return whether a pattern may match data ids below *name*: it has a ``/``, and that prefix."""
    return pattern is not None and "/" in pattern and matches(name, pattern.partition("/")[0])
