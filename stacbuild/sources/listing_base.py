"""What all kinds of store share when they are looked into."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from stacbuild.config.models import hint
from stacbuild.config.other_stores import INSTEAD, STAC_APIS, stac_store
from stacbuild.config.store import Store
from stacbuild.config.stores import AnyStore, kinds_that
from stacbuild.errors import ConfigError

_READABLE = kinds_that(lambda model: model.readable)
_ADAPTER: TypeAdapter[Store] = TypeAdapter(AnyStore)


@dataclass(frozen=True)
class Entry:
    """One data id of a store, or (with ``/`` at its end) what holds more of them.

    Parameters
    ----------
    type
        In words: GeoTIFF, Zarr, zip archive, collection.
    size
        Bytes, if the store tells without being asked for each.
    title
        In the words of its source.
    """

    data_id: str
    type: str
    size: int | None = None
    title: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data; what is not known is left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def make_store(
    store_id: str | Store, root: str = "", params: Mapping[str, Any] | None = None
) -> Store:
    """Make a store from words, as a configuration would; relative paths start here.

    Parameters
    ----------
    store_id
        Kind of store. A store of a configuration is returned as it is.

    Raises
    ------
    ConfigError
        A line for each mistake.
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
    if store_id not in (*_READABLE, *STAC_APIS):
        if store_id in INSTEAD:
            raise ConfigError(f"{store_id!r} is not supported; {INSTEAD[store_id]}")
        raise ConfigError(
            f"{store_id!r} is not a kind of store to read from{hint(store_id, _READABLE)}"
        )
    given = dict(params or {})
    if root:
        given["root"] = root
    try:
        stated = {"identifier": "source", "store_id": store_id, "store_params": given}
        return _ADAPTER.validate_python(stac_store(stated))
    except ValidationError as error:
        problems = []
        for each in error.errors(include_url=False, include_input=False):
            key = ".".join(str(part) for part in each["loc"][2:])
            said = each["msg"].removeprefix("Value error, ")
            problems.append(f"{store_id} {key or 'parameters'}: {said}")
        raise ConfigError(problems) from None


def matches(data_id: str, pattern: str | None) -> bool:
    """Return whether a data id fits a pattern; every one fits none."""
    return pattern is None or fnmatch.fnmatchcase(data_id, pattern)


def looks_into(name: str, pattern: str | None) -> bool:
    """Return whether a pattern asks for what is inside *name*: it has a ``/`` and fits so far."""
    return pattern is not None and "/" in pattern and matches(name, pattern.partition("/")[0])
