"""Listing of a folder's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacbuild.errors import LocalError
from stacbuild.sources.file.files import listing_of
from stacbuild.sources.file.store import FileStore


def store_at(root: Path) -> FileStore:
    return FileStore(identifier="own", store_id="file", store_params={"root": str(root)})


def test_what_is_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "ü" / "x").mkdir(parents=True)
    (tmp_path / "ü" / "a.tif").touch()
    (tmp_path / "ü" / "gone.tif").symlink_to(tmp_path / "nothing")
    listing = listing_of(store_at(tmp_path))
    found = listing.folder("ü")
    assert [(each.path, each.is_folder, each.is_link) for each in found.values()] == [
        ("ü/a.tif", False, False), ("ü/gone.tif", False, True), ("ü/x", True, False),
    ]  # fmt: skip
    assert listing.folder("no/such") == listing.folder("ü/a.tif") == {}


def test_a_root_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="there is no such folder; check root"):
        listing_of(store_at(tmp_path / "none")).folder("")
