"""What a store answers for itself where its kind does not say otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacbuild.config.store import Store


class Plain(Store):
    """Nothing but what is needed."""

    @property
    def key(self) -> str:
        return "plain:"


class Cached(Plain):
    """A cache beside the configuration."""

    @property
    def cache(self) -> Path:
        return Path("/cache")


def test_an_ordinary_server_is_read_in_place() -> None:
    store = Plain(identifier="s", store_id="plain")
    assert (store.readable, store.listable, store.described_in_place) == (True, True, True)
    assert (store.writable, store.preloadable, store.is_mixed) == (False, False, False)
    assert (store.cache, store.own_cache, store.folder, store.catalog_folder) == (None,) * 4
    assert (store.path("a"), store.address("a"), store.s3_root) == (None, None, None)
    assert (store.servers, store.s3_options, store.implied_params) == ((), {}, {})
    assert store.collection_key("a/b") == "a/b"
    assert store.params_of("https://x", signed=True) == {}
    with pytest.raises(TypeError, match="abstract"):
        Store(identifier="s", store_id="plain")


def test_items_of_what_is_cached_lead_into_the_cache() -> None:
    store = Cached(identifier="s", store_id="cached")
    assert store.own_cache == store.folder == Path("/cache")
