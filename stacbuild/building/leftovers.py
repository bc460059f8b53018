"""Leftovers of interrupted runs, of cubes that are up to date or no longer configured."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from stacbuild import progress
from stacbuild.errors import StacbuildError
from stacbuild.locks import hold
from stacbuild.planning.resolve import output_named
from stacbuild.storage.journal import Journal
from stacbuild.storage.kinds import storage_of
from stacbuild.storage.ownership import check_surroundings, is_own

if TYPE_CHECKING:
    from stacbuild.config import Config
    from stacbuild.stac.catalog import Catalog
    from stacbuild.storage.output import Output


def clean_up(output: Output) -> None:
    """Remove the leftovers of an earlier run of a cube that is up to date.

    Leftovers of another configuration, or of a run that is still writing, are not touched.
    """
    if not output.journal.exists() and not output.storage.lost_paths(output):
        return
    with contextlib.suppress(StacbuildError), hold(output.lock, output.identifier):
        check_surroundings(output, locked=True)
        output.storage.clear(output)


def warn_of_unfinished(config: Config, catalog: Catalog) -> None:
    """Warn of leftovers of interrupted runs of datasets that are no longer configured."""
    names = {each.identifier for each in config.datasets}
    for path in storage_of(config.storage).journals(catalog, names):
        journal = Journal.read(path)
        name = str(journal.owner.get("dataset")) if journal is not None else ""
        if journal is None or not journal.owner or name in names:
            continue
        output = output_named(config, name, catalog)
        if path == output.journal and is_own(output, journal.owner):
            file = config.path.name if config.path is not None else "CONFIG"
            progress.warn(
                f"{path}: a run of {name!r} was interrupted, and {file} no longer has this "
                f"dataset; add it again to resume, or remove the leftovers: stacbuild remove "
                f"{file} {name}"
            )
