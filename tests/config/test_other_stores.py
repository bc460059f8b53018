"""Kinds of store of the notebook's tool: providers of STAC APIs, and a way for others."""

from __future__ import annotations

from typing import Any

import pytest

from stacbuild.config.other_stores import INSTEAD, PROVIDERS, as_stac, stac_store
from stacbuild.kinds import KINDS


def params(kind: str, **given: Any) -> Any:
    store = stac_store({"identifier": "s", "store_id": kind, "store_params": given})
    assert store["store_id"] == "stac"
    return store["store_params"]


def test_no_kind_is_known_and_told_of_at_once() -> None:
    assert not KINDS.keys() & (INSTEAD.keys() | PROVIDERS.keys())
    assert not INSTEAD.keys() & PROVIDERS.keys()
    assert all("\n" not in text and text for text in INSTEAD.values())


def test_such_a_store_is_stac_with_a_provider() -> None:
    assert params("stac-pc") == {"provider": "planetary-computer"}
    assert stac_store({"store_id": "stac-pc"})["store_params"] == params("stac-pc")
    assert params("stac-cdse-ardc") == params("stac-cdse") == {"provider": "cdse"}


def test_what_is_stated_goes_before_it() -> None:
    url = "https://own.example"
    assert params("stac-cdse", url=url) == {"provider": "cdse", "url": url}
    assert params("stac-cdse", provider="usgs") == {"provider": "usgs"}


@pytest.mark.parametrize("kind", ["stac", "stac-usgs"])
def test_keys_may_be_beside_the_address(kind: str) -> None:
    given = {"url": "https://own.example", "key": "k", "secret": "s"}
    found = params(kind, **given, storage_options={"endpoint_url": "https://s3.example"})
    options = {"endpoint_url": "https://s3.example", "key": "k", "secret": "s"}
    assert found["storage_options"] == options
    assert not {"key", "secret"} & found.keys()
    assert params("stac", url="https://own.example") == {"url": "https://own.example"}


@pytest.mark.parametrize("data", [7, {"data_stores": 7}, {"data_stores": ["s", {"store_id": []}]}])
def test_what_is_of_another_shape_stays(data: Any) -> None:
    assert as_stac(data) == data


def test_only_such_stores_change_and_the_data_stay() -> None:
    data = {"data_stores": [{"store_id": "file"}, {"store_id": "stac-pc", "store_params": 7}]}
    assert as_stac(data)["data_stores"] == [
        {"store_id": "file"},
        {"store_id": "stac", "store_params": 7},
    ]
    assert data["data_stores"][1]["store_id"] == "stac-pc"
