"""Chunks are counted as they lie in a store, on disk or elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.storage import FsspecStore, LocalStore, MemoryStore

from stacbuild.formats.zarr_bounds import BoundedStore
from stacbuild.formats.zarr_chunks import chunk_sizes, count_chunks, expected_keys, totals


def written(path: Path, zarr_format: int = 3) -> zarr.Array:
    store = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    array = store.create_array(
        "v",
        shape=(4, 6),
        chunks=(2, 3),
        dtype="uint8",
        compressors=None,
        config={"write_empty_chunks": True},
    )
    array[:] = np.arange(24).reshape(4, 6)
    return array


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_every_chunk_is_counted_but_no_metadata(tmp_path: Path, zarr_format: int) -> None:
    array = written(tmp_path, zarr_format)
    sizes = chunk_sizes(LocalStore(tmp_path), "v")
    assert set(sizes) == set(expected_keys(array))
    assert set(sizes.values()) == {6}
    assert count_chunks(LocalStore(tmp_path), ["v"]) == {"v": {"count": 4, "bytes": 24}}
    assert chunk_sizes(BoundedStore(LocalStore(tmp_path)), "v") == sizes


def test_stray_files_count_and_missing_variables_have_none(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "v" / "notes.txt").write_text("abc")
    assert chunk_sizes(LocalStore(tmp_path), "v")["notes.txt"] == 3
    assert chunk_sizes(LocalStore(tmp_path), "w") == {}
    assert totals({}) == {"count": 0, "bytes": 0}


def test_stores_of_fsspec_are_listed_alike(tmp_path: Path) -> None:
    written(tmp_path)
    for url in (f"file://{tmp_path}", "memory://test-zarr-chunks"):
        store = FsspecStore.from_url(url)
        if url.startswith("memory"):
            for path in tmp_path.rglob("*"):
                if path.is_file():
                    store.fs.sync_fs.pipe_file(
                        f"/test-zarr-chunks/{path.relative_to(tmp_path)}", path.read_bytes()
                    )
        assert chunk_sizes(store, "v") == chunk_sizes(LocalStore(tmp_path), "v")


def test_other_stores_are_refused() -> None:
    with pytest.raises(TypeError, match="MemoryStore"):
        chunk_sizes(MemoryStore(), "v")
