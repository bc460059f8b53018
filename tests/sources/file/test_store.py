"""A folder as a store."""

from __future__ import annotations

from pathlib import Path

from stacbuild.sources.file.store import FileStore


def test_paths_are_below_the_folder_and_the_key_is_as_written(tmp_path: Path) -> None:
    data = {"identifier": "local", "store_id": "file", "store_params": {"root": "../maps"}}
    context = {"directory": tmp_path / "config", "path": None, "known": {}}
    store = FileStore.model_validate(data, context=context)
    assert store.key == "file:../maps"
    assert store.root == store.folder == tmp_path / "maps"
    assert store.path("/a/b.tif/") == tmp_path / "maps" / "a" / "b.tif"
    assert store.address("a/b.tif") is None
    assert store.writable
