"""What lies where a download goes and was not fetched: never written over, never removed."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from stacbuild.errors import ConflictError

_REMEDY = "move it away, or name another folder as the store's cache"


def check_file(path: Path, *, is_ours: bool) -> None:
    """Refuse to replace a file that was not fetched.

    Raises
    ------
    ConflictError
        If there is one and it is not ours.
    """
    if os.path.lexists(path) and not is_ours:
        raise ConflictError(
            f"{path}: stacbuild did not fetch this file, nor is it the one that belongs there; "
            f"{_REMEDY}"
        )


def check_folder(folder: Path, known: Collection[Path]) -> None:
    """Refuse to replace a folder in which a file is that was not unpacked there.

    Parameters
    ----------
    known
        Files that were, or that may as well be replaced.

    Raises
    ------
    ConflictError
        Naming the first other file.
    """
    if folder.is_symlink() or not folder.is_dir():
        check_file(folder, is_ours=False)
        return
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in sorted([*names, *links]):
            check_file(Path(parent, name), is_ours=Path(parent, name) in known)
