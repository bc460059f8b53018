"""Whose the names with a token are: what interrupted runs left whose journal is gone.

Beside what a run writes stands a file ``.<cube>.<token>.owner`` that says whose it is, as the
journal does: what has that token in its name is then known as ours, since a token is taken only if
nothing has it.
"""

from __future__ import annotations

import contextlib
import glob
import json
from pathlib import Path

from stacbuild.storage.journal import Journal
from stacbuild.storage.ownership import Place, is_own, staging_folder

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
