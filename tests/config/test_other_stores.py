"""Kinds of store of the notebook's tool: two are STAC APIs, for others there is a way."""

from __future__ import annotations

from typing import Any

import pytest

from stacbuild.config.other_stores import INSTEAD, STAC_APIS, as_stac, stac_store
from stacbuild.kinds import KINDS

EODATA = STAC_APIS["stac-cdse"]["storage_options"]["endpoint_url"]


def params(kind: str, **given: Any) -> Any:
    store = stac_store({"identifier": "s", "store_id": kind, "store_params": given})
    assert store["store_id"] == "stac"
    return store["store_params"]


def test_no_kind_is_known_and_told_of_at_once() -> None:
    assert not KINDS.keys() & (INSTEAD.keys() | STAC_APIS.keys())
    assert not INSTEAD.keys() & STAC_APIS.keys()
    assert all("\n" not in text and text for text in INSTEAD.values())


def test_the_address_is_there_by_default() -> None:
    assert params("stac-pc") == {"url": STAC_APIS["stac-pc"]["url"]}
    # Nothing is signed without keys.
    assert params("stac-cdse")["storage_options"] == {"endpoint_url": EODATA, "anon": True}
    assert stac_store({"store_id": "stac-pc"})["store_params"] == params("stac-pc")


def test_what_is_stated_goes_before_it() -> None:
    own = params("stac-cdse", url="https://own.example", key="k", secret="s")
    assert own == {
        "url": "https://own.example",
        "storage_options": {"endpoint_url": EODATA, "key": "k", "secret": "s"},
    }
    assert "url" not in params("stac-pc", root="https://own.example")
    options = {"endpoint_url": "https://s3.example"}
    assert params("stac-cdse", storage_options=options)["storage_options"] == options


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
