"""Detection of files that were added to a data id of several files, or removed from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stacbuild.sources.file.files import listing_of
from stacbuild.sources.matching import known_files, why_other_files

if TYPE_CHECKING:
    import pystac

    from stacbuild.sources.file.store import FileStore


def why_changed(store: FileStore, data_id: str, items: Sequence[pystac.Item]) -> str:
    """Return why a data id now matches other files; empty if it does not."""
    return why_other_files(data_id, listing_of(store), known_files(items))
