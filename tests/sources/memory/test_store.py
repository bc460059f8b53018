"""Memory of the process as a store, which only takes cubes."""

from __future__ import annotations

from stacbuild.sources.memory.store import MemoryStore


def test_it_takes_cubes_and_nothing_is_read_from_it() -> None:
    store = MemoryStore.model_validate({"identifier": "storage", "store_id": "memory"})
    assert (store.readable, store.listable, store.writable) == (False, False, True)
    assert (store.root, store.key, store.folder) == ("stacbuild", "memory:stacbuild", None)
    params = {"root": "/a/b/"}
    other = MemoryStore.model_validate(
        {"identifier": "storage", "store_id": "memory", "store_params": params}
    )
    assert other.key == "memory:a/b"
