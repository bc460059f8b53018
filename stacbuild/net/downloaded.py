"""Protection of files that were not downloaded: never overwritten, never removed."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from stacbuild.errors import ConflictError

_REMEDY = "move it away, or name another folder as the store's cache"


def check_file(path: Path, *, is_ours: bool) -> None:
    """Raise ConflictError if a file exists that is not ours to replace."""
    if os.path.lexists(path) and not is_ours:
        raise ConflictError(
            f"{path}: stacbuild did not fetch this file, nor is it the expected one; {_REMEDY}"
        )


def check_folder(folder: Path, known: Collection[Path]) -> None:
    """Raise ConflictError if a folder contains a file, which it names, that is not *known*.

    Parameters
    ----------
    known
        Files that were unpacked there or may be replaced.
    """
    if folder.is_symlink() or not folder.is_dir():
        check_file(folder, is_ours=False)
        return
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in sorted([*names, *links]):
            check_file(Path(parent, name), is_ours=Path(parent, name) in known)
