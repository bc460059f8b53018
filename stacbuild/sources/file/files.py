"""Listing of the files that a data id matches in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator

from stacbuild.errors import LocalError
from stacbuild.sources.file.store import FileStore
from stacbuild.sources.matching import Found, Listing


def listing_of(store: FileStore) -> Listing:
    """Return the listing of a folder, read when it is used."""
    root = str(store.root)

    def list_folder(path: str) -> Iterator[Found]:
        folder = os.path.join(root, path) if path else root  # noqa: PTH118 - as fast as scandir
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    below = f"{path}/{entry.name}" if path else entry.name
                    yield Found(below, entry.is_dir(), entry.is_symlink())
        except (FileNotFoundError, NotADirectoryError):
            if not path:
                raise LocalError(f"{folder}: there is no such folder; check root") from None
        except OSError as error:
            raise LocalError(f"{folder}: cannot be listed: {error.strerror}") from error

    return Listing(store.key, list_folder)
