"""Detection of changes of a local catalog since it was harvested."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild import progress
from stacbuild.errors import NotFoundError, StacbuildError
from stacbuild.sources.stac.query import parse
from stacbuild.sources.stac.reader import Reader
from stacbuild.sources.stac.search import find, is_api

if TYPE_CHECKING:
    import pystac

    from stacbuild.sources.stac.found import Found
    from stacbuild.sources.stac.store import StacStore

FOUND = "stacbuild:found"
"""Property of an item from a local catalog: the number of items of its data id, and a digest of
their content."""


def state_of(founds: Sequence[Found]) -> str:
    """Return the number of items and a digest of their content, without their locations."""
    contents = sorted(json.dumps(found.content, sort_keys=True) for found in founds)
    digest = hashlib.sha256("\n".join(contents).encode()).hexdigest()[:16]
    return f"{len(contents)}-{digest}"


def why_changed(store: StacStore, data_id: str, items: Sequence[pystac.Item]) -> str:
    """Return why a data id of a local catalog now matches other items; empty if it does not.

    Only documents of the catalog are read. If one cannot be read, nothing counts as changed:
    harvesting would fail.
    """
    known = {str(item.properties.get(FOUND, "")) for item in items}
    # Items without the property are from an older version.
    if store.folder is None or "" in known or not Path(store.location).exists():
        return ""
    try:
        with progress.reported_to(progress.Silent()), Reader(store) as reader:
            if is_api(reader.json(reader.root)):
                return ""
            now = state_of(find(reader, parse(data_id)))
    except NotFoundError:
        return "its catalog has no such item any more"
    except StacbuildError:
        return ""
    if known == {now}:
        return ""
    before, after = min(known).partition("-")[0], now.partition("-")[0]
    if before != after:
        return f"its catalog has {after} items for it now, {before} when it was harvested"
    return "an item of its catalog changed since it was harvested"
