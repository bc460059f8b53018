"""Listing of a bucket."""

from __future__ import annotations

from collections.abc import Iterator

from stacbuild.sources.listing_base import Entry
from stacbuild.sources.object_listing import Root, list_objects
from stacbuild.sources.s3.store import S3Store


def entries(store: S3Store, match: str | None) -> Iterator[Entry]:
    """Yield the data ids below the bucket or prefix, as `list_objects`."""
    # Imported when used: it takes a third of a second.
    from stacbuild.formats.s3_system import S3FileSystem

    options = store.storage_options
    system = S3FileSystem(**options)
    return list_objects(Root(system, store.root, "s3://", options), match)
