"""What would take more memory than there is, is refused before it is decoded."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import LocalStore

from stacbuild.errors import IntegrityError
from stacbuild.formats.zarr_bounds import BoundedStore, decoded_bytes


def get(store: BoundedStore, key: str) -> bytes | None:
    found = asyncio.run(store.get(key, default_buffer_prototype()))
    return None if found is None else found.to_bytes()


@pytest.mark.parametrize("size", [10, 200, 300, 70_000, 2**20])
def test_zstd_and_blosc_say_what_they_decode_to(size: int) -> None:
    # Zstandard leaves the length of short frames out where it is not asked for.
    blosc = numcodecs.Blosc("lz4").encode(np.zeros(size, "uint8"))
    assert decoded_bytes(blosc[:18], len(blosc)) == size
    zstd = bytes(numcodecs.Zstd(1).encode(np.zeros(size, "uint8")))
    assert decoded_bytes(zstd[:18], len(zstd)) == size


@pytest.mark.parametrize(
    "start", [b"", b"plain values", b"\x1f\x8b" + b"\0" * 16, b"\x28\xb5\x2f\xfd"]
)
def test_others_do_not_say(start: bytes) -> None:
    assert decoded_bytes(start, 100) is None


def array(path: Path, **changes: Any) -> BoundedStore:
    zarr.create_array(path, shape=(100,), chunks=(10,), dtype="uint8", name="v")[:] = 1
    if changes:
        file = path / "v" / "zarr.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return BoundedStore(LocalStore(path), "https://host.example/a.zarr")


def test_a_chunk_of_the_length_that_it_may_have_is_read(tmp_path: Path) -> None:
    store = array(tmp_path)
    assert get(store, "v/zarr.json")
    assert get(store, "v/c/0")
    assert get(store, "v/c/99") is None


def test_a_chunk_that_decompresses_to_far_more_is_refused(tmp_path: Path) -> None:
    store = array(tmp_path)
    get(store, "v/zarr.json")
    (tmp_path / "v" / "c" / "0").write_bytes(numcodecs.Zstd(1).encode(bytes(2 << 20)))
    with pytest.raises(IntegrityError, match=r"https://host\.example/a\.zarr/v/c/0: "):
        get(store, "v/c/0")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shape": [10**12]}, "1e.12 values"),
        ({"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [0]}}}, "no length"),
    ],
)
def test_lengths_that_cannot_be_worked_with(tmp_path: Path, changes: Any, said: str) -> None:
    with pytest.raises(IntegrityError, match=said):
        get(array(tmp_path, **changes), "v/zarr.json")


def test_a_chunk_of_gigabytes_is_refused(tmp_path: Path) -> None:
    grid = {"name": "regular", "configuration": {"chunk_shape": [10**10]}}
    store = array(
        tmp_path,
        shape=[10**8, 10],
        chunk_grid=grid | {"configuration": {"chunk_shape": [10**9, 10]}},
    )
    get(store, "v/zarr.json")
    with pytest.raises(IntegrityError, match="rechunk"):
        get(store, "v/c/0")


@pytest.mark.parametrize("content", ["{", "[1]", "[" * 100_000])
def test_metadata_that_are_none_are_named(tmp_path: Path, content: str) -> None:
    store = array(tmp_path)
    (tmp_path / "v" / "zarr.json").write_text(content)
    with pytest.raises(IntegrityError, match=r"v/zarr\.json: .* JSON"):
        get(store, "v/zarr.json")
