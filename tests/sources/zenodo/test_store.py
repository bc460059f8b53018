"""A Zenodo record as a store."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stacbuild.sources.zenodo.store import ZenodoStore


def store(**params: Any) -> ZenodoStore:
    return ZenodoStore.model_validate(
        {"identifier": "z", "store_id": "zenodo", "store_params": params}
    )


@pytest.mark.parametrize("root", [13333034, "13333034"])
def test_a_record_is_a_number(root: Any) -> None:
    found = store(root=root)
    assert found.key == "zenodo:13333034"
    assert found.collection_key("a.zip") == "13333034"
    # Records share a cache, in which each has a folder.
    assert found.own_cache == found.cache / "13333034"


@pytest.mark.parametrize("root", [True, "10.5281/zenodo.1", "", "../1", "١٢", 1.5])
def test_what_is_no_number_of_a_record(root: Any) -> None:
    with pytest.raises(ValidationError):
        store(root=root)
