"""What interrupted runs left of cubes that are up to date or given up."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from stacbuild.config import FileStore, S3Store
from stacbuild.cubes.journal import Journal
from stacbuild.cubes.ownership import Place, check_beside
from stacbuild.errors import StacbuildError
from stacbuild.locks import hold

if TYPE_CHECKING:
    from stacbuild.progress import Reporter


def tidy(place: Place, reporter: Reporter) -> None:
    """Remove what an earlier run left of a cube that is up to date.

    What is another configuration's, or is being written, is left alone.
    """
    if not place.journal.exists():
        return
    with contextlib.suppress(StacbuildError), hold(place.lock, place.identifier):
        check_beside(place, locked=True)
        clear(place, reporter)


def clear(place: Place, reporter: Reporter) -> None:
    """Remove what an earlier run left of a cube whose lock is held, but for the cube itself."""
    journal = Journal.read(place.journal)
    if journal is None:
        return
    # Imported when used: to see that there is nothing to do should take no longer than that.
    if isinstance(place.storage, FileStore):
        from stacbuild.cubes.stage_file import Site

        site = Site(place, place.journal.parent)
        left = site.mend(journal, reporter)
        if left is not None and site.is_public(left):
            site.finish(left, reporter)
        elif left is not None:
            site.remove_staged(left)
            left.remove()
    elif isinstance(place.storage, S3Store):
        from stacbuild.cubes.stage_s3 import mend_s3

        mend_s3(place, place.storage, reporter)
