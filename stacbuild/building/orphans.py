"""What interrupted runs left that no build comes back to.

Either the journal of a run is gone, or its dataset is no longer in the configuration. Beside what a
run writes stands a file ``.<cube>.<token>.owner`` that says whose it is, as the journal does: what
has that token in its name is then known as ours, since a token is taken only if nothing has it.
"""

from __future__ import annotations

import contextlib
import glob
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild.config import FileStore, S3Store
from stacbuild.planning.resolve import collection_id
from stacbuild.storage.journal import Journal
from stacbuild.storage.ownership import Place, is_own, staging_folder

if TYPE_CHECKING:
    from stacbuild.config import Config
    from stacbuild.stac.catalog import Catalog

_ANY_TOKEN = "[0-9a-f]" * 8


def signed_path(place: Place, token: str) -> Path:
    """Return the file that says whose the names with a token are."""
    return staging_folder(place, token).with_suffix(".owner")


def sign(place: Place, token: str) -> None:
    """Write that file."""
    content = {"version": 1, "token": token, "owner": place.owner()}
    signed_path(place, token).write_text(json.dumps(content))


def lost_tokens(place: Place) -> list[str]:
    """Return the tokens of runs of a cube whose journal is gone; nobody else's."""
    folder, journal, found = place.journal.parent, Journal.read(place.journal), []
    for path in sorted(folder.glob(f".{glob.escape(place.name)}.zarr.{_ANY_TOKEN}.owner")):
        if path.is_symlink() or not path.is_file():
            continue
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            content = json.loads(path.read_bytes())
            token, owner = str(content["token"]), dict(content["owner"])
            if owner and is_own(place, owner) and path == signed_path(place, token):
                found.append(token)
    return [token for token in found if journal is None or token != journal.token]


def lost_paths(place: Place) -> list[Path]:
    """Return what runs of a cube left whose journal is gone."""
    found = []
    for token in lost_tokens(place):
        folder = staging_folder(place, token)
        names = (folder, folder.with_suffix(".old"), folder.with_suffix(".gone"))
        found += [path for path in (*names, signed_path(place, token)) if path.exists()]
    return found


def forgotten(config: Config, catalog: Catalog) -> Iterator[tuple[str, Path]]:
    """Yield datasets that the configuration has no more and that a run began, with its journal."""
    storage, names = config.storage, {each.identifier for each in config.datasets}
    if isinstance(storage, FileStore):
        folders = {(storage.root / name).parent for name in names} | {storage.root}
        pattern = ".*.zarr.journal"
    elif isinstance(storage, S3Store):
        folders, pattern = {catalog.root}, ".*.journal"
    else:
        return
    for folder in sorted(folders):
        for path in sorted(folder.glob(pattern)):
            journal = Journal.read(path)
            name = str(journal.owner.get("dataset")) if journal is not None else ""
            if journal is None or not journal.owner or name in names:
                continue
            place = Place(storage, name, catalog, collection_id(config), config.path)
            if path == place.journal and is_own(place, journal.owner):
                yield name, path
