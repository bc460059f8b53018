"""Kinds of store that can be read from, with their parameters as the models have them."""

from __future__ import annotations

from stacbuild.sources.kinds import sources
from stacbuild.sources.stac.providers import STORE_IDS


def test_each_readable_kind_with_what_it_needs() -> None:
    found = {kind.store_id: kind.to_dict() for kind in sources()}
    assert [kind for kind in found if kind not in STORE_IDS] == [
        "clms", "file", "https", "s3", "stac", "zenodo"
    ]  # fmt: skip
    assert set(found) >= set(STORE_IDS)
    assert found["stac-pc"]["parameters"] == []
    assert found["stac-usgs"]["parameters"] == ["key", "secret"]
    assert found["file"]["required"] == ["root"]
    assert found["stac"]["required"] == []
    assert "storage_options.client_kwargs.endpoint_url" in found["s3"]["parameters"]
    # A key of a mapping that may be left out may be left out.
    assert found["zenodo"]["required"] == ["root"]
    assert "cache_store_params.root" in found["zenodo"]["parameters"]
    assert all(kind["summary"].endswith(".") for kind in found.values())
