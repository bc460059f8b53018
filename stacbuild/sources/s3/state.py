"""Detection of files of a bucket that were added to a data id, or removed from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stacbuild.config.data_ids import entries
from stacbuild.config.patterns import is_pattern
from stacbuild.sources.matching import known_files, why_other_files
from stacbuild.sources.s3.files import listing_of

if TYPE_CHECKING:
    import pystac

    from stacbuild.sources.s3.store import S3Store


def why_changed(store: S3Store, data_id: str, items: Sequence[pystac.Item]) -> str:
    """Return why a data id now matches other files; empty if it does not.

    Folders are listed for patterns only: a list states its files.
    """
    if not any(map(is_pattern, entries(data_id))):
        return ""
    return why_other_files(data_id, listing_of(store), known_files(items))
