"""What interrupted runs left of cubes that are up to date or given up."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from stacbuild import progress
from stacbuild.building.orphans import forgotten
from stacbuild.errors import StacbuildError
from stacbuild.locks import hold
from stacbuild.sources.file.store import FileStore
from stacbuild.sources.s3.store import S3Store
from stacbuild.storage.journal import Journal
from stacbuild.storage.ownership import Place, check_beside
from stacbuild.storage.signs import lost_tokens

if TYPE_CHECKING:
    from stacbuild.config import Config
    from stacbuild.stac.catalog import Catalog


def tidy(place: Place) -> None:
    """Remove what an earlier run left of a cube that is up to date.

    What is another configuration's, or is being written, is left alone.
    """
    is_local = isinstance(place.storage, FileStore)
    if not place.journal.exists() and not (is_local and lost_tokens(place)):
        return
    with contextlib.suppress(StacbuildError), hold(place.lock, place.identifier):
        check_beside(place, locked=True)
        clear(place)


def clear(place: Place) -> None:
    """Remove what an earlier run left of a cube whose lock is held, but for the cube itself."""
    journal = Journal.read(place.journal)
    # Imported when used: to see that there is nothing to do should take no longer than that.
    if isinstance(place.storage, FileStore):
        from stacbuild.storage.stage_file import Site

        site = Site(place, place.journal.parent)
        site.sweep()
        left = site.mend(journal) if journal is not None else None
        if left is not None and site.is_public(left):
            site.finish(left)
        elif left is not None:
            site.remove_staged(left)
            left.remove()
    elif isinstance(place.storage, S3Store) and journal is not None:
        from stacbuild.storage.stage_s3 import mend_s3

        mend_s3(place, place.storage)


def tell_of_forgotten(config: Config, catalog: Catalog) -> None:
    """Warn of what interrupted runs left of datasets that the configuration has no more."""
    for name, journal in forgotten(config, catalog):
        given = config.path.name if config.path is not None else "CONFIG"
        progress.warn(
            f"{journal}: a run of {name!r} did not end, and {given} has no such dataset any more; "
            f"add it again to go on, or remove what is left: stacbuild remove {given} {name}"
        )
