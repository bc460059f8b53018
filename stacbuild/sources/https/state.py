"""Detection of files of a web server that were added to a data id, or removed from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stacbuild.config.data_ids import entries
from stacbuild.config.patterns import is_pattern
from stacbuild.sources.https.files import listing_of
from stacbuild.sources.matching import known_files, why_other_files

if TYPE_CHECKING:
    import pystac

    from stacbuild.sources.https.store import HttpsStore


def why_changed(store: HttpsStore, data_id: str, items: Sequence[pystac.Item]) -> str:
    """Return why a data id now matches other files; empty if it does not.

    Folders are listed for patterns only: a list states its files.
    """
    if not any(map(is_pattern, entries(data_id))):
        return ""
    return why_other_files(data_id, listing_of(store), known_files(items))
