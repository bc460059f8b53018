"""Listing of a folder."""

from __future__ import annotations

from collections.abc import Iterator

import fsspec

from stacbuild.sources.file.store import FileStore
from stacbuild.sources.listing_base import Entry
from stacbuild.sources.object_listing import Root, list_objects


def entries(store: FileStore, match: str | None) -> Iterator[Entry]:
    """Yield the data ids below the folder, as `list_objects`; hidden files are left out."""
    for entry in list_objects(Root(fsspec.filesystem("file"), str(store.root)), match):
        if not any(part.startswith(".") for part in entry.data_id.split("/")):
            yield entry
